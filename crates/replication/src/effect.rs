//! What the protocol asks its host to do. Effects are pushed into a buffer of the caller's, which it keeps and
//! drains after every event, so that the hot path allocates nothing.

use crate::isr::IsrProposal;
use tidelog_wire::types::{LeaderEpoch, Offset};

/// One duty of the host. Execute the effects of one event in their order, and before feeding the next event to the
/// same partition, except where a variant says that it ends with an event of its own. One of those that fails ends with
/// [`Partition::change_failed`](crate::Partition::change_failed).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// This replica became leader: write `(leader_epoch, start)` to the leader-epoch checkpoint before the next append.
    StartEpoch { leader_epoch: LeaderEpoch, start: Offset },
    /// The high watermark moved up to this offset. It may be checkpointed lazily; parked consumer fetches and parked
    /// acks have effects of their own.
    HighWatermark(Offset),
    /// Answer every parked acks=all produce whose records end at or below `through` with success.
    ReleaseAcks { through: Offset },
    /// Answer every parked acks=all produce whose records end above `beyond` with this error.
    FailAcks { beyond: Offset, error: AckError },
    /// What consumers may read grew (or became readable at all): look at their parked fetches and ListOffsets again
    /// with [`Partition::consumer_fetch`](crate::Partition::consumer_fetch). On a follower: those of consumers nearby.
    WakeConsumers,
    /// Followers have something to learn (records, a high watermark, a log start): look at their parked fetches again
    /// with [`Partition::follower_answer`](crate::Partition::follower_answer).
    WakeFollowers,
    /// Every in-sync replica's log now starts at or above this offset: parked DeleteRecords up to it may be answered.
    LowWatermark(Offset),
    /// Send AlterPartition to the controller, then report with [`Partition::isr_resolved`](crate::Partition::isr_resolved).
    /// At most one is outstanding per partition.
    ProposeIsr(Box<IsrProposal>),
    /// Follower: drop all records at and above this offset, and every leader-epoch entry that starts there or later
    /// (even when the log already ends there: an epoch in which nothing was appended diverges too). Lower the durable
    /// mark first. Then call [`Partition::truncated`](crate::Partition::truncated). No fetch is made until then.
    TruncateTo(Offset),
    /// Follower: drop the whole log and its epoch history and begin anew, empty, at this offset; then call
    /// [`Partition::truncated`](crate::Partition::truncated).
    RestartAt(Offset),
    /// Follower: the leader deleted records below this offset. Persist the new log start, then call
    /// [`Partition::log_start_advanced`](crate::Partition::log_start_advanced).
    AdvanceLogStart(Offset),
    /// This replica was granted the leadership while a truncation was under way, and could not take it: call
    /// [`Partition::assignment_changed`](crate::Partition::assignment_changed) again with the image's state.
    ReapplyAssignment,
    /// Follower: [`Partition::fetch_position`](crate::Partition::fetch_position) has something to send to the leader:
    /// name this partition in the next replica Fetch.
    FetchReady,
    /// This leader isolated itself: Metadata shows leader -1 for the partition until [`Effect::Resume`]; requests
    /// are refused by the methods themselves.
    StepAside,
    /// Metadata shows what the image says again: the isolation is over, or the leadership is.
    Resume,
}

/// Why a parked acks=all produce cannot be confirmed. Both leave the outcome *unknown* to the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckError {
    /// NOT_LEADER_OR_FOLLOWER: this replica no longer leads, and what it appended may or may not survive.
    NotLeaderOrFollower,
    /// NOT_ENOUGH_REPLICAS_AFTER_APPEND: appended here, but the ISR is smaller than min.insync.replicas.
    NotEnoughReplicasAfterAppend,
    /// REQUEST_TIMED_OUT: the in-sync replicas did not confirm in the producer's time.
    RequestTimedOut,
}
