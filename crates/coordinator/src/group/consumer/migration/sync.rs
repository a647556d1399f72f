//! SyncGroup of a classic consumer: what it may read from.

use tidelog_wire::messages::{SyncGroupRequest, SyncGroupResponse};
use tidelog_wire::{ErrorCode, Str};

use super::super::decision::Decision;
use super::super::member::MemberState;
use super::{CONSUMER, check_generation, classic_member, embedded};
use crate::group::Groups;
use crate::turn::Turn;
use crate::{Caller, Response};

pub(crate) fn sync(
    groups: &mut Groups,
    turn: &mut Turn,
    caller: &Caller,
    request: &SyncGroupRequest,
) -> Result<(), ErrorCode> {
    let group_id = request.group_id.detached();
    let group = groups.consumer_mut(&group_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
    let member_id = request.member_id.detached();
    let (member, classic) = classic_member(group, &member_id, request.group_instance_id.as_ref())?;
    check_generation(member, request.generation_id)?;
    let (protocol, metadata) = classic.protocols.first().ok_or(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)?;
    let is_other_type = request.protocol_type.as_ref().is_some_and(|said| said != CONSUMER);
    let is_other_name = request.protocol_name.as_ref().is_some_and(|said| said != protocol);
    if is_other_type || is_other_name {
        return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    let must_revoke = member.current.state == MemberState::UnrevokedPartitions;
    let is_behind = member.current.epoch < group.epoch.epoch && !must_revoke;
    let response = SyncGroupResponse {
        protocol_type: Some(Str::from_static(CONSUMER)),
        protocol_name: Some(protocol.clone()),
        assignment: embedded::encode_assignment(&member.current.assigned, metadata, turn.topics),
        ..Default::default()
    };
    let mut decision = Decision { group_id: &group_id, group, turn };
    decision.expect_heartbeat(&member_id);
    if is_behind {
        // The time to join again, which runs since it joined, goes on.
        return Err(ErrorCode::REBALANCE_IN_PROGRESS);
    }
    if !must_revoke {
        decision.expect_action(&member_id, false);
    }
    turn.outcome.reply(caller.request, Response::SyncGroup(response));
    Ok(())
}
