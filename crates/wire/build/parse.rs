//! Reads the notation of `proto/kafka/` (described in its README).

use crate::schema::{Api, Field, File, Kind, Message, Struct, Type, Versions};

/// A file's text, line by line, with what is needed to point at a fault.
struct Lines<'a> {
    path: &'a str,
    lines: Vec<&'a str>,
    next: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let line = self.lines.get(self.next)?;
        self.next += 1;
        Some(line.trim())
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{}:{}: {what}", self.path, self.next)
    }
}

/// Panics, with file and line, if the text does not follow the notation: the build has to stop.
pub fn parse(path: &str, text: &str) -> File {
    let mut lines = Lines { path, lines: text.lines().collect(), next: 0 };
    let mut file = File { doc: Vec::new(), api: None, messages: Vec::new() };
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            ["#", ..] => file.doc.push(line[1..].trim().to_owned()),
            ["api", key, name] => file.api = Some(Api { key: number(&lines, key), name: (*name).to_owned() }),
            [kind, name, versions, rest @ .., "{"] => {
                let kind = match *kind {
                    "request" => Kind::Request,
                    "response" => Kind::Response,
                    "header" => Kind::Header,
                    "data" => Kind::Data,
                    _ => lines.fail("expected request, response, header or data"),
                };
                file.messages.push(message(&mut lines, kind, name, versions, rest));
            }
            _ => lines.fail("not a declaration"),
        }
    }
    file
}

fn message(lines: &mut Lines, kind: Kind, name: &str, versions: &str, rest: &[&str]) -> Message {
    let versions = self::versions(lines, versions, i16::MAX);
    let flexible_from = match rest {
        [] => None,
        ["flexible", from] => Some(self::versions(lines, from, versions.max).min),
        _ => lines.fail("expected: flexible N+"),
    };
    let root = Struct { name: name.to_owned(), fields: Vec::new() };
    let mut message = Message { kind, versions, flexible_from, structs: vec![root] };
    let fields = block(lines, &mut message);
    message.structs[0].fields = fields;
    message
}

/// The fields up to the closing brace; structs declared among them are added to the message.
fn block(lines: &mut Lines, message: &mut Message) -> Vec<Field> {
    let mut fields = Vec::new();
    loop {
        let Some(line) = lines.next() else { lines.fail("a brace is not closed") };
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] | ["#", ..] => {}
            ["}"] => return fields,
            ["struct", name, "{"] => nested(lines, message, name),
            [name, of, attributes @ .., "{"] => {
                let field = field(lines, message, name, of, attributes);
                let Some(name) = struct_name(&field.of) else { lines.fail("only structs have fields") };
                nested(lines, message, name);
                fields.push(field);
            }
            [name, of, attributes @ ..] => fields.push(field(lines, message, name, of, attributes)),
            [_] => lines.fail("expected: name: type"),
        }
    }
}

/// The struct that a field is, or is an array of.
fn struct_name(of: &Type) -> Option<&str> {
    match of {
        Type::Array(element) => struct_name(element),
        Type::Struct(name) => Some(name),
        _ => None,
    }
}

fn nested(lines: &mut Lines, message: &mut Message, name: &str) {
    let at = message.structs.len();
    message.structs.push(Struct { name: name.to_owned(), fields: Vec::new() });
    let fields = block(lines, message);
    message.structs[at].fields = fields;
}

fn field(lines: &Lines, message: &Message, name: &str, of: &str, attributes: &[&str]) -> Field {
    let Some(name) = name.strip_suffix(':') else { lines.fail("expected a colon after the field's name") };
    let (of, null) = match of.split_once('?') {
        Some((of, null)) => (of, Some(null)),
        None => (of, None),
    };
    let mut field = Field {
        name: name.to_owned(),
        of: type_named(lines, of),
        versions: message.versions,
        nullable: None,
        default: None,
        tag: None,
        ignorable: false,
        inflexible: false,
    };
    let mut attributes = attributes.iter();
    while let Some(attribute) = attributes.next() {
        match *attribute {
            "=" => field.default = attributes.next().map(|value| (*value).to_owned()),
            "tag" => field.tag = attributes.next().map(|tag| number(lines, tag)),
            "ignorable" => field.ignorable = true,
            "inflexible" => field.inflexible = true,
            other => field.versions = versions(lines, other, message.versions.max),
        }
    }
    field.nullable = null.map(|null| match null.strip_prefix('(').and_then(|null| null.strip_suffix(')')) {
        Some(null) => versions(lines, null, message.versions.max),
        None => field.versions,
    });
    field
}

fn type_named(lines: &Lines, name: &str) -> Type {
    if let Some(element) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return Type::Array(Box::new(type_named(lines, element)));
    }
    match name {
        "bool" => Type::Bool,
        "int8" => Type::Int8,
        "int16" => Type::Int16,
        "uint16" => Type::Uint16,
        "int32" => Type::Int32,
        "uint32" => Type::Uint32,
        "int64" => Type::Int64,
        "float64" => Type::Float64,
        "uuid" => Type::Uuid,
        "error" => Type::Error,
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "records" => Type::Records,
        _ if name.starts_with(char::is_uppercase) => Type::Struct(name.to_owned()),
        _ => lines.fail("not a type"),
    }
}

/// `3`, `3-7` or `3+`, the last up to `newest`.
fn versions(lines: &Lines, text: &str, newest: i16) -> Versions {
    let (min, max) = match (text.strip_suffix('+'), text.split_once('-')) {
        (Some(min), _) => (number(lines, min), newest),
        (None, Some((min, max))) => (number(lines, min), number(lines, max)),
        (None, None) => (number(lines, text), number(lines, text)),
    };
    if min > max {
        lines.fail("the first version is after the last");
    }
    Versions { min, max }
}

fn number<T: std::str::FromStr>(lines: &Lines, text: &str) -> T {
    text.parse().unwrap_or_else(|_| lines.fail("not a number"))
}
