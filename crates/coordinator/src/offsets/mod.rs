//! A group's committed offsets, and the operations on them.

mod commit;
mod delete;
mod deleted_topics;
mod expire;
mod fetch;
mod record;
mod resolve;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use tidelog_wire::{Str, Uuid};

pub(crate) use commit::commit;
pub(crate) use delete::delete;
pub(crate) use deleted_topics::topics_deleted;
pub(crate) use expire::{RetentionStart, expire};
pub(crate) use fetch::fetch;
pub(crate) use record::replay;

use crate::Record;

/// What a group has committed, by topic name and partition.
///
/// A group that is idle costs little: partitions are sorted in a vector that is as large as they need.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Offsets {
    topics: BTreeMap<Str, Vec<(i32, CommittedOffset)>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    pub offset: i64,
    /// -1: not known.
    pub leader_epoch: i32,
    pub metadata: Str,
    pub commit_timestamp_ms: i64,
    /// Set by clients that ask for a retention time of their own (OffsetCommit 2 to 4).
    pub expire_timestamp_ms: Option<i64>,
    /// Zero: committed before ids were recorded.
    pub topic_id: Uuid,
}

impl CommittedOffset {
    /// Whether it was committed to the topic that now has this id, or may have been.
    fn belongs_to(&self, topic_id: Option<Uuid>) -> bool {
        self.topic_id.is_zero() || topic_id.is_none_or(|id| id == self.topic_id)
    }
}

impl Offsets {
    pub fn len(&self) -> usize {
        self.topics.values().map(Vec::len).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    pub fn get(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        let partitions = self.topics.get(topic)?;
        let at = partitions.binary_search_by_key(&partition, |(index, _)| *index).ok()?;
        Some(&partitions[at].1)
    }

    /// `committed` must not hold on to a request's frame; the topic's name may.
    fn insert(&mut self, topic: &Str, partition: i32, committed: CommittedOffset) {
        let Some(partitions) = self.topics.get_mut(topic) else {
            self.topics.insert(topic.detached(), vec![(partition, committed)]);
            return;
        };
        match partitions.binary_search_by_key(&partition, |(index, _)| *index) {
            Ok(at) => partitions[at].1 = committed,
            Err(at) => partitions.insert(at, (partition, committed)),
        }
    }

    fn remove(&mut self, topic: &str, partition: i32) -> Option<CommittedOffset> {
        let partitions = self.topics.get_mut(topic)?;
        let at = partitions.binary_search_by_key(&partition, |(index, _)| *index).ok()?;
        let (_, removed) = partitions.remove(at);
        if partitions.is_empty() {
            self.topics.remove(topic);
        }
        Some(removed)
    }

    fn iter(&self) -> impl Iterator<Item = (&Str, i32, &CommittedOffset)> {
        let topics = self.topics.iter();
        topics.flat_map(|(topic, partitions)| partitions.iter().map(move |(index, offset)| (topic, *index, offset)))
    }

    /// What takes all of them out of the log.
    pub fn tombstones(&self, group_id: &Str, records: &mut Vec<Record>) {
        records.extend(self.iter().map(|(topic, partition, _)| record::tombstone(group_id, topic, partition)));
    }
}
