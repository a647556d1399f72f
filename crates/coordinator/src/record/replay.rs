//! Applying a record to the state: reads its kind and hands it to whom it concerns.

use bytes::Bytes;
use tidelog_wire::{DecodeError, Reader, Schema};

use super::RecordKind;
use crate::group::{Groups, classic, consumer};
use crate::offsets;

/// Why a record was passed over; the state is as it was before.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("the record has no key")]
    NoKey,
    #[error("records of kind {0} are not known")]
    UnknownKind(i16),
    #[error("the record cannot be read: {0}")]
    Decode(#[from] DecodeError),
}

pub(crate) fn replay(groups: &mut Groups, key: Option<Bytes>, value: Option<Bytes>) -> Result<(), ReplayError> {
    let mut key = Reader::new(key.ok_or(ReplayError::NoKey)?);
    let code = key.i16()?;
    let kind = RecordKind::from_code(code).ok_or(ReplayError::UnknownKind(code))?;
    match kind {
        RecordKind::LegacyOffsetCommit | RecordKind::OffsetCommit => offsets::replay(groups, decode_key(key)?, value),
        RecordKind::GroupMetadata => classic::replay(groups, decode_key(key)?, value),
        _ => consumer::replay(groups, kind, key, value),
    }
}

/// What follows a key's kind.
pub(crate) fn decode_key<M: Schema>(mut key: Reader) -> Result<M, DecodeError> {
    M::decode(&mut key, 0)
}
