//! What may be asked of the controller. Admin requests are Kafka's own messages; the rest, which in Kafka
//! are the controller-only APIs, are ours.

use tidelog_wire::messages::{
    AlterConfigsRequest, AlterPartitionReassignmentsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteTopicsRequest, ElectLeadersRequest, IncrementalAlterConfigsRequest, UnregisterBrokerRequest,
};
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};
use tidelog_wire::{Str, Uuid};

use crate::image::{Endpoint, LeaderRecovery, LogPosition, Node, TopicIdPartition};

/// A question to [`Round::decide`](crate::Round::decide); each variant is answered by the [`Response`](crate::Response) of its name.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Founds the cluster, once. A later one with the same cluster id only updates the nodes.
    Bootstrap {
        cluster_id: Str,
        nodes: Vec<Node>,
        /// Cluster-wide dynamic defaults to begin with, such as a static `min.insync.replicas`.
        default_configs: Vec<(Str, Str)>,
    },
    RegisterBroker(Box<BrokerRegistration>),
    /// The broker has applied its registration and may lead again.
    UnfenceBroker(BrokerIdentity),
    /// The broker's session ended: out of every ISR, leaderships move.
    FenceBroker(BrokerIdentity),
    /// The broker is slow, not dead: leaderships move away and it leaves ISRs that do without it, but it stays unfenced.
    DemoteBroker(BrokerIdentity),
    /// The broker wants to stop. Asked again until the answer says ready.
    ControlledShutdown {
        broker: BrokerIdentity,
        patience: Patience,
    },
    AlterPartition(AlterPartition),
    /// Replicas found damaged while running (bad batch below the durable mark, failed log directory).
    ReportUnclean {
        broker: BrokerIdentity,
        replicas: Vec<ReplicaReport>,
    },
    /// Replicas that caught up with their leader's epoch start after having been unclean.
    ReplicaRecovered {
        broker: BrokerIdentity,
        partitions: Vec<TopicIdPartition>,
    },
    AllocateProducerIds(BrokerIdentity),
    /// The periodic check of `leader.imbalance.check.interval.seconds`: moves leaderships back to preferred replicas.
    BalanceLeaders,
    CreateTopics {
        request: CreateTopicsRequest,
        origin: CreateOrigin,
    },
    DeleteTopics(DeleteTopicsRequest),
    CreatePartitions(CreatePartitionsRequest),
    IncrementalAlterConfigs(IncrementalAlterConfigsRequest),
    AlterConfigs(AlterConfigsRequest),
    ElectLeaders(ElectLeadersRequest),
    AlterPartitionReassignments(AlterPartitionReassignmentsRequest),
    UnregisterBroker(UnregisterBrokerRequest),
}

impl Request {
    /// One of Kafka's own messages: what clients send, so that they choose its size.
    pub fn is_kafkas(&self) -> bool {
        match self {
            Self::CreateTopics { .. }
            | Self::DeleteTopics(_)
            | Self::CreatePartitions(_)
            | Self::IncrementalAlterConfigs(_)
            | Self::AlterConfigs(_)
            | Self::ElectLeaders(_)
            | Self::AlterPartitionReassignments(_)
            | Self::UnregisterBroker(_) => true,
            Self::Bootstrap { .. }
            | Self::RegisterBroker(_)
            | Self::UnfenceBroker(_)
            | Self::FenceBroker(_)
            | Self::DemoteBroker(_)
            | Self::ControlledShutdown { .. }
            | Self::AlterPartition(_)
            | Self::ReportUnclean { .. }
            | Self::ReplicaRecovered { .. }
            | Self::AllocateProducerIds(_)
            | Self::BalanceLeaders => false,
        }
    }
}

/// For whom a stopping broker still waits, where a partition would fall below min ISR without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// For every replica that may come back, also on brokers that stopped and may be on their way up again.
    Full,
    /// Only for brokers that have not stopped in good order.
    RunningOnly,
    /// For nobody.
    None,
}

/// One incarnation of a broker, as its registration was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BrokerIdentity {
    pub broker_id: BrokerId,
    pub broker_epoch: BrokerEpoch,
}

/// Why topics are being created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateOrigin {
    /// A client's CreateTopics: what cannot be done now is an error.
    Admin,
    /// A broker's own wish (auto-creation, internal topics): the replication factor is lowered to the brokers the
    /// cluster is known to have, and while they are not registered the answer is LEADER_NOT_AVAILABLE, which is
    /// retriable (docs/REPLICATION.md R13).
    Broker,
}

/// A starting broker introduces itself (KIP-631, KIP-966).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerRegistration {
    pub broker_id: BrokerId,
    /// `None` from a broker that has not learned it yet.
    pub cluster_id: Option<Str>,
    pub incarnation_id: Uuid,
    pub directory_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    pub rack: Option<Str>,
    /// The broker epoch found in the clean-shutdown marker; [`BrokerEpoch::NONE`] without one.
    pub previous_broker_epoch: BrokerEpoch,
    /// Where each replica's log ends. The unclean ones must be listed; of the others, those named are candidates
    /// should their partition have lost every clean replica.
    pub replicas: Vec<ReplicaReport>,
    /// Replicas that are not listed may have been lost without a trace. Otherwise nothing was ever appended to them.
    pub may_lack_logs: bool,
}

/// A replica's state on disk at registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReplicaReport {
    pub partition: TopicIdPartition,
    /// The log may lack records it once acknowledged (docs/REPLICATION.md R5).
    pub unclean: bool,
    pub position: LogPosition,
}

/// Changes of ISRs by one leader (KIP-497, KIP-841, KIP-903).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlterPartition {
    pub broker: BrokerIdentity,
    pub partitions: Vec<PartitionAlteration>,
}

/// The new ISR of one partition, as its leader wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionAlteration {
    pub partition: TopicIdPartition,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    pub new_isr: Vec<IsrMember>,
    pub leader_recovery: LeaderRecovery,
}

/// A member of a proposed ISR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IsrMember {
    pub broker_id: BrokerId,
    /// The incarnation whose fetches the leader saw. [`BrokerEpoch::NONE`] does for a member that stays, never for one that joins.
    pub broker_epoch: BrokerEpoch,
}
