//! A static member's process has started again: it takes the place of its former self (KIP-345, KIP-814).

use tidelog_wire::messages::JoinGroupRequest;
use tidelog_wire::{ErrorCode, Str};

use super::member::Waiting;
use super::state::State;
use super::{ClassicGroup, heartbeat, join, rebalance, record, sync};
use crate::turn::Turn;
use crate::{Caller, Response, TimerKey};

const SKIP_ASSIGNMENT_FROM: i16 = 9;

/// `holder` has the request's instance id; from here on `member_id` has.
///
/// In a stable group nobody else notices, unless the group would now choose another protocol.
pub(super) fn replace(
    group: &mut ClassicGroup,
    turn: &mut Turn,
    caller: &Caller,
    request: &JoinGroupRequest,
    holder: &Str,
    member_id: Str,
) {
    let former_leader = group.leader.clone();
    record::remember(group);
    rename(group, turn, caller, holder, &member_id);
    join::update(group, turn, caller, request, &member_id);
    heartbeat::heard_of(group, turn, &member_id);
    match group.state {
        State::Stable { .. } if group.vote() == group.protocol => {
            return take_place(group, turn, caller, &member_id, former_leader.unwrap_or_default());
        }
        // The leader may be assigning partitions to the former self.
        State::Stable { .. } | State::CompletingRebalance { .. } => rebalance::prepare(group, turn),
        State::Empty | State::PreparingRebalance(_) => rebalance::prepare_or_complete(group, turn),
    }
    record::follow_instance(group, &mut turn.outcome, &member_id);
}

/// Whatever the former self waits for is refused: there must not be two of it.
fn rename(group: &mut ClassicGroup, turn: &mut Turn, caller: &Caller, holder: &Str, member_id: &Str) {
    let was_leader = group.is_leader(holder);
    let Some(mut member) = group.take_out(holder) else { return };
    match member.waiting {
        Waiting::No => {}
        Waiting::Join(request) => {
            let response = join::refused(ErrorCode::FENCED_INSTANCE_ID, holder.clone());
            turn.outcome.reply(request, Response::JoinGroup(response));
        }
        Waiting::Sync(request) => sync::refuse(turn, request, ErrorCode::FENCED_INSTANCE_ID),
    }
    turn.outcome.cancel(TimerKey::Session { group: group.id.clone(), member: holder.clone() });
    member.waiting = Waiting::No;
    member.client_id = Str::from(caller.client_id.to_owned());
    member.client_host = Str::from(caller.client_host.to_owned());
    member.timer_due_ms = i64::MAX;
    group.insert(member_id.clone(), member);
    if was_leader {
        group.leader = Some(member_id.clone());
    }
    if group.pending_sync.remove(holder) {
        group.pending_sync.insert(member_id.clone());
    }
}

/// A leader of a version that cannot skip the assignment is shown its former self as leader, and so does not assign.
fn take_place(group: &mut ClassicGroup, turn: &mut Turn, caller: &Caller, member_id: &Str, former_leader: Str) {
    if let Some(member) = group.members.get_mut(member_id) {
        member.waiting = Waiting::No;
        member.is_new = false;
        group.awaiting_join -= 1;
    }
    group.subscribed = group.subscribed_topics();
    record::write(group, &mut turn.outcome);
    let mut response = rebalance::joined(group, member_id);
    if caller.version >= SKIP_ASSIGNMENT_FROM {
        response.skip_assignment = group.is_leader(member_id);
    } else {
        response.leader = former_leader;
        response.members.clear();
    }
    turn.outcome.reply(caller.request, Response::JoinGroup(response));
}
