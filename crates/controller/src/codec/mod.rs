//! The metadata crate's types as `proto/metadata.proto` has them.
//!
//! Records must survive for years and are converted field by field. Requests and responses live for one
//! operation; Kafka's own messages inside them travel as the wire crate encodes them, version included.

mod fields;
mod kafka;
mod record;
mod request;
mod response;
#[cfg(test)]
mod tests;

pub(crate) use record::{record_from_proto, record_to_proto};
pub(crate) use request::{request_from_proto, request_to_proto};
pub(crate) use response::{response_from_proto, response_to_proto};

/// Bytes of another version or damaged ones, or what cannot become bytes. Never a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CodecError {
    #[error("{0} is missing or makes no sense")]
    Field(&'static str),
    /// A kind this version does not know: written by a later one.
    #[error("unknown kind of {0}")]
    UnknownKind(&'static str),
    /// A message that Kafka's format has no room for.
    #[error(transparent)]
    Unencodable(#[from] tidelog_wire::EncodeError),
}
