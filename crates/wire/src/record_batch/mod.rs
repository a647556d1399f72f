//! The record batch, magic 2: what producers send, logs store and consumers fetch.
//!
//! ```text
//!  0 base offset i64      | 8 batch length i32     | 12 partition leader epoch i32 | 16 magic i8
//! 17 CRC32C u32           | 21 attributes i16      | 23 last offset delta i32      | 27 base timestamp i64
//! 35 max timestamp i64    | 43 producer id i64     | 51 producer epoch i16         | 53 base sequence i32
//! 57 record count i32     | 61 records, compressed as the attributes say
//! ```
//! The batch length counts from byte 12, the CRC covers everything from byte 21. Base offset and leader
//! epoch stand outside the CRC, so a leader stamps a batch without reading its records.

mod attributes;
mod header;
mod iter;
mod patch;

pub use attributes::{Attributes, TimestampType};
pub use header::BatchHeader;
pub use iter::{Batches, batches};
pub use patch::{seal, set_base_offset, set_partition_leader_epoch};

/// Bytes before the records.
pub const HEADER_SIZE: usize = 61;
/// Base offset and batch length, which the batch length does not count.
pub const LOG_OVERHEAD: usize = 12;
/// The only message format served.
pub const MAGIC: i8 = 2;
/// First byte that the CRC covers.
const CRC_START: usize = 21;

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does; at the end of a fetched range this is no fault.
    #[error("batch needs {needed_bytes} bytes, {available_bytes} are there")]
    Incomplete { needed_bytes: usize, available_bytes: usize },
    #[error("batch length {0} is below the minimum")]
    BadLength(i32),
    /// Formats 0 and 1, or something that is no batch at all.
    #[error("message format {0} is not supported")]
    UnsupportedMagic(i8),
    #[error("batch header field {0} is out of range")]
    BadField(&'static str),
    #[error("CRC is {computed:#010x}, the header says {stored:#010x}")]
    Crc { stored: u32, computed: u32 },
}

fn crc32c(bytes: &[u8]) -> u32 {
    // A 32-bit CRC in a 64-bit return type.
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// Of parts that follow each other.
fn crc32c_of(parts: &[&[u8]]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize() as u32
}
