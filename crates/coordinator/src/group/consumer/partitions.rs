//! Sets of partitions, by topic: what members own, are to own and have to give up.

use std::collections::BTreeMap;
use std::collections::btree_map::{Entry, Iter};

use tidelog_wire::Uuid;

/// Partitions by topic id; each topic's are ascending without repeats, and no topic is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Partitions(BTreeMap<Uuid, Vec<i32>>);

impl Partitions {
    pub const EMPTY: Self = Self(BTreeMap::new());

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    pub fn iter(&self) -> Iter<'_, Uuid, Vec<i32>> {
        self.0.iter()
    }

    pub fn of(&self, topic: Uuid) -> &[i32] {
        self.0.get(&topic).map_or(&[], Vec::as_slice)
    }

    pub fn contains(&self, topic: Uuid, partition: i32) -> bool {
        self.of(topic).binary_search(&partition).is_ok()
    }

    /// Adds a topic's partitions, which may come in any order.
    pub fn add(&mut self, topic: Uuid, mut partitions: Vec<i32>) {
        if partitions.is_empty() {
            return;
        }
        match self.0.entry(topic) {
            Entry::Vacant(entry) => {
                partitions.sort_unstable();
                partitions.dedup();
                entry.insert(partitions);
            }
            Entry::Occupied(mut entry) => {
                let all = entry.get_mut();
                all.append(&mut partitions);
                all.sort_unstable();
                all.dedup();
            }
        }
    }

    pub fn union(&self, other: &Self) -> Self {
        let mut union = self.clone();
        for (topic, partitions) in other.iter() {
            union.add(*topic, partitions.clone());
        }
        union
    }

    /// Those for which `keep` says yes.
    pub fn filtered(&self, mut keep: impl FnMut(Uuid, i32) -> bool) -> Self {
        let mut kept = BTreeMap::new();
        for (topic, partitions) in &self.0 {
            let of_topic: Vec<i32> = partitions.iter().copied().filter(|partition| keep(*topic, *partition)).collect();
            if !of_topic.is_empty() {
                kept.insert(*topic, of_topic);
            }
        }
        Self(kept)
    }

    pub fn intersection(&self, other: &Self) -> Self {
        self.filtered(|topic, partition| other.contains(topic, partition))
    }

    pub fn difference(&self, other: &Self) -> Self {
        self.filtered(|topic, partition| !other.contains(topic, partition))
    }

    pub fn is_subset_of(&self, other: &Self) -> bool {
        self.iter().all(|(topic, partitions)| partitions.iter().all(|partition| other.contains(*topic, *partition)))
    }

    pub fn is_disjoint_from(&self, other: &Self) -> bool {
        !self.iter().any(|(topic, partitions)| partitions.iter().any(|partition| other.contains(*topic, *partition)))
    }
}

impl FromIterator<(Uuid, Vec<i32>)> for Partitions {
    fn from_iter<I: IntoIterator<Item = (Uuid, Vec<i32>)>>(topics: I) -> Self {
        let mut all = Self::default();
        for (topic, partitions) in topics {
            all.add(topic, partitions);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Uuid = Uuid::from_u128(101);
    const B: Uuid = Uuid::from_u128(102);

    fn set(topics: &[(Uuid, &[i32])]) -> Partitions {
        topics.iter().map(|(topic, partitions)| (*topic, partitions.to_vec())).collect()
    }

    #[test]
    fn topics_come_in_any_order_with_repeats_and_empty() {
        let partitions = set(&[(B, &[2, 0, 2]), (A, &[]), (B, &[1, 0])]);
        assert_eq!(partitions, set(&[(B, &[0, 1, 2])]));
        assert_eq!(partitions.count(), 3);
        assert!(set(&[(A, &[])]).is_empty());
    }

    #[test]
    fn sets_work_topic_by_topic() {
        let left = set(&[(A, &[0, 1, 2]), (B, &[0])]);
        let right = set(&[(A, &[1, 3])]);
        assert_eq!(left.intersection(&right), set(&[(A, &[1])]));
        assert_eq!(left.difference(&right), set(&[(A, &[0, 2]), (B, &[0])]));
        assert_eq!(left.union(&right), set(&[(A, &[0, 1, 2, 3]), (B, &[0])]));
        assert!(set(&[(A, &[2])]).is_subset_of(&left));
        assert!(!right.is_subset_of(&left));
        assert!(right.is_disjoint_from(&set(&[(B, &[1, 3])])));
        assert!(!right.is_disjoint_from(&left));
    }
}
