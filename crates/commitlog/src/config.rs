//! The part of a topic's configuration that a partition's log obeys. Names and units are Kafka's.

use tidelog_wire::record_batch::TimestampType;

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
    /// Size limit of one batch as it came from the producer.
    pub max_message_bytes: u32,
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
            timestamp_type: TimestampType::CreateTime,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            write_caching: false,
        }
    }
}
