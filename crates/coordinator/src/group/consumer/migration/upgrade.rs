//! The first member of the new protocol comes to a classic group of consumers.

use tidelog_wire::{DecodeError, ErrorCode, Str};

use super::super::change::{Change, GroupEpoch, TargetEpoch};
use super::super::decision::Decision;
use super::super::member::{ClassicMember, Current, Member, MemberState, Subscription};
use super::super::partitions::Partitions;
use super::super::refusal::Refusal;
use super::{CONSUMER, embedded};
use crate::Topics;
use crate::group::classic::{ClassicGroup, Migrant, MigrantMember};
use crate::group::{Group, Kind};
use crate::turn::Turn;

/// Everybody keeps what the last assignment gave, in the generation that becomes the epoch.
pub fn upgrade(group: &mut Group, turn: &mut Turn, group_id: &Str) -> Result<(), Refusal> {
    let Kind::Classic(classic) = &group.kind else { return Ok(()) };
    check(classic, turn).map_err(|why| {
        Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {group_id} is not a consumer group: {why}."))
    })?;
    let Migrant { generation, members } = classic.migrant();
    let members: Result<Vec<Converted>, Unfit> =
        members.into_iter().map(|member| converted(member, generation, turn.topics)).collect();
    let members = members.map_err(|unfit| {
        let message = format!("Classic group {group_id} cannot become a consumer group: {unfit}.");
        Refusal::new(ErrorCode::GROUP_ID_NOT_FOUND, message)
    })?;

    let classic = std::mem::replace(&mut group.kind, Kind::Consumer(Box::default()));
    if let Kind::Classic(classic) = classic {
        classic.dissolve(turn);
    }
    if let Some(group) = group.as_consumer_mut() {
        write(&mut Decision { group_id, group, turn }, generation, members);
    }
    Ok(())
}

fn check(group: &ClassicGroup, turn: &Turn) -> Result<(), &'static str> {
    if !turn.config.consumer_migration_policy.may_upgrade() {
        return Err("classic groups are not converted");
    }
    if group.protocol_type() != CONSUMER {
        return Err("it is not a group of consumers");
    }
    if group.member_count() > turn.config.consumer_max_size {
        return Err("it has too many members");
    }
    Ok(())
}

/// Why a member's words cannot be taken over.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("what its members tell each other is malformed: {0}")]
    Malformed(#[from] DecodeError),
    #[error("its assignor keeps data of its own in the assignment")]
    CustomAssignor,
}

struct Converted {
    member_id: Str,
    member: Member,
    /// What it said that it owned when it joined. It may not have heard of its assignment yet, or there may be none
    /// because the generation was not completed: then it still reads from that.
    owned: Partitions,
}

fn converted(member: MigrantMember, generation: i32, topics: &dyn Topics) -> Result<Converted, Unfit> {
    let assignment = embedded::assignment(&member.assignment)?;
    if assignment.user_data.as_ref().is_some_and(|data| !data.is_empty()) {
        return Err(Unfit::CustomAssignor);
    }
    let metadata = member.protocols.first().map(|(_, metadata)| metadata.clone()).unwrap_or_default();
    let said = embedded::subscription(&metadata)?;
    let owned = embedded::owned(&said, topics);
    let mut topic_names: Vec<Str> = said.topics.iter().map(Str::detached).collect();
    topic_names.sort_unstable();
    topic_names.dedup();
    let subscription = Subscription {
        instance_id: member.instance_id,
        rack_id: said.rack_id.map(|rack| rack.detached()),
        client_id: member.client_id,
        client_host: member.client_host,
        topic_names,
        topic_regex: None,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: None,
        classic: Some(ClassicMember { session_timeout_ms: member.session_timeout_ms, protocols: member.protocols }),
    };
    let current = Current {
        epoch: generation,
        previous_epoch: generation,
        state: MemberState::Stable,
        assigned: embedded::assigned(&assignment, topics),
        revoking: Partitions::default(),
    };
    Ok(Converted { member_id: member.member_id, member: Member { subscription, current }, owned })
}

fn write(decision: &mut Decision<'_, '_>, generation: i32, members: Vec<Converted>) {
    decision.commit(Change::Epoch(Some(GroupEpoch { epoch: generation, metadata_hash: 0 })));
    let assigned_at_ms = decision.turn.now_ms;
    let mut owned = Vec::new();
    for converted in members {
        let Converted { member_id, member, .. } = converted;
        decision.set_subscription(&member_id, member.subscription);
        // A client-side assignor may have given a partition to two; here it has one owner.
        let assigned = free(decision, &member.current.assigned);
        decision.commit(Change::Target(member_id.clone(), Some(assigned.clone())));
        decision.set_current(&member_id, Current { assigned, ..member.current });
        decision.expect_heartbeat(&member_id);
        owned.push((member_id, converted.owned));
    }
    for (member_id, owned) in owned {
        keep_until_given_up(decision, &member_id, &owned);
    }
    decision.commit(Change::TargetEpoch(Some(TargetEpoch { epoch: generation, assigned_at_ms })));
}

/// What nobody was assigned and the member may still read from is not anybody else's before the member says so.
fn keep_until_given_up(decision: &mut Decision<'_, '_>, member_id: &Str, owned: &Partitions) {
    let revoking = free(decision, owned);
    let Some(member) = decision.group.members.get(member_id).filter(|_| !revoking.is_empty()) else { return };
    let current = Current { state: MemberState::UnrevokedPartitions, revoking, ..member.current.clone() };
    decision.set_current(member_id, current);
    decision.expect_action(member_id, true);
}

fn free(decision: &Decision<'_, '_>, partitions: &Partitions) -> Partitions {
    partitions.filtered(|topic, partition| !decision.group.owners.contains_key(&(topic, partition)))
}
