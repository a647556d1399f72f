//! The answer to "how is the quorum doing", Kafka's DescribeQuorum (KIP-595, KIP-836).

use tidelog_wire::Uuid;

/// State of the quorum as its leader knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quorum {
    pub leader_id: i32,
    pub leader_epoch: i32,
    /// End of what a majority has on disk.
    pub high_watermark: i64,
    pub voters: Vec<QuorumReplica>,
    /// Learners: brokers that do not vote, and voters catching up after a lost disk.
    pub observers: Vec<QuorumReplica>,
}

/// One node's progress. -1 is unknown; timestamps are in milliseconds since 1970 by the leader's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumReplica {
    pub node_id: i32,
    pub directory_id: Uuid,
    pub host: String,
    pub port: u16,
    pub log_end_offset: i64,
    pub last_fetch_timestamp_ms: i64,
    pub last_caught_up_timestamp_ms: i64,
}

/// The active controller could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no active controller answered: {0}")]
pub struct QuorumError(pub String);
