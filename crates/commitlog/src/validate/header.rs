//! The rules for the 61 bytes before the records.

use bytes::Bytes;
use tidelog_wire::compression::Compression;
use tidelog_wire::record_batch::{BatchError, BatchHeader, TimestampType};
use tidelog_wire::types::ProducerEpoch;

use crate::config::LogConfig;
use crate::error::InvalidBatch;

/// A record without a timestamp.
pub(super) const NO_TIMESTAMP: i64 = -1;

/// Judges the header of a batch that is new; `batch` must hold exactly one.
pub(super) fn produced(batch: &Bytes, config: &LogConfig) -> Result<(BatchHeader, Compression), InvalidBatch> {
    let header = BatchHeader::parse(batch)?;
    let size = header.size_in_bytes();
    if size > batch.len() {
        return Err(InvalidBatch::Truncated);
    }
    if size < batch.len() {
        return Err(InvalidBatch::NotOneBatch);
    }
    check_size(size, config)?;
    header.verify_crc(batch)?;
    check_fields(&header)?;
    check_producer(&header)?;
    let codec = header.attributes.compression().map_err(|unknown| InvalidBatch::UnknownCompression(unknown.0))?;
    Ok((header, codec))
}

/// A batch may have grown since it came.
pub(super) fn check_stored_size(header: &BatchHeader, config: &LogConfig) -> Result<(), InvalidBatch> {
    let size = header.size_in_bytes();
    check_size(size, config)?;
    match size > config.segment_bytes as usize {
        true => Err(InvalidBatch::LargerThanSegment { size, max: config.segment_bytes }),
        false => Ok(()),
    }
}

fn check_size(size: usize, config: &LogConfig) -> Result<(), InvalidBatch> {
    match size > config.max_message_bytes as usize {
        true => Err(InvalidBatch::TooLarge { size, max: config.max_message_bytes }),
        false => Ok(()),
    }
}

fn check_fields(header: &BatchHeader) -> Result<(), InvalidBatch> {
    let &BatchHeader { record_count, last_offset_delta, attributes, .. } = header;
    if header.base_offset.0 != 0 {
        return Err(InvalidBatch::BaseOffset(header.base_offset.0));
    }
    if record_count <= 0 {
        return Err(InvalidBatch::RecordCount(record_count));
    }
    if last_offset_delta != record_count - 1 {
        return Err(InvalidBatch::LastOffsetDelta { last_offset_delta, record_count });
    }
    if attributes.is_control() {
        return Err(InvalidBatch::ControlFromClient);
    }
    if attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(InvalidBatch::LogAppendTimeFromClient);
    }
    Ok(())
}

fn check_producer(header: &BatchHeader) -> Result<(), InvalidBatch> {
    let fits = if header.has_producer_id() {
        header.producer_id.0 >= 0 && header.producer_epoch >= ProducerEpoch(0) && header.base_sequence >= 0
    } else {
        !header.attributes.is_transactional()
    };
    match fits {
        true => Ok(()),
        false => Err(InvalidBatch::ProducerFields {
            producer_id: header.producer_id.0,
            producer_epoch: header.producer_epoch.0,
            base_sequence: header.base_sequence,
        }),
    }
}

/// Where the records are not looked at: what the header says of them.
pub(super) fn check_timestamps(header: &BatchHeader, config: &LogConfig, now_ms: i64) -> Result<(), InvalidBatch> {
    let accepted = config.accepted_timestamps(now_ms);
    for timestamp in [header.base_timestamp, header.max_timestamp] {
        if timestamp != NO_TIMESTAMP && !accepted.contains(&timestamp) {
            return Err(InvalidBatch::Timestamp { timestamp, now_ms });
        }
    }
    Ok(())
}

impl From<BatchError> for InvalidBatch {
    fn from(error: BatchError) -> Self {
        match error {
            BatchError::Incomplete { .. } | BatchError::BadLength(_) => Self::Truncated,
            BatchError::UnsupportedMagic(magic) => Self::UnsupportedMagic(magic),
            BatchError::BadField(field) => Self::BadField(field),
            BatchError::Crc { .. } => Self::BadCrc,
        }
    }
}
