//! JoinGroup 0-9: enters a group, or its next generation.
//!
//! 1 adds the rebalance timeout; from 4 on a new dynamic member is first given an id to come back with, so that
//! retries do not pile up members; 5 adds static members, 9 lets a leader keep the assignments that stand.

use tidelog_wire::messages::{JoinGroupRequest, JoinGroupResponse};
use tidelog_wire::{ErrorCode, Str, Uuid};

use super::member::{Member, Waiting};
use super::state::{Preparing, State};
use super::{ClassicGroup, heartbeat, rebalance, record, static_member};
use crate::group::{self, Groups, Kind, consumer};
use crate::turn::Turn;
use crate::{Caller, Response, TimerKey};

pub(crate) const MEMBER_ID_REQUIRED_FROM: i16 = 4;

/// Ids that may be handed out and not be joined with yet: ten thousand members may join a group at once.
const PENDING_MEMBERS_MAX: usize = 20_000;

/// A member id begins with what its client calls itself, which may be of any length.
const MEMBER_ID_PREFIX_BYTES_MAX: usize = 1_024;

pub(crate) fn join(groups: &mut Groups, turn: &mut Turn, caller: &Caller, request: &JoinGroupRequest) {
    if let Err(error_code) = try_join(groups, turn, caller, request) {
        let member_id = match error_code {
            ErrorCode::GROUP_MAX_SIZE_REACHED => Str::default(),
            _ => request.member_id.clone(),
        };
        turn.outcome.reply(caller.request, Response::JoinGroup(refused(error_code, member_id)));
        groups.remove_if_unused(&request.group_id);
    }
}

/// On `Ok` the request has been answered, or waits in the group.
fn try_join(
    groups: &mut Groups,
    turn: &mut Turn,
    caller: &Caller,
    request: &JoinGroupRequest,
) -> Result<(), ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    let session_timeouts_ms = turn.config.group_min_session_timeout_ms..=turn.config.group_max_session_timeout_ms;
    if !session_timeouts_ms.contains(&request.session_timeout_ms) {
        return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
    }
    if groups.has_new_protocol(&request.group_id) {
        return consumer::join_classic(groups, turn, caller, request);
    }
    let group = joinable(groups, turn, request)?;
    make_room(group, turn, &request.member_id)?;
    if !supports(group, request) {
        return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    if request.member_id.is_empty() {
        join_as_new(group, turn, caller, request)
    } else if group.pending.contains_key(&request.member_id) && request.group_instance_id.is_none() {
        group.pending.remove(&request.member_id);
        turn.outcome.cancel(pending_timer(group, &request.member_id));
        add(group, turn, caller, request, request.member_id.detached());
        Ok(())
    } else {
        join_again(group, turn, caller, request)
    }
}

/// The group, made new for a new member. One without members passes from the other protocol to this one.
fn joinable<'a>(
    groups: &'a mut Groups,
    turn: &mut Turn,
    request: &JoinGroupRequest,
) -> Result<&'a mut ClassicGroup, ErrorCode> {
    match groups.get_mut(&request.group_id) {
        None if !request.member_id.is_empty() => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
        Some(group) if group.as_consumer().is_some() => {
            if !group.is_empty() {
                return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
            }
            group::become_classic(group, turn, &request.group_id);
        }
        None | Some(_) => {}
    }
    match &mut groups.get_or_create(&request.group_id).kind {
        Kind::Classic(group) => Ok(group),
        Kind::Consumer(_) => Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL),
    }
}

/// While a rebalance is prepared, those who come first stay; a member that has not joined again then loses its place.
fn make_room(group: &mut ClassicGroup, turn: &mut Turn, member_id: &Str) -> Result<(), ErrorCode> {
    let member = group.members.get(member_id);
    let is_accepted = match group.state {
        State::Empty => true,
        State::PreparingRebalance(_) => {
            member.is_some_and(|member| matches!(member.waiting, Waiting::Join(_)))
                || group.awaiting_join < turn.config.group_max_size
        }
        State::CompletingRebalance { .. } | State::Stable { .. } => {
            member.is_some() || group.members.len() < turn.config.group_max_size
        }
    };
    let is_one_more_pending = member_id.is_empty() && group.pending.len() >= PENDING_MEMBERS_MAX;
    if is_accepted {
        return if is_one_more_pending { Err(ErrorCode::GROUP_MAX_SIZE_REACHED) } else { Ok(()) };
    }
    if group.pending.remove(member_id).is_some() {
        turn.outcome.cancel(pending_timer(group, member_id));
    }
    rebalance::remove_member(group, turn, member_id);
    rebalance::complete_if_everybody_joined(group, turn);
    Err(ErrorCode::GROUP_MAX_SIZE_REACHED)
}

/// Whether the joiner is of the group's type and leaves it with a protocol in common.
fn supports(group: &ClassicGroup, request: &JoinGroupRequest) -> bool {
    if group.is_empty() {
        return !request.protocol_type.is_empty() && !request.protocols.is_empty();
    }
    let everybody = group.members.len();
    let votes = |name: &Str| group.votes.get(name).copied().unwrap_or(0);
    group.protocol_type == request.protocol_type
        && request.protocols.iter().any(|protocol| votes(&protocol.name) == everybody)
}

fn join_as_new(
    group: &mut ClassicGroup,
    turn: &mut Turn,
    caller: &Caller,
    request: &JoinGroupRequest,
) -> Result<(), ErrorCode> {
    let member_id = new_member_id(caller, request);
    if let Some(instance_id) = &request.group_instance_id {
        match group.static_members.get(instance_id).cloned() {
            Some(holder) => static_member::replace(group, turn, caller, request, &holder, member_id),
            None => add(group, turn, caller, request, member_id),
        }
    } else if caller.version >= MEMBER_ID_REQUIRED_FROM {
        let due_ms = turn.now_ms + i64::from(request.session_timeout_ms);
        group.pending.insert(member_id.clone(), due_ms);
        turn.outcome.book(pending_timer(group, &member_id), due_ms);
        let response = refused(ErrorCode::MEMBER_ID_REQUIRED, member_id);
        turn.outcome.reply(caller.request, Response::JoinGroup(response));
    } else {
        add(group, turn, caller, request, member_id);
    }
    Ok(())
}

fn add(group: &mut ClassicGroup, turn: &mut Turn, caller: &Caller, request: &JoinGroupRequest, member_id: Str) {
    if group.is_empty() && group.protocol_type != request.protocol_type {
        group.protocol_type = request.protocol_type.detached();
    }
    if let State::PreparingRebalance(Preparing::Initial { has_grown, .. }) = &mut group.state {
        *has_grown = true;
    }
    let mut member = Member::new(caller, request);
    member.waiting = Waiting::Join(caller.request);
    group.insert(member_id.clone(), member);
    record::follow_instance(group, &mut turn.outcome, &member_id);
    heartbeat::heard_of(group, turn, &member_id);
    rebalance::prepare_or_complete(group, turn);
}

/// A member joins again because it was called to, because something changed for it, or because an answer got lost.
fn join_again(
    group: &mut ClassicGroup,
    turn: &mut Turn,
    caller: &Caller,
    request: &JoinGroupRequest,
) -> Result<(), ErrorCode> {
    let member_id = &request.member_id;
    group.check_member(member_id, request.group_instance_id.as_deref())?;
    let is_unchanged = group.members.get(member_id).is_some_and(|member| member.matches(&request.protocols));
    let is_lost_answer = match group.state {
        State::CompletingRebalance { .. } => is_unchanged,
        // A leader that joins again wants a new assignment, of partitions that have been added for example.
        State::Stable { .. } => is_unchanged && !group.is_leader(member_id),
        State::Empty | State::PreparingRebalance(_) => false,
    };
    if is_lost_answer {
        heartbeat::heard_of(group, turn, member_id);
        let response = rebalance::joined(group, member_id);
        turn.outcome.reply(caller.request, Response::JoinGroup(response));
    } else {
        update(group, turn, caller, request, member_id);
        rebalance::prepare_or_complete(group, turn);
    }
    Ok(())
}

/// Takes over what the request says of the member, and makes the request the one that waits.
pub(super) fn update(
    group: &mut ClassicGroup,
    turn: &mut Turn,
    caller: &Caller,
    request: &JoinGroupRequest,
    member_id: &Str,
) {
    record::remember(group);
    let Some(mut member) = group.members.remove(member_id) else { return };
    group.count_votes(&member, |votes| votes - 1);
    member.update(request);
    group.count_votes(&member, |votes| votes + 1);
    match member.waiting {
        // The client has given up on an earlier request; no matter who hears the answer.
        Waiting::Join(abandoned) => {
            let response = refused(ErrorCode::REBALANCE_IN_PROGRESS, member_id.clone());
            turn.outcome.reply(abandoned, Response::JoinGroup(response));
        }
        Waiting::Sync(abandoned) => {
            super::sync::refuse(turn, abandoned, ErrorCode::REBALANCE_IN_PROGRESS);
            group.awaiting_join += 1;
        }
        Waiting::No => group.awaiting_join += 1,
    }
    member.waiting = Waiting::Join(caller.request);
    group.members.insert(member_id.detached(), member);
}

pub(crate) fn refused(error_code: ErrorCode, member_id: Str) -> JoinGroupResponse {
    JoinGroupResponse { error_code, member_id, protocol_name: None, ..JoinGroupResponse::default() }
}

fn pending_timer(group: &ClassicGroup, member_id: &Str) -> TimerKey {
    TimerKey::PendingMember { group: group.id.clone(), member: member_id.detached() }
}

pub(crate) fn new_member_id(caller: &Caller, request: &JoinGroupRequest) -> Str {
    let prefix = request.group_instance_id.as_deref().unwrap_or(caller.client_id);
    let prefix = &prefix[..prefix.floor_char_boundary(MEMBER_ID_PREFIX_BYTES_MAX)];
    Str::from(format!("{prefix}-{}", dashed(caller.fresh_member_id)))
}

/// The usual form of a UUID, which Kafka uses here and nowhere else.
fn dashed(uuid: Uuid) -> String {
    let hex = format!("{:032x}", uuid.as_u128());
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
