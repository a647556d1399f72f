//! Server-side assignors (KIP-848): who is to own what, as pure functions.
//!
//! Both give each partition of a topic that somebody subscribes to, to exactly one of its subscribers, keep as much of
//! the last target as balance allows, and prefer a member in whose rack the partition has a replica.

mod placement;
mod range;
#[cfg(test)]
mod tests;
mod uniform;

use std::collections::BTreeMap;

use tidelog_wire::{Str, Uuid};

use super::partitions::Partitions;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Evenly, whatever the topics.
    Uniform,
    /// Ranges of each topic; partitions of the same number meet in one member where topics have the same size and
    /// subscribers.
    Range,
}

impl Assignor {
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "uniform" => Some(Self::Uniform),
            "range" => Some(Self::Range),
            _ => None,
        }
    }
}

/// A group as assignors see it.
#[derive(Clone, Debug)]
pub struct GroupSpec<'a> {
    /// In the order of their ids: the order decides ties.
    pub members: Vec<MemberSpec<'a>>,
    pub topics: Vec<TopicSpec>,
}

#[derive(Clone, Debug)]
pub struct MemberSpec<'a> {
    pub rack: Option<&'a str>,
    /// Ascending positions in [`GroupSpec::topics`].
    pub topics: Vec<usize>,
    /// What the member was to own until now.
    pub target: &'a Partitions,
}

#[derive(Clone, Debug)]
pub struct TopicSpec {
    pub id: Uuid,
    pub partition_count: usize,
    /// Of each partition's replicas; may be shorter than the topic where nothing is known.
    pub racks: Vec<Vec<Str>>,
}

/// What each member is to own, in the order of the members.
pub fn assign(assignor: Assignor, group: &GroupSpec<'_>) -> Vec<Partitions> {
    match assignor {
        Assignor::Uniform => uniform::assign(group),
        Assignor::Range => range::assign(group),
    }
}

/// Positions of the members that subscribe to each topic, ascending.
fn subscribers(group: &GroupSpec<'_>) -> Vec<Vec<usize>> {
    let mut subscribers = vec![Vec::new(); group.topics.len()];
    for (member, spec) in group.members.iter().enumerate() {
        for topic in &spec.topics {
            subscribers[*topic].push(member);
        }
    }
    subscribers
}

/// The members' racks as small numbers, and the partitions' in terms of those.
struct Racks<'a> {
    numbers: BTreeMap<&'a str, usize>,
    of_members: Vec<Option<usize>>,
}

impl<'a> Racks<'a> {
    fn new(group: &GroupSpec<'a>) -> Self {
        let mut numbers = BTreeMap::new();
        let of_members = group.members.iter().map(|member| {
            let next = numbers.len();
            member.rack.map(|rack| *numbers.entry(rack).or_insert(next))
        });
        let of_members = of_members.collect();
        Self { numbers, of_members }
    }

    fn count(&self) -> usize {
        self.numbers.len()
    }

    /// Racks of the partition's replicas that also have a member.
    fn of_partition(&self, topic: &TopicSpec, partition: usize) -> Vec<usize> {
        let racks = topic.racks.get(partition).map_or(&[][..], Vec::as_slice);
        let mut numbers: Vec<usize> =
            racks.iter().filter_map(|rack| self.numbers.get(rack.as_str()).copied()).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}
