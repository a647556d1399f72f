//! What can happen to a group, one variant for each kind of record: operations make changes, and replay makes the same
//! ones out of the log, so that both come to the same state.

use std::collections::BTreeSet;

use tidelog_wire::{Str, Uuid};

use super::ConsumerGroup;
use super::member::{Current, Subscription};
use super::partitions::Partitions;

/// `None` stands for a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `None` ends the group.
    Epoch(Option<GroupEpoch>),
    /// `None` ends the membership.
    Subscription(Str, Option<Box<Subscription>>),
    Regex(Str, Option<ResolvedRegex>),
    TargetEpoch(Option<TargetEpoch>),
    Target(Str, Option<Partitions>),
    Current(Str, Option<Current>),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupEpoch {
    pub epoch: i32,
    /// Of the topics subscribed to; 0 for none.
    pub metadata_hash: i64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetEpoch {
    pub epoch: i32,
    pub assigned_at_ms: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedRegex {
    pub topics: BTreeSet<Str>,
    pub version: i64,
    pub resolved_at_ms: i64,
}

impl ConsumerGroup {
    pub(super) fn apply(&mut self, change: Change) {
        match change {
            Change::Epoch(epoch) => self.epoch = epoch.unwrap_or_default(),
            Change::Subscription(member_id, Some(subscription)) => self.set_subscription(member_id, *subscription),
            Change::Subscription(member_id, None) => self.remove_member(&member_id),
            Change::Regex(regex, Some(resolved)) => {
                self.regexes.insert(regex, resolved);
            }
            Change::Regex(regex, None) => {
                self.regexes.remove(&regex);
            }
            Change::TargetEpoch(epoch) => self.target_epoch = epoch.unwrap_or_default(),
            Change::Target(member_id, Some(target)) => {
                self.targets.insert(member_id, target);
            }
            Change::Target(member_id, None) => {
                self.targets.remove(&member_id);
            }
            // In a compacted log a member's partitions may stand before its subscription.
            Change::Current(member_id, Some(current)) => self.set_current(member_id, current),
            Change::Current(member_id, None) if self.members.contains_key(&member_id) => {
                self.set_current(member_id, Current::default());
            }
            Change::Current(_, None) => {}
        }
    }

    fn set_subscription(&mut self, member_id: Str, subscription: Subscription) {
        let instance_id = subscription.instance_id.clone();
        let member = self.members.entry(member_id.clone()).or_default();
        let before = std::mem::replace(&mut member.subscription, subscription);
        // It may have come back under another instance id, or without one.
        self.forget_instance(&member_id, before.instance_id);
        if let Some(instance_id) = instance_id {
            self.static_members.insert(instance_id, member_id);
        }
    }

    fn remove_member(&mut self, member_id: &Str) {
        let Some(member) = self.members.remove(member_id) else { return };
        self.release(member_id, &member.current);
        self.forget_instance(member_id, member.subscription.instance_id);
        self.deadlines.remove(member_id);
    }

    fn forget_instance(&mut self, member_id: &Str, instance_id: Option<Str>) {
        if let Some(instance_id) = instance_id
            && self.static_members.get(&instance_id) == Some(member_id)
        {
            self.static_members.remove(&instance_id);
        }
    }

    fn set_current(&mut self, member_id: Str, current: Current) {
        let member = self.members.entry(member_id.clone()).or_default();
        let before = std::mem::replace(&mut member.current, current);
        let now = member.current.clone();
        self.release(&member_id, &before);
        self.own(&member_id, &now);
    }

    fn own(&mut self, member_id: &Str, current: &Current) {
        for (topic, partition) in partitions_of(current) {
            // A log that was compacted in part may show the new owner before the old one's end.
            self.owners.insert((topic, partition), member_id.clone());
        }
    }

    fn release(&mut self, member_id: &Str, current: &Current) {
        for partition in partitions_of(current) {
            if self.owners.get(&partition) == Some(member_id) {
                self.owners.remove(&partition);
            }
        }
    }
}

fn partitions_of(current: &Current) -> impl Iterator<Item = (Uuid, i32)> {
    let topics = current.assigned.iter().chain(current.revoking.iter());
    topics.flat_map(|(topic, partitions)| partitions.iter().map(|partition| (*topic, *partition)))
}
