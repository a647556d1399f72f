//! From one generation to the next: calling the members to join, waiting for them, handing out the generation.

use std::mem;

use tidelog_wire::messages::join_group_response::JoinGroupResponseMember;
use tidelog_wire::messages::{JoinGroupResponse, SyncGroupResponse};
use tidelog_wire::{ErrorCode, Str};

use super::member::Waiting;
use super::state::{Preparing, State};
use super::{ClassicGroup, heartbeat, record};
use crate::group::Groups;
use crate::turn::Turn;
use crate::{Response, TimerKey};

/// A new group's first generation waits at least this long, so that it does not overtake the joins of members that started
/// together. Kafka, too, completes it behind the requests that wait already.
const INITIAL_DELAY_MIN_MS: i64 = 10;

/// After a change of members: calls for the next generation, or sees whether the one being prepared is complete.
pub(super) fn prepare_or_complete(group: &mut ClassicGroup, turn: &mut Turn) {
    match group.state {
        // A group's first members wait for others until the initial delay is over.
        State::PreparingRebalance(Preparing::Initial { .. }) => {}
        State::PreparingRebalance(Preparing::Rejoin { .. }) => complete_if_everybody_joined(group, turn),
        State::Empty if group.members.is_empty() => {}
        State::Empty | State::CompletingRebalance { .. } | State::Stable { .. } => prepare(group, turn),
    }
}

pub(super) fn prepare(group: &mut ClassicGroup, turn: &mut Turn) {
    record::remember(group);
    abandon_sync(group, turn);
    let rebalance_timeout_ms = group.rebalance_timeout_ms();
    if group.is_empty() {
        let delay_ms = initial_delay_ms(turn);
        wait_for_first_members(group, turn, delay_ms, rebalance_timeout_ms);
    } else {
        wait_for_rejoin(group, turn, rebalance_timeout_ms);
        complete_if_everybody_joined(group, turn);
    }
}

fn initial_delay_ms(turn: &Turn) -> i64 {
    i64::from(turn.config.group_initial_rebalance_delay_ms).max(INITIAL_DELAY_MIN_MS)
}

fn wait_for_first_members(group: &mut ClassicGroup, turn: &mut Turn, delay_ms: i64, patience_ms: i64) {
    let due_ms = turn.now_ms + delay_ms;
    let preparing = Preparing::Initial { due_ms, remaining_ms: (patience_ms - delay_ms).max(0), has_grown: false };
    match &mut group.state {
        State::PreparingRebalance(present) => *present = preparing,
        _ => group.enter(State::PreparingRebalance(preparing), turn.now_ms),
    }
    turn.outcome.book(TimerKey::Rebalance { group: group.id.clone() }, due_ms);
}

fn wait_for_rejoin(group: &mut ClassicGroup, turn: &mut Turn, timeout_ms: i64) {
    let due_ms = turn.now_ms + timeout_ms;
    let preparing = Preparing::Rejoin { due_ms };
    match &mut group.state {
        State::PreparingRebalance(present) => *present = preparing,
        _ => group.enter(State::PreparingRebalance(preparing), turn.now_ms),
    }
    turn.outcome.book(TimerKey::Rebalance { group: group.id.clone() }, due_ms);
}

/// The generation will not come to be: whoever waits for its assignment is told to join again.
fn abandon_sync(group: &mut ClassicGroup, turn: &mut Turn) {
    if matches!(group.state, State::CompletingRebalance { .. }) {
        for (member_id, member) in &mut group.members {
            member.assignment.clear();
            if let Waiting::Sync(request) = member.waiting {
                member.waiting = Waiting::No;
                heartbeat::begin_session(&group.id, turn, member_id, member);
                let response = SyncGroupResponse { error_code: ErrorCode::REBALANCE_IN_PROGRESS, ..Default::default() };
                turn.outcome.reply(request, Response::SyncGroup(response));
            }
        }
    }
    if !group.pending_sync.is_empty() {
        group.pending_sync.clear();
        turn.outcome.cancel(TimerKey::Sync { group: group.id.clone() });
    }
}

/// Nothing to complete unless a generation is being prepared.
pub(super) fn complete_if_everybody_joined(group: &mut ClassicGroup, turn: &mut Turn) {
    let is_waiting = matches!(group.state, State::PreparingRebalance(Preparing::Rejoin { .. }));
    if is_waiting && group.has_everybody_joined() {
        complete(group, turn);
    }
}

pub(crate) fn rebalance_due(groups: &mut Groups, turn: &mut Turn, group_id: &Str) {
    let Some(group) = groups.classic_mut(group_id) else { return };
    match group.state {
        State::PreparingRebalance(Preparing::Initial { due_ms, remaining_ms, has_grown }) if due_ms <= turn.now_ms => {
            if has_grown && remaining_ms > 0 {
                let delay_ms = initial_delay_ms(turn).min(remaining_ms);
                wait_for_first_members(group, turn, delay_ms, remaining_ms);
            } else {
                complete(group, turn);
            }
        }
        State::PreparingRebalance(Preparing::Rejoin { due_ms }) if due_ms <= turn.now_ms => complete(group, turn),
        _ => {}
    }
}

/// Goes on with the members that have joined. Static ones that have not keep their place.
fn complete(group: &mut ClassicGroup, turn: &mut Turn) {
    let is_gone = |member: &super::Member| !matches!(member.waiting, Waiting::Join(_)) && member.instance_id.is_none();
    let gone = group.members.iter().filter(|(_, member)| is_gone(member)).map(|(id, _)| id.clone());
    for member_id in gone.collect::<Vec<_>>() {
        remove_member(group, turn, &member_id);
    }
    if !group.members.is_empty() && !elect_leader(group) {
        let timeout_ms = group.rebalance_timeout_ms();
        wait_for_rejoin(group, turn, timeout_ms);
        return;
    }
    turn.outcome.cancel(TimerKey::Rebalance { group: group.id.clone() });
    group.generation = group.generation.checked_add(1).unwrap_or(1);
    group.pending_sync.clear();
    if group.members.is_empty() {
        become_empty(group, turn);
    } else {
        begin_generation(group, turn);
    }
}

/// The leader stays if it has joined; otherwise another member that has takes over. Whether there is one.
fn elect_leader(group: &mut ClassicGroup) -> bool {
    let has_joined = |id: &Str| group.members.get(id).is_some_and(|m| matches!(m.waiting, Waiting::Join(_)));
    if group.leader.as_ref().is_some_and(has_joined) {
        return true;
    }
    let Some(leader) = group.members.keys().find(|id| has_joined(id)).cloned() else { return false };
    group.leader = Some(leader);
    true
}

fn become_empty(group: &mut ClassicGroup, turn: &mut Turn) {
    group.protocol = None;
    group.subscribed = group.subscribed_topics();
    group.enter(State::Empty, turn.now_ms);
    record::write(group, &mut turn.outcome);
}

fn begin_generation(group: &mut ClassicGroup, turn: &mut Turn) {
    group.protocol = group.vote();
    debug_assert!(group.protocol.is_some(), "nobody is let in who would leave no common protocol");
    group.subscribed = group.subscribed_topics();
    let sync_due_ms = turn.now_ms + group.rebalance_timeout_ms();
    group.enter(State::CompletingRebalance { sync_due_ms }, turn.now_ms);
    group.pending_sync = group.members.keys().cloned().collect();
    turn.outcome.book(TimerKey::Sync { group: group.id.clone() }, sync_due_ms);

    let mut waiting = Vec::with_capacity(group.awaiting_join);
    for (member_id, member) in &mut group.members {
        if let Waiting::Join(request) = mem::replace(&mut member.waiting, Waiting::No) {
            member.is_new = false;
            heartbeat::begin_session(&group.id, turn, member_id, member);
            waiting.push((member_id.clone(), request));
        }
    }
    group.awaiting_join = 0;
    for (member_id, request) in waiting {
        let response = joined(group, &member_id);
        turn.outcome.reply(request, Response::JoinGroup(response));
    }
}

/// A member's place in the present generation; the leader also learns who the others are.
pub(super) fn joined(group: &ClassicGroup, member_id: &Str) -> JoinGroupResponse {
    let members = if group.is_leader(member_id) { present_members(group) } else { Vec::new() };
    JoinGroupResponse {
        generation_id: group.generation,
        protocol_type: Some(group.protocol_type.clone()),
        protocol_name: Some(group.protocol.clone().unwrap_or_default()),
        leader: group.leader.clone().unwrap_or_default(),
        member_id: member_id.clone(),
        members,
        ..Default::default()
    }
}

fn present_members(group: &ClassicGroup) -> Vec<JoinGroupResponseMember> {
    let protocol = group.protocol.as_deref().unwrap_or_default();
    let members = group.members.iter().map(|(id, member)| JoinGroupResponseMember {
        member_id: id.clone(),
        group_instance_id: member.instance_id.clone(),
        metadata: member.metadata(protocol),
    });
    members.collect()
}

/// Takes a member out, whatever the reason. What it waits for is answered, so that its client, should it be
/// alive, comes back as a new member. The caller sees to the rebalance.
pub(super) fn remove_member(group: &mut ClassicGroup, turn: &mut Turn, member_id: &Str) {
    record::remember(group);
    let Some(member) = group.take_out(member_id) else { return };
    let error_code = ErrorCode::UNKNOWN_MEMBER_ID;
    match member.waiting {
        Waiting::No => {}
        Waiting::Join(request) => {
            turn.outcome.reply(request, Response::JoinGroup(super::join::refused(error_code, Str::default())));
        }
        Waiting::Sync(request) => {
            let response = SyncGroupResponse { error_code, ..Default::default() };
            turn.outcome.reply(request, Response::SyncGroup(response));
        }
    }
    group.pending_sync.remove(member_id);
    turn.outcome.cancel(TimerKey::Session { group: group.id.clone(), member: member_id.clone() });
}
