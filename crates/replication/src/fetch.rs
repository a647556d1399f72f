//! The questions and answers of a replica Fetch, on both ends, and of a consumer's.

use crate::history::EpochEnd;
use tidelog_wire::types::{BrokerEpoch, BrokerId, LeaderEpoch, Offset};

/// One partition of a follower's Fetch request, as the leader received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerFetch {
    pub replica: BrokerId,
    /// ReplicaEpoch of the request (KIP-903), -1 if the peer did not say.
    pub broker_epoch: BrokerEpoch,
    /// CurrentLeaderEpoch: in which epoch the follower believes to fetch.
    pub current_leader_epoch: LeaderEpoch,
    /// The follower's log end, and at the same time its durable end.
    pub fetch_offset: Offset,
    /// Epoch of the follower's last record, -1 for an empty log (KIP-595).
    pub last_fetched_epoch: LeaderEpoch,
    /// Where the follower's log starts.
    pub log_start: Offset,
}

/// What the leader answers to a follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchAnswer {
    /// Send whole batches of `[from, up_to)` with these two numbers. With nothing to send (`from == up_to`), park the
    /// request, unless `news` says that the follower should hear of the high watermark or log start now.
    Read {
        from: Offset,
        up_to: Offset,
        high_watermark: Offset,
        log_start: Offset,
        news: bool,
    },
    /// DivergingEpoch: the follower's log departs from ours above this point. Answered at once, without records.
    Diverging(EpochEnd),
    /// The follower knows a newer epoch than we do: hold the request until the image changes (at most 500 ms), ask
    /// again, and in the end answer UNKNOWN_LEADER_EPOCH.
    WaitForImage,
    Error(FetchError),
}

/// Why a fetch (or another request that carries a leader epoch) is refused; each is Kafka's error of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    NotLeaderOrFollower,
    FencedLeaderEpoch,
    UnknownLeaderEpoch,
    /// The offset is outside the log. `log_start` goes into the response's LogStartOffset: a follower needs it.
    OffsetOutOfRange {
        log_start: Offset,
    },
    /// A new leader does not know yet how much is committed: retry (KIP-207). Better: park until
    /// [`Effect::WakeConsumers`](crate::Effect::WakeConsumers), within the client's wait.
    OffsetNotAvailable,
}

/// What a consumer may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumerView {
    pub log_start: Offset,
    /// Consumers read records below it.
    pub high_watermark: Offset,
    /// Whether it may be told: a new leader's may still be below what earlier leaders have told (KIP-207).
    pub is_settled: bool,
    pub leader_epoch: LeaderEpoch,
}

/// What a follower is to ask its leader for. Keep it with the request: the response is only good for this question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPosition {
    pub leader: BrokerId,
    pub leader_epoch: LeaderEpoch,
    pub fetch_offset: Offset,
    pub last_fetched_epoch: LeaderEpoch,
    pub log_start: Offset,
}

/// One partition of a Fetch response, as the follower received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchResponse {
    /// `has_records`: whether record bytes came along.
    Ok {
        high_watermark: Offset,
        log_start: Offset,
        has_records: bool,
    },
    Diverging(EpochEnd),
    /// OFFSET_OUT_OF_RANGE with the leader's log start (`None` if the response did not say).
    OffsetOutOfRange {
        log_start: Option<Offset>,
    },
    /// Any other error.
    Refused,
}

/// What to do with a response, apart from its effects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchVerdict {
    /// Append the records as follower, then call [`Partition::appended`](crate::Partition::appended).
    Append,
    /// Nothing to append. Ask [`Partition::fetch_position`](crate::Partition::fetch_position) what to send next.
    Done,
    /// The answer belongs to an earlier question (epoch, leader or position changed meanwhile): dropped.
    Stale,
    /// Fetch again after a back-off (10 ms doubling to 200 ms, reset when the image changes).
    BackOff,
}
