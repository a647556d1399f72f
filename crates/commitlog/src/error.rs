//! What can go wrong below a log, and what the caller can do about it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use tidelog_wire::compression::CompressionError;
use tidelog_wire::record::RecordError;
use tidelog_wire::types::{LeaderEpoch, Offset};

/// Failure of the storage under a log. Everything but `DiskFull` needs an operator or another replica.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// This or an earlier write or sync failed. The whole log directory is out of use until a restart; what was not
    /// yet durable may or may not be on disk.
    #[error("log directory {path} is offline: {reason}")]
    Offline { path: PathBuf, reason: String },
    /// The file system is down to its reserve. Nothing was appended; the same call may succeed later.
    #[error(
        "the disk of {path} is full: its last {} MiB are reserved for metadata and recovery (log.dir.reserve.bytes)",
        reserve_bytes >> 20
    )]
    DiskFull { path: PathBuf, reserve_bytes: u64 },
    /// A file could not be read. Others may still be readable.
    #[error("cannot {action} {path}: {reason}")]
    Read { action: &'static str, path: PathBuf, reason: String },
    /// Bytes that were durable are no longer what was written. They are kept; see [`crate::Log::damage`].
    #[error("{path} is damaged at byte {position} (offset {offset}): {reason}")]
    Damaged { path: PathBuf, position: u64, offset: Offset, reason: String },
    /// The directory of this name belongs to a topic with another id: delete that one first.
    #[error("{path} belongs to topic id {found}, not {expected}")]
    TopicIdMismatch { path: PathBuf, expected: tidelog_wire::Uuid, found: tidelog_wire::Uuid },
}

impl StorageError {
    pub(crate) fn read(action: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Read { action, path: path.to_owned(), reason: error.to_string() }
    }
}

/// Why an append was refused. Nothing of the refused batch is in the log.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Batch(#[from] InvalidBatch),
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The leader's epoch is older than one the log has seen.
    #[error("leader epoch {epoch} is older than the log's {latest}")]
    StaleEpoch { epoch: LeaderEpoch, latest: LeaderEpoch },
    /// A follower's append that does not continue its log.
    #[error("batch at offset {base_offset} does not continue the log, which ends at {log_end}")]
    OutOfOrder { base_offset: Offset, log_end: Offset },
}

/// A batch that breaks a rule, one variant for each (Kafka's `LogValidator`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBatch {
    /// Wire code CORRUPT_MESSAGE.
    #[error("batch is cut short or its length field is wrong")]
    Truncated,
    /// CORRUPT_MESSAGE.
    #[error("batch checksum does not match")]
    BadCrc,
    /// UNSUPPORTED_FOR_MESSAGE_FORMAT.
    #[error("message format {0} is not supported, only 2 is")]
    UnsupportedMagic(i8),
    /// INVALID_RECORD.
    #[error("a produce request holds exactly one batch per partition")]
    NotOneBatch,
    /// MESSAGE_TOO_LARGE.
    #[error("batch of {size} bytes exceeds max.message.bytes {max}")]
    TooLarge { size: usize, max: u32 },
    /// MESSAGE_TOO_LARGE, so that Java's producer splits the batch.
    #[error("the batch's records are larger than {max} bytes when decompressed")]
    TooLargeDecompressed { max: usize },
    /// RECORD_LIST_TOO_LARGE.
    #[error("batch of {size} bytes exceeds segment.bytes {max}")]
    LargerThanSegment { size: usize, max: u32 },
    /// INVALID_RECORD.
    #[error("batch says it has {0} records")]
    RecordCount(i32),
    /// INVALID_RECORD.
    #[error("last offset delta {last_offset_delta} does not match {record_count} records")]
    LastOffsetDelta { last_offset_delta: i32, record_count: i32 },
    /// INVALID_RECORD.
    #[error("batch starts at offset {0}, a producer's starts at 0")]
    BaseOffset(i64),
    /// INVALID_RECORD.
    #[error("control batches are not taken from clients")]
    ControlFromClient,
    /// INVALID_RECORD.
    #[error("producer id {producer_id}, epoch {producer_epoch}, sequence {base_sequence} do not fit together")]
    ProducerFields { producer_id: i64, producer_epoch: i16, base_sequence: i32 },
    /// INVALID_TIMESTAMP.
    #[error("timestamp {timestamp} is outside what the topic accepts at {now_ms}")]
    Timestamp { timestamp: i64, now_ms: i64 },
    /// INVALID_TIMESTAMP.
    #[error("a producer may not set the timestamp type LogAppendTime")]
    LogAppendTimeFromClient,
    /// UNSUPPORTED_COMPRESSION_TYPE or INVALID_RECORD.
    #[error("unknown compression codec {0}")]
    UnknownCompression(i16),
    /// INVALID_TIMESTAMP if a timestamp is among them, else INVALID_RECORD. Never empty; of very many the first.
    #[error("{} of the batch's records cannot be taken: {}", .0.len(), FirstRejected(.0))]
    Records(Vec<RejectedRecord>),
    /// INVALID_RECORD.
    #[error("record {index} of the batch cannot be read: {error}")]
    UnreadableRecord { index: i32, error: RecordError },
    /// INVALID_RECORD.
    #[error("the batch's records cannot be read: {0}")]
    Compression(CompressionError),
    /// INVALID_RECORD.
    #[error("batch header field {0} is out of range")]
    BadField(&'static str),
}

/// One record that a topic does not take (KIP-467).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Its place in the batch, from 0.
    pub index: i32,
    pub rule: RecordRule,
}

/// What a record must be for its topic, one variant for each rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordRule {
    /// INVALID_RECORD.
    #[error("a compacted topic takes no record without a key")]
    Key,
    /// INVALID_TIMESTAMP.
    #[error("timestamp {timestamp} is outside what the topic accepts, {earliest} to {latest}")]
    Timestamp { timestamp: i64, earliest: i64, latest: i64 },
}

/// Those that fit into a sentence.
struct FirstRejected<'a>(&'a [RejectedRecord]);

impl fmt::Display for FirstRejected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 3;
        for (place, record) in self.0.iter().take(SHOWN_MAX).enumerate() {
            let separator = if place == 0 { "" } else { "; " };
            write!(f, "{separator}record {}: {}", record.index, record.rule)?;
        }
        Ok(())
    }
}

/// A producer's batch that its state forbids (KIP-98).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProducerError {
    /// INVALID_PRODUCER_EPOCH.
    #[error("producer {producer_id} with epoch {epoch} is fenced by epoch {current}")]
    Fenced { producer_id: i64, epoch: i16, current: i16 },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER.
    #[error("producer {producer_id} sent sequence {sequence}, expected {expected}")]
    OutOfOrderSequence { producer_id: i64, sequence: i32, expected: i32 },
    /// OUT_OF_ORDER_SEQUENCE_NUMBER: a new epoch of a known producer starts at 0.
    #[error("producer {producer_id} starts its new epoch {epoch} with sequence {sequence}")]
    NewEpochNotAtZero { producer_id: i64, epoch: i16, sequence: i32 },
}

/// Why a read returned nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReadError {
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// OFFSET_NOT_AVAILABLE: to be read again.
    #[error("the segment was replaced or deleted while it was read")]
    Replaced,
    /// OFFSET_OUT_OF_RANGE.
    #[error("offset {offset} is outside {log_start}..={log_end}")]
    OutOfRange { offset: Offset, log_start: Offset, log_end: Offset },
}
