//! Groups of the protocol in which the coordinator assigns partitions (KIP-848).

mod assignor;
mod partitions;

use bytes::Bytes;
use tidelog_wire::messages::consumer_group_describe_response::DescribedGroup;
use tidelog_wire::messages::{ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse};
use tidelog_wire::{ErrorCode, Reader, Str};

use super::Groups;
use crate::record::{RecordKind, ReplayError};
use crate::turn::Turn;
use crate::{Caller, Record, Response};

#[derive(Debug)]
pub(crate) struct ConsumerGroup {}

impl ConsumerGroup {
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Kafka's name of the state, for ListGroups and ConsumerGroupDescribe.
    pub fn state_name(&self) -> &'static str {
        "Empty"
    }

    pub fn is_subscribed_to(&self, _topic: &str) -> bool {
        false
    }

    /// Whether the caller of an OffsetCommit may commit: STALE_MEMBER_EPOCH, UNKNOWN_MEMBER_ID and so on otherwise.
    pub fn may_commit(&self, _member_id: &str, _member_epoch: i32, _api_version: i16) -> Result<(), ErrorCode> {
        Ok(())
    }

    /// As for a commit; no member id and epoch -1 is an administrator.
    pub fn may_fetch(&self, _member_id: Option<&str>, _member_epoch: i32) -> Result<(), ErrorCode> {
        Ok(())
    }

    /// Tombstones of everything that stands in the log of an empty group, except its offsets.
    pub fn tombstones(&self, _group_id: &Str, _records: &mut Vec<Record>) {}
}

pub(crate) fn heartbeat(
    _groups: &mut Groups,
    turn: &mut Turn,
    caller: &Caller,
    _request: ConsumerGroupHeartbeatRequest,
) {
    let response = ConsumerGroupHeartbeatResponse { error_code: ErrorCode::UNSUPPORTED_VERSION, ..Default::default() };
    turn.outcome.reply(caller.request, Response::ConsumerGroupHeartbeat(response));
}

pub(crate) fn describe(_groups: &Groups, turn: &mut Turn, caller: &Caller, group_id: &Str) {
    let described =
        DescribedGroup { error_code: ErrorCode::GROUP_ID_NOT_FOUND, group_id: group_id.clone(), ..Default::default() };
    turn.outcome.reply(caller.request, Response::ConsumerGroupDescribe(described));
}

/// A record of one of this protocol's kinds; `key` stands after the kind.
pub(crate) fn replay(
    _groups: &mut Groups,
    kind: RecordKind,
    _key: Reader,
    _value: Option<Bytes>,
) -> Result<(), ReplayError> {
    Err(ReplayError::UnknownKind(kind as i16))
}

pub(crate) fn loaded(_groups: &mut Groups, _turn: &mut Turn) {}

pub(crate) fn topics_changed(_groups: &mut Groups, _turn: &mut Turn, _topics: &[Str]) {}

pub(crate) fn session_due(_groups: &mut Groups, _turn: &mut Turn, _group_id: &Str, _member_id: &Str) {}

pub(crate) fn rebalance_due(_groups: &mut Groups, _turn: &mut Turn, _group_id: &Str, _member_id: &Str) {}
