//! The cluster image: what the metadata log, applied up to some record, says.
//!
//! Cloning counts references; changing a clone copies only what is touched (the map, the topic, the partition),
//! so a node may keep an image for as long as it likes while the next one is made. Equal parts of two images
//! made from one another are the same allocation, which is what [`Image::diff`] lives on.

mod apply;
mod broker;
mod configs;
mod diff;
mod health;
mod metric_names;
mod placements;
mod snapshot;
mod topic;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tidelog_wire::types::{BrokerEpoch, BrokerId, PartitionIndex, ProducerId};
use tidelog_wire::{Str, Uuid};

pub use apply::ApplyError;
pub use broker::{Broker, Endpoint, LogPosition, Node};
pub use configs::{ConfigResource, ConfigResourceType};
pub use diff::{ImageDiff, PartitionDiff, TopicChange};
pub use health::Health;
pub use topic::{LeaderRecovery, Partition, Topic, TopicIdPartition, is_internal_topic, min_insync_replicas};

use metric_names::MetricNames;
use placements::Placements;

/// All metadata of a cluster at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Image {
    cluster_id: Option<Str>,
    nodes: Arc<BTreeMap<BrokerId, Node>>,
    brokers: Arc<BTreeMap<BrokerId, Arc<Broker>>>,
    next_broker_epoch: BrokerEpoch,
    topics: Arc<BTreeMap<Uuid, Arc<Topic>>>,
    topic_ids: Arc<BTreeMap<Str, Uuid>>,
    metric_names: MetricNames,
    placements: Placements,
    configs: Arc<BTreeMap<ConfigResource, Arc<BTreeMap<Str, Str>>>>,
    next_producer_id: ProducerId,
    features: Arc<BTreeMap<Str, i16>>,
}

impl Image {
    /// An image that knows nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// `None` until the cluster is founded.
    pub fn cluster_id(&self) -> Option<&Str> {
        self.cluster_id.as_ref()
    }

    /// The configured nodes, up or not.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// Every registered broker, fenced ones included, by id.
    pub fn brokers(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.values().map(Arc::as_ref)
    }

    pub fn broker(&self, broker_id: BrokerId) -> Option<&Broker> {
        self.brokers.get(&broker_id).map(Arc::as_ref)
    }

    /// Whether the broker may lead and be in ISRs: registered, not fenced, not shutting down.
    pub fn is_active(&self, broker_id: BrokerId) -> bool {
        self.broker(broker_id).is_some_and(Broker::is_active)
    }

    /// Whether the broker is active and has not asked to stop.
    pub fn is_staying(&self, broker_id: BrokerId) -> bool {
        self.broker(broker_id).is_some_and(Broker::is_staying)
    }

    /// The brokers the cluster is known to have: configured ones with the broker role and registered ones, up or not
    /// (docs/REPLICATION.md R13). Default replication factors count these.
    pub fn known_brokers(&self) -> BTreeSet<BrokerId> {
        let configured = self.nodes.values().filter(|node| node.is_broker).map(|node| node.id);
        configured.chain(self.brokers.keys().copied()).collect()
    }

    /// The epoch that the next registration gets.
    pub fn next_broker_epoch(&self) -> BrokerEpoch {
        self.next_broker_epoch
    }

    /// All topics in the order of their names.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<Topic>> {
        self.topic_ids.values().filter_map(|id| self.topics.get(id))
    }

    pub fn topic_count(&self) -> usize {
        self.topics.len()
    }

    pub fn topic(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topic_by_id(self.topic_id(name)?)
    }

    pub fn topic_id(&self, name: &str) -> Option<Uuid> {
        self.topic_ids.get(name).copied()
    }

    /// The topic whose metrics would be called as those of `name`, if it is another one.
    pub fn topic_with_metrics_of(&self, name: &str) -> Option<&Arc<Topic>> {
        self.topic_by_id(self.metric_names.topic(name)?).filter(|topic| topic.name != *name)
    }

    pub fn topic_by_id(&self, topic_id: Uuid) -> Option<&Arc<Topic>> {
        self.topics.get(&topic_id)
    }

    pub fn partition(&self, partition: TopicIdPartition) -> Option<&Arc<Partition>> {
        self.topic_by_id(partition.topic_id)?.partition(partition.partition)
    }

    /// The topics that have a replica on the broker.
    pub fn topics_on(&self, broker_id: BrokerId) -> impl Iterator<Item = &Arc<Topic>> {
        self.placements.topics_on(broker_id).filter_map(|topic_id| self.topics.get(&topic_id))
    }

    /// The partitions that have a replica on the broker.
    pub fn partitions_on(&self, broker_id: BrokerId) -> impl Iterator<Item = (TopicIdPartition, &Arc<Partition>)> {
        self.topics_on(broker_id).flat_map(move |topic| {
            topic
                .partitions()
                .filter(move |(_, partition)| partition.replicas.contains(&broker_id))
                .map(|(index, partition)| (topic.id_partition(index), partition))
        })
    }

    /// How many replicas the broker holds.
    pub fn replica_count(&self, broker_id: BrokerId) -> usize {
        self.placements.replica_count(broker_id)
    }

    /// Set values of a resource; empty if there are none.
    pub fn configs(&self, resource: &ConfigResource) -> impl Iterator<Item = (&Str, &Str)> {
        self.configs.get(resource).into_iter().flat_map(|values| values.iter())
    }

    pub fn config(&self, resource: &ConfigResource, name: &str) -> Option<&Str> {
        self.configs.get(resource)?.get(name)
    }

    /// The resources that have any config set.
    pub fn config_resources(&self) -> impl Iterator<Item = &ConfigResource> {
        self.configs.keys()
    }

    /// Min ISR of the topic's partition, as leader and controller both count it: the topic's
    /// `min.insync.replicas`, else the cluster-wide dynamic default, else half the replicas rounded up; never
    /// more than all of them ([`Partition::min_isr_replica_count`]). Static and per-broker values play no part, for they may differ between nodes;
    /// a static one of the active controller becomes the dynamic default at Bootstrap.
    pub fn min_insync_replicas(&self, topic: &Topic, partition: &Partition) -> usize {
        min_insync_replicas(self.configured_min_insync_replicas(&topic.name), partition.min_isr_replica_count())
    }

    /// `min.insync.replicas` as set for the topic or for the whole cluster.
    pub fn configured_min_insync_replicas(&self, topic: &str) -> Option<i32> {
        const NAME: &str = "min.insync.replicas";
        let of_topic = self.config(&ConfigResource::topic(topic), NAME);
        of_topic.or_else(|| self.config(&ConfigResource::DEFAULT_BROKER, NAME))?.parse().ok()
    }

    /// The first producer id that nobody has.
    pub fn next_producer_id(&self) -> ProducerId {
        self.next_producer_id
    }

    /// Finalised features and their levels.
    pub fn features(&self) -> impl Iterator<Item = (&Str, i16)> {
        self.features.iter().map(|(name, level)| (name, *level))
    }

    /// Whether the index stands for a partition of the topic.
    pub fn has_partition(&self, topic_id: Uuid, partition: PartitionIndex) -> bool {
        self.partition(TopicIdPartition { topic_id, partition }).is_some()
    }
}
