//! A setting that is read into a field does something only if somebody looks at the field.

use anyhow::{Result, ensure};
use tidelog_tidy::{SourceFile, rust_files};

/// Files whose public fields are settings.
const SETTINGS: [&str; 5] = [
    "crates/broker/src/options.rs",
    "crates/controller/src/options.rs",
    "crates/metadata/src/config/in_force.rs",
    "crates/metadata/src/config/topic_config.rs",
    "crates/server/src/config/node.rs",
];

#[test]
fn every_setting_is_looked_at() -> Result<()> {
    let files = rust_files()?;
    for settings in files.iter().filter(|file| SETTINGS.contains(&file.path.as_str())) {
        for field in fields(&settings.text) {
            let is_used = files.iter().any(|file| looks_at(file, settings, field));
            ensure!(is_used, "{}: nobody looks at {field}", settings.path);
        }
    }
    Ok(())
}

/// `pub field: Type` of a struct, or `field: Type = "name"` of a macro's.
fn fields(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let (name, rest) = line.strip_prefix("pub ").unwrap_or(line).split_once(": ")?;
        let is_field = line.starts_with("pub ") || rest.contains(" = \"");
        let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        (is_field && is_name).then_some(name)
    })
}

fn looks_at(file: &SourceFile, settings: &SourceFile, field: &str) -> bool {
    let is_production = file.path.contains("/src/") && !file.path.ends_with("tests.rs");
    let is_looked_at = |(at, _): (usize, &str)| {
        let rest = &file.text[at + field.len() + 1..];
        !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
    };
    is_production && file.path != settings.path && file.text.match_indices(&format!(".{field}")).any(is_looked_at)
}
