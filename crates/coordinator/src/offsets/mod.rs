//! A group's committed offsets.

use bytes::Bytes;
use tidelog_wire::messages::offset_fetch_request::OffsetFetchRequestGroup;
use tidelog_wire::messages::{OffsetCommitKey, OffsetCommitRequest, OffsetDeleteRequest};
use tidelog_wire::{Str, Uuid};

use crate::group::Groups;
use crate::record::ReplayError;
use crate::turn::Turn;
use crate::{Caller, Record};

#[derive(Debug, Default)]
pub(crate) struct Offsets {}

impl Offsets {
    pub fn len(&self) -> usize {
        0
    }
    pub fn is_empty(&self) -> bool {
        true
    }
    pub fn tombstones(&self, _group_id: &Str, _records: &mut Vec<Record>) {}
}
pub(crate) fn commit(_groups: &mut Groups, _turn: &mut Turn, _caller: &Caller, _request: OffsetCommitRequest) {}
pub(crate) fn fetch(_groups: &mut Groups, _turn: &mut Turn, _caller: &Caller, _request: OffsetFetchRequestGroup) {}
pub(crate) fn delete(_groups: &mut Groups, _turn: &mut Turn, _caller: &Caller, _request: OffsetDeleteRequest) {}
pub(crate) fn expire(_groups: &mut Groups, _turn: &mut Turn) {}
pub(crate) fn topics_deleted(_groups: &mut Groups, _turn: &mut Turn, _deleted: &[(Str, Uuid)]) {}
pub(crate) fn replay(_groups: &mut Groups, _key: OffsetCommitKey, _value: Option<Bytes>) -> Result<(), ReplayError> {
    Ok(())
}
