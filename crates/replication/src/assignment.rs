//! A partition's state in the cluster image, as the protocol needs it.

use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, PartitionEpoch};

/// One partition of the image, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub struct Assignment<'a> {
    /// [`BrokerId::NONE`]: nobody leads.
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    pub partition_epoch: PartitionEpoch,
    /// All replicas with what the same image says of their brokers.
    pub replicas: &'a [Replica],
    pub isr: &'a [BrokerId],
    /// Eligible leader replicas (KIP-966).
    pub elr: &'a [BrokerId],
    /// Effective min.insync.replicas (capped at the number of target replicas), computed as the controller does.
    pub min_isr: usize,
}

/// A replica and its broker's standing in the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    pub id: BrokerId,
    /// The broker's registration, [`BrokerEpoch::NONE`] if it is not registered.
    pub broker_epoch: BrokerEpoch,
    /// Neither fenced nor shutting down: may join the ISR.
    pub eligible: bool,
}
