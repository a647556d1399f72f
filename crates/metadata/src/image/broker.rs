//! Nodes and brokers: what is configured, and what has registered.

use std::collections::BTreeMap;

use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset, PartitionIndex};
use tidelog_wire::{Str, Uuid};

use super::topic::TopicIdPartition;

/// A configured node of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: BrokerId,
    pub is_broker: bool,
    pub is_controller: bool,
}

/// A listener of a broker as others reach it (`advertised.listeners`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub listener: Str,
    pub host: Str,
    pub port: u16,
    /// Kafka's number: 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL.
    pub security_protocol: i16,
}

/// Where a log ends. The later of two is the one that may hold more committed records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// Leader epoch of the last batch; [`LeaderEpoch::NONE`] for an empty log.
    pub last_epoch: LeaderEpoch,
    pub log_end: Offset,
}

impl LogPosition {
    /// Of a log that is missing or empty.
    pub const EMPTY: Self = Self { last_epoch: LeaderEpoch::NONE, log_end: Offset::ZERO };
}

/// A registration: one incarnation of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub id: BrokerId,
    pub epoch: BrokerEpoch,
    pub incarnation_id: Uuid,
    /// Of its log directory.
    pub directory_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub rack: Option<Str>,
    pub fenced: bool,
    /// It has asked for a controlled shutdown: it leads only what nobody else can, and nobody waits for it.
    pub stopping: bool,
    /// Its controlled shutdown was granted: it leads nothing and is in no ISR.
    pub in_controlled_shutdown: bool,
    /// Replicas that may lack acknowledged records, and where they end. None of them is in an ISR or ELR.
    pub unclean: BTreeMap<TopicIdPartition, LogPosition>,
}

impl Broker {
    /// May lead and be in ISRs.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }

    /// Active, and means to stay so.
    pub fn is_staying(&self) -> bool {
        self.is_active() && !self.stopping
    }

    pub(super) fn has_unclean_replica_of(&self, topic_id: Uuid) -> bool {
        let first = TopicIdPartition { topic_id, partition: PartitionIndex(i32::MIN) };
        self.unclean.range(first..).next().is_some_and(|(partition, _)| partition.topic_id == topic_id)
    }

    pub fn endpoint(&self, listener: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.listener == *listener)
    }
}
