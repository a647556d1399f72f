//! Heartbeat 0-4, and the sessions it keeps: a member that is silent for its session timeout is dropped.
//!
//! A member's timer is not moved by each sign of life. It fires when it was first booked for, and is booked again
//! if there has been one in between.

use tidelog_wire::messages::{HeartbeatRequest, HeartbeatResponse};
use tidelog_wire::{ErrorCode, Str};

use super::member::{Member, Waiting};
use super::state::State;
use super::{ClassicGroup, rebalance};
use crate::group::{Group, Groups, consumer};
use crate::turn::Turn;
use crate::{Caller, Response, TimerKey};

/// Nobody would notice if the client had given up: its connection is not read while its JoinGroup waits.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1_000;

pub(crate) fn heartbeat(groups: &mut Groups, turn: &mut Turn, caller: &Caller, request: &HeartbeatRequest) {
    let error_code = beat(groups, turn, request).err().unwrap_or(ErrorCode::NONE);
    let response = HeartbeatResponse { error_code, ..Default::default() };
    turn.outcome.reply(caller.request, Response::Heartbeat(response));
}

fn beat(groups: &mut Groups, turn: &mut Turn, request: &HeartbeatRequest) -> Result<(), ErrorCode> {
    if request.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    if groups.has_new_protocol(&request.group_id) {
        return consumer::heartbeat_classic(groups, turn, request);
    }
    let group = groups.classic_mut(&request.group_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
    group.check_member(&request.member_id, request.group_instance_id.as_deref())?;
    group.check_generation(request.generation_id)?;
    heard_of(group, turn, &request.member_id);
    match group.state {
        State::PreparingRebalance(_) => Err(ErrorCode::REBALANCE_IN_PROGRESS),
        // Consumers begin with heartbeats before they have their assignment.
        State::Empty | State::CompletingRebalance { .. } | State::Stable { .. } => Ok(()),
    }
}

/// A sign of life of a member, if it is one.
pub(crate) fn heard_of(group: &mut ClassicGroup, turn: &mut Turn, member_id: &Str) {
    if let Some(member) = group.members.get_mut(member_id) {
        begin_session(&group.id, turn, member_id, member);
    }
}

pub(super) fn everybody_heard_of(group: &mut ClassicGroup, turn: &mut Turn) {
    for (member_id, member) in &mut group.members {
        begin_session(&group.id, turn, member_id, member);
    }
}

/// Gives the member until its session timeout from now to be heard of.
///
/// One that waits for its first answer does not know that it is a member, and cannot send heartbeats.
pub(super) fn begin_session(group_id: &Str, turn: &mut Turn, member_id: &Str, member: &mut Member) {
    let timeout_ms = if member.is_new { NEW_MEMBER_JOIN_TIMEOUT_MS } else { i64::from(member.session_timeout_ms) };
    member.session_due_ms = turn.now_ms + timeout_ms;
    if member.session_due_ms < member.timer_due_ms {
        book(group_id, turn, member_id, member, member.session_due_ms);
    }
}

fn book(group_id: &Str, turn: &mut Turn, member_id: &Str, member: &mut Member, due_ms: i64) {
    member.timer_due_ms = due_ms;
    turn.outcome.book(TimerKey::Session { group: group_id.clone(), member: member_id.clone() }, due_ms);
}

pub(crate) fn session_due(groups: &mut Groups, turn: &mut Turn, group_id: &Str, member_id: &Str) {
    let Some(group) = groups.classic_mut(group_id) else { return };
    let Some(member) = group.members.get_mut(member_id) else { return };
    // Whoever waits for an answer of ours need not say anything, once it knows that it is a member.
    let is_excused = !member.is_new && member.waiting != Waiting::No;
    if is_excused {
        member.session_due_ms = turn.now_ms + i64::from(member.session_timeout_ms);
    }
    if turn.now_ms < member.session_due_ms {
        let due_ms = member.session_due_ms;
        book(group_id, turn, member_id, member, due_ms);
    } else {
        rebalance::remove_member(group, turn, member_id);
        rebalance::prepare_or_complete(group, turn);
    }
}

pub(crate) fn pending_member_due(groups: &mut Groups, turn: &mut Turn, group_id: &Str, member_id: &Str) {
    let Some(group) = groups.classic_mut(group_id) else { return };
    if group.pending.get(member_id).is_some_and(|due_ms| *due_ms <= turn.now_ms) {
        group.pending.remove(member_id);
        rebalance::complete_if_everybody_joined(group, turn);
        groups.remove_if_unused(group_id);
    }
}

/// After a change of coordinator every member has a whole session timeout to find the new one. `group.max.size` may have
/// been larger before: the members of a group beyond it commit, and those who join again first stay.
pub(crate) fn loaded(groups: &mut Groups, turn: &mut Turn) {
    for group in groups.by_id.values_mut().filter_map(Group::as_classic_mut) {
        everybody_heard_of(group, turn);
        if group.members.len() > turn.config.group_max_size {
            rebalance::prepare_or_complete(group, turn);
        }
    }
}
