//! The records inside a batch: reading them, and building batches of them.
//!
//! ```text
//! length varint | attributes i8 | timestamp delta varlong | offset delta varint
//! key length varint, key | value length varint, value | header count varint, { key, value } ...
//! ```
//! Keys and values of records and headers are bytes; -1 is null. Headers keep their order and duplicates.

mod builder;
mod iter;
mod raw;
mod walk;

pub use builder::BatchBuilder;
pub use iter::{RecordError, Records, records};
pub use raw::{RawRecord, RawRecords};
pub use walk::RecordWalker;

use bytes::Bytes;

use crate::types::Offset;

/// One record, with its batch's deltas resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    pub offset: Offset,
    /// Milliseconds since 1970; the broker's time if the batch says so.
    pub timestamp_ms: i64,
    pub key: Option<Bytes>,
    pub value: Option<Bytes>,
    pub headers: Vec<RecordHeader>,
}

/// A header's key is text by convention only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordHeader {
    pub key: Bytes,
    pub value: Option<Bytes>,
}
