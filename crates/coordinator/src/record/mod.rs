//! Records of the offsets topic in Kafka's own format: two bytes of version, then the message, in key and value.
//!
//! A key's version is the kind of record; a value's version says which form of the message follows.

mod replay;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use tidelog_wire::{DecodeError, Reader, Schema, Writer};

pub use replay::ReplayError;
pub(crate) use replay::{decode_key, replay};

use crate::Record;

/// What a record is about, with the number its key begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i16)]
pub enum RecordKind {
    LegacyOffsetCommit = 0,
    OffsetCommit = 1,
    GroupMetadata = 2,
    ConsumerGroupMetadata = 3,
    ConsumerGroupPartitionMetadata = 4,
    ConsumerGroupMemberMetadata = 5,
    ConsumerGroupTargetAssignmentMetadata = 6,
    ConsumerGroupTargetAssignmentMember = 7,
    ConsumerGroupCurrentMemberAssignment = 8,
    ConsumerGroupRegularExpression = 16,
}

impl RecordKind {
    const ALL: [Self; 10] = [
        Self::LegacyOffsetCommit,
        Self::OffsetCommit,
        Self::GroupMetadata,
        Self::ConsumerGroupMetadata,
        Self::ConsumerGroupPartitionMetadata,
        Self::ConsumerGroupMemberMetadata,
        Self::ConsumerGroupTargetAssignmentMetadata,
        Self::ConsumerGroupTargetAssignmentMember,
        Self::ConsumerGroupCurrentMemberAssignment,
        Self::ConsumerGroupRegularExpression,
    ];

    fn from_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i16 == code)
    }
}

impl Record {
    /// `value` in its schema's version `version`.
    pub(crate) fn new<K: Schema, V: Schema>(kind: RecordKind, key: &K, version: i16, value: &V) -> Self {
        Self { key: encode(kind as i16, 0, key), value: Some(encode(version, version, value)) }
    }

    pub(crate) fn tombstone<K: Schema>(kind: RecordKind, key: &K) -> Self {
        Self { key: encode(kind as i16, 0, key), value: None }
    }
}

fn encode<M: Schema>(prefix: i16, version: i16, message: &M) -> Bytes {
    let mut writer = Writer::with_capacity(64);
    writer.i16(prefix);
    // Text and bytes that got in through a request are short enough to get out into a record.
    message.encode(&mut writer, version).expect("state that was taken in can be encoded");
    writer.into_bytes()
}

/// A value with its version before it.
pub(crate) fn decode_value<M: Schema>(bytes: Bytes) -> Result<M, DecodeError> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16()?;
    if !M::VERSIONS.contains(&version) {
        return Err(DecodeError::UnsupportedVersion { schema: M::NAME, version });
    }
    M::decode(&mut reader, version)
}
