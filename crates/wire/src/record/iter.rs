//! Reading of one batch's records. The bytes come from a client: every length is checked, the memory for
//! decompressed records is capped, and records must agree with their batch's header.

use bytes::Bytes;

use super::{Record, RecordHeader};
use crate::compression::{CompressionError, UnknownCompression};
use crate::record_batch::{BatchError, BatchHeader, HEADER_SIZE, TimestampType};
use crate::{DecodeError, Reader};

/// A header takes a byte for each of its lengths at least.
const HEADER_MIN_SIZE: usize = 2;

/// Why a batch's records cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    #[error(transparent)]
    Batch(#[from] BatchError),
    #[error(transparent)]
    UnknownCompression(#[from] UnknownCompression),
    #[error(transparent)]
    Compression(#[from] CompressionError),
    #[error("a record is malformed: {0}")]
    Malformed(#[from] DecodeError),
    #[error("a record claims {claimed_bytes} bytes and has {actual_bytes}")]
    Length { claimed_bytes: usize, actual_bytes: usize },
    #[error("offset delta {0} is outside the batch or does not rise")]
    OffsetDelta(i32),
    #[error("the batch header says {0} records, that is not what follows it")]
    Count(i32),
}

/// The records of `batch`, which is one whole batch. Its CRC is not looked at.
///
/// Compressed records are decompressed here and may take `max_bytes`.
pub fn records(batch: &Bytes, max_bytes: usize) -> Result<Records, RecordError> {
    let header = BatchHeader::parse(batch)?;
    let needed_bytes = header.size_in_bytes();
    if batch.len() < needed_bytes {
        return Err(BatchError::Incomplete { needed_bytes, available_bytes: batch.len() }.into());
    }
    let section = batch.slice(HEADER_SIZE..needed_bytes);
    let section = header.attributes.compression()?.decompress(&section, max_bytes)?;
    Ok(Records { header, reader: Reader::new(section), left: header.record_count, next_delta: 0, has_failed: false })
}

/// See [`records`]. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Records {
    header: BatchHeader,
    reader: Reader,
    left: i32,
    /// The least offset delta that the next record may have: compaction leaves gaps, nothing turns back.
    next_delta: i32,
    has_failed: bool,
}

impl Records {
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    fn read(&mut self) -> Result<Record, RecordError> {
        let length = self.reader.varint()?;
        let claimed_bytes = usize::try_from(length).map_err(|_| DecodeError::UnexpectedNull)?;
        let mut reader = Reader::new(self.reader.raw(claimed_bytes)?);
        // Record attributes have no meaning so far.
        reader.i8()?;
        let timestamp_delta = reader.varlong()?;
        let offset_delta = reader.varint()?;
        let key = nullable(&mut reader)?;
        let value = nullable(&mut reader)?;
        let headers = headers(&mut reader)?;
        if reader.remaining() > 0 {
            return Err(RecordError::Length { claimed_bytes, actual_bytes: claimed_bytes - reader.remaining() });
        }
        if offset_delta < self.next_delta || offset_delta > self.header.last_offset_delta {
            return Err(RecordError::OffsetDelta(offset_delta));
        }
        self.next_delta = offset_delta.saturating_add(1);
        let timestamp_ms = match self.header.attributes.timestamp_type() {
            TimestampType::CreateTime => self.header.base_timestamp.wrapping_add(timestamp_delta),
            TimestampType::LogAppendTime => self.header.max_timestamp,
        };
        let offset = self.header.base_offset + i64::from(offset_delta);
        Ok(Record { offset, timestamp_ms, key, value, headers })
    }
}

impl Iterator for Records {
    type Item = Result<Record, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_failed {
            return None;
        }
        let item = match (self.left, self.reader.remaining()) {
            (0, 0) => return None,
            (0, _) | (_, 0) => Err(RecordError::Count(self.header.record_count)),
            _ => self.read(),
        };
        self.left -= 1;
        self.has_failed = item.is_err();
        Some(item)
    }
}

impl std::iter::FusedIterator for Records {}

fn nullable(reader: &mut Reader) -> Result<Option<Bytes>, DecodeError> {
    match usize::try_from(reader.varint()?) {
        Ok(len) => reader.raw(len).map(Some),
        Err(_) => Ok(None),
    }
}

fn headers(reader: &mut Reader) -> Result<Vec<RecordHeader>, DecodeError> {
    let count = usize::try_from(reader.varint()?).map_err(|_| DecodeError::UnexpectedNull)?;
    reader.elements(count, HEADER_MIN_SIZE, |reader| {
        let key = nullable(reader)?.ok_or(DecodeError::UnexpectedNull)?;
        Ok(RecordHeader { key, value: nullable(reader)? })
    })
}
