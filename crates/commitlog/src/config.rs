//! The part of a topic's configuration that a partition's log obeys. Names and units are Kafka's.

use std::ops::RangeInclusive;

use tidelog_wire::compression::Compression;
use tidelog_wire::record_batch::TimestampType;

/// A batch may always decompress to so much.
const DECOMPRESSED_BYTES_MIN: usize = 64 << 20;
/// And to so many times `max.message.bytes`.
const DECOMPRESSED_RATIO: usize = 8;

/// `compression.type`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoredCompression {
    /// As the producer sent it.
    Producer,
    /// What comes otherwise is compressed again, with this level if it is set.
    As { codec: Compression, level: Option<i32> },
}

/// `record.validation`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordValidation {
    /// Every record of a client's batch is looked at.
    Full,
    /// The batch's header is believed, except in compacted topics.
    Header,
}

/// Topic configuration of one log. Validated by whoever built it; the defaults are Kafka's.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// A segment that would grow beyond this is closed first.
    pub segment_bytes: u32,
    /// A segment is closed this long after its first record's timestamp.
    pub segment_ms: i64,
    /// Up to this much is taken off `segment_ms`, differently for every segment.
    pub segment_jitter_ms: i64,
    /// Size limit of one index file; a segment whose index is full is closed.
    pub segment_index_bytes: u32,
    /// At most one index entry per this many log bytes.
    pub index_interval_bytes: u32,
    /// `cleanup.policy` contains `delete`: retention by time and size applies.
    pub cleanup_delete: bool,
    /// `cleanup.policy` contains `compact`: of every key only the last record stays, and every record has one.
    pub cleanup_compact: bool,
    /// Share of the log that has to be dirty before it is compacted.
    pub min_cleanable_dirty_ratio: f64,
    /// Records younger than this are not compacted.
    pub min_compaction_lag_ms: i64,
    /// Records older than this are compacted however little is dirty; segments are closed for it.
    pub max_compaction_lag_ms: i64,
    /// How long after the first compaction a tombstone stays.
    pub delete_retention_ms: i64,
    /// Negative: no limit.
    pub retention_ms: i64,
    /// Negative: no limit.
    pub retention_bytes: i64,
    /// How long the files of a deleted segment stay, renamed to `.deleted`.
    pub file_delete_delay_ms: i64,
    /// Size limit of one batch, as it came from the producer and as it is stored.
    pub max_message_bytes: u32,
    pub compression: StoredCompression,
    pub record_validation: RecordValidation,
    pub timestamp_type: TimestampType,
    /// How far a CreateTime may lie before the broker's clock.
    pub timestamp_before_max_ms: i64,
    /// How far a CreateTime may lie after the broker's clock.
    pub timestamp_after_max_ms: i64,
    /// The page cache counts as written: `durable_end` follows the log end without a sync.
    pub write_caching: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            cleanup_delete: true,
            cleanup_compact: false,
            min_cleanable_dirty_ratio: 0.5,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            delete_retention_ms: 86_400_000,
            retention_ms: 604_800_000,
            retention_bytes: -1,
            file_delete_delay_ms: 60_000,
            max_message_bytes: 1_048_588,
            compression: StoredCompression::Producer,
            record_validation: RecordValidation::Full,
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            write_caching: false,
        }
    }
}

impl LogConfig {
    /// What the records of one batch may take when they are decompressed. Kafka has no such limit; what its producers make
    /// of text stays far below.
    pub(crate) fn decompressed_bytes_max(&self) -> usize {
        let in_proportion = (self.max_message_bytes as usize).saturating_mul(DECOMPRESSED_RATIO);
        in_proportion.clamp(DECOMPRESSED_BYTES_MIN, i32::MAX as usize)
    }

    /// The timestamps that a record may bring.
    pub(crate) fn accepted_timestamps(&self, now_ms: i64) -> RangeInclusive<i64> {
        match self.timestamp_type {
            TimestampType::LogAppendTime => i64::MIN..=i64::MAX,
            TimestampType::CreateTime => {
                let earliest = now_ms.saturating_sub(self.timestamp_before_max_ms);
                earliest..=now_ms.saturating_add(self.timestamp_after_max_ms)
            }
        }
    }
}
