//! What stays of one batch.

use std::collections::HashMap;
use std::ops::Range;

use bytes::Bytes;
use tidelog_wire::compression::{Compression, CompressionError};
use tidelog_wire::record::{RawRecords, RecordError};
use tidelog_wire::record_batch::{BatchHeader, HEADER_SIZE, TimestampType};
use tidelog_wire::types::{Offset, ProducerId};

use super::offset_map::OffsetMap;

/// What decides about a record.
pub(super) struct Rules<'a> {
    pub(super) map: &'a OffsetMap,
    pub(super) now_ms: i64,
    pub(super) delete_retention_ms: i64,
    /// A batch that takes more is not cleaned.
    pub(super) decompressed_bytes_max: usize,
    /// Of each producer the end of its last batch: its sequence must not be forgotten.
    pub(super) last_of_producers: &'a HashMap<ProducerId, Offset>,
}

/// Why a batch cannot be cleaned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) &'static str);

/// What becomes of a batch.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Nothing is lost: the bytes stay as they are.
    Keep,
    /// In [`Rewriter::batch`].
    Rewritten,
    Dropped,
}

/// Judges batches; its buffers are used again and again.
#[derive(Default)]
pub(super) struct Rewriter {
    batch: Vec<u8>,
    /// Of records that stay, in the decompressed bytes.
    kept: Vec<Range<usize>>,
    records: Vec<u8>,
}

/// What the records that stay have in common.
struct Survivors {
    count: i32,
    max_timestamp: i64,
    /// There are tombstones, and the header does not say yet when they may go.
    needs_horizon: bool,
}

impl Rewriter {
    pub(super) fn batch(&self) -> &[u8] {
        &self.batch
    }

    /// `is_last`: the batch's last offset must not vanish, since another segment begins behind it.
    pub(super) fn judge(
        &mut self,
        rules: &Rules<'_>,
        header: &BatchHeader,
        batch: &Bytes,
        is_last: bool,
    ) -> Result<Verdict, Unreadable> {
        if header.base_offset > rules.map.latest() {
            return Ok(Verdict::Keep);
        }
        // Markers of transactions stay for as long as nobody decides which of their transactions are gone.
        if header.attributes.is_control() {
            return Ok(Verdict::Keep);
        }
        let codec = header.attributes.compression().map_err(|_| Unreadable("unknown compression"))?;
        let section = batch.slice(HEADER_SIZE..);
        let section = match header.record_count {
            0 => Bytes::new(),
            _ => codec.decompress(&section, rules.decompressed_bytes_max)?,
        };
        let survivors = self.sift(rules, header, &section)?;
        if survivors.count == 0 {
            let is_last_of_producer = rules.last_of_producers.get(&header.producer_id) == Some(&header.last_offset());
            return Ok(match (is_last || is_last_of_producer, header.record_count) {
                (false, _) => Verdict::Dropped,
                (true, 0) => Verdict::Keep,
                (true, _) => self.write_empty(header),
            });
        }
        if survivors.count == header.record_count && !survivors.needs_horizon {
            return Ok(Verdict::Keep);
        }
        self.write(rules, header, codec, &section, &survivors)?;
        Ok(Verdict::Rewritten)
    }

    /// Decides about each record.
    fn sift(&mut self, rules: &Rules<'_>, header: &BatchHeader, section: &[u8]) -> Result<Survivors, Unreadable> {
        self.kept.clear();
        // Without a horizon it begins now; with one, the header's base timestamp is it (KIP-534).
        let has_horizon = header.attributes.has_delete_horizon();
        let keeps_tombstones = !has_horizon || rules.now_ms < header.base_timestamp;
        let mut survivors = Survivors { count: 0, max_timestamp: -1, needs_horizon: false };
        let mut position = 0;
        for record in RawRecords::new(section).take(header.record_count as usize) {
            let record = record?;
            let start = position;
            position += record.bytes.len();
            let offset = header.base_offset + i64::from(record.offset_delta);
            let is_latest = offset > rules.map.latest()
                || record.key.is_some_and(|key| rules.map.get(key).is_none_or(|latest| offset >= latest));
            if !is_latest || !(record.has_value || keeps_tombstones) {
                continue;
            }
            survivors.count += 1;
            survivors.needs_horizon |= !record.has_value && !has_horizon;
            let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
            survivors.max_timestamp = survivors.max_timestamp.max(timestamp);
            match self.kept.last_mut() {
                Some(range) if range.end == start => range.end = position,
                _ => self.kept.push(start..position),
            }
        }
        Ok(survivors)
    }

    fn write(
        &mut self,
        rules: &Rules<'_>,
        header: &BatchHeader,
        codec: Compression,
        section: &[u8],
        survivors: &Survivors,
    ) -> Result<(), Unreadable> {
        let mut header = BatchHeader { record_count: survivors.count, ..*header };
        self.records.clear();
        if survivors.needs_horizon {
            let horizon = rules.now_ms.saturating_add(rules.delete_retention_ms);
            let shift = header.base_timestamp.wrapping_sub(horizon);
            for range in &self.kept {
                for record in RawRecords::new(&section[range.clone()]) {
                    let record = record?;
                    record.write_with(shift.wrapping_add(record.timestamp_delta), &mut self.records);
                }
            }
            header.base_timestamp = horizon;
            header.attributes = header.attributes.with_delete_horizon(true);
        } else {
            self.kept.iter().for_each(|range| self.records.extend_from_slice(&section[range.clone()]));
        }
        if header.attributes.timestamp_type() == TimestampType::CreateTime {
            header.max_timestamp = survivors.max_timestamp;
        }
        self.batch.clear();
        match codec {
            Compression::None => self.finish(header, None),
            codec => {
                let compressed = codec.compress(&self.records)?;
                self.finish(header, Some(&compressed));
            }
        }
        Ok(())
    }

    /// Keeps the place of a batch, and what its producer sent last, but no record.
    fn write_empty(&mut self, header: &BatchHeader) -> Verdict {
        let attributes = header.attributes.with_compression(Compression::None).with_delete_horizon(false);
        self.records.clear();
        self.batch.clear();
        self.finish(BatchHeader { record_count: 0, base_timestamp: -1, attributes, ..*header }, None);
        Verdict::Rewritten
    }

    fn finish(&mut self, mut header: BatchHeader, compressed: Option<&[u8]>) {
        let records = compressed.unwrap_or(&self.records);
        header.seal(records);
        self.batch.extend_from_slice(&header.to_bytes());
        self.batch.extend_from_slice(records);
    }
}

impl From<RecordError> for Unreadable {
    fn from(_: RecordError) -> Self {
        Self("a record is malformed")
    }
}

impl From<CompressionError> for Unreadable {
    fn from(error: CompressionError) -> Self {
        Self(match error {
            CompressionError::TooLarge { .. } => "the records are too large when decompressed",
            CompressionError::Corrupt(_) => "the compressed records are damaged",
            CompressionError::Failed(_) => "the records could not be compressed",
        })
    }
}
