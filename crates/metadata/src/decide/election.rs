//! What becomes of a partition when brokers, its ISR or its configs change: ISR, ELR and leader (KIP-966).
//!
//! Leaders come from the ISR; with an empty ISR from the ELR; with both empty from the last-known members, once
//! all of them are back, the one whose log reaches furthest (a recovery); else, where that is allowed, from
//! any active replica (an unclean election).

use std::sync::Arc;

use tidelog_wire::types::BrokerId;

use super::replica_set::ReplicaSet;
use super::{Context, Round};
use crate::config::{Resolver, topic_config};
use crate::image::{Image, LeaderRecovery, LogPosition, Partition, Topic, TopicIdPartition, min_insync_replicas};
use crate::record::{PartitionChange, Record};

/// Which leader is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Election {
    /// The present one if it can stay, else the first replica that can lead.
    Online,
    /// The first replica if it can lead; else as `Online`.
    Preferred,
    /// Someone other than this broker who is not about to stop either, if there is anyone.
    Avoiding(BrokerId),
    /// As `Online`, and if nobody can lead, an active replica that may lack records.
    Unclean,
}

/// What a topic's configs say about its partitions' elections.
#[derive(Clone, Copy, Debug)]
pub(super) struct TopicRules {
    configured_min_isr: Option<i32>,
    unclean_election: bool,
}

impl TopicRules {
    pub fn of(resolver: &Resolver<'_>, topic: &str) -> Self {
        let unclean = topic_config("unclean.leader.election.enable")
            .and_then(|definition| resolver.topic_value(topic, definition));
        Self {
            configured_min_isr: resolver.image.configured_min_insync_replicas(topic),
            unclean_election: unclean.is_some_and(|value| value.trim().eq_ignore_ascii_case("true")),
        }
    }

    pub fn allow_unclean_election(&self) -> bool {
        self.unclean_election
    }

    /// Of as many replicas.
    fn min_isr_of(&self, replica_count: usize) -> usize {
        min_insync_replicas(self.configured_min_isr, replica_count)
    }

    pub fn min_isr(&self, partition: &Partition) -> usize {
        min_insync_replicas(self.configured_min_isr, partition.min_isr_replica_count())
    }
}

/// A change of one partition in the making.
pub(super) struct PartitionUpdate<'a> {
    image: &'a Image,
    id: TopicIdPartition,
    before: &'a Partition,
    rules: TopicRules,
    replicas: ReplicaSet,
    isr: Vec<BrokerId>,
    election: Election,
    leader_recovery: LeaderRecovery,
    in_new_epoch: bool,
}

impl<'a> PartitionUpdate<'a> {
    /// Begins with the ISR that is left after inactive and unclean members are gone.
    pub fn new(image: &'a Image, id: TopicIdPartition, before: &'a Partition, rules: TopicRules) -> Self {
        let stays = |member: &BrokerId| image.is_active(*member) && is_whole(image, *member, id);
        Self {
            image,
            id,
            before,
            rules,
            replicas: ReplicaSet::of(before),
            isr: before.isr.iter().copied().filter(stays).collect(),
            election: Election::Online,
            leader_recovery: before.leader_recovery,
            in_new_epoch: false,
        }
    }

    pub fn id(&self) -> TopicIdPartition {
        self.id
    }

    pub fn before(&self) -> &'a Partition {
        self.before
    }

    /// The ISR as it stands in this update.
    pub fn isr(&self) -> &[BrokerId] {
        &self.isr
    }

    pub fn min_isr(&self) -> usize {
        self.rules.min_isr_of(self.replicas.min_isr_count())
    }

    /// The ISR is to be this; the caller has checked its members.
    pub fn with_isr(mut self, isr: Vec<BrokerId>) -> Self {
        self.isr = isr;
        self
    }

    /// Other replicas, or a move to others; those that are dropped leave the ISR.
    pub fn with_replicas(mut self, replicas: ReplicaSet) -> Self {
        self.isr.retain(|member| replicas.all.contains(member));
        self.replicas = replicas;
        self
    }

    pub fn without(mut self, member: BrokerId) -> Self {
        self.isr.retain(|other| *other != member);
        self
    }

    pub fn electing(mut self, election: Election) -> Self {
        self.election = election;
        self
    }

    pub fn with_leader_recovery(mut self, leader_recovery: LeaderRecovery) -> Self {
        self.leader_recovery = leader_recovery;
        self
    }

    /// Whoever leads begins another leader epoch: nothing it saw of the replicas in the last one counts.
    pub fn in_new_epoch(mut self) -> Self {
        self.in_new_epoch = true;
        self
    }

    /// The record to write, if anything changes.
    pub fn build(mut self) -> Option<PartitionChange> {
        self.complete_move();
        let min_isr = self.min_isr();
        let mut outcome = self.outcome();
        if outcome.isr.len() >= min_isr {
            // From here on the leader may commit without the others, so they hold everything no more.
            outcome.elr.clear();
            outcome.last_known_elr.clear();
        }
        let before = self.before;
        let nothing =
            PartitionChange { topic_id: self.id.topic_id, partition: self.id.partition, ..PartitionChange::default() };
        let mut change = PartitionChange {
            elr: changed(&before.elr, outcome.elr),
            last_known_elr: changed(&before.last_known_elr, outcome.last_known_elr),
            leader_recovery: changed(&before.leader_recovery, outcome.leader_recovery),
            leader: changed(&before.leader, outcome.leader),
            isr: changed(&before.isr, outcome.isr.clone()),
            replicas: changed(&before.replicas, self.replicas.all.clone()),
            adding_replicas: changed(&before.adding_replicas, self.replicas.adding.clone()),
            removing_replicas: changed(&before.removing_replicas, self.replicas.removing.clone()),
            original_replicas: changed(&before.original_replicas, self.replicas.original.clone()),
            ..nothing.clone()
        };
        if outcome.is_recovery {
            // The leader's log may have changed under its epoch, so even the same leader begins another.
            change.leader = Some(outcome.leader);
            change.isr = Some(outcome.isr);
        }
        if self.in_new_epoch || before.replicas.iter().any(|replica| !self.replicas.all.contains(replica)) {
            // Who is dropped deletes its log and may be added again: nothing the leader saw of it may count then.
            change.leader = Some(outcome.leader);
        }
        (change != nothing).then_some(change)
    }

    /// A move is over when all new replicas are in sync and those that stay are enough without those that go (KIP-455).
    fn complete_move(&mut self) {
        let ReplicaSet { adding, removing, .. } = &self.replicas;
        let is_moving = !adding.is_empty() || !removing.is_empty();
        if !is_moving || !adding.iter().all(|replica| self.isr.contains(replica)) {
            return;
        }
        let completed = self.replicas.completed();
        let staying = self.isr.iter().filter(|member| completed.all.contains(member)).count();
        if staying >= self.rules.min_isr_of(completed.min_isr_count()) {
            self.isr.retain(|member| completed.all.contains(member));
            self.replicas = completed;
        }
    }

    fn outcome(&self) -> Outcome {
        let (elr, last_known_elr) = self.eligible_and_last_known();
        if let Some(leader) = self.clean_leader(&elr) {
            let isr = if self.isr.is_empty() { vec![leader] } else { self.isr.clone() };
            let elr = elr.into_iter().filter(|member| !isr.contains(member)).collect();
            let leader_recovery = self.leader_recovery;
            return Outcome { leader, isr, elr, last_known_elr, leader_recovery, is_recovery: false };
        }
        if self.isr.is_empty()
            && let Some(leader) = self.last_known_leader(&elr, &last_known_elr).or_else(|| self.unclean_leader())
        {
            return Outcome {
                leader,
                isr: vec![leader],
                elr: Vec::new(),
                last_known_elr: Vec::new(),
                leader_recovery: self.recovery(),
                is_recovery: true,
            };
        }
        let leader_recovery = self.leader_recovery;
        let leader = BrokerId::NONE;
        Outcome { leader, isr: self.isr.clone(), elr, last_known_elr, leader_recovery, is_recovery: false }
    }

    /// Those that were in ISR or ELR and are not in the new ISR: whole ones may still lead, others are remembered.
    fn eligible_and_last_known(&self) -> (Vec<BrokerId>, Vec<BrokerId>) {
        let Partition { isr, elr, last_known_elr, .. } = self.before;
        let replicas = &self.replicas.all;
        let outside = |member: &&BrokerId| !self.isr.contains(member);
        let was_eligible = |member: &BrokerId| isr.contains(member) || elr.contains(member);
        let eligible = |member: &BrokerId| was_eligible(member) && is_whole(self.image, *member, self.id);
        let known = |member: &BrokerId| was_eligible(member) || last_known_elr.contains(member);
        let elr = replicas.iter().filter(outside).filter(|member| eligible(member)).copied().collect();
        let last_known =
            replicas.iter().filter(outside).filter(|member| known(member) && !eligible(member)).copied().collect();
        (elr, last_known)
    }

    fn clean_leader(&self, elr: &[BrokerId]) -> Option<BrokerId> {
        let can_lead = |member: &BrokerId| {
            let holds_all = self.isr.contains(member) || (self.isr.is_empty() && elr.contains(member));
            holds_all && self.image.is_active(*member)
        };
        let in_order = || self.replicas.all.iter().copied().filter(can_lead);
        let stays = |member: &BrokerId| self.image.is_staying(*member);
        let first = || in_order().find(stays).or_else(|| in_order().next());
        let present = Some(self.before.leader).filter(can_lead);
        match self.election {
            Election::Online | Election::Unclean => present.or_else(first),
            Election::Preferred => {
                let preferred = self.replicas.all.first().copied().filter(can_lead).filter(stays);
                preferred.or(present).or_else(first)
            }
            Election::Avoiding(avoided) => {
                let other = |member: &BrokerId| *member != avoided && stays(member);
                let moved = present.filter(other).or_else(|| in_order().find(other));
                moved.or(present).or_else(first)
            }
        }
    }

    /// The last-known member with the longest log, once all of them are back and have said how far theirs reach.
    fn last_known_leader(&self, elr: &[BrokerId], last_known: &[BrokerId]) -> Option<BrokerId> {
        if !elr.is_empty() || last_known.is_empty() {
            return None;
        }
        let position = |member: &BrokerId| self.position_if_active(*member);
        let positions: Vec<LogPosition> = last_known.iter().map(position).collect::<Option<_>>()?;
        // Of equal positions the earlier replica is as good and preferred.
        let reversed = last_known.iter().zip(positions).rev();
        reversed.max_by_key(|(_, position)| *position).map(|(member, _)| *member)
    }

    fn unclean_leader(&self) -> Option<BrokerId> {
        if self.election != Election::Unclean && !self.rules.unclean_election {
            return None;
        }
        // A member of old may hold more than a replica that was never in sync.
        let Partition { elr, last_known_elr, .. } = self.before;
        let ReplicaSet { all, adding, .. } = &self.replicas;
        let was_in_sync = |member: &BrokerId| elr.contains(member) || last_known_elr.contains(member);
        let active = || all.iter().copied().filter(|member| self.image.is_active(*member));
        let known = active().filter(was_in_sync).rev().max_by_key(|member| self.position_if_active(*member));
        // A replica that is being added may hold next to nothing.
        known.or_else(|| active().find(|member| !adding.contains(member))).or_else(|| active().next())
    }

    fn recovery(&self) -> LeaderRecovery {
        match self.election == Election::Unclean || self.rules.unclean_election {
            true => LeaderRecovery::LossAccepted,
            false => LeaderRecovery::Recovering,
        }
    }

    fn position_if_active(&self, member: BrokerId) -> Option<LogPosition> {
        let broker = self.image.broker(member).filter(|broker| broker.is_active())?;
        broker.unclean.get(&self.id).copied()
    }
}

/// Brings a partition in line with the image: what is inactive or unclean leaves, and if need be a leader is elected.
pub(super) fn settle(update: PartitionUpdate<'_>) -> Option<PartitionChange> {
    update.build()
}

struct Outcome {
    leader: BrokerId,
    isr: Vec<BrokerId>,
    elr: Vec<BrokerId>,
    last_known_elr: Vec<BrokerId>,
    leader_recovery: LeaderRecovery,
    /// The leader was elected without being known to hold everything.
    is_recovery: bool,
}

/// Whether the broker is known and has not reported the replica as unclean.
fn is_whole(image: &Image, broker_id: BrokerId, partition: TopicIdPartition) -> bool {
    image.broker(broker_id).is_some_and(|broker| !broker.unclean.contains_key(&partition))
}

fn changed<T: PartialEq>(before: &T, after: T) -> Option<T> {
    (*before != after).then_some(after)
}

impl Round {
    /// Updates each partition that has a replica on the broker, where `update` finds something to do.
    pub(super) fn update_partitions_on(
        &mut self,
        broker_id: BrokerId,
        context: &Context<'_>,
        update: impl Fn(PartitionUpdate<'_>) -> Option<PartitionChange>,
    ) -> usize {
        let topics = self.image.topics_on(broker_id);
        let changes = self.changes_of(topics, context, |partition| partition.replicas.contains(&broker_id), update);
        self.push_changes(changes)
    }

    pub(super) fn push_changes(&mut self, changes: Vec<PartitionChange>) -> usize {
        let count = changes.len();
        self.push_all(changes.into_iter().map(|change| Record::PartitionChange(Box::new(change))));
        count
    }

    /// Changes of the topics' partitions that `concerns` picks, where `update` finds something to do.
    pub(super) fn changes_of<'a>(
        &'a self,
        topics: impl Iterator<Item = &'a Arc<Topic>>,
        context: &Context<'_>,
        concerns: impl Fn(&Partition) -> bool,
        update: impl Fn(PartitionUpdate<'_>) -> Option<PartitionChange>,
    ) -> Vec<PartitionChange> {
        let resolver = self.resolver(context);
        let mut changes = Vec::new();
        for topic in topics {
            let rules = TopicRules::of(&resolver, &topic.name);
            let concerned = topic.partitions().filter(|(_, partition)| concerns(partition));
            changes.extend(concerned.filter_map(|(index, partition)| {
                update(PartitionUpdate::new(&self.image, topic.id_partition(index), partition, rules))
            }));
        }
        changes
    }
}
