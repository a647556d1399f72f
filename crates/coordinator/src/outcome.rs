//! What an operation decided: records to append, answers to send, timers to book, in this order.

use bytes::Bytes;
use tidelog_wire::Str;
use tidelog_wire::messages::{
    ConsumerGroupHeartbeatResponse, HeartbeatResponse, JoinGroupResponse, LeaveGroupResponse, OffsetCommitResponse,
    OffsetDeleteResponse, SyncGroupResponse, consumer_group_describe_response, delete_groups_response,
    describe_groups_response, list_groups_response, offset_fetch_response,
};

/// The host's ticket for a request. An operation answers it in its own outcome or, for JoinGroup and SyncGroup,
/// in a later one; never twice, and never not at all while the coordinator lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The host appends the records first, sends the replies once the high watermark has passed everything this
/// coordinator has appended so far, and books the timers.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Outcome {
    /// Belong into one batch: all of them are in the log, or none.
    pub records: Vec<Record>,
    pub replies: Vec<Reply>,
    pub timers: Vec<TimerChange>,
}

/// One record of the offsets topic in Kafka's own format; without a value it is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub to: RequestId,
    pub response: Response,
}

/// An API's answer, or one group's part of it where a request names several.
#[derive(Clone, Debug, PartialEq)]
pub enum Response {
    JoinGroup(JoinGroupResponse),
    SyncGroup(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    LeaveGroup(LeaveGroupResponse),
    OffsetCommit(OffsetCommitResponse),
    OffsetFetch(offset_fetch_response::OffsetFetchResponseGroup),
    OffsetDelete(OffsetDeleteResponse),
    DescribeGroup(describe_groups_response::DescribedGroup),
    DeleteGroup(delete_groups_response::DeletableGroupResult),
    ListGroups(Vec<list_groups_response::ListedGroup>),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    ConsumerGroupDescribe(consumer_group_describe_response::DescribedGroup),
}

/// Each kind of response can be taken out of [`Response`]; whoever is not of the kind comes back.
macro_rules! kinds {
    ($($kind:ident($response:ty)),* $(,)?) => {
        $(impl TryFrom<Response> for $response {
            type Error = Response;

            fn try_from(response: Response) -> Result<Self, Response> {
                match response {
                    Response::$kind(response) => Ok(response),
                    other => Err(other),
                }
            }
        })*
    };
}
kinds! {
    JoinGroup(JoinGroupResponse),
    SyncGroup(SyncGroupResponse),
    Heartbeat(HeartbeatResponse),
    LeaveGroup(LeaveGroupResponse),
    OffsetCommit(OffsetCommitResponse),
    OffsetFetch(offset_fetch_response::OffsetFetchResponseGroup),
    OffsetDelete(OffsetDeleteResponse),
    DescribeGroup(describe_groups_response::DescribedGroup),
    DeleteGroup(delete_groups_response::DeletableGroupResult),
    ConsumerGroupHeartbeat(ConsumerGroupHeartbeatResponse),
    ConsumerGroupDescribe(consumer_group_describe_response::DescribedGroup),
}

/// What is due when a timer fires. A key has at most one timer: booking it again moves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TimerKey {
    /// A classic member may have been silent for its session timeout.
    Session { group: Str, member: Str },
    /// A member id was handed out and nobody has joined with it.
    PendingMember { group: Str, member: Str },
    /// A classic rebalance stops waiting for members.
    Rebalance { group: Str },
    /// Members of a classic generation that have not asked for their assignment are dropped.
    Sync { group: Str },
    /// A KIP-848 member may have been silent for its session timeout.
    ConsumerSession { group: Str, member: Str },
    /// A KIP-848 member has had its rebalance timeout to give up partitions.
    ConsumerRebalance { group: Str, member: Str },
    /// Offsets that nobody wants any more are looked for.
    OffsetExpiry,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerChange {
    pub key: TimerKey,
    /// On the clock of the operations' `now_ms`; `None` cancels.
    pub due_ms: Option<i64>,
}

impl Outcome {
    pub(crate) fn reply(&mut self, to: RequestId, response: Response) {
        self.replies.push(Reply { to, response });
    }

    pub(crate) fn book(&mut self, key: TimerKey, due_ms: i64) {
        self.timers.push(TimerChange { key, due_ms: Some(due_ms) });
    }

    pub(crate) fn cancel(&mut self, key: TimerKey) {
        self.timers.push(TimerChange { key, due_ms: None });
    }
}
