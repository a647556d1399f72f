//! Reads the source tree as text, for the mechanical part of how this project's code is meant to read.
//!
//! The rules are a ratchet: an exception is an entry in an allow-list with its reason.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What holds nothing written here by hand; `.git` is a file in a worktree.
const NOT_SOURCE: [&str; 4] = ["target", ".git", "tidelog-data", "__pycache__"];

/// One text file of the tree; `path` is relative to the root, with slashes.
pub struct SourceFile {
    pub path: String,
    pub text: String,
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every text file of the tree, in order of their paths.
pub fn files() -> Result<Vec<SourceFile>> {
    let mut found = Vec::new();
    collect(&root(), "", &mut found)?;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Every Rust file of the tree.
pub fn rust_files() -> Result<Vec<SourceFile>> {
    Ok(files()?.into_iter().filter(|file| file.path.ends_with(".rs")).collect())
}

fn collect(dir: &Path, prefix: &str, found: &mut Vec<SourceFile>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| format!("{}", dir.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        if NOT_SOURCE.contains(&name.as_str()) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), found)?;
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            found.push(SourceFile { path, text });
        }
    }
    Ok(())
}

/// A function of a formatted Rust file; lines are counted from 1 and include signature and closing brace.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    pub name: String,
    pub first_line: usize,
    pub lines: usize,
}

/// The functions with a body of several lines. Relies on rustfmt: the closing brace stands below the `fn`'s start.
pub fn functions(text: &str) -> Vec<Function> {
    let lines: Vec<&str> = text.lines().collect();
    let starts = lines.iter().enumerate().filter_map(|(at, line)| Some((at, function_name(line)?)));
    let measured = starts.filter_map(|(at, name)| {
        let indent = indent_of(lines[at]);
        let same_indent = |line: &&str| indent_of(line) == indent && !line.trim().is_empty();
        let rest = lines[at..].iter().enumerate();
        let (length, last) = rest.filter(|(_, line)| same_indent(line)).find(|(_, line)| ends_item(line))?;
        (last.trim() == "}").then(|| Function { name: name.to_owned(), first_line: at + 1, lines: length + 1 })
    });
    measured.collect()
}

/// A closing brace, a declaration without a body, or a body on one line.
fn ends_item(line: &str) -> bool {
    let line = line.trim();
    line == "}" || line.ends_with(';') || (line.contains("fn ") && line.ends_with('}'))
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.trim_start().split_once("fn ")?;
    let qualifiers = ["pub", "const", "async", "unsafe", "extern"];
    let is_item = before
        .split_whitespace()
        .all(|word| qualifiers.iter().any(|q| word.starts_with(q)) || word.starts_with('"') || word.ends_with(')'));
    let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (is_item && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_from_signature_to_brace() {
        let text = "impl X {\n    pub(crate) async fn one(\n        &self,\n    ) -> u8 {\n        if a {\n        }\n        1\n    }\n\n    fn short() {}\n}\n";
        assert_eq!(functions(text), [Function { name: "one".into(), first_line: 2, lines: 7 }]);
    }

    #[test]
    fn declarations_and_mentions_are_no_functions() {
        let text = "trait X {\n    fn one(&self);\n    fn two(\n        &self,\n    ) -> u8;\n}\n// a fn in words {\nlet f: fn (u8) = {\n}\n";
        assert_eq!(functions(text), []);
    }
}
