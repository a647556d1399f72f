//! Metadata (3): brokers, topics, and who leads each partition.
//!
//! v1: null means all topics (before, an empty list did). v4: the client may forbid auto-creation. v10: topic ids.
//! A broker that starts answers when it is part of its cluster.
//! A topic that does not exist is created through the controller if both sides allow it. A question about a partition
//! whose leader just died in front of us is held until the image changes (docs/REPLICATION.md R11): a stale answer costs a client
//! up to a second, a held one the time the election takes.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tidelog_metadata::{Image, Partition, Topic};
use tidelog_wire::messages::metadata_request::MetadataRequestTopic;
use tidelog_wire::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use tidelog_wire::messages::{MetadataRequest, MetadataResponse};
use tidelog_wire::types::{BrokerId, PartitionIndex};
use tidelog_wire::{ErrorCode, Str, Uuid};

use super::auto_create;
use super::set::distinct;
use super::{Api, CLUSTER_OPERATIONS, Context, TOPIC_OPERATIONS, broker_ids, offline_replicas};
use crate::pace::Pace;

/// How long a question is held at most while this broker is not part of its cluster yet.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// How long a question about a dying leader is held at most.
const HOLD_MAX: Duration = Duration::from_millis(500);

pub(crate) struct Metadata;

impl Api for Metadata {
    type Request = MetadataRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=13;

    async fn answer(context: Context, mut request: MetadataRequest) -> MetadataResponse {
        request.topics = request.topics.map(|topics| distinct(topics, |topic| (topic.name.clone(), topic.topic_id)));
        hold_until_ready(&context).await;
        let missing = missing_topics(&context, &request);
        let refused = match missing.is_empty() {
            true => auto_create::Refused::new(),
            false => auto_create::create(&context.shard, &missing).await,
        };
        hold_while_a_leader_is_dying(&context, &request).await;
        let image = context.shard.image();
        let view = View { context: &context, image: &image, request: &request, refused: &refused };
        view.response().await
    }
}

/// Names asked for that do not exist and may be created.
fn missing_topics(context: &Context, request: &MetadataRequest) -> Vec<Str> {
    let allowed = context.shard.options.auto_create_topics && request.allow_auto_topic_creation;
    let Some(topics) = request.topics.as_ref().filter(|_| allowed) else {
        return Vec::new();
    };
    let image = context.shard.image();
    topics.iter().filter_map(name_asked_for).filter(|name| image.topic(name).is_none()).map(Str::detached).collect()
}

/// What a starting broker knows is the past. After a power cut it may be a cluster in which every broker is fenced, and a
/// client that is shown no broker at all has nobody left to ask.
async fn hold_until_ready(context: &Context) {
    let shard = &context.shard;
    let mut images = shard.image_changes();
    let is_up = |image: &Image| shard.is_ready.get() && image.brokers().any(|broker| !broker.fenced);
    let _ = tokio::time::timeout(READY_WITHIN, images.wait_for(|image| is_up(image))).await;
}

async fn hold_while_a_leader_is_dying(context: &Context, request: &MetadataRequest) {
    let shard = &context.shard;
    let is_waiting = |image: &Image| {
        shard.peers.any_suspect()
            && requested_topics(image, request, context.version)
                .any(|topic| topic.partitions().any(|(_, partition)| shard.looks_dead(partition.leader)))
    };
    let mut images = shard.image_changes();
    let _ = tokio::time::timeout(HOLD_MAX, images.wait_for(|image| !is_waiting(image))).await;
}

fn requested_topics<'a>(
    image: &'a Image,
    request: &'a MetadataRequest,
    version: i16,
) -> Box<dyn Iterator<Item = &'a Arc<Topic>> + 'a> {
    match &request.topics {
        Some(topics) if version > 0 || !topics.is_empty() => {
            Box::new(topics.iter().filter_map(|topic| find(image, topic)))
        }
        _ => Box::new(image.topics()),
    }
}

/// Who asks by id sends no name or, as the Java client does for a group's assignment, an empty one.
fn name_asked_for(asked: &MetadataRequestTopic) -> Option<&Str> {
    asked.name.as_ref().filter(|_| asked.topic_id == Uuid::ZERO)
}

fn find<'a>(image: &'a Image, asked: &MetadataRequestTopic) -> Option<&'a Arc<Topic>> {
    match name_asked_for(asked) {
        Some(name) => image.topic(name),
        None => image.topic_by_id(asked.topic_id),
    }
}

struct View<'a> {
    context: &'a Context,
    image: &'a Image,
    request: &'a MetadataRequest,
    refused: &'a auto_create::Refused,
}

impl View<'_> {
    async fn response(&self) -> MetadataResponse {
        let shard = &self.context.shard;
        let mut pace = Pace::start();
        let mut topics = Vec::new();
        match &self.request.topics {
            Some(asked) if self.context.version > 0 || !asked.is_empty() => {
                for asked in asked {
                    pace.step().await;
                    topics.push(self.asked_topic(asked));
                }
            }
            _ => {
                for topic in self.image.topics() {
                    pace.step().await;
                    topics.push(self.topic(topic));
                }
            }
        }
        MetadataResponse {
            brokers: self.brokers(&topics),
            cluster_id: self.image.cluster_id().cloned(),
            controller_id: shard.controller_id(),
            topics,
            cluster_authorized_operations: match self.request.include_cluster_authorized_operations {
                true => CLUSTER_OPERATIONS,
                false => i32::MIN,
            },
            ..MetadataResponse::default()
        }
    }

    /// Whom to ask and send to: those that are up, except this broker while it is cut off from the others and leads nothing
    /// that was asked for. Its clients may reach the others, which know what it does not.
    fn brokers(&self, topics: &[MetadataResponseTopic]) -> Vec<MetadataResponseBroker> {
        let mut brokers = self.brokers_up();
        let this = self.context.shard.node_id().get();
        let leads = || topics.iter().flat_map(|topic| &topic.partitions).any(|partition| partition.leader_id == this);
        if brokers.len() > 1 && self.context.shard.is_cut_off() && !leads() {
            brokers.retain(|broker| broker.node_id != this);
        }
        brokers
    }

    /// Brokers that are up, and for a moment those that just died, also when their partitions have new leaders already:
    /// librdkafka takes a partition that moves off a broker in the very answer in which the broker vanishes for one without
    /// a leader, and stands still for a second. Never none: then those that were there are the ones to ask again.
    fn brokers_up(&self) -> Vec<MetadataResponseBroker> {
        let listener = &self.context.connection.listener.name;
        let all_fenced = self.image.brokers().all(|broker| broker.fenced);
        let is_listed = |broker: &&tidelog_metadata::Broker| {
            let shard = &self.context.shard;
            !broker.fenced || all_fenced || shard.looks_dead(broker.id) || shard.peers.has_just_died(broker.id)
        };
        self.image
            .brokers()
            .filter(is_listed)
            .filter_map(|broker| {
                let endpoint = broker.endpoint(listener)?;
                Some(MetadataResponseBroker {
                    node_id: broker.id.get(),
                    host: endpoint.host.clone(),
                    port: endpoint.port.into(),
                    rack: broker.rack.clone(),
                })
            })
            .collect()
    }

    fn asked_topic(&self, asked: &MetadataRequestTopic) -> MetadataResponseTopic {
        match find(self.image, asked) {
            Some(topic) => self.topic(topic),
            None => MetadataResponseTopic {
                error_code: self.absence(asked),
                // Null is known from v12 on.
                name: name_asked_for(asked).cloned().or_else(|| (self.context.version < 12).then(Str::default)),
                topic_id: asked.topic_id,
                ..MetadataResponseTopic::default()
            },
        }
    }

    fn absence(&self, asked: &MetadataRequestTopic) -> ErrorCode {
        let Some(name) = name_asked_for(asked) else {
            return ErrorCode::UNKNOWN_TOPIC_ID;
        };
        self.refused.get(name).copied().unwrap_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }

    fn topic(&self, topic: &Topic) -> MetadataResponseTopic {
        MetadataResponseTopic {
            name: Some(topic.name.clone()),
            topic_id: topic.id,
            is_internal: topic.is_internal(),
            partitions: topic.partitions().map(|(index, partition)| self.partition(topic, index, partition)).collect(),
            topic_authorized_operations: match self.request.include_topic_authorized_operations {
                true => TOPIC_OPERATIONS,
                false => i32::MIN,
            },
            ..MetadataResponseTopic::default()
        }
    }

    fn partition(&self, topic: &Topic, index: PartitionIndex, partition: &Partition) -> MetadataResponsePartition {
        let shard = &self.context.shard;
        let leader = shard.visible_leader(topic, index, partition);
        let is_reachable = leader != BrokerId::NONE
            && self
                .image
                .broker(leader)
                .is_some_and(|broker| broker.endpoint(&self.context.connection.listener.name).is_some());
        let error_code = match () {
            () if leader == BrokerId::NONE => ErrorCode::LEADER_NOT_AVAILABLE,
            () if !is_reachable => ErrorCode::LISTENER_NOT_FOUND,
            () => ErrorCode::NONE,
        };
        MetadataResponsePartition {
            error_code,
            partition_index: index.get(),
            leader_id: if is_reachable { leader.get() } else { -1 },
            leader_epoch: partition.leader_epoch.get(),
            replica_nodes: broker_ids(partition.replicas.iter()),
            isr_nodes: broker_ids(partition.isr.iter()),
            offline_replicas: offline_replicas(self.image, partition),
        }
    }
}
