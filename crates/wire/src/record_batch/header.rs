//! The header of a batch, parsed and checked; nothing here looks at records.

use super::{Attributes, BatchError, CRC_START, HEADER_SIZE, LOG_OVERHEAD, MAGIC, crc32c, crc32c_of};
use crate::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// The 61 bytes before the records.
///
/// A parsed header is consistent in itself: the length covers at least the header, the offsets are
/// not negative and do not overflow, the counts are not negative. The CRC is checked by [`BatchHeader::verify_crc`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    pub base_offset: Offset,
    /// Bytes after the first twelve.
    pub batch_length: i32,
    pub partition_leader_epoch: LeaderEpoch,
    pub magic: i8,
    pub crc: u32,
    pub attributes: Attributes,
    pub last_offset_delta: i32,
    pub base_timestamp: i64,
    pub max_timestamp: i64,
    /// `ProducerId::NONE` unless the producer is idempotent.
    pub producer_id: ProducerId,
    pub producer_epoch: ProducerEpoch,
    /// -1 unless the producer is idempotent; wraps to 0 after `i32::MAX`.
    pub base_sequence: i32,
    pub record_count: i32,
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which need not hold the whole batch.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        // Old formats have shorter headers: name the format before complaining about the length.
        if let Some(magic) = bytes.get(16).map(|byte| *byte as i8)
            && magic != MAGIC
        {
            return Err(BatchError::UnsupportedMagic(magic));
        }
        let Some(header) = bytes.first_chunk::<HEADER_SIZE>() else {
            return Err(BatchError::Incomplete { needed_bytes: HEADER_SIZE, available_bytes: bytes.len() });
        };
        let header = Self {
            base_offset: Offset(i64::from_be_bytes(field(header, 0))),
            batch_length: i32::from_be_bytes(field(header, 8)),
            partition_leader_epoch: LeaderEpoch(i32::from_be_bytes(field(header, 12))),
            magic: header[16] as i8,
            crc: u32::from_be_bytes(field(header, 17)),
            attributes: Attributes(i16::from_be_bytes(field(header, 21))),
            last_offset_delta: i32::from_be_bytes(field(header, 23)),
            base_timestamp: i64::from_be_bytes(field(header, 27)),
            max_timestamp: i64::from_be_bytes(field(header, 35)),
            producer_id: ProducerId(i64::from_be_bytes(field(header, 43))),
            producer_epoch: ProducerEpoch(i16::from_be_bytes(field(header, 51))),
            base_sequence: i32::from_be_bytes(field(header, 53)),
            record_count: i32::from_be_bytes(field(header, 57)),
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), BatchError> {
        if self.batch_length < (HEADER_SIZE - LOG_OVERHEAD) as i32 {
            return Err(BatchError::BadLength(self.batch_length));
        }
        if self.base_offset.0 < 0 {
            return Err(BatchError::BadField("base offset"));
        }
        let offsets_end = self.base_offset.0.checked_add(i64::from(self.last_offset_delta) + 1);
        if self.last_offset_delta < 0 || offsets_end.is_none() {
            return Err(BatchError::BadField("last offset delta"));
        }
        if self.record_count < 0 {
            return Err(BatchError::BadField("record count"));
        }
        Ok(())
    }

    /// The header's bytes, for a batch of which every other byte is known to be as the CRC says.
    pub fn to_bytes(&self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        bytes[0..8].copy_from_slice(&self.base_offset.0.to_be_bytes());
        bytes[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.partition_leader_epoch.0.to_be_bytes());
        bytes[16] = self.magic as u8;
        bytes[17..21].copy_from_slice(&self.crc.to_be_bytes());
        bytes[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        bytes[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        bytes[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        bytes[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        bytes[43..51].copy_from_slice(&self.producer_id.0.to_be_bytes());
        bytes[51..53].copy_from_slice(&self.producer_epoch.0.to_be_bytes());
        bytes[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        bytes[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        bytes
    }

    /// Bytes of the whole batch, header included.
    pub const fn size_in_bytes(&self) -> usize {
        self.batch_length as usize + LOG_OVERHEAD
    }

    pub fn last_offset(&self) -> Offset {
        self.base_offset + i64::from(self.last_offset_delta)
    }

    /// The offset that follows the batch.
    pub fn next_offset(&self) -> Offset {
        self.base_offset + i64::from(self.last_offset_delta) + 1
    }

    /// The sequence number of the last record; wraps as the producer's does. -1 without a producer id.
    pub const fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        let last = self.base_sequence as i64 + self.last_offset_delta as i64;
        (last % (i32::MAX as i64 + 1)) as i32
    }

    pub fn has_producer_id(&self) -> bool {
        self.producer_id != ProducerId::NONE
    }

    /// Makes the length and the CRC those of a batch of this header and `records`, a whole records section.
    pub fn seal(&mut self, records: &[u8]) {
        self.batch_length = (HEADER_SIZE - LOG_OVERHEAD + records.len()) as i32;
        self.crc = crc32c_of(&[&self.to_bytes()[CRC_START..], records]);
    }

    /// Compares the stored CRC with that of `batch`, which is the whole batch.
    pub fn verify_crc(&self, batch: &[u8]) -> Result<(), BatchError> {
        let needed_bytes = self.size_in_bytes();
        let Some(covered) = batch.get(CRC_START..needed_bytes) else {
            return Err(BatchError::Incomplete { needed_bytes, available_bytes: batch.len() });
        };
        let computed = crc32c(covered);
        if computed != self.crc {
            return Err(BatchError::Crc { stored: self.crc, computed });
        }
        Ok(())
    }
}

fn field<const N: usize>(header: &[u8; HEADER_SIZE], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}
