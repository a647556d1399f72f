//! Changes in place. Each takes a batch whose header was parsed; a shorter slice is a programmer's error.

use super::{Attributes, CRC_START, HEADER_SIZE, TimestampType, crc32c};
use crate::types::{LeaderEpoch, Offset};

/// Needs the header only (61 bytes), so that a log can stamp a copy of the header and write the records from where they are.
pub fn set_base_offset(batch: &mut [u8], base_offset: Offset) {
    assert!(batch.len() >= HEADER_SIZE, "a batch is at least its header");
    batch[0..8].copy_from_slice(&base_offset.0.to_be_bytes());
}

/// Needs the header only (61 bytes), like [`set_base_offset`].
pub fn set_partition_leader_epoch(batch: &mut [u8], epoch: LeaderEpoch) {
    assert!(batch.len() >= HEADER_SIZE, "a batch is at least its header");
    batch[12..16].copy_from_slice(&epoch.0.to_be_bytes());
}

/// Gives all records of a batch the broker's time: timestamp type and max timestamp, then the CRC, for which
/// `batch` must be exactly the whole batch.
pub fn set_log_append_time(batch: &mut [u8], now_ms: i64) {
    assert!(batch.len() >= HEADER_SIZE, "a batch is at least its header");
    let attributes = Attributes(i16::from_be_bytes([batch[21], batch[22]]));
    let attributes = attributes.with_timestamp_type(TimestampType::LogAppendTime);
    batch[21..23].copy_from_slice(&attributes.0.to_be_bytes());
    batch[35..43].copy_from_slice(&now_ms.to_be_bytes());
    seal(batch);
}

/// Computes the CRC of a whole batch and stores it.
pub fn seal(batch: &mut [u8]) {
    let crc = crc32c(&batch[CRC_START..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}
