//! The leader-epoch history of a log, as the protocol asks for it.

use tidelog_wire::types::{LeaderEpoch, Offset};

/// The end of an epoch in some log: the first offset that is *not* of `leader_epoch` or an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    pub leader_epoch: LeaderEpoch,
    pub end_offset: Offset,
}

/// Implemented by the log (its leader-epoch checkpoint). Look-ups must be cheap: the leader asks once per follower fetch.
pub trait EpochHistory {
    /// Newest epoch in the history, [`LeaderEpoch::NONE`] if there is none.
    fn latest_epoch(&self) -> LeaderEpoch;

    /// The greatest known epoch that is `<= epoch`, and where it ends: the start of the next epoch, or the log end for
    /// the newest (KIP-101, KIP-279). If all known epochs are newer: `None`, or as in
    /// Kafka `epoch` itself with the start of the oldest. `None` too if there are none.
    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd>;
}
