//! Changes in place. Each takes a batch whose header was parsed; a shorter slice is a programmer's error.

use super::{CRC_START, HEADER_SIZE, crc32c};
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

/// Computes the CRC of a whole batch and stores it.
pub fn seal(batch: &mut [u8]) {
    let crc = crc32c(&batch[CRC_START..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
}
