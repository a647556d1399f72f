//! Groups of either kind, and what is the same for both.

pub(crate) mod classic;
pub(crate) mod consumer;
mod delete;
mod list;

use std::borrow::Borrow;
use std::collections::BTreeMap;

use tidelog_wire::Str;

pub(crate) use delete::{delete, remove};
pub(crate) use list::list;

use crate::TimerKey;
use crate::offsets::{self, Offsets};
use crate::turn::Turn;

/// All groups by id; ordered, so that what is decided over several of them does not depend on chance.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    pub by_id: BTreeMap<Str, Group>,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub kind: Kind,
    pub offsets: Offsets,
}

/// Boxed: most groups of a large cluster are idle, with offsets only.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Also "simple" groups, which have offsets and never a member.
    Classic(Box<classic::ClassicGroup>),
    Consumer(Box<consumer::ConsumerGroup>),
}

impl Groups {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn offset_count(&self) -> usize {
        self.by_id.values().map(|group| group.offsets.len()).sum()
    }

    pub fn get<Q: Ord + ?Sized>(&self, group_id: &Q) -> Option<&Group>
    where
        Str: Borrow<Q>,
    {
        self.by_id.get(group_id)
    }

    pub fn get_mut<Q: Ord + ?Sized>(&mut self, group_id: &Q) -> Option<&mut Group>
    where
        Str: Borrow<Q>,
    {
        self.by_id.get_mut(group_id)
    }

    pub fn classic<Q: Ord + ?Sized>(&self, group_id: &Q) -> Option<&classic::ClassicGroup>
    where
        Str: Borrow<Q>,
    {
        self.get(group_id)?.as_classic()
    }

    pub fn classic_mut<Q: Ord + ?Sized>(&mut self, group_id: &Q) -> Option<&mut classic::ClassicGroup>
    where
        Str: Borrow<Q>,
    {
        self.get_mut(group_id)?.as_classic_mut()
    }

    pub fn consumer<Q: Ord + ?Sized>(&self, group_id: &Q) -> Option<&consumer::ConsumerGroup>
    where
        Str: Borrow<Q>,
    {
        self.get(group_id)?.as_consumer()
    }

    /// Whether members of the classic protocol have to do with a group of the new one. One without members they take
    /// over.
    pub fn has_new_protocol(&self, group_id: &Str) -> bool {
        self.consumer(group_id).is_some_and(|group| !group.is_empty())
    }

    pub fn consumer_mut<Q: Ord + ?Sized>(&mut self, group_id: &Q) -> Option<&mut consumer::ConsumerGroup>
    where
        Str: Borrow<Q>,
    {
        self.get_mut(group_id)?.as_consumer_mut()
    }

    /// The group, made as an empty classic one without a protocol type if there is none.
    pub fn get_or_create(&mut self, group_id: &Str) -> &mut Group {
        if !self.by_id.contains_key(group_id) {
            let group_id = group_id.detached();
            let kind = Kind::Classic(Box::new(classic::ClassicGroup::new(group_id.clone())));
            self.by_id.insert(group_id, Group { kind, offsets: Offsets::default() });
        }
        self.by_id.get_mut(group_id).expect("just inserted")
    }

    /// Forgets a group that holds nothing and of which nothing is in the log.
    pub fn remove_if_unused(&mut self, group_id: &Str) {
        if self.get(group_id).is_some_and(Group::is_unused) {
            self.by_id.remove(group_id);
        }
    }
}

impl Group {
    pub fn as_classic(&self) -> Option<&classic::ClassicGroup> {
        match &self.kind {
            Kind::Classic(group) => Some(group),
            Kind::Consumer(_) => None,
        }
    }

    pub fn as_classic_mut(&mut self) -> Option<&mut classic::ClassicGroup> {
        match &mut self.kind {
            Kind::Classic(group) => Some(group),
            Kind::Consumer(_) => None,
        }
    }

    pub fn as_consumer(&self) -> Option<&consumer::ConsumerGroup> {
        match &self.kind {
            Kind::Classic(_) => None,
            Kind::Consumer(group) => Some(group),
        }
    }

    pub fn as_consumer_mut(&mut self) -> Option<&mut consumer::ConsumerGroup> {
        match &mut self.kind {
            Kind::Classic(_) => None,
            Kind::Consumer(group) => Some(group),
        }
    }

    /// Whether it has no members, so that it may be deleted and taken over by the other protocol.
    pub fn is_empty(&self) -> bool {
        match &self.kind {
            Kind::Classic(group) => group.is_empty(),
            Kind::Consumer(group) => group.is_empty(),
        }
    }

    pub fn is_subscribed_to(&self, topic: &str) -> bool {
        match &self.kind {
            Kind::Classic(group) => group.is_subscribed_to(topic),
            Kind::Consumer(group) => group.is_subscribed_to(topic),
        }
    }

    fn is_unused(&self) -> bool {
        self.offsets.is_empty() && self.as_classic().is_some_and(classic::ClassicGroup::is_unused)
    }
}

/// Hands a group without members from the other protocol to the classic one; its offsets stay.
pub(crate) fn become_classic(group: &mut Group, turn: &mut Turn, group_id: &Str) {
    if let Kind::Consumer(consumer) = &group.kind {
        consumer.tombstones(group_id, &mut turn.outcome.records);
        group.kind = Kind::Classic(Box::new(classic::ClassicGroup::new(group_id.detached())));
    }
}

/// Books the timers of the groups that live.
pub(crate) fn loaded(groups: &mut Groups, turn: &mut Turn) {
    classic::loaded(groups, turn);
    consumer::loaded(groups, turn);
}

pub(crate) fn timer_due(groups: &mut Groups, turn: &mut Turn, key: TimerKey) {
    match key {
        TimerKey::Session { group, member } => classic::session_due(groups, turn, &group, &member),
        TimerKey::PendingMember { group, member } => classic::pending_member_due(groups, turn, &group, &member),
        TimerKey::Rebalance { group } => classic::rebalance_due(groups, turn, &group),
        TimerKey::Sync { group } => classic::sync_due(groups, turn, &group),
        TimerKey::ConsumerSession { group, member } => consumer::session_due(groups, turn, &group, &member),
        TimerKey::ConsumerRebalance { group, member } => consumer::rebalance_due(groups, turn, &group, &member),
        TimerKey::OffsetExpiry => offsets::expire(groups, turn),
    }
}
