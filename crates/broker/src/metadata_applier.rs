//! Draws the consequences of a new image: which replicas this broker holds, what they are, how they are configured.
//!
//! Only what differs from the last image is looked at. Deleted topics go before created ones, because a recreated topic's
//! logs have the directories of its predecessor's. The image is published to request handlers last, when the partitions
//! already are what it says.

use std::rc::Rc;
use std::sync::Arc;

use tidelog_commitlog::{LogConfig, RecordValidation, StoredCompression};
use tidelog_controller::SessionState;
use tidelog_metadata::config::{self, CompressionType, Resolver, TimestampType, TopicConfig};
use tidelog_metadata::{ConfigResourceType, Image, Partition, Topic, TopicChange};
use tidelog_replication::{Assignment, Durability, Replica, Settings};
use tidelog_wire::compression::Compression;
use tidelog_wire::record_batch;
use tidelog_wire::types::{BrokerEpoch, BrokerId};
use tokio::sync::watch;
use tracing::info;

use crate::partition::PartitionHandle;
use crate::retry::Task;
use crate::shard::Shard;
use crate::throttle::Throttled;
use crate::{damage, placement};

/// Applies images one after the other.
pub(crate) struct MetadataApplier {
    shard: Rc<Shard>,
    applied: Arc<Image>,
    roles: Roles,
}

/// What this broker is to its partitions, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Roles {
    replicas: usize,
    leading: usize,
    leaderless: usize,
}

impl MetadataApplier {
    /// `applied` starts empty: the first image is all new.
    pub(crate) fn new(shard: Rc<Shard>) -> Self {
        Self { shard, applied: Arc::new(Image::new()), roles: Roles::default() }
    }

    /// Follows the controller's image until the shard ends. The first image to be applied is one that holds this
    /// incarnation's registration (docs/REPLICATION.md R6).
    pub(crate) async fn run(mut self, mut session: watch::Receiver<SessionState>) {
        let mut images = self.shard.controller.image();
        loop {
            let epoch = session.borrow_and_update().broker_epoch;
            if let Some(epoch) = epoch
                && epoch != self.shard.broker_epoch.get()
            {
                self.registered(epoch);
            }
            let image = Arc::clone(&images.borrow_and_update());
            if self.is_registered_in(&image) {
                self.apply(image);
                if !self.shard.is_ready.replace(true) {
                    self.shard.log_dir.set_known();
                    placement::discard_strays(&self.shard);
                    self.shard.heartbeats.set_ready();
                }
            } else {
                self.shard.publish_image(image);
            }
            tokio::select! {
                changed = images.changed() => if changed.is_err() { return },
                changed = session.changed(), if self.shard.broker_epoch.get() == BrokerEpoch::NONE => {
                    if changed.is_err() { return }
                }
            }
        }
    }

    /// A registration, mostly the only one. After another, every replica starts over under the new broker epoch.
    fn registered(&mut self, epoch: BrokerEpoch) {
        info!(%epoch, "registered");
        self.shard.broker_epoch.set(epoch);
        self.shard.is_ready.set(false);
        self.applied = Arc::new(Image::new());
        for host in self.shard.partitions.all() {
            placement::set_aside(&self.shard, &host);
        }
    }

    /// Once an image with our registration was applied, all later ones are: were we replaced, they say so.
    fn is_registered_in(&self, image: &Image) -> bool {
        let identity = self.shard.identity();
        self.shard.is_ready.get()
            || image.broker(identity.broker_id).is_some_and(|broker| broker.epoch == identity.broker_epoch)
    }

    pub(crate) fn apply(&mut self, image: Arc<Image>) {
        let before = std::mem::replace(&mut self.applied, Arc::clone(&image));
        let diff = image.diff(&before);
        let deleted = |change: &&TopicChange<'_>| matches!(change, TopicChange::Deleted(_));
        for change in diff.topics.iter().filter(deleted) {
            self.apply_topic(&image, *change);
            if let TopicChange::Deleted(topic) = change {
                self.shard.deleted_topics.add(topic.id);
            }
        }
        for change in diff.topics.iter().filter(|change| !deleted(change)) {
            self.apply_topic(&image, *change);
        }
        if !diff.configs.is_empty() {
            self.shard.configure(&image);
        }
        if !diff.brokers.is_empty() || !diff.configs.is_empty() {
            let configured: Vec<_> = diff.configs.iter().collect();
            self.refresh_all(&image, |topic| {
                configured.iter().any(|resource| {
                    resource.kind != ConfigResourceType::Topic || resource.name.as_str() == topic.name.as_str()
                })
            });
        }
        for broker in &diff.brokers {
            self.shard.peers.image_spoke(*broker);
        }
        self.report_recovered(&image);
        self.tell_roles();
        self.shard.publish_image(Arc::clone(&image));
        self.shard.coordinators.image_changed(&self.shard, &diff);
        self.shard.sessions.image_changed(&self.shard);
        self.shard.fetchers.image_changed();
    }

    fn apply_topic(&mut self, image: &Image, change: TopicChange<'_>) {
        let node = self.shard.node_id();
        for diff in change.partitions() {
            let (index, before, after) = (diff.partition, diff.before, diff.after);
            let is_here = |partition: Option<&Arc<Partition>>| {
                partition.is_some_and(|partition| partition.replicas.contains(&node))
            };
            match (change, after) {
                (TopicChange::Created(topic) | TopicChange::Changed { after: topic, .. }, Some(after))
                    if is_here(Some(after)) =>
                {
                    placement::place(&self.shard, image, topic, index, after);
                }
                (TopicChange::Deleted(topic) | TopicChange::Changed { after: topic, .. }, _) if is_here(before) => {
                    placement::remove(&self.shard, topic, index);
                }
                _ => {}
            }
        }
    }

    /// One line per image that changed what this broker leads or follows, however many partitions it is about.
    fn tell_roles(&mut self) {
        let all = self.shard.partitions.all();
        let mut roles = Roles { replicas: all.len(), ..Roles::default() };
        for host in &all {
            roles.leading += usize::from(host.is_leader());
            roles.leaderless += usize::from(!host.is_leader() && host.following.get() == BrokerId::NONE);
        }
        if roles != self.roles {
            let Roles { replicas, leading, leaderless } = roles;
            info!(replicas, leading, was_leading = self.roles.leading, leaderless, "roles changed");
            self.roles = roles;
        }
    }

    /// Brokers or configs changed: every replica here may be another member's peer or under another rule.
    fn refresh_all(&self, image: &Image, is_configured: impl Fn(&Topic) -> bool) {
        for host in self.shard.partitions.all() {
            let Some(topic) = image.topic_by_id(host.id.topic_id) else {
                continue;
            };
            if let Some(partition) = topic.partition(host.id.index) {
                assign(&self.shard, image, topic, partition, &host);
            }
            if is_configured(topic) {
                let (config, settings) = configuration(&self.shard, image, topic);
                host.throttled.set(Throttled::of(image, topic, host.id.index, self.shard.node_id()));
                host.configured(&self.shard, config, settings);
            }
        }
    }

    /// Replicas that were unclean and are in sync again are whole.
    fn report_recovered(&self, image: &Image) {
        let recovered = damage::recovered(&self.shard, image);
        for id in &recovered {
            if let Some(host) = self.shard.partitions.get(id.topic_id, id.partition) {
                host.accept_end(&self.shard);
            }
        }
        if !recovered.is_empty() {
            self.shard.retries.now(Task::ReportRecovered);
        }
    }
}

/// Tells a partition what the image says of it now.
pub(crate) fn reapply(shard: &Rc<Shard>, host: &PartitionHandle) {
    let image = shard.image();
    if let Some(topic) = image.topic_by_id(host.id.topic_id)
        && let Some(partition) = topic.partition(host.id.index)
    {
        assign(shard, &image, topic, partition, host);
    }
}

pub(crate) fn assign(shard: &Rc<Shard>, image: &Image, topic: &Topic, partition: &Partition, host: &PartitionHandle) {
    let replica = |id: &BrokerId| Replica {
        id: *id,
        broker_epoch: image.broker(*id).map_or(BrokerEpoch::NONE, |broker| broker.epoch),
        eligible: image.is_active(*id),
    };
    let replicas: Vec<Replica> = partition.replicas.iter().map(replica).collect();
    let assignment = Assignment {
        leader: partition.leader,
        leader_epoch: partition.leader_epoch,
        partition_epoch: partition.partition_epoch,
        replicas: &replicas,
        isr: &partition.isr,
        elr: &partition.elr,
        min_isr: image.min_insync_replicas(topic, partition),
    };
    host.assigned(shard, &assignment);
}

/// What the topic's configuration means for log and protocol.
pub(crate) fn configuration(shard: &Shard, image: &Image, topic: &Topic) -> (Arc<LogConfig>, Settings) {
    let config = log_config(shard, image, &topic.name);
    let replica = &shard.options.replica;
    let settings = Settings {
        durability: if config.write_caching { Durability::PageCache } else { Durability::Flushed },
        replica_lag_time_max_ms: replica.lag_time_max.as_millis() as i64,
        session_timeout_ms: replica.session_timeout.as_millis() as i64,
        followers_serve_consumers: replica.serve_nearby,
    };
    (Arc::new(config), settings)
}

/// The log's part of what is in force for the topic.
pub(crate) fn log_config(shard: &Shard, image: &Image, topic: &str) -> LogConfig {
    let resolver = Resolver { image, broker_id: shard.node_id(), static_configs: &shard.options.static_configs };
    // Only brokers write to internal topics, and what they decided has to be taken.
    let is_internal = tidelog_metadata::is_internal_topic(topic);
    let topic = TopicConfig::resolve(&resolver, topic);
    let max_batch_bytes = if is_internal { u32::MAX } else { topic.max_message_bytes.max(0) as u32 };
    LogConfig {
        segment_bytes: topic.segment_bytes.max(0) as u32,
        segment_ms: topic.segment_ms,
        segment_jitter_ms: topic.segment_jitter_ms,
        segment_index_bytes: topic.segment_index_bytes.max(0) as u32,
        index_interval_bytes: topic.index_interval_bytes.max(0) as u32,
        cleanup_delete: topic.cleanup_policy.delete,
        cleanup_compact: topic.cleanup_policy.compact,
        min_cleanable_dirty_ratio: topic.min_cleanable_dirty_ratio,
        min_compaction_lag_ms: topic.min_compaction_lag_ms,
        max_compaction_lag_ms: topic.max_compaction_lag_ms,
        delete_retention_ms: topic.delete_retention_ms,
        retention_ms: topic.retention_ms,
        retention_bytes: topic.retention_bytes,
        file_delete_delay_ms: topic.file_delete_delay_ms,
        max_message_bytes: max_batch_bytes,
        compression: stored_compression(topic.compression_type),
        record_validation: match topic.record_validation {
            config::RecordValidation::Full => RecordValidation::Full,
            config::RecordValidation::Header => RecordValidation::Header,
        },
        timestamp_type: match topic.message_timestamp_type {
            TimestampType::CreateTime => record_batch::TimestampType::CreateTime,
            TimestampType::LogAppendTime => record_batch::TimestampType::LogAppendTime,
        },
        timestamp_before_max_ms: topic.message_timestamp_before_max_ms,
        timestamp_after_max_ms: topic.message_timestamp_after_max_ms,
        write_caching: topic.write_caching,
    }
}

fn stored_compression(compression_type: CompressionType) -> StoredCompression {
    let (codec, level) = match compression_type {
        CompressionType::Producer => return StoredCompression::Producer,
        CompressionType::Uncompressed => (Compression::None, None),
        CompressionType::Gzip { level } => (Compression::Gzip, Some(level)),
        CompressionType::Snappy => (Compression::Snappy, None),
        CompressionType::Lz4 { level } => (Compression::Lz4, Some(level)),
        CompressionType::Zstd { level } => (Compression::Zstd, Some(level)),
    };
    StoredCompression::As { codec, level }
}
