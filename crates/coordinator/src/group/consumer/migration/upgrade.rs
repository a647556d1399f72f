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
    /// Nothing was assigned to it, as happens when a generation was not completed: what it owns is what it said when
    /// it joined, which may have been given to others since.
    is_hearsay: bool,
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
    let assigned = embedded::assigned(&assignment, topics);
    let is_hearsay = assigned.is_empty();
    let current = Current {
        epoch: generation,
        previous_epoch: generation,
        state: MemberState::Stable,
        assigned: if is_hearsay { owned } else { assigned },
        revoking: Partitions::default(),
    };
    Ok(Converted { member_id: member.member_id, member: Member { subscription, current }, is_hearsay })
}

fn write(decision: &mut Decision<'_, '_>, generation: i32, mut members: Vec<Converted>) {
    decision.commit(Change::Epoch(Some(GroupEpoch { epoch: generation, metadata_hash: 0 })));
    let assigned_at_ms = decision.turn.now_ms;
    members.sort_by_key(|converted| converted.is_hearsay);
    for Converted { member_id, member, .. } in members {
        decision.set_subscription(&member_id, member.subscription);
        // A client-side assignor may have given a partition to two; here it has one owner.
        let owners = &decision.group.owners;
        let assigned = member.current.assigned.filtered(|topic, partition| !owners.contains_key(&(topic, partition)));
        decision.commit(Change::Target(member_id.clone(), Some(assigned.clone())));
        decision.set_current(&member_id, Current { assigned, ..member.current });
        decision.expect_heartbeat(&member_id);
    }
    decision.commit(Change::TargetEpoch(Some(TargetEpoch { epoch: generation, assigned_at_ms })));
}
