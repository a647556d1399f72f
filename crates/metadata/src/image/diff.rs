//! What differs between two images. Parts that are the same allocation are equal and are not looked into, so the
//! cost is one pointer comparison for each topic, and for each partition of a changed topic.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::iter::Peekable;
use std::sync::Arc;

use tidelog_wire::Uuid;
use tidelog_wire::types::{BrokerId, PartitionIndex};

use super::{Broker, ConfigResource, Image, Partition, Topic};

/// Changes from one image to a later one.
#[derive(Debug, Default)]
pub struct ImageDiff<'a> {
    /// Topics created, deleted or changed. A topic deleted and recreated is two entries: its id differs.
    pub topics: Vec<TopicChange<'a>>,
    /// Brokers registered, forgotten, fenced, unfenced or otherwise changed.
    pub brokers: Vec<BrokerId>,
    /// Resources whose configs changed.
    pub configs: Vec<ConfigResource>,
    /// The cluster id, the configured nodes, a feature level, or the next broker epoch or producer id changed.
    pub others: bool,
}

impl ImageDiff<'_> {
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.brokers.is_empty() && self.configs.is_empty() && !self.others
    }
}

/// One topic before and after.
#[derive(Clone, Copy, Debug)]
pub enum TopicChange<'a> {
    Created(&'a Arc<Topic>),
    Deleted(&'a Arc<Topic>),
    Changed { before: &'a Arc<Topic>, after: &'a Arc<Topic> },
}

/// One partition before and after; partitions disappear only with their topic.
#[derive(Clone, Copy, Debug)]
pub struct PartitionDiff<'a> {
    pub partition: PartitionIndex,
    pub before: Option<&'a Arc<Partition>>,
    pub after: Option<&'a Arc<Partition>>,
}

impl<'a> TopicChange<'a> {
    /// The partitions that differ.
    pub fn partitions(self) -> Vec<PartitionDiff<'a>> {
        let created = |(partition, after)| PartitionDiff { partition, before: None, after: Some(after) };
        let deleted = |(partition, before)| PartitionDiff { partition, before: Some(before), after: None };
        match self {
            Self::Created(topic) => topic.partitions().map(created).collect(),
            Self::Deleted(topic) => topic.partitions().map(deleted).collect(),
            Self::Changed { before, after } => after
                .partitions()
                .map(|(partition, after)| {
                    let before = before.partition(partition);
                    PartitionDiff { partition, before, after: Some(after) }
                })
                .filter(|diff| !same(diff.before, diff.after))
                .collect(),
        }
    }
}

impl Image {
    /// What changed from `before` to `self`.
    pub fn diff<'a>(&'a self, before: &'a Image) -> ImageDiff<'a> {
        ImageDiff {
            topics: self.changed_topics(before),
            brokers: self.changed_brokers(before),
            configs: self.changed_configs(before),
            others: self.cluster_id != before.cluster_id
                || self.next_broker_epoch != before.next_broker_epoch
                || self.next_producer_id != before.next_producer_id
                || !same(Some(&self.nodes), Some(&before.nodes))
                || !same(Some(&self.features), Some(&before.features)),
        }
    }

    fn changed_topics<'a>(&'a self, before: &'a Image) -> Vec<TopicChange<'a>> {
        let mut changes = Vec::new();
        if Arc::ptr_eq(&self.topics, &before.topics) {
            return changes;
        }
        merge(&before.topics, &self.topics, |_: &Uuid, old, new| match (old, new) {
            (None, Some(topic)) => changes.push(TopicChange::Created(topic)),
            (Some(topic), None) => changes.push(TopicChange::Deleted(topic)),
            (Some(before), Some(after)) => changes.push(TopicChange::Changed { before, after }),
            (None, None) => {}
        });
        changes
    }

    fn changed_brokers(&self, before: &Image) -> Vec<BrokerId> {
        let mut changed = Vec::new();
        if !Arc::ptr_eq(&self.brokers, &before.brokers) {
            let note = |id: &BrokerId, _: Option<&Arc<Broker>>, _: Option<&Arc<Broker>>| changed.push(*id);
            merge(&before.brokers, &self.brokers, note);
        }
        changed
    }

    fn changed_configs(&self, before: &Image) -> Vec<ConfigResource> {
        let mut changed = Vec::new();
        if !Arc::ptr_eq(&self.configs, &before.configs) {
            merge(&before.configs, &self.configs, |resource: &ConfigResource, _, _| changed.push(resource.clone()));
        }
        changed
    }
}

fn same<T: PartialEq>(before: Option<&Arc<T>>, after: Option<&Arc<T>>) -> bool {
    match (before, after) {
        (Some(before), Some(after)) => Arc::ptr_eq(before, after) || before == after,
        (None, None) => true,
        _ => false,
    }
}

/// Walks two sorted maps at once and shows every key whose values differ.
fn merge<'a, K: Ord, V: PartialEq>(
    before: &'a BTreeMap<K, Arc<V>>,
    after: &'a BTreeMap<K, Arc<V>>,
    mut show: impl FnMut(&'a K, Option<&'a Arc<V>>, Option<&'a Arc<V>>),
) {
    let mut old = before.iter().peekable();
    let mut new = after.iter().peekable();
    while let Some(order) = order_of_next(&mut old, &mut new) {
        let was = if order.is_le() { old.next() } else { None };
        let is = if order.is_ge() { new.next() } else { None };
        if !same(was.map(|(_, value)| value), is.map(|(_, value)| value))
            && let Some((key, _)) = was.or(is)
        {
            show(key, was.map(|(_, value)| value), is.map(|(_, value)| value));
        }
    }
}

fn order_of_next<'a, K: Ord + 'a, V: 'a>(
    old: &mut Peekable<impl Iterator<Item = (&'a K, V)>>,
    new: &mut Peekable<impl Iterator<Item = (&'a K, V)>>,
) -> Option<Ordering> {
    match (old.peek(), new.peek()) {
        (Some((old, _)), Some((new, _))) => Some(old.cmp(new)),
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (None, None) => None,
    }
}
