//! What the generated messages are made of: a bounded [`Reader`], a chunked [`Writer`] and the traits of a message.
//!
//! Everything that messages have in common is written once, here; the generated code only names
//! fields and versions.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::ops::RangeInclusive;

pub use reader::Reader;
pub use writer::Writer;
pub(crate) use writer::{varint_size, varlong_size};

use crate::ApiKey;

/// A schema's struct, in any of the schema's versions.
pub trait Message: Sized {
    /// Fields that the version does not have take the schema's defaults.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Fields that the version does not have are left out if the schema calls them ignorable; if it does
    /// not, they must have their defaults. After an error the writer's content is of no use.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

/// A message that can be asked for by name: requests, responses, headers, stored records, not their nested structs.
pub trait Schema: Message {
    const NAME: &'static str;
    /// Versions the schema defines; what a broker serves may be less.
    const VERSIONS: RangeInclusive<i16>;
    /// First version with compact lengths and tagged fields.
    const FLEXIBLE_FROM: Option<i16>;
}

/// A request of the API [`Request::KEY`].
pub trait Request: Schema {
    const KEY: ApiKey;
    type Response: Schema;
}

/// The bytes are not a message of the schema's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{needed_bytes} bytes are needed, {available_bytes} are left")]
    Truncated { needed_bytes: usize, available_bytes: usize },
    #[error("a field that cannot be null is null")]
    UnexpectedNull,
    #[error("text is not UTF-8")]
    InvalidUtf8,
    #[error("text of {0} bytes is too long")]
    StringTooLong(usize),
    #[error("an array claims {count} elements, which cannot fit into the {available_bytes} bytes left")]
    CountTooLarge { count: usize, available_bytes: usize },
    #[error("the message takes too much memory for its size")]
    TooExpensive,
    #[error("a varint is too long")]
    InvalidVarint,
    #[error("a tagged field is {actual_bytes} bytes long and claims {claimed_bytes}")]
    TaggedFieldSize { claimed_bytes: usize, actual_bytes: usize },
    #[error("{schema} has no version {version}")]
    UnsupportedVersion { schema: &'static str, version: i16 },
    #[error("api key {0} is not known")]
    UnknownApiKey(i16),
    #[error("{0} bytes follow the message")]
    TrailingBytes(usize),
}

/// The value cannot be expressed in the schema's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    #[error("{field} is set, but version {version} does not have it")]
    FieldNotInVersion { field: &'static str, version: i16 },
    #[error("{field} is null, which version {version} does not allow")]
    NullInVersion { field: &'static str, version: i16 },
    #[error("{schema} has no version {version}")]
    UnsupportedVersion { schema: &'static str, version: i16 },
    #[error("text, bytes or array of length {0} is too long for its length field")]
    TooLong(usize),
}
