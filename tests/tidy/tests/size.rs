//! No file and no function grows without somebody having said why.

use anyhow::Result;
use tidelog_tidy::{functions, rust_files};

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;

/// Files that may be longer, and why.
const LONG_FILES: [(&str, &str); 0] = [];

/// Functions (`path::name`) that may be longer, and why.
const LONG_FUNCTIONS: [(&str, &str); 0] = [];

fn allowed(list: &[(&str, &str)], name: &str) -> bool {
    list.iter().any(|(entry, _)| *entry == name)
}

#[test]
fn files_are_short() -> Result<()> {
    let long: Vec<String> = rust_files()?
        .iter()
        .filter(|file| file.text.lines().count() > FILE_LINES_MAX && !allowed(&LONG_FILES, &file.path))
        .map(|file| format!("{}: {} lines", file.path, file.text.lines().count()))
        .collect();
    assert!(long.is_empty(), "longer than {FILE_LINES_MAX} lines:\n{}", long.join("\n"));
    Ok(())
}

#[test]
fn functions_are_short() -> Result<()> {
    let mut long = Vec::new();
    for file in rust_files()? {
        let functions = functions(&file.text).into_iter().filter(|function| function.lines > FUNCTION_LINES_MAX);
        for function in
            functions.filter(|function| !allowed(&LONG_FUNCTIONS, &format!("{}::{}", file.path, function.name)))
        {
            long.push(format!("{}:{} {}: {} lines", file.path, function.first_line, function.name, function.lines));
        }
    }
    assert!(long.is_empty(), "longer than {FUNCTION_LINES_MAX} lines:\n{}", long.join("\n"));
    Ok(())
}

#[test]
fn every_file_begins_with_what_it_is_for() -> Result<()> {
    let silent: Vec<String> =
        rust_files()?.into_iter().filter(|file| !file.text.starts_with("//!")).map(|file| file.path).collect();
    assert!(silent.is_empty(), "without a module doc:\n{}", silent.join("\n"));
    Ok(())
}
