//! The flags of a batch. Bits that Kafka has not given a meaning are kept as they are.

use crate::compression::{Compression, UnknownCompression};

const COMPRESSION_MASK: i16 = 0b111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

/// The flags of a batch: bits 0-2 compression, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub i16);

/// Who set the timestamps: `message.timestamp.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TimestampType {
    #[default]
    CreateTime,
    LogAppendTime,
}

impl Attributes {
    pub fn compression(self) -> Result<Compression, UnknownCompression> {
        Compression::try_from(self.0 & COMPRESSION_MASK)
    }

    pub const fn timestamp_type(self) -> TimestampType {
        if self.0 & LOG_APPEND_TIME == 0 { TimestampType::CreateTime } else { TimestampType::LogAppendTime }
    }

    pub const fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// A control batch holds a transaction marker or Raft's own records, nothing a consumer is shown.
    pub const fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// The base timestamp is the time when compaction may drop the tombstones (KIP-534).
    pub const fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }

    pub fn with_compression(self, compression: Compression) -> Self {
        Self((self.0 & !COMPRESSION_MASK) | i16::from(compression))
    }

    pub const fn with_timestamp_type(self, timestamp_type: TimestampType) -> Self {
        match timestamp_type {
            TimestampType::CreateTime => Self(self.0 & !LOG_APPEND_TIME),
            TimestampType::LogAppendTime => Self(self.0 | LOG_APPEND_TIME),
        }
    }

    pub const fn with_transactional(self) -> Self {
        Self(self.0 | TRANSACTIONAL)
    }

    pub const fn with_delete_horizon(self, has_horizon: bool) -> Self {
        match has_horizon {
            true => Self(self.0 | DELETE_HORIZON),
            false => Self(self.0 & !DELETE_HORIZON),
        }
    }

    pub const fn with_control(self) -> Self {
        Self(self.0 | CONTROL)
    }
}
