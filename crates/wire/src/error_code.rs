//! Every error code of the protocol, its name, and whether asking again may help.

use std::fmt;

/// An error code as it stands in a message. Codes newer than this table are kept as they came.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ErrorCode(pub i16);

struct Entry {
    code: ErrorCode,
    name: &'static str,
    is_retriable: bool,
    message: &'static str,
}

macro_rules! is_retriable {
    (retriable) => {
        true
    };
    () => {
        false
    };
}

macro_rules! error_codes {
    ($($name:ident $code:literal $($retriable:ident)? $message:literal;)*) => {
        impl ErrorCode {
            $(#[doc = $message] pub const $name: Self = Self($code);)*
        }

        /// Sorted by code without gaps, from -1.
        static ENTRIES: &[Entry] = &[$(Entry {
            code: ErrorCode::$name,
            name: stringify!($name),
            is_retriable: is_retriable!($($retriable)?),
            message: $message,
        }),*];
    };
}

error_codes! {
    UNKNOWN_SERVER_ERROR -1 "The broker failed in a way it has no code for.";
    NONE 0 "No error.";
    OFFSET_OUT_OF_RANGE 1 "The offset is outside the log of the partition.";
    CORRUPT_MESSAGE 2 retriable "The records are damaged: CRC, length or format is wrong.";
    UNKNOWN_TOPIC_OR_PARTITION 3 retriable "This broker does not know the topic or partition.";
    INVALID_FETCH_SIZE 4 "The fetch size is not valid.";
    LEADER_NOT_AVAILABLE 5 retriable "The partition has no leader at the moment.";
    NOT_LEADER_OR_FOLLOWER 6 retriable "This broker is not the leader, or not a replica, of the partition.";
    REQUEST_TIMED_OUT 7 retriable "The request was not completed in time.";
    BROKER_NOT_AVAILABLE 8 "The broker is not available.";
    REPLICA_NOT_AVAILABLE 9 retriable "The replica is not available.";
    MESSAGE_TOO_LARGE 10 "The request or a record batch is larger than the broker accepts.";
    STALE_CONTROLLER_EPOCH 11 "The controller's epoch has moved on.";
    OFFSET_METADATA_TOO_LARGE 12 "The metadata string of a committed offset is too long.";
    NETWORK_EXCEPTION 13 retriable "The connection broke before the response came.";
    COORDINATOR_LOAD_IN_PROGRESS 14 retriable "The coordinator is still loading its state.";
    COORDINATOR_NOT_AVAILABLE 15 retriable "The coordinator is not available.";
    NOT_COORDINATOR 16 retriable "This broker is not the coordinator of the group or transaction.";
    INVALID_TOPIC_EXCEPTION 17 "The topic name is not valid, or names an internal topic.";
    RECORD_LIST_TOO_LARGE 18 "The record batch is larger than the segment size allows.";
    NOT_ENOUGH_REPLICAS 19 retriable "The partition has fewer in-sync replicas than min.insync.replicas.";
    NOT_ENOUGH_REPLICAS_AFTER_APPEND 20 retriable "The records were written, but to fewer in-sync replicas than required.";
    INVALID_REQUIRED_ACKS 21 "acks must be -1, 0 or 1.";
    ILLEGAL_GENERATION 22 "The group's generation is not the member's.";
    INCONSISTENT_GROUP_PROTOCOL 23 "The member's protocols fit none of the group's.";
    INVALID_GROUP_ID 24 "The group id is not valid.";
    UNKNOWN_MEMBER_ID 25 "The coordinator does not know the member.";
    INVALID_SESSION_TIMEOUT 26 "The session timeout is outside the range that the broker allows.";
    REBALANCE_IN_PROGRESS 27 "The group is rebalancing; the member has to rejoin.";
    INVALID_COMMIT_OFFSET_SIZE 28 "The committed offsets are too large.";
    TOPIC_AUTHORIZATION_FAILED 29 "Not authorized for the topic.";
    GROUP_AUTHORIZATION_FAILED 30 "Not authorized for the group.";
    CLUSTER_AUTHORIZATION_FAILED 31 "Not authorized for the cluster.";
    INVALID_TIMESTAMP 32 "The timestamp of a record is too far from the broker's clock.";
    UNSUPPORTED_SASL_MECHANISM 33 "The broker does not offer this SASL mechanism.";
    ILLEGAL_SASL_STATE 34 "The request does not fit the state of the SASL exchange.";
    UNSUPPORTED_VERSION 35 "The broker does not serve this version of the API.";
    TOPIC_ALREADY_EXISTS 36 "A topic of this name exists.";
    INVALID_PARTITIONS 37 "The number of partitions is not valid.";
    INVALID_REPLICATION_FACTOR 38 "The replication factor is not positive, or larger than the number of brokers.";
    INVALID_REPLICA_ASSIGNMENT 39 "The replica assignment is not valid.";
    INVALID_CONFIG 40 "The configuration is not valid.";
    NOT_CONTROLLER 41 retriable "This node is not the active controller.";
    INVALID_REQUEST 42 "The request contradicts itself or misses something.";
    UNSUPPORTED_FOR_MESSAGE_FORMAT 43 "The message format does not support the request.";
    POLICY_VIOLATION 44 "The request violates a policy of the cluster.";
    OUT_OF_ORDER_SEQUENCE_NUMBER 45 "The sequence number of the producer does not follow the last one.";
    DUPLICATE_SEQUENCE_NUMBER 46 "The sequence number of the producer was seen before.";
    INVALID_PRODUCER_EPOCH 47 "A newer producer has taken the place of this one.";
    INVALID_TXN_STATE 48 "The transaction's state does not allow the operation.";
    INVALID_PRODUCER_ID_MAPPING 49 "The producer id does not belong to the transactional id.";
    INVALID_TRANSACTION_TIMEOUT 50 "The transaction timeout exceeds transaction.max.timeout.ms.";
    CONCURRENT_TRANSACTIONS 51 retriable "Another operation on the same transaction is under way.";
    TRANSACTION_COORDINATOR_FENCED 52 "A newer transaction coordinator has taken over.";
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED 53 "Not authorized for the transactional id.";
    SECURITY_DISABLED 54 "Security features are not enabled.";
    OPERATION_NOT_ATTEMPTED 55 "The operation was not tried, because something before it failed.";
    KAFKA_STORAGE_ERROR 56 retriable "The disk failed under the partition.";
    LOG_DIR_NOT_FOUND 57 "The log directory is not among the broker's.";
    SASL_AUTHENTICATION_FAILED 58 "The credentials were not accepted.";
    UNKNOWN_PRODUCER_ID 59 "The broker has no state for the producer id.";
    REASSIGNMENT_IN_PROGRESS 60 "A reassignment of the partition is under way.";
    DELEGATION_TOKEN_AUTH_DISABLED 61 "Delegation tokens are not enabled.";
    DELEGATION_TOKEN_NOT_FOUND 62 "The delegation token is not known.";
    DELEGATION_TOKEN_OWNER_MISMATCH 63 "The delegation token belongs to somebody else.";
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED 64 "Delegation tokens are not handed out over this connection.";
    DELEGATION_TOKEN_AUTHORIZATION_FAILED 65 "Not authorized for the delegation token.";
    DELEGATION_TOKEN_EXPIRED 66 "The delegation token has expired.";
    INVALID_PRINCIPAL_TYPE 67 "The type of principal is not supported.";
    NON_EMPTY_GROUP 68 "The group still has members.";
    GROUP_ID_NOT_FOUND 69 "There is no group of this id.";
    FETCH_SESSION_ID_NOT_FOUND 70 retriable "The fetch session is not known.";
    INVALID_FETCH_SESSION_EPOCH 71 retriable "The epoch of the fetch session is not the next one.";
    LISTENER_NOT_FOUND 72 retriable "The leader has no listener of this name.";
    TOPIC_DELETION_DISABLED 73 "Deleting topics is not enabled.";
    FENCED_LEADER_EPOCH 74 retriable "The leader epoch in the request is older than the broker's.";
    UNKNOWN_LEADER_EPOCH 75 retriable "The leader epoch in the request is newer than the broker's.";
    UNSUPPORTED_COMPRESSION_TYPE 76 "The client cannot read this compression type.";
    STALE_BROKER_EPOCH 77 "The broker's epoch is not that of its last registration.";
    OFFSET_NOT_AVAILABLE 78 retriable "The leader has not caught up with the high watermark yet.";
    MEMBER_ID_REQUIRED 79 "The member must join again with the id it was given.";
    PREFERRED_LEADER_NOT_AVAILABLE 80 retriable "The preferred leader is not available.";
    GROUP_MAX_SIZE_REACHED 81 "The group is full.";
    FENCED_INSTANCE_ID 82 "Another member has taken this group instance id.";
    ELIGIBLE_LEADERS_NOT_AVAILABLE 83 retriable "No eligible leader is available.";
    ELECTION_NOT_NEEDED 84 retriable "The partition needs no election.";
    NO_REASSIGNMENT_IN_PROGRESS 85 "No reassignment is under way.";
    GROUP_SUBSCRIBED_TO_TOPIC 86 "The group is subscribed to the topic.";
    INVALID_RECORD 87 "The broker refused a record of the batch.";
    UNSTABLE_OFFSET_COMMIT 88 retriable "Offsets of an open transaction are not stable yet.";
    THROTTLING_QUOTA_EXCEEDED 89 retriable "A quota is used up for now.";
    PRODUCER_FENCED 90 "A newer producer with the same transactional id has started.";
    RESOURCE_NOT_FOUND 91 "The resource does not exist.";
    DUPLICATE_RESOURCE 92 "The request names a resource twice.";
    UNACCEPTABLE_CREDENTIAL 93 "The credential does not meet the requirements.";
    INCONSISTENT_VOTER_SET 94 "The sets of voters do not agree.";
    INVALID_UPDATE_VERSION 95 "The feature's version is not valid.";
    FEATURE_UPDATE_FAILED 96 "The features could not be updated.";
    PRINCIPAL_DESERIALIZATION_FAILURE 97 "The forwarded principal cannot be read.";
    SNAPSHOT_NOT_FOUND 98 "The snapshot does not exist.";
    POSITION_OUT_OF_RANGE 99 "The position lies outside the snapshot.";
    UNKNOWN_TOPIC_ID 100 retriable "This broker does not know the topic id.";
    DUPLICATE_BROKER_REGISTRATION 101 "A broker of this id is registered and alive.";
    BROKER_ID_NOT_REGISTERED 102 "No broker of this id is registered.";
    INCONSISTENT_TOPIC_ID 103 retriable "The topic id is not that of the log.";
    INCONSISTENT_CLUSTER_ID 104 "The cluster id is not that of this cluster.";
    TRANSACTIONAL_ID_NOT_FOUND 105 "The transactional id is not known.";
    FETCH_SESSION_TOPIC_ID_ERROR 106 retriable "The fetch session mixes topics with and without ids.";
    INELIGIBLE_REPLICA 107 "A replica may not join the in-sync replicas now.";
    NEW_LEADER_ELECTED 108 "The change of replicas made another broker the leader.";
    OFFSET_MOVED_TO_TIERED_STORAGE 109 "The offset has moved to tiered storage.";
    FENCED_MEMBER_EPOCH 110 "The member's epoch has been fenced by the coordinator.";
    UNRELEASED_INSTANCE_ID 111 "The group instance id is still in use by another member.";
    UNSUPPORTED_ASSIGNOR 112 "The group does not support the assignor.";
    STALE_MEMBER_EPOCH 113 "The member's epoch is not the current one.";
    MISMATCHED_ENDPOINT_TYPE 114 "The request came in on the wrong kind of endpoint.";
    UNSUPPORTED_ENDPOINT_TYPE 115 "The kind of endpoint is not known.";
    UNKNOWN_CONTROLLER_ID 116 "No controller of this id is known.";
    UNKNOWN_SUBSCRIPTION_ID 117 "The telemetry subscription is not the current one.";
    TELEMETRY_TOO_LARGE 118 "The pushed telemetry is too large.";
    INVALID_REGISTRATION 119 "The registration is not valid.";
    TRANSACTION_ABORTABLE 120 "The transaction cannot go on and must be aborted.";
    INVALID_RECORD_STATE 121 "The record is not in a state that allows this acknowledgement.";
    SHARE_SESSION_NOT_FOUND 122 retriable "The share session is not known.";
    INVALID_SHARE_SESSION_EPOCH 123 retriable "The epoch of the share session is not the next one.";
    FENCED_STATE_EPOCH 124 "The state epoch of the share partition has been fenced.";
    INVALID_VOTER_KEY 125 "The voter's directory id does not match.";
    DUPLICATE_VOTER 126 "The voter is in the set already.";
    VOTER_NOT_FOUND 127 "The voter is not in the set.";
    INVALID_REGULAR_EXPRESSION 128 "The regular expression is not valid.";
    REBOOTSTRAP_REQUIRED 129 "The client has to start over from its bootstrap servers.";
    STREAMS_INVALID_TOPOLOGY 130 "The Streams topology is not valid.";
    STREAMS_INVALID_TOPOLOGY_EPOCH 131 "The epoch of the Streams topology is not valid.";
    STREAMS_TOPOLOGY_FENCED 132 "The epoch of the Streams topology is outdated.";
    SHARE_SESSION_LIMIT_REACHED 133 retriable "The broker holds as many share sessions as it may.";
}

impl ErrorCode {
    /// Kafka's name for the code; `UNKNOWN_ERROR_CODE` for codes newer than this table.
    pub fn name(self) -> &'static str {
        self.entry().map_or("UNKNOWN_ERROR_CODE", |entry| entry.name)
    }

    /// A sentence for people.
    pub fn message(self) -> &'static str {
        self.entry().map_or("An error code this version does not know.", |entry| entry.message)
    }

    /// Whether Kafka's own clients try the same request again.
    pub fn is_retriable(self) -> bool {
        self.entry().is_some_and(|entry| entry.is_retriable)
    }

    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    pub const fn is_error(self) -> bool {
        self.0 != 0
    }

    /// `Err(self)` unless the code is `NONE`.
    pub const fn ok(self) -> Result<(), Self> {
        if self.is_none() { Ok(()) } else { Err(self) }
    }

    fn entry(self) -> Option<&'static Entry> {
        let index = usize::try_from(i32::from(self.0) + 1).ok()?;
        let entry = ENTRIES.get(index)?;
        debug_assert_eq!(entry.code, self, "the table has no gaps");
        Some(entry)
    }
}

impl From<i16> for ErrorCode {
    fn from(code: i16) -> Self {
        Self(code)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.entry() {
            Some(entry) => f.pad(entry.name),
            None => write!(f, "UNKNOWN_ERROR_CODE({})", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ErrorCode {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_no_gaps() {
        for (index, entry) in ENTRIES.iter().enumerate() {
            assert_eq!(entry.code.0, index as i16 - 1, "{}", entry.name);
        }
    }

    #[test]
    fn codes_have_kafkas_names() {
        let table = [
            (-1, "UNKNOWN_SERVER_ERROR", false),
            (0, "NONE", false),
            (6, "NOT_LEADER_OR_FOLLOWER", true),
            (19, "NOT_ENOUGH_REPLICAS", true),
            (35, "UNSUPPORTED_VERSION", false),
            (45, "OUT_OF_ORDER_SEQUENCE_NUMBER", false),
            (77, "STALE_BROKER_EPOCH", false),
            (103, "INCONSISTENT_TOPIC_ID", true),
            (133, "SHARE_SESSION_LIMIT_REACHED", true),
            (134, "UNKNOWN_ERROR_CODE", false),
            (-2, "UNKNOWN_ERROR_CODE", false),
            (i16::MAX, "UNKNOWN_ERROR_CODE", false),
            (i16::MIN, "UNKNOWN_ERROR_CODE", false),
        ];
        for (code, name, is_retriable) in table {
            assert_eq!(ErrorCode(code).name(), name);
            assert_eq!(ErrorCode(code).is_retriable(), is_retriable, "{name}");
        }
    }
}
