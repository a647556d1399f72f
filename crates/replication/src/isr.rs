//! The in-sync replica set as its leader knows it.
//!
//! ```text
//!              propose                          accepted, or the image moved on
//! Committed ────────────> PendingExpand/Shrink ────────────────────────────────> Committed (new ISR)
//!     ^                        │       │ unknown: ask again; it may have been done, or may yet be
//!     └── refused for good ────┘       └─> still pending
//! ```
//! While a change is pending, both outcomes must be safe: the high watermark is computed over the *maximal* ISR (KIP-497)
//! and checked against min.insync.replicas with the *committed* one.

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
    Accepted { leader_epoch: LeaderEpoch, partition_epoch: PartitionEpoch, isr: Vec<BrokerId> },
    /// INELIGIBLE_REPLICA, OPERATION_NOT_ATTEMPTED: not done; the leader may propose again later.
    Ineligible,
    /// INVALID_UPDATE_VERSION, FENCED_LEADER_EPOCH, NEW_LEADER_ELECTED, UNKNOWN_TOPIC_*, INVALID_REQUEST: the
    /// controller knows something newer; the image will tell.
    Outdated,
    /// Timeout, lost connection, any other error: it may or may not have been done, or may still be.
    Unknown,
}

/// See the module's documentation. The leader is always a member of `isr`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Isr {
    Committed { isr: Vec<BrokerId> },
    PendingExpand { isr: Vec<BrokerId>, adding: BrokerId, request: Request },
    PendingShrink { isr: Vec<BrokerId>, request: Request },
}

/// The life of the pending proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub proposal: IsrProposal,
    pub state: RequestState,
    /// An earlier attempt's outcome is unknown: it may still reach the controller.
    pub maybe_under_way: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestState {
    Sent,
    RetryAt { ms: i64 },
}

impl Isr {
    pub fn committed(&self) -> &[BrokerId] {
        match self {
            Self::Committed { isr } | Self::PendingExpand { isr, .. } | Self::PendingShrink { isr, .. } => isr,
        }
    }

    /// Is the replica in the largest ISR that may stand now? (A pending shrink may fail, a pending expansion succeed.)
    pub fn maximal_contains(&self, replica: BrokerId) -> bool {
        let joining = match self {
            Self::PendingExpand { adding, .. } => *adding == replica,
            Self::Committed { .. } | Self::PendingShrink { .. } => false,
        };
        joining || self.committed().contains(&replica)
    }

    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::Committed { .. } => None,
            Self::PendingExpand { request, .. } | Self::PendingShrink { request, .. } => Some(request),
        }
    }

    pub fn request_mut(&mut self) -> Option<&mut Request> {
        match self {
            Self::Committed { .. } => None,
            Self::PendingExpand { request, .. } | Self::PendingShrink { request, .. } => Some(request),
        }
    }

    /// Back to the committed ISR: only when the pending change can no longer happen.
    pub fn abandon(&mut self) {
        let isr = self.committed().to_vec();
        *self = Self::Committed { isr };
    }
}
