//! Groups of the protocol in which the coordinator assigns partitions (KIP-848).
//!
//! Three epochs follow each other: the *group's* grows with every change of members, subscriptions or topics; the
//! *target's* is the group epoch for which it was last computed who is to own what; a *member's* is that of the target
//! it has arrived at. Members are brought towards the target one heartbeat at a time.

mod admission;
mod assignor;
mod change;
mod decision;
mod describe;
mod heartbeat;
mod join;
mod leave;
mod member;
mod migration;
mod partitions;
mod pattern;
mod reconcile;
mod records;
mod refusal;
mod replay;
mod subscribed;
mod target;
#[cfg(test)]
mod tests;
mod timers;
mod validate;

use std::collections::{BTreeMap, HashMap};

use tidelog_wire::{Str, Uuid};

use self::change::{Change, GroupEpoch, ResolvedRegex, TargetEpoch};
use self::member::Member;
use self::partitions::Partitions;
use self::timers::Deadlines;
use crate::Record;

pub(crate) use describe::describe;
pub(crate) use heartbeat::heartbeat;
pub(crate) use migration::{
    heartbeat as heartbeat_classic, join as join_classic, leave as leave_classic, sync as sync_classic,
};
pub(crate) use replay::replay;
pub(crate) use timers::{loaded, rebalance_due, session_due, topics_changed};

#[derive(Debug)]
pub(crate) struct ConsumerGroup {
    epoch: GroupEpoch,
    target_epoch: TargetEpoch,
    /// In the order of their ids, which decides ties between them.
    members: BTreeMap<Str, Member>,
    targets: BTreeMap<Str, Partitions>,
    regexes: BTreeMap<Str, ResolvedRegex>,
    /// Instance ids of static members.
    static_members: HashMap<Str, Str>,
    /// Who has each partition, also those that are still to be given up: all members' `assigned` and `revoking`.
    owners: HashMap<(Uuid, i32), Str>,
    /// Not in the log: after a replay members get their timeouts anew.
    deadlines: HashMap<Str, Deadlines>,
    /// Topics may have changed since the group last looked: the next heartbeat looks.
    is_metadata_stale: bool,
}

impl Default for ConsumerGroup {
    fn default() -> Self {
        Self {
            epoch: GroupEpoch::default(),
            target_epoch: TargetEpoch::default(),
            members: BTreeMap::new(),
            targets: BTreeMap::new(),
            regexes: BTreeMap::new(),
            static_members: HashMap::new(),
            owners: HashMap::new(),
            deadlines: HashMap::new(),
            is_metadata_stale: true,
        }
    }
}

impl ConsumerGroup {
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Kafka's name of the state, for ListGroups and ConsumerGroupDescribe.
    pub fn state_name(&self) -> &'static str {
        if self.is_empty() {
            "Empty"
        } else if self.epoch.epoch > self.target_epoch.epoch {
            "Assigning"
        } else if self.members.values().any(|member| !member.is_reconciled_to(self.target_epoch.epoch)) {
            "Reconciling"
        } else {
            "Stable"
        }
    }

    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        self.members.values().any(|member| member.subscription.names_topic(topic))
            || self.regexes.values().any(|resolved| resolved.topics.contains(topic))
    }

    /// Tombstones of everything that stands in the log, except its offsets.
    pub fn tombstones(&self, group_id: &Str, records: &mut Vec<Record>) {
        let members = || self.members.keys().cloned();
        let currents = members().map(|member_id| Change::Current(member_id, None));
        let targets = self.targets.keys().map(|member_id| Change::Target(member_id.clone(), None));
        let subscriptions = members().map(|member_id| Change::Subscription(member_id, None));
        let regexes = self.regexes.keys().map(|regex| Change::Regex(regex.clone(), None));
        let ends = [Change::TargetEpoch(None), Change::Epoch(None)];
        let all = currents.chain(targets).chain(subscriptions).chain(regexes).chain(ends);
        records.extend(all.map(|change| records::encode(group_id, &change)));
    }
}
