//! The schemas of `proto/kafka/`, as parsed.

/// Inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub min: i16,
    pub max: i16,
}

impl Versions {
    pub fn contains(self, version: i16) -> bool {
        (self.min..=self.max).contains(&version)
    }

    pub fn contains_all(self, other: Versions) -> bool {
        self.min <= other.min && other.max <= self.max
    }
}

/// One file: an API's request and response, or records that belong together.
#[derive(Debug)]
pub struct File {
    pub doc: Vec<String>,
    pub api: Option<Api>,
    pub messages: Vec<Message>,
}

#[derive(Debug)]
pub struct Api {
    pub key: i16,
    pub name: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Request,
    Response,
    Header,
    Data,
}

#[derive(Clone, Debug)]
pub struct Message {
    pub kind: Kind,
    pub versions: Versions,
    pub flexible_from: Option<i16>,
    /// The message itself comes first, then its nested structs.
    pub structs: Vec<Struct>,
}

impl Message {
    pub fn root(&self) -> &Struct {
        &self.structs[0]
    }

    pub fn struct_named(&self, name: &str) -> &Struct {
        let found = self.structs.iter().find(|each| each.name == name);
        found.unwrap_or_else(|| panic!("{} has no struct {name}", self.root().name))
    }

    pub fn is_flexible(&self, version: i16) -> bool {
        self.flexible_from.is_some_and(|from| version >= from)
    }
}

#[derive(Clone, Debug)]
pub struct Struct {
    pub name: String,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub of: Type,
    pub versions: Versions,
    /// Versions in which null is allowed.
    pub nullable: Option<Versions>,
    pub default: Option<String>,
    /// Position among the tagged fields, in all of the field's versions.
    pub tag: Option<u32>,
    /// Left out silently when a version does not have it.
    pub ignorable: bool,
    /// Keeps its old length field in flexible versions.
    pub inflexible: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Float64,
    Uuid,
    Error,
    String,
    Bytes,
    Records,
    Struct(String),
    Array(Box<Type>),
}

impl Type {
    /// The least number of bytes on the wire in `version`.
    pub fn min_size(&self, message: &Message, version: i16) -> usize {
        let flexible = message.is_flexible(version);
        match self {
            Type::Bool | Type::Int8 => 1,
            Type::Int16 | Type::Uint16 | Type::Error => 2,
            Type::Int32 | Type::Uint32 => 4,
            Type::Int64 | Type::Float64 => 8,
            Type::Uuid => 16,
            Type::String => {
                if flexible {
                    1
                } else {
                    2
                }
            }
            Type::Bytes | Type::Records | Type::Array(_) => {
                if flexible {
                    1
                } else {
                    4
                }
            }
            Type::Struct(name) => message.struct_named(name).min_size(message, version),
        }
    }
}

impl Struct {
    fn min_size(&self, message: &Message, version: i16) -> usize {
        let fields = self.fields.iter().filter(|field| field.tag.is_none() && field.versions.contains(version));
        let sizes = fields.map(|field| match (&field.of, field.nullable) {
            (Type::Struct(_), Some(_)) => 1,
            (of, _) => of.min_size(message, version),
        });
        sizes.sum::<usize>() + usize::from(message.is_flexible(version))
    }
}
