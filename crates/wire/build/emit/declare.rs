//! Structs, with the versions of their fields as documentation, and their defaults.

use super::code::Code;
use super::names;
use crate::schema::{Field, Message, Struct};

/// The struct and its default.
pub fn declare(code: &mut Code, message: &Message, of: &Struct) {
    code.line("#[derive(Clone, Debug, PartialEq)]");
    code.open(format!("pub struct {} {{", of.name));
    for field in &of.fields {
        if let Some(doc) = doc(message, field) {
            code.line(format!("/// {doc}"));
        }
        code.line(format!("pub {}: {},", names::field(field), field_type(field)));
    }
    code.close("}");
    code.open(format!("impl Default for {} {{", of.name));
    code.open("fn default() -> Self {");
    code.open("Self {");
    for field in &of.fields {
        code.line(format!("{}: {},", names::field(field), names::default(field)));
    }
    code.close("}");
    code.close("}");
    code.close("}");
}

fn field_type(field: &Field) -> String {
    match field.nullable {
        Some(_) => format!("Option<{}>", names::rust_type(&field.of)),
        None => names::rust_type(&field.of),
    }
}

fn doc(message: &Message, field: &Field) -> Option<String> {
    let (all, versions) = (message.versions, field.versions);
    let range = match (versions.contains_all(all), versions.max >= all.max) {
        (true, _) => None,
        (false, true) => Some(format!("Versions {}+.", versions.min)),
        (false, false) => Some(format!("Versions {}-{}.", versions.min, versions.max)),
    };
    let null = field.nullable.filter(|null| *null != versions).map(|null| match null.max >= all.max {
        true => format!("Null in versions {}+.", null.min),
        false => format!("Null in versions {}-{}.", null.min, null.max),
    });
    let doc: Vec<String> = range.into_iter().chain(null).collect();
    (!doc.is_empty()).then(|| doc.join(" "))
}
