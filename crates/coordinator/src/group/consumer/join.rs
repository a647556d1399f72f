//! Who may send a heartbeat: finds the group and the member, or makes them.

use tidelog_wire::messages::ConsumerGroupHeartbeatRequest;
use tidelog_wire::{ErrorCode, Str};

use super::change::Change;
use super::decision::Decision;
use super::member::{Current, JOIN_EPOCH, Member};
use super::migration::upgrade;
use super::partitions::Partitions;
use super::refusal::Refusal;
use crate::group::{Groups, Kind, classic};
use crate::turn::Turn;

/// Makes the group for a member that joins, also out of a classic one.
pub fn open(groups: &mut Groups, turn: &mut Turn, group_id: &Str, instance_id: Option<&Str>) -> Result<(), Refusal> {
    let group = groups.get_or_create(group_id);
    let Some(classic) = group.as_classic() else { return Ok(()) };
    if !classic.is_empty() {
        let is_one_more = instance_id.is_none_or(|instance_id| !classic.has_instance(instance_id));
        let size_max = turn.config.consumer_max_size;
        // Nobody is to be disturbed for one who is refused then.
        if is_one_more && classic.member_count() == size_max {
            return Err(full(size_max));
        }
        return upgrade(group, turn, group_id);
    }
    classic::tombstone(classic, &mut turn.outcome);
    group.kind = Kind::Consumer(Box::default());
    Ok(())
}

/// Whether the member may go on; a member that joins may not be known yet.
pub fn admit(
    decision: &mut Decision<'_, '_>,
    member_id: &Str,
    request: &ConsumerGroupHeartbeatRequest,
    owned: Option<&Partitions>,
) -> Result<(), Refusal> {
    let is_joining = request.member_epoch == JOIN_EPOCH;
    match &request.instance_id {
        Some(instance_id) if is_joining => join_static(decision, member_id, instance_id),
        Some(instance_id) => {
            let member = static_member(decision, member_id, instance_id)?;
            check_epoch(member, request.member_epoch, owned)
        }
        None if is_joining => check_size(decision, member_id),
        None => check_epoch(known_member(decision, member_id)?, request.member_epoch, owned),
    }
}

pub fn known_member<'a>(decision: &'a Decision<'_, '_>, member_id: &Str) -> Result<&'a Member, Refusal> {
    let member = decision.group.members.get(member_id);
    member.ok_or_else(|| Refusal::unknown_member(decision.group_id, member_id))
}

/// The member that has the instance id, which must be the one that asks.
pub fn static_member<'a>(
    decision: &'a Decision<'_, '_>,
    member_id: &Str,
    instance_id: &Str,
) -> Result<&'a Member, Refusal> {
    match decision.group.static_members.get(instance_id) {
        Some(owner) if owner == member_id => known_member(decision, member_id),
        Some(owner) => {
            let message =
                format!("Static member {member_id} with instance id {instance_id} was fenced by member {owner}.");
            Err(Refusal::new(ErrorCode::FENCED_INSTANCE_ID, message))
        }
        None => Err(Refusal::new(ErrorCode::UNKNOWN_MEMBER_ID, format!("Instance id {instance_id} is unknown."))),
    }
}

fn join_static(decision: &mut Decision<'_, '_>, member_id: &Str, instance_id: &Str) -> Result<(), Refusal> {
    let Some(owner) = decision.group.static_members.get(instance_id).cloned() else {
        return check_size(decision, member_id);
    };
    if owner == *member_id {
        return Ok(());
    }
    let member = known_member(decision, &owner)?;
    // A static member of the classic protocol goes without a word; its successor is how one hears of it.
    if !member.is_away() && !member.uses_classic_protocol() {
        let message = format!("Instance id {instance_id} is still in use by member {owner}.");
        return Err(Refusal::new(ErrorCode::UNRELEASED_INSTANCE_ID, message));
    }
    replace(decision, &owner, member_id);
    Ok(())
}

/// The static member is back under another id: what was its own and was to be stays so, and nobody else moves.
pub fn replace(decision: &mut Decision<'_, '_>, old_id: &Str, new_id: &Str) {
    let Some(old) = decision.group.members.get(old_id).cloned() else { return };
    let target = decision.group.target_of(old_id).clone();
    decision.remove_member(old_id);
    decision.set_subscription(new_id, old.subscription);
    decision.commit(Change::Target(new_id.clone(), Some(target)));
    decision.set_current(new_id, Current { assigned: old.current.assigned, ..Current::default() });
}

fn check_size(decision: &Decision<'_, '_>, member_id: &Str) -> Result<(), Refusal> {
    let size_max = decision.turn.config.consumer_max_size;
    let members = &decision.group.members;
    if members.len() < size_max || members.contains_key(member_id) {
        return Ok(());
    }
    Err(full(size_max))
}

fn full(size_max: usize) -> Refusal {
    let message = format!("The consumer group has reached its maximum capacity of {size_max} members.");
    Refusal::new(ErrorCode::GROUP_MAX_SIZE_REACHED, message)
}

/// The epoch must be the member's, or the one before if an answer may have been lost and the member has not gone beyond
/// what it was given.
fn check_epoch(member: &Member, epoch: i32, owned: Option<&Partitions>) -> Result<(), Refusal> {
    let current = &member.current;
    let may_have_missed_answer =
        epoch == current.previous_epoch && owned.is_some_and(|owned| owned.is_subset_of(&current.assigned));
    if epoch == current.epoch || (epoch < current.epoch && may_have_missed_answer) {
        return Ok(());
    }
    let order = if epoch > current.epoch { "greater" } else { "smaller" };
    Err(Refusal::fenced(format!(
        "The member has a {order} member epoch ({epoch}) than the one known by the group coordinator ({}). The member must abandon all its partitions and rejoin.",
        current.epoch
    )))
}
