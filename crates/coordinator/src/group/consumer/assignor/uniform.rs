//! The `uniform` assignor: loads are as even as the subscriptions allow, and little moves.
//!
//! First it is decided how *many* partitions each member has of each class of topics, then which ones they are. A class is
//! all topics with the same subscribers, whose partitions are interchangeable as far as balance goes; in a group whose
//! members all subscribe to the same there is one. Racks and stickiness choose the partitions and never the numbers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::placement::place;
use super::{GroupSpec, Partitions, Racks, subscribers};

/// Topics with the same subscribers.
pub struct Class {
    /// Ascending positions of members.
    pub members: Vec<usize>,
    pub partitions: Vec<Partition>,
    /// How many partitions each of `members` is to have.
    pub quotas: Vec<usize>,
}

pub struct Partition {
    /// Position in the group's topics.
    pub topic: usize,
    pub index: usize,
    /// Position in the class's members of who was to own it until now.
    pub owner: Option<usize>,
}

pub fn assign(group: &GroupSpec<'_>) -> Vec<Partitions> {
    let mut classes = classes(group);
    let mut loads = vec![0; group.members.len()];
    keep(&mut classes, &mut loads);
    // Partitions that few may have go first; those that many may have even things out.
    classes.sort_by_key(|class| class.members.len());
    for class in &mut classes {
        fill(class, &mut loads);
    }
    // What one class moves may give another one something to do.
    while classes.iter_mut().filter_map(|class| balance(class, &mut loads).then_some(())).count() > 0 {}

    let racks = Racks::new(group);
    let mut assigned = vec![Partitions::default(); group.members.len()];
    for class in &classes {
        let owners = place(group, &racks, class);
        let mut by_topic: BTreeMap<(usize, usize), Vec<i32>> = BTreeMap::new();
        for (partition, owner) in class.partitions.iter().zip(owners) {
            by_topic.entry((class.members[owner], partition.topic)).or_default().push(partition.index as i32);
        }
        for ((member, topic), partitions) in by_topic {
            assigned[member].add(group.topics[topic].id, partitions);
        }
    }
    assigned
}

fn classes(group: &GroupSpec<'_>) -> Vec<Class> {
    let mut by_members: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (topic, members) in subscribers(group).into_iter().enumerate() {
        if !members.is_empty() {
            by_members.entry(members).or_default().push(topic);
        }
    }
    by_members.into_iter().map(|(members, topics)| class(group, members, &topics)).collect()
}

fn class(group: &GroupSpec<'_>, members: Vec<usize>, topics: &[usize]) -> Class {
    let mut partitions = Vec::new();
    for topic in topics {
        let spec = &group.topics[*topic];
        let mut owners = vec![None; spec.partition_count];
        for (position, member) in members.iter().enumerate() {
            for partition in group.members[*member].target.of(spec.id) {
                // A topic made anew may have fewer partitions than the target knows.
                if let Some(owner) = usize::try_from(*partition).ok().and_then(|partition| owners.get_mut(partition)) {
                    owner.get_or_insert(position);
                }
            }
        }
        let of_topic = owners.into_iter().enumerate();
        partitions.extend(of_topic.map(|(index, owner)| Partition { topic: *topic, index, owner }));
    }
    let quotas = vec![0; members.len()];
    Class { members, partitions, quotas }
}

/// Everybody begins with what they have.
fn keep(classes: &mut [Class], loads: &mut [usize]) {
    for class in classes {
        for owner in class.partitions.iter().filter_map(|partition| partition.owner) {
            class.quotas[owner] += 1;
            loads[class.members[owner]] += 1;
        }
    }
}

/// Partitions without an owner go to whoever has least.
fn fill(class: &mut Class, loads: &mut [usize]) {
    let free = class.partitions.iter().filter(|partition| partition.owner.is_none()).count();
    if free == 0 {
        return;
    }
    let least_first = class.members.iter().enumerate().map(|(position, member)| Reverse((loads[*member], position)));
    let mut least_first: BinaryHeap<_> = least_first.collect();
    for _ in 0..free {
        let Some(Reverse((load, position))) = least_first.pop() else { return };
        class.quotas[position] += 1;
        loads[class.members[position]] = load + 1;
        least_first.push(Reverse((load + 1, position)));
    }
}

/// Moves partitions of the class from who has most to who has least, as long as that makes them more alike.
fn balance(class: &mut Class, loads: &mut [usize]) -> bool {
    let by_load = |position: usize, loads: &[usize]| (loads[class.members[position]], position);
    let mut takers: BTreeSet<(usize, usize)> = (0..class.members.len()).map(|member| by_load(member, loads)).collect();
    let mut givers: BTreeSet<(usize, usize)> =
        takers.iter().copied().filter(|(_, position)| class.quotas[*position] > 0).collect();
    let mut has_moved = false;
    while let (Some(least), Some(most)) = (takers.first().copied(), givers.last().copied())
        && most.0 >= least.0 + 2
    {
        for changed in [least, most] {
            takers.remove(&changed);
            givers.remove(&changed);
        }
        class.quotas[least.1] += 1;
        class.quotas[most.1] -= 1;
        loads[class.members[least.1]] += 1;
        loads[class.members[most.1]] -= 1;
        for (load, position) in [(least.0 + 1, least.1), (most.0 - 1, most.1)] {
            takers.insert((load, position));
            if class.quotas[position] > 0 {
                givers.insert((load, position));
            }
        }
        has_moved = true;
    }
    has_moved
}
