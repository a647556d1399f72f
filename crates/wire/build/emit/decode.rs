//! `Message::decode`: starts from the defaults and reads the fields that the version has. Every array is given
//! the least size of its elements, by which the reader judges a claimed count.

use super::code::Code;
use super::names;
use crate::schema::{Field, Message, Struct, Type, Versions};

/// `Message::decode` of one struct.
pub fn decode(code: &mut Code, message: &Message, of: &Struct) {
    code.open("fn decode(r: &mut Reader, version: i16) -> Result<Self, DecodeError> {");
    if std::ptr::eq(of, message.root()) {
        code.line("if !<Self as Schema>::VERSIONS.contains(&version) { return Err(DecodeError::UnsupportedVersion { schema: <Self as Schema>::NAME, version }); }");
    }
    code.line(format!("let flexible = {};", names::flexible(message)));
    code.line("let mut out = Self::default();");
    for field in of.fields.iter().filter(|field| field.tag.is_none()) {
        let assignment = format!("out.{} = {};", names::field(field), read(message, field));
        match names::condition(field.versions, message.versions) {
            None => code.line(assignment),
            Some(condition) => code.line(format!("if {condition} {{ {assignment} }}")),
        }
    }
    tagged(code, message, of);
    code.line("Ok(out)");
    code.close("}");
}

fn tagged(code: &mut Code, message: &Message, of: &Struct) {
    let mut fields = of.fields.iter().filter(|field| field.tag.is_some()).peekable();
    if message.flexible_from.is_none() {
        return;
    }
    if fields.peek().is_none() {
        return code.line("if flexible { r.skip_tagged_fields()?; }");
    }
    code.open("if flexible {");
    code.open("r.tagged_fields(|r, tag| {");
    code.open("match tag {");
    for field in fields {
        let tag = field.tag.unwrap_or_default();
        let guard =
            names::condition(field.versions, message.versions).map_or_else(String::new, |is| format!(" if {is}"));
        code.line(format!("{tag}{guard} => out.{} = {},", names::field(field), read(message, field)));
    }
    code.line("_ => return Ok(false),");
    code.close("}");
    code.line("Ok(true)");
    code.close("})?;");
    code.close("}");
}

/// An expression for the field's value.
fn read(message: &Message, field: &Field) -> String {
    let Some(null) = field.nullable else {
        return read_plain(message, field);
    };
    match names::condition(null, field.versions) {
        None => read_nullable(message, field),
        Some(condition) => format!(
            "if {condition} {{ {} }} else {{ Some({}) }}",
            read_nullable(message, field),
            read_plain(message, field)
        ),
    }
}

fn read_plain(message: &Message, field: &Field) -> String {
    let flexible = names::flexible_of(field);
    match &field.of {
        Type::String => format!("r.string({flexible})?"),
        Type::Bytes | Type::Records => format!("r.bytes({flexible})?"),
        Type::Struct(name) => format!("{name}::decode(r, version)?"),
        Type::Array(element) => format!("r.array({})?", array_arguments(message, field, element)),
        fixed => format!("r.{}()?", names::fixed_method(fixed).expect("all others are fixed")),
    }
}

fn read_nullable(message: &Message, field: &Field) -> String {
    let flexible = names::flexible_of(field);
    match &field.of {
        Type::String => format!("r.nullable_string({flexible})?"),
        Type::Bytes | Type::Records => format!("r.nullable_bytes({flexible})?"),
        Type::Struct(name) => format!("r.nullable(|r| {name}::decode(r, version))?"),
        Type::Array(element) => format!("r.nullable_array({})?", array_arguments(message, field, element)),
        fixed => panic!("{}: {fixed:?} cannot be null", field.name),
    }
}

fn array_arguments(message: &Message, field: &Field, element: &Type) -> String {
    let decode = match element {
        Type::String => "|r| r.string(flexible)".into(),
        Type::Bytes | Type::Records => "|r| r.bytes(flexible)".into(),
        Type::Struct(name) => format!("|r| {name}::decode(r, version)"),
        Type::Array(_) => panic!("{}: arrays of arrays are not supported", field.name),
        fixed => format!("Reader::{}", names::fixed_method(fixed).expect("all others are fixed")),
    };
    format!("{}, {}, {decode}", names::flexible_of(field), min_size(message, field.versions, element))
}

/// The least an element can take in any of the versions that have the array.
fn min_size(message: &Message, versions: Versions, element: &Type) -> usize {
    let sizes = (versions.min..=versions.max).map(|version| element.min_size(message, version));
    sizes.min().filter(|size| *size > 0).expect("elements take space")
}
