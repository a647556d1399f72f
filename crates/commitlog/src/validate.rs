//! The rules for a batch that comes from a client, as far as its header goes (Kafka's `LogValidator`); records are
//! looked at only for compacted topics.

use bytes::Bytes;
use tidelog_wire::record_batch::{BatchError, BatchHeader, HEADER_SIZE, TimestampType};
use tidelog_wire::types::ProducerEpoch;

use crate::cleaner::{DECOMPRESSED_BYTES_MAX, RawRecords};
use crate::config::LogConfig;
use crate::error::InvalidBatch;

/// Parses and judges one client's batch; `batch` must hold exactly one.
pub(crate) fn client_batch(batch: &Bytes, config: &LogConfig, now_ms: i64) -> Result<BatchHeader, InvalidBatch> {
    let header = BatchHeader::parse(batch)?;
    let size = header.size_in_bytes();
    if size > batch.len() {
        return Err(InvalidBatch::Truncated);
    }
    if size < batch.len() {
        return Err(InvalidBatch::NotOneBatch);
    }
    check_size(&header, config)?;
    header.verify_crc(batch)?;
    check_records(&header)?;
    check_producer(&header)?;
    check_timestamps(&header, config, now_ms)?;
    if config.cleanup_compact {
        check_keys(&header, batch)?;
    }
    Ok(header)
}

/// Parses and judges a batch that a leader accepted before.
pub(crate) fn replicated_batch(header: &BatchHeader, batch: &Bytes) -> Result<(), InvalidBatch> {
    header.verify_crc(batch)?;
    Ok(())
}

fn check_size(header: &BatchHeader, config: &LogConfig) -> Result<(), InvalidBatch> {
    let size = header.size_in_bytes();
    if size > config.max_message_bytes as usize {
        return Err(InvalidBatch::TooLarge { size, max: config.max_message_bytes });
    }
    if size > config.segment_bytes as usize {
        return Err(InvalidBatch::LargerThanSegment { size, max: config.segment_bytes });
    }
    Ok(())
}

fn check_records(header: &BatchHeader) -> Result<(), InvalidBatch> {
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
    attributes.compression().map_err(|unknown| InvalidBatch::UnknownCompression(unknown.0))?;
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

/// A compacted topic needs a key in every record: the only case in which records are looked at.
fn check_keys(header: &BatchHeader, batch: &Bytes) -> Result<(), InvalidBatch> {
    let codec = header.attributes.compression().map_err(|unknown| InvalidBatch::UnknownCompression(unknown.0))?;
    let section = codec.decompress(&batch.slice(HEADER_SIZE..), DECOMPRESSED_BYTES_MAX);
    let section = section.map_err(|_| InvalidBatch::UnreadableRecords)?;
    for record in RawRecords::new(&section, header.record_count) {
        let record = record.map_err(|_| InvalidBatch::UnreadableRecords)?;
        if record.key.is_none() {
            return Err(InvalidBatch::NoKey);
        }
    }
    Ok(())
}

fn check_timestamps(header: &BatchHeader, config: &LogConfig, now_ms: i64) -> Result<(), InvalidBatch> {
    /// A record without a timestamp.
    const NO_TIMESTAMP: i64 = -1;
    if header.attributes.timestamp_type() == TimestampType::LogAppendTime {
        return Err(InvalidBatch::LogAppendTimeFromClient);
    }
    if config.timestamp_type == TimestampType::LogAppendTime {
        return Ok(());
    }
    let oldest = now_ms.saturating_sub(config.timestamp_before_max_ms);
    let newest = now_ms.saturating_add(config.timestamp_after_max_ms);
    for timestamp in [header.base_timestamp, header.max_timestamp] {
        if timestamp != NO_TIMESTAMP && !(oldest..=newest).contains(&timestamp) {
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
