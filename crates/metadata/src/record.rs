//! What the metadata log says, one fact each: KRaft's record kinds in our own shape.
//!
//! Records are plain data; the controller crate turns them into bytes and stops the node on a kind it does
//! not know. A new fact is a new variant or a new optional field whose absence means "as before", so that
//! old logs stay readable. What can be derived (epochs growing by one, indexes) is derived by
//! [`Image::apply`](crate::Image::apply) and not written.

use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch, PartitionIndex, ProducerId};
use tidelog_wire::{Str, Uuid};

use crate::image::{ConfigResource, Endpoint, LeaderRecovery, LogPosition, Node, TopicIdPartition};
use crate::request::BrokerIdentity;

/// One fact of the metadata log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The cluster got its id. Written once, first.
    ClusterId(Str),
    /// A configured node: what it is meant to be, whether or not it ever came up. Replaces an earlier one of the same id.
    Node(Node),
    /// Snapshots only: the epoch the next registration gets, which no living registration may show any more.
    NextBrokerEpoch(BrokerEpoch),
    /// An incarnation of a broker registered. Replaces the earlier one, its unclean reports included.
    RegisterBroker(Box<RegisterBrokerRecord>),
    /// A broker was forgotten.
    UnregisterBroker { broker_id: BrokerId, broker_epoch: BrokerEpoch },
    /// A registered broker was fenced, unfenced or began to shut down.
    BrokerChange(BrokerChange),
    /// A replica may lack what it once acknowledged. `position` is where its log ends now.
    ReplicaUnclean { broker_id: BrokerId, partition: TopicIdPartition, position: LogPosition },
    /// The replica's log is whole again.
    ReplicaClean { broker_id: BrokerId, partition: TopicIdPartition },
    /// A topic exists. Its partitions follow as records of their own.
    Topic { topic_id: Uuid, name: Str },
    /// A topic, its partitions and its configs are gone.
    RemoveTopic { topic_id: Uuid },
    /// A partition exists; its index is the number of partitions before it.
    Partition(Box<RegisteredPartition>),
    /// A partition changed. Raises the partition epoch by one, and the leader epoch if a leader is named.
    PartitionChange(Box<PartitionChange>),
    /// A config was set, or with `None` removed.
    Config { resource: ConfigResource, name: Str, value: Option<Str> },
    /// A block of producer ids was handed out; the next one starts here.
    ProducerIds { next_producer_id: ProducerId },
    /// A feature was finalised at a level (0 removes it).
    FeatureLevel { name: Str, level: i16 },
}

/// A registration (KIP-631's RegisterBrokerRecord).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterBrokerRecord {
    pub broker_id: BrokerId,
    pub broker_epoch: BrokerEpoch,
    /// Made by the broker process at its start.
    pub incarnation_id: Uuid,
    /// Names the log directory; a new one means that the disk was replaced.
    pub directory_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub rack: Option<Str>,
    pub fenced: bool,
    pub stopping: bool,
    pub in_controlled_shutdown: bool,
}

/// Changes of a registration; `None` leaves a state as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerChange {
    pub broker_id: BrokerId,
    pub broker_epoch: BrokerEpoch,
    pub fenced: Option<bool>,
    pub stopping: Option<bool>,
    pub in_controlled_shutdown: Option<bool>,
}

impl BrokerChange {
    /// To be filled in.
    pub(crate) fn nothing(BrokerIdentity { broker_id, broker_epoch }: BrokerIdentity) -> Self {
        Self { broker_id, broker_epoch, fenced: None, stopping: None, in_controlled_shutdown: None }
    }
}

/// A whole partition: at its creation, and in snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredPartition {
    pub topic_id: Uuid,
    pub partition: PartitionIndex,
    pub replicas: Vec<BrokerId>,
    pub isr: Vec<BrokerId>,
    pub elr: Vec<BrokerId>,
    pub last_known_elr: Vec<BrokerId>,
    pub adding_replicas: Vec<BrokerId>,
    pub removing_replicas: Vec<BrokerId>,
    pub original_replicas: Vec<BrokerId>,
    /// In the order of `replicas`; empty while every broker has one log directory.
    pub directories: Vec<Uuid>,
    /// [`BrokerId::NONE`] when there is none.
    pub leader: BrokerId,
    pub leader_recovery: LeaderRecovery,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
}

/// Changes of a partition; `None` leaves a field as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionChange {
    pub topic_id: Uuid,
    pub partition: PartitionIndex,
    pub isr: Option<Vec<BrokerId>>,
    pub elr: Option<Vec<BrokerId>>,
    pub last_known_elr: Option<Vec<BrokerId>>,
    pub replicas: Option<Vec<BrokerId>>,
    pub adding_replicas: Option<Vec<BrokerId>>,
    pub removing_replicas: Option<Vec<BrokerId>>,
    pub original_replicas: Option<Vec<BrokerId>>,
    pub directories: Option<Vec<Uuid>>,
    /// Naming a leader, be it the same or none, begins a new leader epoch.
    pub leader: Option<BrokerId>,
    pub leader_recovery: Option<LeaderRecovery>,
}
