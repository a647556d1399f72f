//! Groups of the protocol in which a member of the group assigns partitions.

use bytes::Bytes;
use tidelog_wire::Str;
use tidelog_wire::messages::describe_groups_response::DescribedGroup;
use tidelog_wire::messages::{
    GroupMetadataKey, HeartbeatRequest, JoinGroupRequest, LeaveGroupRequest, SyncGroupRequest,
};

use super::Groups;
use crate::record::ReplayError;
use crate::turn::Turn;
use crate::{Caller, Outcome};

#[derive(Debug, Default)]
pub(crate) struct ClassicGroup {
    protocol_type: Str,
}

impl ClassicGroup {
    pub fn is_empty(&self) -> bool {
        true
    }
    pub fn is_unused(&self) -> bool {
        true
    }
    pub fn state_name(&self) -> &'static str {
        "Empty"
    }
    pub fn protocol_type(&self) -> &Str {
        &self.protocol_type
    }
    pub fn is_subscribed_to(&self, _topic: &str) -> bool {
        false
    }
}
pub(crate) fn join(_groups: &mut Groups, _turn: &mut Turn, _caller: &Caller, _request: JoinGroupRequest) {}
pub(crate) fn sync(_groups: &mut Groups, _turn: &mut Turn, _caller: &Caller, _request: SyncGroupRequest) {}
pub(crate) fn heartbeat(_groups: &mut Groups, _turn: &mut Turn, _caller: &Caller, _request: &HeartbeatRequest) {}
pub(crate) fn leave(_groups: &mut Groups, _turn: &mut Turn, _caller: &Caller, _request: LeaveGroupRequest) {}
pub(crate) fn describe(_groups: &Groups, _version: i16, _group_id: &Str) -> DescribedGroup {
    DescribedGroup::default()
}
pub(crate) fn tombstone(_group: &ClassicGroup, _group_id: &Str, _outcome: &mut Outcome) {}
pub(crate) fn loaded(_groups: &mut Groups, _turn: &mut Turn) {}
pub(crate) fn session_due(_groups: &mut Groups, _turn: &mut Turn, _group_id: &Str, _member_id: &Str) {}
pub(crate) fn pending_member_due(_groups: &mut Groups, _turn: &mut Turn, _group_id: &Str, _member_id: &Str) {}
pub(crate) fn rebalance_due(_groups: &mut Groups, _turn: &mut Turn, _group_id: &Str) {}
pub(crate) fn sync_due(_groups: &mut Groups, _turn: &mut Turn, _group_id: &Str) {}
pub(crate) fn replay(_groups: &mut Groups, _key: GroupMetadataKey, _value: Option<Bytes>) -> Result<(), ReplayError> {
    Ok(())
}
