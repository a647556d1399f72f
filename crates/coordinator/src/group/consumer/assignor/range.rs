//! The `range` assignor: topics of the same size and subscribers are cut into the same ranges, so that a member gets
//! the partitions of the same numbers of all of them and may join their records.
//!
//! A range goes to a member of a rack that has most of its replicas; within a rack members keep the order in which they
//! stood, which moves least.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use super::{GroupSpec, Partitions, Racks, subscribers};

pub fn assign(group: &GroupSpec<'_>) -> Vec<Partitions> {
    let racks = Racks::new(group);
    let mut assigned = vec![Partitions::default(); group.members.len()];
    for (members, topics) in co_partitioned(group) {
        let partition_count = group.topics[topics[0]].partition_count;
        let mut waiting = Waiting::new(group, &racks, &members, &topics);
        for range in ranges(partition_count, members.len()) {
            let Some(member) = waiting.next_for(&matches_by_rack(group, &racks, &topics, &range)) else { break };
            for topic in &topics {
                let partitions = range.clone().map(|partition| partition as i32).collect();
                assigned[member].add(group.topics[*topic].id, partitions);
            }
        }
    }
    assigned
}

/// Topics that are cut alike, each with its subscribers.
fn co_partitioned(group: &GroupSpec<'_>) -> Vec<(Vec<usize>, Vec<usize>)> {
    let mut alike: BTreeMap<(Vec<usize>, usize), Vec<usize>> = BTreeMap::new();
    for (topic, members) in subscribers(group).into_iter().enumerate() {
        let partition_count = group.topics[topic].partition_count;
        if !members.is_empty() && partition_count > 0 {
            alike.entry((members, partition_count)).or_default().push(topic);
        }
    }
    alike.into_iter().map(|((members, _), topics)| (members, topics)).collect()
}

/// Ranges that cover all partitions, the longer ones first, none of them empty.
fn ranges(partition_count: usize, members: usize) -> impl Iterator<Item = Range<usize>> {
    let (length, longer) = (partition_count / members, partition_count % members);
    let start = move |range: usize| range * length + range.min(longer);
    (0..members.min(partition_count)).map(move |range| start(range)..start(range + 1))
}

/// How many of the range's partitions have a replica in each rack.
fn matches_by_rack(group: &GroupSpec<'_>, racks: &Racks<'_>, topics: &[usize], range: &Range<usize>) -> Vec<usize> {
    let mut matches = vec![0; racks.count()];
    if matches.is_empty() {
        return matches;
    }
    for topic in topics {
        for partition in range.clone() {
            for rack in racks.of_partition(&group.topics[*topic], partition) {
                matches[rack] += 1;
            }
        }
    }
    matches
}

/// Members that have no range yet, in one queue for each rack and one for those without.
struct Waiting {
    queues: Vec<VecDeque<(usize, usize)>>,
}

impl Waiting {
    fn new(group: &GroupSpec<'_>, racks: &Racks<'_>, members: &[usize], topics: &[usize]) -> Self {
        let first_owned = |member: usize| {
            let target = group.members[member].target;
            let firsts = topics.iter().filter_map(|topic| target.of(group.topics[*topic].id).first());
            firsts.min().map_or(usize::MAX, |partition| *partition as usize)
        };
        // Members that own nothing yet come last; the order of ids decides among them.
        let mut in_order: Vec<(usize, usize)> = members.iter().map(|member| (first_owned(*member), *member)).collect();
        in_order.sort_unstable();
        let mut queues = vec![VecDeque::new(); racks.count() + 1];
        for entry in in_order {
            queues[racks.of_members[entry.1].unwrap_or(racks.count())].push_back(entry);
        }
        Self { queues }
    }

    /// Takes the member that stands first in the rack with most matches; among racks with as many, the one who stood
    /// first among all.
    fn next_for(&mut self, matches: &[usize]) -> Option<usize> {
        let matches_of = |queue: usize| matches.get(queue).copied().unwrap_or(0);
        let fronts = self.queues.iter().enumerate().filter_map(|(queue, members)| Some((queue, *members.front()?)));
        let (queue, _) = fronts.min_by_key(|(queue, front)| (usize::MAX - matches_of(*queue), *front))?;
        self.queues[queue].pop_front().map(|(_, member)| member)
    }
}
