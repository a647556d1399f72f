//! `Message::encode`: a field is written in the versions that have it; in the others its value is either
//! ignorable or an error. Tagged fields come last, and only if they are not the default.

use super::code::Code;
use super::names;
use crate::schema::{Field, Message, Struct, Type};

/// `Message::encode` of one struct.
pub fn encode(code: &mut Code, message: &Message, of: &Struct) {
    code.open("fn encode(&self, w: &mut Writer, version: i16) -> Result<(), EncodeError> {");
    if std::ptr::eq(of, message.root()) {
        code.line("if !<Self as Schema>::VERSIONS.contains(&version) { return Err(EncodeError::UnsupportedVersion { schema: <Self as Schema>::NAME, version }); }");
    }
    code.line(format!("let flexible = {};", names::flexible(message)));
    for field in &of.fields {
        untagged(code, message, of, field);
    }
    if message.flexible_from.is_some() {
        tagged(code, message, of);
    }
    code.line("Ok(())");
    code.close("}");
}

/// Writes the field in the versions that have it; in the others a value that would be lost is an error.
/// A tagged field is only checked here.
fn untagged(code: &mut Code, message: &Message, of: &Struct, field: &Field) {
    let condition = names::condition(field.versions, message.versions);
    if field.tag.is_none() {
        match condition {
            None => code.line(write(field)),
            Some(condition) => code.line(format!("if {condition} {{ {} }}", write(field))),
        }
    }
    let outside = names::outside(field.versions, message.versions).filter(|_| !field.ignorable);
    if let Some(outside) = outside {
        code.open(format!("if {outside} && {} {{", names::is_set(field)));
        let name = format!("{}.{}", of.name, field.name);
        code.line(format!("return Err(EncodeError::FieldNotInVersion {{ field: \"{name}\", version }});"));
        code.close("}");
    }
}

fn tagged(code: &mut Code, message: &Message, of: &Struct) {
    let mut fields: Vec<&Field> = of.fields.iter().filter(|field| field.tag.is_some()).collect();
    if fields.is_empty() {
        return code.line("if flexible { w.unsigned_varint(0); }");
    }
    fields.sort_by_key(|field| field.tag);
    code.open("if flexible {");
    let mut count = Vec::new();
    for field in &fields {
        let present = format!("has_{}", field.name);
        let is_set = names::is_set(field);
        match names::condition(field.versions, message.versions) {
            None => code.line(format!("let {present} = {is_set};")),
            Some(condition) => code.line(format!("let {present} = {condition} && {is_set};")),
        }
        count.push(format!("u32::from({present})"));
    }
    code.line(format!("w.unsigned_varint({});", count.join(" + ")));
    for field in &fields {
        let tag = field.tag.unwrap_or_default();
        let body = format!("{{ {} Ok(()) }}", write(field));
        code.line(format!("if has_{} {{ w.tagged_field({tag}, |w| {body})?; }}", field.name));
    }
    code.close("}");
}

/// A statement that writes the field's value.
fn write(field: &Field) -> String {
    let name = names::field(field);
    let (place, reference) = (format!("self.{name}"), format!("&self.{name}"));
    let Some(null) = field.nullable else {
        return write_plain(field, &place, &reference);
    };
    let nullable = write_nullable(field, &name);
    let Some(condition) = names::condition(null, field.versions) else {
        return nullable;
    };
    let not_null = format!(
        "let Some(value) = &self.{name} else {{ return Err(EncodeError::NullInVersion {{ field: \"{}\", version }}) }};",
        field.name
    );
    format!("if {condition} {{ {nullable} }} else {{ {not_null} {} }}", write_plain(field, "value", "value"))
}

/// `reference` refers to what is at `place`.
fn write_plain(field: &Field, place: &str, reference: &str) -> String {
    let flexible = names::flexible_of(field);
    match &field.of {
        Type::String => format!("w.string({flexible}, {reference})?;"),
        Type::Bytes => format!("w.bytes({flexible}, {reference})?;"),
        Type::Records => format!("w.records({flexible}, {reference})?;"),
        Type::Struct(_) => format!("{place}.encode(w, version)?;"),
        Type::Array(element) => format!("w.array({flexible}, {reference}, {})?;", write_element(element)),
        fixed => format!("w.{}({place});", names::fixed_method(fixed).expect("all others are fixed")),
    }
}

fn write_nullable(field: &Field, name: &str) -> String {
    let flexible = names::flexible_of(field);
    match &field.of {
        Type::String => format!("w.nullable_string({flexible}, self.{name}.as_ref())?;"),
        Type::Bytes => format!("w.nullable_bytes({flexible}, self.{name}.as_ref())?;"),
        Type::Records => format!("w.nullable_records({flexible}, self.{name}.as_ref())?;"),
        Type::Struct(_) => {
            format!("w.nullable(self.{name}.as_ref(), |w, each| each.encode(w, version))?;")
        }
        Type::Array(element) => {
            format!("w.nullable_array({flexible}, self.{name}.as_deref(), {})?;", write_element(element))
        }
        fixed => panic!("{name}: {fixed:?} cannot be null"),
    }
}

fn write_element(element: &Type) -> String {
    match element {
        Type::String => "|w, each| w.string(flexible, each)".into(),
        Type::Bytes | Type::Records => "|w, each| w.bytes(flexible, each)".into(),
        Type::Struct(_) => "|w, each| each.encode(w, version)".into(),
        Type::Array(_) => unreachable!("decode refused it"),
        fixed => {
            let method = names::fixed_method(fixed).expect("all others are fixed");
            format!("|w, each| {{ w.{method}(*each); Ok(()) }}")
        }
    }
}
