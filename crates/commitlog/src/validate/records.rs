//! The rules for the records of a batch, one by one.

use std::ops::RangeInclusive;

use tidelog_wire::compression::CompressionError;
use tidelog_wire::record::{RawRecord, RecordError};
use tidelog_wire::record_batch::BatchHeader;

use super::header::NO_TIMESTAMP;
use crate::config::LogConfig;
use crate::error::{InvalidBatch, RecordRule, RejectedRecord};

/// Sees a batch's records in order.
pub(super) struct Records<'a> {
    header: &'a BatchHeader,
    needs_key: bool,
    accepted_timestamps: RangeInclusive<i64>,
    /// Index of the next record.
    next: i32,
    max_timestamp: i64,
    rejected: Vec<RejectedRecord>,
    rejected_max: usize,
}

impl<'a> Records<'a> {
    pub(super) fn new(header: &'a BatchHeader, size_in_bytes: usize, config: &LogConfig, now_ms: i64) -> Self {
        Self {
            header,
            needs_key: config.cleanup_compact,
            accepted_timestamps: config.accepted_timestamps(now_ms),
            next: 0,
            max_timestamp: NO_TIMESTAMP,
            rejected: Vec::new(),
            // An answer names each of them in a sentence: it stays small beside the request.
            rejected_max: 4 + size_in_bytes / 32,
        }
    }

    /// Judges the next record. An error means that no consumer could make sense of it.
    pub(super) fn visit(&mut self, record: &RawRecord<'_>) -> Result<(), RecordError> {
        if self.next == self.header.record_count {
            return Err(RecordError::Count(self.header.record_count));
        }
        if record.offset_delta != self.next {
            return Err(RecordError::OffsetDelta(record.offset_delta));
        }
        // What does not fit is far outside of what is accepted.
        let timestamp = self.header.base_timestamp.saturating_add(record.timestamp_delta);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        if self.needs_key && record.key.is_none() {
            self.reject(RecordRule::Key);
        } else if timestamp != NO_TIMESTAMP && !self.accepted_timestamps.contains(&timestamp) {
            let (earliest, latest) = (*self.accepted_timestamps.start(), *self.accepted_timestamps.end());
            self.reject(RecordRule::Timestamp { timestamp, earliest, latest });
        }
        self.next += 1;
        Ok(())
    }

    fn reject(&mut self, rule: RecordRule) {
        if self.rejected.len() < self.rejected_max {
            self.rejected.push(RejectedRecord { index: self.next, rule });
        }
    }

    /// The greatest timestamp, once all were seen.
    pub(super) fn max_timestamp(self) -> Result<i64, InvalidBatch> {
        if self.next != self.header.record_count {
            return Err(self.unreadable(RecordError::Count(self.header.record_count)));
        }
        match self.rejected.is_empty() {
            true => Ok(self.max_timestamp),
            false => Err(InvalidBatch::Records(self.rejected)),
        }
    }

    /// What to call an error at the next record.
    pub(super) fn unreadable(&self, error: RecordError) -> InvalidBatch {
        match error {
            RecordError::Compression(error) => error.into(),
            error => InvalidBatch::UnreadableRecord { index: self.next, error },
        }
    }
}

impl From<CompressionError> for InvalidBatch {
    fn from(error: CompressionError) -> Self {
        match error {
            CompressionError::TooLarge { max_bytes } => Self::TooLargeDecompressed { max: max_bytes },
            CompressionError::Corrupt(_) | CompressionError::Failed(_) => Self::Compression(error),
        }
    }
}
