//! What a refusal looks like on the wire: one exhaustive mapping per error type below.

use tidelog_commitlog::{
    AppendError, InvalidBatch, ProducerError, ReadError, RecordRule, RejectedRecord, StorageError,
};
use tidelog_replication::{AckError, FetchError, ProduceError};
use tidelog_wire::types::Offset;
use tidelog_wire::{ErrorCode, Str};

/// Kafka's code, and a sentence where the code alone would leave a user guessing.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub code: ErrorCode,
    pub message: Option<Str>,
    /// Where the log starts, if the producer is told.
    pub log_start: Option<Offset>,
    /// The records at fault, if it is theirs alone.
    pub rejected: Vec<RejectedRecord>,
}

impl Refusal {
    pub(crate) fn of(code: ErrorCode) -> Self {
        Self { code, message: None, log_start: None, rejected: Vec::new() }
    }

    fn explained(code: ErrorCode, reason: &impl ToString) -> Self {
        Self { message: Some(Str::from(reason.to_string())), ..Self::of(code) }
    }

    /// The produce request is too old for what it brings.
    pub(crate) fn codec_of_later_version(version: i16) -> Self {
        let reason = format!("produce requests of version {version} may not bring zstd, those from version 7 on may");
        Self::explained(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE, &reason)
    }

    /// Why nothing was appended to a log that starts at `log_start`.
    pub(super) fn of_append(error: &AppendError, log_start: Offset) -> Self {
        let mut refusal = Self::from(error);
        refusal.log_start = tells_log_start(error).then_some(log_start);
        if let AppendError::Batch(InvalidBatch::Records(rejected)) = error {
            refusal.rejected.clone_from(rejected);
        }
        refusal
    }
}

impl From<ProduceError> for Refusal {
    fn from(error: ProduceError) -> Self {
        Self::of(match error {
            ProduceError::NotLeaderOrFollower => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            ProduceError::NotEnoughReplicas => ErrorCode::NOT_ENOUGH_REPLICAS,
        })
    }
}

impl From<AckError> for Refusal {
    fn from(error: AckError) -> Self {
        Self::of(match error {
            AckError::NotLeaderOrFollower => ErrorCode::NOT_LEADER_OR_FOLLOWER,
            AckError::NotEnoughReplicasAfterAppend => ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND,
            AckError::RequestTimedOut => ErrorCode::REQUEST_TIMED_OUT,
        })
    }
}

impl From<&AppendError> for Refusal {
    fn from(error: &AppendError) -> Self {
        match error {
            AppendError::Storage(error) => Self::explained(storage_error_code(error), error),
            AppendError::Batch(error) => Self::explained(batch_error_code(error), error),
            AppendError::Producer(error) => Self::explained(producer_error_code(error), error),
            AppendError::StaleEpoch { .. } => Self::of(ErrorCode::NOT_LEADER_OR_FOLLOWER),
            AppendError::OutOfOrder { .. } => Self::explained(ErrorCode::UNKNOWN_SERVER_ERROR, error),
        }
    }
}

/// As Kafka does: not where the request or the broker is at fault rather than what the records say.
fn tells_log_start(error: &AppendError) -> bool {
    match error {
        AppendError::Storage(_) | AppendError::StaleEpoch { .. } => false,
        AppendError::Producer(_) | AppendError::OutOfOrder { .. } => true,
        AppendError::Batch(error) => !matches!(
            error,
            InvalidBatch::Truncated
                | InvalidBatch::BadCrc
                | InvalidBatch::NotOneBatch
                | InvalidBatch::UnsupportedMagic(_)
                | InvalidBatch::TooLarge { .. }
                | InvalidBatch::TooLargeDecompressed { .. }
                | InvalidBatch::LargerThanSegment { .. }
        ),
    }
}

fn storage_error_code(error: &StorageError) -> ErrorCode {
    match error {
        StorageError::Offline { .. }
        | StorageError::DiskFull { .. }
        | StorageError::Read { .. }
        | StorageError::Damaged { .. }
        | StorageError::TopicIdMismatch { .. } => ErrorCode::KAFKA_STORAGE_ERROR,
    }
}

fn batch_error_code(error: &InvalidBatch) -> ErrorCode {
    match error {
        InvalidBatch::Truncated | InvalidBatch::BadCrc => ErrorCode::CORRUPT_MESSAGE,
        InvalidBatch::UnsupportedMagic(_) => ErrorCode::UNSUPPORTED_FOR_MESSAGE_FORMAT,
        InvalidBatch::TooLarge { .. } | InvalidBatch::TooLargeDecompressed { .. } => ErrorCode::MESSAGE_TOO_LARGE,
        InvalidBatch::LargerThanSegment { .. } => ErrorCode::RECORD_LIST_TOO_LARGE,
        InvalidBatch::Timestamp { .. } | InvalidBatch::LogAppendTimeFromClient => ErrorCode::INVALID_TIMESTAMP,
        InvalidBatch::UnknownCompression(_) => ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
        InvalidBatch::Records(rejected) => records_error_code(rejected),
        InvalidBatch::NotOneBatch
        | InvalidBatch::UnreadableRecord { .. }
        | InvalidBatch::Compression(_)
        | InvalidBatch::BadField(_)
        | InvalidBatch::RecordCount(_)
        | InvalidBatch::LastOffsetDelta { .. }
        | InvalidBatch::BaseOffset(_)
        | InvalidBatch::ControlFromClient
        | InvalidBatch::ProducerFields { .. } => ErrorCode::INVALID_RECORD,
    }
}

fn records_error_code(rejected: &[RejectedRecord]) -> ErrorCode {
    let is_timestamp = |record: &RejectedRecord| match record.rule {
        RecordRule::Timestamp { .. } => true,
        RecordRule::Key => false,
    };
    match rejected.iter().any(is_timestamp) {
        true => ErrorCode::INVALID_TIMESTAMP,
        false => ErrorCode::INVALID_RECORD,
    }
}

fn producer_error_code(error: &ProducerError) -> ErrorCode {
    match error {
        ProducerError::Fenced { .. } => ErrorCode::INVALID_PRODUCER_EPOCH,
        ProducerError::OutOfOrderSequence { .. } | ProducerError::NewEpochNotAtZero { .. } => {
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
        }
    }
}

pub(crate) fn fetch_error_code(error: FetchError) -> ErrorCode {
    match error {
        FetchError::NotLeaderOrFollower => ErrorCode::NOT_LEADER_OR_FOLLOWER,
        FetchError::FencedLeaderEpoch => ErrorCode::FENCED_LEADER_EPOCH,
        FetchError::UnknownLeaderEpoch => ErrorCode::UNKNOWN_LEADER_EPOCH,
        FetchError::OffsetOutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
        FetchError::OffsetNotAvailable => ErrorCode::OFFSET_NOT_AVAILABLE,
    }
}

pub(crate) fn read_error_code(error: &ReadError) -> ErrorCode {
    match error {
        ReadError::Storage(error) => storage_error_code(error),
        ReadError::Replaced => ErrorCode::OFFSET_NOT_AVAILABLE,
        ReadError::OutOfRange { .. } => ErrorCode::OFFSET_OUT_OF_RANGE,
    }
}
