//! A shard to test single parts with: real files, a controller of its own, and images that the test makes.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tidelog_commitlog::disk::RealDisk;
use tidelog_commitlog::{LogDir, LogDirOptions};
use tidelog_controller::{Controller, ControllerOptions, Listener, Roles, Timing, Voter};
use tidelog_metadata::config::StaticConfigs;
use tidelog_metadata::{
    Image, LeaderRecovery, PartitionChange, Record, RegisterBrokerRecord, RegisteredPartition, TopicIdPartition,
};
use tidelog_panics::Panics;
use tidelog_replication::{Durability, LogOffsets, Partition as Protocol, Settings};
use tidelog_wire::record::BatchBuilder;
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex};
use tidelog_wire::{Str, Uuid};

use crate::flusher::{DiskPool, Heartbeats};
use crate::options::{BrokerOptions, ListenerOptions};
use crate::partition::{PartitionHandle, PartitionHost, PartitionId};
use crate::shard::Shard;

/// The broker whose shard it is.
pub(crate) const US: BrokerId = BrokerId(1);

/// A shard that has registered. To be used within a `LocalSet`.
pub(crate) async fn shard(directory: &Path) -> Rc<Shard> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let controller = Controller::start(ControllerOptions {
        node_id: US.get(),
        roles: Roles::COMBINED,
        directory: directory.join("controller"),
        cluster_id: None,
        voters: vec![Voter { node_id: US.get(), host: "127.0.0.1".into(), port }],
        listener: Listener::Bound(listener),
        advertised_host: "127.0.0.1".into(),
        advertised_port: port,
        static_configs: StaticConfigs::default(),
        timing: Timing::default(),
    })
    .await
    .expect("the controller starts");
    let listener = ListenerOptions {
        name: "PLAINTEXT".into(),
        bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        advertised_host: "127.0.0.1".into(),
        advertised_port: 0,
    };
    let mut options = BrokerOptions::new(US, listener, directory.to_owned());
    options.replica.session_timeout = Duration::from_millis(100);
    let opened = LogDir::open(Arc::new(RealDisk), directory, controller.node().directory_id, LogDirOptions::default());
    let (log_dir, _) = opened.expect("the log directory opens");
    let heartbeats = Arc::new(Heartbeats::new(options.disk.threads));
    let panics = Panics::default();
    let disk = DiskPool::start("test", options.disk.threads, Arc::clone(&heartbeats), panics.clone());
    let shard = Shard::new(options, controller, log_dir, disk.expect("threads start"), heartbeats, panics);
    shard.broker_epoch.set(epoch_of(US));
    shard.is_ready.set(true);
    shard
}

/// Brokers 1 to 3, all active, and one topic of one partition that broker 2 leads and all three hold.
pub(crate) struct Scene {
    pub image: Image,
    pub partition: TopicIdPartition,
}

pub(crate) const TOPIC: Str = Str::from_static("scene");
pub(crate) const LEADER: BrokerId = BrokerId(2);

impl Scene {
    pub(crate) fn new() -> Self {
        let brokers = [US, LEADER, BrokerId(3)];
        let partition = TopicIdPartition { topic_id: Uuid::from_u128(7), partition: PartitionIndex(0) };
        let mut scene = Self { image: Image::new(), partition };
        for broker_id in brokers {
            scene.apply(&Record::RegisterBroker(Box::new(RegisterBrokerRecord {
                broker_id,
                broker_epoch: epoch_of(broker_id),
                incarnation_id: Uuid::ZERO,
                directory_id: Uuid::ZERO,
                endpoints: Vec::new(),
                rack: None,
                fenced: false,
                stopping: false,
                in_controlled_shutdown: false,
            })));
        }
        scene.apply(&Record::Topic { topic_id: partition.topic_id, name: TOPIC });
        scene.apply(&Record::Partition(Box::new(RegisteredPartition {
            topic_id: partition.topic_id,
            partition: partition.partition,
            replicas: brokers.to_vec(),
            isr: brokers.to_vec(),
            elr: Vec::new(),
            last_known_elr: Vec::new(),
            adding_replicas: Vec::new(),
            removing_replicas: Vec::new(),
            original_replicas: Vec::new(),
            directories: Vec::new(),
            leader: LEADER,
            leader_recovery: LeaderRecovery::Recovered,
            leader_epoch: LeaderEpoch(0),
            partition_epoch: PartitionEpoch(0),
        })));
        scene
    }

    pub(crate) fn apply(&mut self, record: &Record) {
        self.image.apply(record).expect("a record that fits");
    }

    pub(crate) fn change(&mut self, change: impl FnOnce(&mut PartitionChange)) {
        let TopicIdPartition { topic_id, partition } = self.partition;
        let mut changed = PartitionChange { topic_id, partition, ..PartitionChange::default() };
        change(&mut changed);
        self.apply(&Record::PartitionChange(Box::new(changed)));
    }
}

fn epoch_of(broker: BrokerId) -> BrokerEpoch {
    BrokerEpoch(broker.get().into())
}

/// A partition with a record that is not flushed yet.
pub(crate) fn host(shard: &Shard, index: usize) -> PartitionHandle {
    let id = PartitionId { topic: TOPIC, topic_id: Uuid::from_u128(7), index: PartitionIndex(index as i32) };
    let (mut log, _) = shard.log_dir.open_log(&id.log_id(), Arc::default(), 0).expect("a new log");
    log.append_all_as_leader(&[batch()], LeaderEpoch(0), 0).remove(0).expect("it is appended");
    let offsets =
        LogOffsets { start: log.log_start_offset(), durable_end: log.durable_end(), end: log.log_end_offset() };
    let settings = Settings {
        durability: Durability::Flushed,
        replica_lag_time_max_ms: 30_000,
        session_timeout_ms: 1_500,
        followers_serve_consumers: false,
    };
    let protocol = Protocol::new(US, epoch_of(US), settings, offsets, offsets.start);
    let host = Rc::new(PartitionHost::new(id, shard.partitions.next_key(), log, protocol));
    shard.partitions.insert(Rc::clone(&host));
    host
}

/// One batch of one record.
pub(crate) fn batch() -> Bytes {
    let mut batch = BatchBuilder::default();
    batch.append(0, None, Some(b"x"), &[]);
    batch.build().expect("a small batch")
}
