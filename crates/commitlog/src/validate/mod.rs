//! What a batch must be to enter the log (Kafka's `LogValidator`), and what becomes of it there.
//!
//! A client's batch is read to its last byte, because a record that cannot be read stops every consumer of the partition:
//! uncompressed records where they lie, others while they are decompressed, within bounds. Its header is corrected where
//! the records say otherwise. What a coordinator or a leader has made is not read again.

mod header;
mod records;

use bytes::Bytes;
use tidelog_wire::compression::{Compression, CompressionError};
use tidelog_wire::record::{RecordError, RecordWalker};
use tidelog_wire::record_batch::{BatchHeader, HEADER_SIZE, TimestampType};

use crate::config::{LogConfig, RecordValidation, StoredCompression};
use crate::error::InvalidBatch;
use records::Records;

/// A batch that may be appended. Offset and leader epoch are still to be set, both outside the CRC.
#[derive(Clone, Debug)]
pub struct ValidBatch {
    pub(crate) header: BatchHeader,
    /// The records section.
    pub(crate) records: Bytes,
}

impl ValidBatch {
    pub const fn size_in_bytes(&self) -> usize {
        self.header.size_in_bytes()
    }
}

/// Judges batches; its buffers are used again and again.
#[derive(Default)]
pub struct Validator {
    walker: RecordWalker,
}

/// Why there is no valid batch.
enum Refusal {
    Invalid(InvalidBatch),
    /// More bytes would have to be looked at than was allowed.
    Unfinished,
}

impl Validator {
    /// Judges one client's batch; `batch` must hold exactly one.
    pub fn client_batch(&mut self, batch: &Bytes, config: &LogConfig, now_ms: i64) -> Result<ValidBatch, InvalidBatch> {
        let judged = self.client_batch_within(usize::MAX, batch, config, now_ms);
        judged.expect("there is no limit to the effort")
    }

    /// As [`Self::client_batch`], but gives up with `None` when more than `bytes_max` of records would have to be read, or
    /// any to be compressed.
    pub fn client_batch_within(
        &mut self,
        bytes_max: usize,
        batch: &Bytes,
        config: &LogConfig,
        now_ms: i64,
    ) -> Option<Result<ValidBatch, InvalidBatch>> {
        match self.judge(bytes_max, batch, config, now_ms) {
            Ok(valid) => Some(Ok(valid)),
            Err(Refusal::Invalid(error)) => Some(Err(error)),
            Err(Refusal::Unfinished) => None,
        }
    }

    fn judge(
        &mut self,
        bytes_max: usize,
        batch: &Bytes,
        config: &LogConfig,
        now_ms: i64,
    ) -> Result<ValidBatch, Refusal> {
        let (header, codec) = header::produced(batch, config)?;
        let section = batch.slice(HEADER_SIZE..);
        let mut stored = ValidBatch { header, records: section };
        stored.header.attributes = header.attributes.with_delete_horizon(false);
        let target = config.compression.codec(codec);
        let is_walked = config.record_validation == RecordValidation::Full || config.cleanup_compact || target != codec;
        if is_walked {
            let mut records = Records::new(&header, batch.len(), config, now_ms);
            if target == codec {
                self.read(&mut records, codec, &stored.records, bytes_max, config)?;
            } else if bytes_max < usize::MAX {
                return Err(Refusal::Unfinished);
            } else {
                stored.records = self.recompress(&mut records, codec, target, &stored.records, config)?;
                stored.header.attributes = stored.header.attributes.with_compression(target);
            }
            stored.header.max_timestamp = records.max_timestamp()?;
        } else {
            header::check_timestamps(&header, config, now_ms)?;
        }
        Ok(finish(stored, &header, config, now_ms)?)
    }

    /// Reads the records as they are.
    fn read(
        &mut self,
        records: &mut Records<'_>,
        codec: Compression,
        section: &Bytes,
        bytes_max: usize,
        config: &LogConfig,
    ) -> Result<(), Refusal> {
        if section.len() > bytes_max {
            return Err(Refusal::Unfinished);
        }
        let limit = config.decompressed_bytes_max();
        let walked = self.walker.walk(codec, section, limit.min(bytes_max), |record| records.visit(record));
        match walked {
            Err(RecordError::Compression(CompressionError::TooLarge { .. })) if bytes_max < limit => {
                Err(Refusal::Unfinished)
            }
            walked => Ok(walked.map_err(|error| records.unreadable(error))?),
        }
    }

    /// Reads the records and returns them as `target` compresses them.
    fn recompress(
        &mut self,
        records: &mut Records<'_>,
        codec: Compression,
        target: Compression,
        section: &Bytes,
        config: &LogConfig,
    ) -> Result<Bytes, InvalidBatch> {
        let unreadable = |error: CompressionError| InvalidBatch::from(error);
        let plain = codec.decompress(section, config.decompressed_bytes_max()).map_err(unreadable)?;
        let walked = self.walker.walk(Compression::None, &plain, plain.len(), |record| records.visit(record));
        walked.map_err(|error| records.unreadable(error))?;
        match target {
            Compression::None => Ok(plain),
            target => target.compress_at(config.compression.level(), &plain).map_err(unreadable),
        }
    }
}

/// Judges a batch that this broker's coordinator made.
pub(crate) fn coordinator_batch(batch: &Bytes, config: &LogConfig, now_ms: i64) -> Result<ValidBatch, InvalidBatch> {
    let (header, _) = header::produced(batch, config)?;
    finish(ValidBatch { header, records: batch.slice(HEADER_SIZE..) }, &header, config, now_ms)
}

/// Judges a batch that a leader accepted before.
pub(crate) fn replicated_batch(header: &BatchHeader, batch: &Bytes) -> Result<(), InvalidBatch> {
    header.verify_crc(batch)?;
    Ok(())
}

/// Stamps the time where the topic asks for it; the CRC is computed again only if it has to be.
fn finish(
    mut stored: ValidBatch,
    produced: &BatchHeader,
    config: &LogConfig,
    now_ms: i64,
) -> Result<ValidBatch, InvalidBatch> {
    let header = &mut stored.header;
    if config.timestamp_type == TimestampType::LogAppendTime {
        header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
        header.max_timestamp = now_ms;
    }
    if header != produced {
        header.seal(&stored.records);
    }
    header::check_stored_size(header, config)?;
    Ok(stored)
}

impl StoredCompression {
    /// What a batch that came with `produced` is stored with.
    const fn codec(self, produced: Compression) -> Compression {
        match self {
            Self::Producer => produced,
            Self::As { codec, .. } => codec,
        }
    }

    const fn level(self) -> Option<i32> {
        match self {
            Self::Producer => None,
            Self::As { level, .. } => level,
        }
    }
}

impl From<InvalidBatch> for Refusal {
    fn from(error: InvalidBatch) -> Self {
        Self::Invalid(error)
    }
}
