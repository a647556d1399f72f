//! SyncGroup 0-5: the leader hands in the assignment, everybody gets theirs.
//!
//! 3 adds static members, 5 the protocol's type and name, which must be there and be those of the generation (KIP-559).

use std::collections::BTreeMap;

use bytes::Bytes;
use tidelog_wire::messages::sync_group_request::SyncGroupRequestAssignment;
use tidelog_wire::messages::{SyncGroupRequest, SyncGroupResponse};
use tidelog_wire::{ErrorCode, Str};

use super::member::Waiting;
use super::state::State;
use super::{ClassicGroup, heartbeat, rebalance, record};
use crate::group::{Groups, consumer};
use crate::turn::Turn;
use crate::{Caller, RequestId, Response, TimerKey};

pub(crate) fn sync(groups: &mut Groups, turn: &mut Turn, caller: &Caller, request: &SyncGroupRequest) {
    if let Err(error_code) = try_sync(groups, turn, caller, request) {
        refuse(turn, caller.request, error_code);
    }
}

/// On `Ok` the request has been answered, or waits in the group.
fn try_sync(
    groups: &mut Groups,
    turn: &mut Turn,
    caller: &Caller,
    request: &SyncGroupRequest,
) -> Result<(), ErrorCode> {
    if caller.version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    if groups.has_new_protocol(&request.group_id) {
        return consumer::sync_classic(groups, turn, caller, request);
    }
    let group = groups.classic_mut(&request.group_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
    let member_id = &request.member_id;
    group.check_member(member_id, request.group_instance_id.as_deref())?;
    group.check_generation(request.generation_id)?;
    check_protocol(group, request)?;
    match group.state {
        State::Empty => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        State::PreparingRebalance(_) => Err(ErrorCode::REBALANCE_IN_PROGRESS),
        State::CompletingRebalance { sync_due_ms } => {
            has_synced(group, turn, member_id);
            wait(group, turn, caller.request, member_id);
            if group.is_leader(member_id) {
                assign(group, turn, &request.assignments, sync_due_ms);
            }
            Ok(())
        }
        State::Stable { .. } => {
            has_synced(group, turn, member_id);
            heartbeat::heard_of(group, turn, member_id);
            answer(group, turn, caller.request, member_id);
            Ok(())
        }
    }
}

fn check_protocol(group: &ClassicGroup, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
    let is_other_type = request.protocol_type.as_ref().is_some_and(|said| *said != group.protocol_type);
    let is_other_name = match (&request.protocol_name, &group.protocol) {
        (Some(said), Some(chosen)) => said != chosen,
        _ => false,
    };
    if is_other_type || is_other_name { Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL) } else { Ok(()) }
}

fn has_synced(group: &mut ClassicGroup, turn: &mut Turn, member_id: &Str) {
    if group.pending_sync.remove(member_id) && group.pending_sync.is_empty() {
        turn.outcome.cancel(TimerKey::Sync { group: group.id.clone() });
    }
}

fn wait(group: &mut ClassicGroup, turn: &mut Turn, request: RequestId, member_id: &Str) {
    let Some(member) = group.members.get_mut(member_id) else { return };
    if let Waiting::Sync(abandoned) = member.waiting {
        refuse(turn, abandoned, ErrorCode::REBALANCE_IN_PROGRESS);
    }
    member.waiting = Waiting::Sync(request);
}

/// Members that the leader has nothing for get an empty assignment, in which there is no partition.
fn assign(group: &mut ClassicGroup, turn: &mut Turn, assignments: &[SyncGroupRequestAssignment], sync_due_ms: i64) {
    let by_member: BTreeMap<&str, &Bytes> =
        assignments.iter().map(|assigned| (assigned.member_id.as_str(), &assigned.assignment)).collect();
    let mut waiting = Vec::new();
    for (member_id, member) in &mut group.members {
        let assignment = by_member.get(member_id.as_str());
        member.assignment = assignment.map(|bytes| Bytes::copy_from_slice(bytes)).unwrap_or_default();
        if let Waiting::Sync(request) = member.waiting {
            member.waiting = Waiting::No;
            heartbeat::begin_session(&group.id, turn, member_id, member);
            waiting.push((member_id.clone(), request));
        }
    }
    group.enter(State::Stable { sync_due_ms }, turn.now_ms);
    record::write(group, &mut turn.outcome);
    for (member_id, request) in waiting {
        answer(group, turn, request, &member_id);
    }
}

fn answer(group: &ClassicGroup, turn: &mut Turn, request: RequestId, member_id: &Str) {
    let assignment = group.members.get(member_id).map(|member| member.assignment.clone());
    let response = SyncGroupResponse {
        protocol_type: Some(group.protocol_type.clone()),
        protocol_name: group.protocol.clone(),
        assignment: assignment.unwrap_or_default(),
        ..Default::default()
    };
    turn.outcome.reply(request, Response::SyncGroup(response));
}

pub(super) fn refuse(turn: &mut Turn, request: RequestId, error_code: ErrorCode) {
    let response = SyncGroupResponse { error_code, ..Default::default() };
    turn.outcome.reply(request, Response::SyncGroup(response));
}

/// Members that joined the generation and never asked for their assignment would hold partitions and not read them.
pub(crate) fn sync_due(groups: &mut Groups, turn: &mut Turn, group_id: &Str) {
    let Some(group) = groups.classic_mut(group_id) else { return };
    let (State::CompletingRebalance { sync_due_ms } | State::Stable { sync_due_ms }) = group.state else { return };
    if turn.now_ms < sync_due_ms || group.pending_sync.is_empty() {
        return;
    }
    for member_id in group.pending_sync.clone() {
        rebalance::remove_member(group, turn, &member_id);
    }
    rebalance::prepare(group, turn);
}
