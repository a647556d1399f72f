//! The last member of the new protocol is gone, and those of the classic one are among themselves again.

use tidelog_wire::Str;

use super::super::ConsumerGroup;
use super::super::member::Member;
use super::embedded;
use crate::group::classic::{ClassicGroup, Migrant, MigrantMember};
use crate::group::{Groups, Kind};
use crate::turn::Turn;
use crate::{TimerKey, Topics};

/// Called whenever a member has gone or has changed its protocol.
pub(crate) fn downgrade_if_classic(groups: &mut Groups, turn: &mut Turn, group_id: &Str) {
    let Some(group) = groups.get_mut(group_id) else { return };
    let Kind::Consumer(consumer) = &group.kind else { return };
    let is_due = turn.config.consumer_migration_policy.may_downgrade()
        && !consumer.is_empty()
        && consumer.members.len() <= turn.config.group_max_size
        && consumer.members.values().all(Member::uses_classic_protocol);
    if !is_due {
        return;
    }
    let Some(mut classic) = ClassicGroup::settle(group_id.clone(), migrant(consumer, turn.topics), turn.now_ms) else {
        return;
    };
    for member in consumer.members.keys() {
        turn.outcome.cancel(TimerKey::ConsumerSession { group: group_id.clone(), member: member.clone() });
        turn.outcome.cancel(TimerKey::ConsumerRebalance { group: group_id.clone(), member: member.clone() });
    }
    consumer.tombstones(group_id, &mut turn.outcome.records);
    classic.take_over(turn);
    group.kind = Kind::Classic(Box::new(classic));
}

fn migrant(group: &ConsumerGroup, topics: &dyn Topics) -> Migrant {
    let members = group.members.iter().filter_map(|(member_id, member)| migrant_member(member_id, member, topics));
    Migrant { generation: group.epoch.epoch, members: members.collect() }
}

fn migrant_member(member_id: &Str, member: &Member, topics: &dyn Topics) -> Option<MigrantMember> {
    let subscription = &member.subscription;
    let classic = subscription.classic.as_ref()?;
    let (_, metadata) = classic.protocols.first()?;
    // What it has not given up is still its own; should the group be taken over again at once, that counts.
    let owned = member.current.assigned.union(&member.current.revoking);
    Some(MigrantMember {
        member_id: member_id.clone(),
        instance_id: subscription.instance_id.clone(),
        client_id: subscription.client_id.clone(),
        client_host: subscription.client_host.clone(),
        rebalance_timeout_ms: subscription.rebalance_timeout_ms,
        session_timeout_ms: classic.session_timeout_ms,
        protocols: classic.protocols.clone(),
        assignment: embedded::encode_assignment(&owned, metadata, topics),
    })
}
