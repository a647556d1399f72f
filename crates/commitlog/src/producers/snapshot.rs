//! A snapshot of the producers, in Kafka's format (`ProducerSnapshot`, version 1).
//!
//! ```text
//! version i16 | CRC32C u32 of what follows | count i32 | entries of 46 bytes: producer id i64, epoch i16,
//! last sequence i32, last offset i64, offset delta i32, timestamp i64, coordinator epoch i32,
//! first offset of the open transaction i64
//! ```
//! Only the last of a producer's batches fits in.

use bytes::{Buf, BufMut};
use tidelog_wire::types::{Offset, ProducerEpoch, ProducerId};

use super::{AppendedBatch, Producer, Producers};
use crate::marks::crc32c;

const VERSION: i16 = 1;
const CRC_END: usize = 6;
const ENTRY_BYTES: usize = 46;

impl Producers {
    pub(crate) fn to_snapshot(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CRC_END + 4 + self.entries.len() * ENTRY_BYTES);
        bytes.put_i16(VERSION);
        bytes.put_u32(0);
        bytes.put_i32(i32::try_from(self.entries.len()).unwrap_or(i32::MAX));
        for (id, producer) in &self.entries {
            let none = AppendedBatch { last_sequence: -1, last_offset: Offset(-1), offset_delta: 0, timestamp_ms: -1 };
            let batch = producer.batches.last().unwrap_or(&none);
            bytes.put_i64(id.0);
            bytes.put_i16(producer.epoch.0);
            bytes.put_i32(batch.last_sequence);
            bytes.put_i64(batch.last_offset.0);
            bytes.put_i32(batch.offset_delta);
            bytes.put_i64(producer.last_timestamp_ms);
            bytes.put_i32(producer.coordinator_epoch);
            bytes.put_i64(producer.transaction_first_offset.0);
        }
        let crc = crc32c(&bytes[CRC_END..]);
        bytes[2..CRC_END].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// `None` if the bytes are not a whole snapshot.
    pub(crate) fn parse_snapshot(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let version = rest.try_get_i16().ok()?;
        let crc = rest.try_get_u32().ok()?;
        if version != VERSION || crc != crc32c(rest) {
            return None;
        }
        let count = usize::try_from(rest.try_get_i32().ok()?).ok()?;
        if rest.len() != count.checked_mul(ENTRY_BYTES)? {
            return None;
        }
        let entries = rest.chunks_exact(ENTRY_BYTES).map(parse_entry).collect();
        Some(Self { entries })
    }
}

/// `entry` is as long as an entry is.
fn parse_entry(mut entry: &[u8]) -> (ProducerId, Producer) {
    let id = ProducerId(entry.get_i64());
    let epoch = ProducerEpoch(entry.get_i16());
    let last_sequence = entry.get_i32();
    let last_offset = Offset(entry.get_i64());
    let offset_delta = entry.get_i32();
    let last_timestamp_ms = entry.get_i64();
    let batch = AppendedBatch { last_sequence, last_offset, offset_delta, timestamp_ms: last_timestamp_ms };
    let producer = Producer {
        epoch,
        batches: if last_offset.0 >= 0 { vec![batch] } else { Vec::new() },
        last_timestamp_ms,
        coordinator_epoch: entry.get_i32(),
        transaction_first_offset: Offset(entry.get_i64()),
    };
    (id, producer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_keeps_the_last_batch_and_a_damaged_one_is_refused() {
        let mut producers = Producers::default();
        for id in 0..3 {
            let batch = AppendedBatch { last_sequence: 4, last_offset: Offset(id), offset_delta: 2, timestamp_ms: 77 };
            let mut producer = Producer::new(ProducerEpoch(1));
            producer.batches.push(batch);
            producer.last_timestamp_ms = 77;
            producers.entries.insert(ProducerId(id), producer);
        }
        let bytes = producers.to_snapshot();
        assert_eq!(Producers::parse_snapshot(&bytes), Some(producers));
        for cut in 0..bytes.len() {
            assert_eq!(Producers::parse_snapshot(&bytes[..cut]), None, "{cut} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Producers::parse_snapshot(&flipped), None, "bit {bit}");
        }
    }
}
