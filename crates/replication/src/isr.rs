//! The in-sync replica set as its leader knows it.

use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};

/// An AlterPartition request for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrProposal {
    pub leader_epoch: LeaderEpoch,
    /// The partition epoch the proposal builds on.
    pub partition_epoch: PartitionEpoch,
    /// NewIsrWithEpochs: members with the broker epoch of their last fetch (KIP-903).
    pub new_isr: Vec<(BrokerId, BrokerEpoch)>,
}

/// How the controller answered a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IsrOutcome {
    /// Accepted: the partition epoch and ISR that now stand.
    Accepted {
        leader_epoch: LeaderEpoch,
        partition_epoch: PartitionEpoch,
        isr: Vec<BrokerId>,
    },
    /// INELIGIBLE_REPLICA, OPERATION_NOT_ATTEMPTED: not done; the leader may propose again later.
    Ineligible,
    /// INVALID_UPDATE_VERSION, FENCED_LEADER_EPOCH, NOT_CONTROLLER after a change, UNKNOWN_TOPIC_*: the controller
    /// knows something newer; the image will tell.
    Outdated,
    /// Timeout, lost connection, any other error: it may or may not have been done, or may still be.
    Unknown,
}
