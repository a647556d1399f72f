//! Finding records by timestamp (ListOffsets).

use bytes::Bytes;
use tidelog_wire::record::records;
use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::{LeaderEpoch, Offset};

use super::Log;
use crate::disk::OpenMode;
use crate::error::{ReadError, StorageError};
use crate::names;
use crate::segment::{BatchScanner, IndexedTimestamp, ScanStep, lookup_time};

/// A compressed batch that unpacks to more is answered for as a whole.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// A record's place found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    pub timestamp_ms: i64,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
}

impl Log {
    /// The first record below `upper_bound` with at least this timestamp (ListOffsets).
    pub fn offset_for_timestamp(
        &mut self,
        timestamp_ms: i64,
        upper_bound: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        self.prepare_search()?;
        for index in 0..self.segments.len() {
            let is_beyond = self.segments[index].base_offset >= upper_bound;
            if is_beyond || self.segment_end(index) <= self.log_start {
                continue;
            }
            let newest = self.segment_max_timestamp(index)?;
            if newest.is_none_or(|newest| newest.timestamp_ms < timestamp_ms) {
                continue;
            }
            let from = self.time_index_start(index, timestamp_ms).max(self.log_start);
            if let Some(found) = self.search_from(from, upper_bound, timestamp_ms)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The record below `upper_bound` with the greatest timestamp, the first of several (ListOffsets -3, KIP-734).
    pub fn max_timestamp(&mut self, upper_bound: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        self.prepare_search()?;
        let mut greatest: Option<IndexedTimestamp> = None;
        for index in 0..self.segments.len() {
            let newest = self.segment_max_timestamp(index)?;
            let is_greater =
                |newest: IndexedTimestamp| greatest.is_none_or(|greatest| newest.timestamp_ms > greatest.timestamp_ms);
            // A record at or above the bound hides what is below it: then the segment has to be searched.
            let newest = match newest {
                Some(newest) if newest.offset >= upper_bound => self.max_below(index, upper_bound)?,
                newest => newest,
            };
            if let Some(newest) = newest.filter(|newest| is_greater(*newest) && newest.offset >= self.log_start) {
                greatest = Some(newest);
            }
        }
        match greatest {
            None => Ok(None),
            Some(greatest) => {
                let start = match self.find_batch(greatest.offset)? {
                    Some((_, header)) => header.base_offset.max(self.log_start),
                    None => return Ok(None),
                };
                self.search_from(start, upper_bound, greatest.timestamp_ms)
            }
        }
    }

    fn prepare_search(&mut self) -> Result<(), StorageError> {
        self.context.check()?;
        self.prepare_append(0)
    }

    /// An offset at or below the first record of the segment with this timestamp or a later one.
    fn time_index_start(&self, index: usize, timestamp_ms: i64) -> Offset {
        let segment = &self.segments[index];
        let path = segment.path(&self.dir, names::TIME_INDEX);
        let in_file = self
            .context
            .disk
            .open(&path, OpenMode::Existing)
            .and_then(|file| lookup_time(&*file, segment.base_offset, timestamp_ms))
            .ok()
            .flatten();
        let unwritten = match &self.active {
            Some(active) if index + 1 == self.segments.len() => active.index.unwritten_times(),
            _ => &[],
        };
        let in_memory = unwritten.iter().take_while(|entry| entry.timestamp_ms < timestamp_ms).last();
        let before = in_memory.map(|entry| entry.offset).or(in_file.map(|entry| entry.offset));
        before.unwrap_or(segment.base_offset)
    }

    /// The first record at or above `from` with at least this timestamp, in the segment that holds `from`.
    fn search_from(
        &self,
        from: Offset,
        upper_bound: Offset,
        timestamp_ms: i64,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        let Some((position, _)) = self.find_batch(from)? else {
            return Ok(None);
        };
        let segment = &self.segments[self.segment_of(from).expect("the batch was found in it")];
        let path = segment.path(&self.dir, names::LOG);
        let file = segment.file(&self.context, &self.dir)?;
        let mut scanner = BatchScanner::new(&*file, position, segment.size_bytes);
        loop {
            let step = scanner.step().map_err(|error| StorageError::read("read", &path, &error))?;
            let ScanStep::Batch { header, batch, .. } = step else {
                return Ok(None);
            };
            if header.base_offset >= upper_bound {
                return Ok(None);
            }
            if header.max_timestamp >= timestamp_ms
                && let Some(found) = first_record(&header, batch, from, upper_bound, timestamp_ms)
            {
                return Ok(Some(found));
            }
        }
    }

    fn max_below(&self, index: usize, upper_bound: Offset) -> Result<Option<IndexedTimestamp>, StorageError> {
        let mut tail = crate::segment::IndexTail::new(self.segments[index].base_offset);
        self.for_each_header(index, |header| {
            if header.next_offset() <= upper_bound {
                tail.on_existing(header);
            }
        })?;
        Ok(tail.max_timestamp())
    }
}

/// The first record of a batch that qualifies. A batch whose records cannot be read answers as a whole.
fn first_record(
    header: &BatchHeader,
    batch: Bytes,
    from: Offset,
    upper_bound: Offset,
    timestamp_ms: i64,
) -> Option<TimestampOffset> {
    let leader_epoch = header.partition_leader_epoch;
    let whole =
        TimestampOffset { timestamp_ms: header.max_timestamp, offset: header.base_offset.max(from), leader_epoch };
    let Ok(records) = records(&batch, DECOMPRESSED_BYTES_MAX) else {
        return Some(whole);
    };
    for record in records {
        let Ok(record) = record else {
            return Some(whole);
        };
        if record.offset >= upper_bound {
            return None;
        }
        if record.offset >= from && record.timestamp_ms >= timestamp_ms {
            return Some(TimestampOffset { timestamp_ms: record.timestamp_ms, offset: record.offset, leader_epoch });
        }
    }
    None
}
