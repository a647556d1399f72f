//! Names, types and conditions in Rust.

use crate::schema::{Field, Message, Type, Versions};

/// `ProduceRequest` to `produce_request`.
pub fn snake(camel: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in camel.char_indices() {
        if letter.is_uppercase() && index > 0 {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// The field's name, with an underscore behind Rust's keywords.
pub fn field(field: &Field) -> String {
    match field.name.as_str() {
        keyword @ ("type" | "match" | "ref" | "self" | "move" | "use" | "loop" | "in" | "final") => {
            format!("{keyword}_")
        }
        name => name.to_owned(),
    }
}

pub fn rust_type(of: &Type) -> String {
    match of {
        Type::Bool => "bool".into(),
        Type::Int8 => "i8".into(),
        Type::Int16 => "i16".into(),
        Type::Uint16 => "u16".into(),
        Type::Int32 => "i32".into(),
        Type::Uint32 => "u32".into(),
        Type::Int64 => "i64".into(),
        Type::Float64 => "f64".into(),
        Type::Uuid => "Uuid".into(),
        Type::Error => "ErrorCode".into(),
        Type::String => "Str".into(),
        Type::Bytes | Type::Records => "Bytes".into(),
        Type::Struct(name) => name.clone(),
        Type::Array(element) => format!("Vec<{}>", rust_type(element)),
    }
}

/// The codec's method for a type of fixed size.
pub fn fixed_method(of: &Type) -> Option<&'static str> {
    Some(match of {
        Type::Bool => "bool",
        Type::Int8 => "i8",
        Type::Int16 => "i16",
        Type::Uint16 => "u16",
        Type::Int32 => "i32",
        Type::Uint32 => "u32",
        Type::Int64 => "i64",
        Type::Float64 => "f64",
        Type::Uuid => "uuid",
        Type::Error => "error_code",
        Type::String | Type::Bytes | Type::Records | Type::Struct(_) | Type::Array(_) => {
            return None;
        }
    })
}

/// The field's value where the schema says nothing else.
pub fn default(field: &Field) -> String {
    let is_null = match &field.default {
        Some(default) => default == "null",
        None => field.of == Type::Records && field.nullable.is_some(),
    };
    match (field.nullable.is_some(), is_null) {
        (_, true) => "None".into(),
        (true, false) => format!("Some({})", plain_default(field)),
        (false, false) => plain_default(field),
    }
}

fn plain_default(field: &Field) -> String {
    let given = field.default.as_deref();
    match &field.of {
        Type::Bool => given.unwrap_or("false").into(),
        Type::Float64 => given.unwrap_or("0.0").into(),
        Type::Uuid => "Uuid::ZERO".into(),
        Type::Error => format!("ErrorCode({})", given.unwrap_or("0")),
        Type::String => given.map_or_else(|| "Str::default()".into(), |text| format!("Str::from_static({text})")),
        Type::Bytes | Type::Records => "Bytes::new()".into(),
        Type::Struct(name) => format!("{name}::default()"),
        Type::Array(element) => format!("Vec::<{}>::new()", rust_type(element)),
        _ => given.unwrap_or("0").into(),
    }
}

/// When `versions` applies, in a message that has been checked to be in `all`; `None` is always.
pub fn condition(versions: Versions, all: Versions) -> Option<String> {
    match (versions.min <= all.min, versions.max >= all.max) {
        (true, true) => None,
        (false, true) => Some(format!("version >= {}", versions.min)),
        (true, false) => Some(format!("version <= {}", versions.max)),
        (false, false) => Some(format!("({}..={}).contains(&version)", versions.min, versions.max)),
    }
}

/// The opposite of [`condition`]; `None` is never.
pub fn outside(versions: Versions, all: Versions) -> Option<String> {
    match (versions.min <= all.min, versions.max >= all.max) {
        (true, true) => None,
        (false, true) => Some(format!("version < {}", versions.min)),
        (true, false) => Some(format!("version > {}", versions.max)),
        (false, false) => Some(format!("!({}..={}).contains(&version)", versions.min, versions.max)),
    }
}

/// Whether the field has another value than its default.
pub fn is_set(field: &Field) -> String {
    let name = self::field(field);
    match default(field).as_str() {
        "None" => format!("self.{name}.is_some()"),
        "true" => format!("!self.{name}"),
        "false" => format!("self.{name}"),
        "Str::default()" | "Bytes::new()" => format!("!self.{name}.is_empty()"),
        vec if vec.starts_with("Vec::") => format!("!self.{name}.is_empty()"),
        other => format!("self.{name} != {other}"),
    }
}

/// The condition under which a message is flexible.
pub fn flexible(message: &Message) -> String {
    match message.flexible_from {
        None => "false".into(),
        Some(from) if from <= message.versions.min => "true".into(),
        Some(from) => format!("version >= {from}"),
    }
}

pub fn flexible_of(field: &Field) -> &'static str {
    if field.inflexible { "false" } else { "flexible" }
}
