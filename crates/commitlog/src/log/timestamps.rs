//! Finding records by timestamp (ListOffsets).
//!
//! How far a search has to read depends on what clients wrote, so it is a job of its own, for a thread that may wait.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tidelog_wire::record::records;
use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::{LeaderEpoch, Offset};

use super::Log;
use crate::context::Context;
use crate::disk::{DiskFile, OpenMode};
use crate::error::{ReadError, StorageError};
use crate::files::FileSlot;
use crate::names;
use crate::segment::{
    BatchScanner, IndexTail, IndexedTimestamp, ScanStep, first_time_at_least, last_timestamp, lookup_position,
    open_log_file,
};

/// A compressed batch that unpacks to more is answered for as a whole.
const DECOMPRESSED_BYTES_MAX: usize = 64 << 20;

/// A record's place found by its timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampOffset {
    pub timestamp_ms: i64,
    pub offset: Offset,
    pub leader_epoch: LeaderEpoch,
}

/// A search through the log as it was when the search began.
#[derive(Debug)]
#[must_use = "nothing is searched until it runs"]
pub struct TimestampSearch {
    context: Arc<Context>,
    dir: Arc<Path>,
    segments: Vec<Searched>,
    log_start: Offset,
    upper_bound: Offset,
    wanted: Wanted,
}

#[derive(Clone, Copy, Debug)]
enum Wanted {
    AtLeast(i64),
    Greatest,
}

#[derive(Debug)]
struct Searched {
    base_offset: Offset,
    end: Offset,
    size_bytes: u64,
    slot: Arc<FileSlot>,
    /// As [`crate::segment::Segment::max_timestamp`].
    newest: Option<Option<IndexedTimestamp>>,
    /// What the index files of the last segment lack.
    tail: Option<IndexTail>,
}

impl Log {
    /// The first record below `upper_bound` with at least this timestamp (ListOffsets).
    pub fn search_timestamp(&self, timestamp_ms: i64, upper_bound: Offset) -> Result<TimestampSearch, StorageError> {
        self.search(Wanted::AtLeast(timestamp_ms), upper_bound)
    }

    /// The record below `upper_bound` with the greatest timestamp, the first of several (ListOffsets -3, KIP-734).
    pub fn search_max_timestamp(&self, upper_bound: Offset) -> Result<TimestampSearch, StorageError> {
        self.search(Wanted::Greatest, upper_bound)
    }

    /// [`Self::search_timestamp`] on this thread.
    pub fn offset_for_timestamp(
        &self,
        timestamp_ms: i64,
        upper_bound: Offset,
    ) -> Result<Option<TimestampOffset>, ReadError> {
        self.search_timestamp(timestamp_ms, upper_bound)?.run()
    }

    /// [`Self::search_max_timestamp`] on this thread.
    pub fn max_timestamp(&self, upper_bound: Offset) -> Result<Option<TimestampOffset>, ReadError> {
        self.search_max_timestamp(upper_bound)?.run()
    }

    fn search(&self, wanted: Wanted, upper_bound: Offset) -> Result<TimestampSearch, StorageError> {
        self.context.check()?;
        let last = self.segments.len().saturating_sub(1);
        let is_in_range = |index: &usize| {
            self.segments[*index].base_offset < upper_bound && self.segment_end(*index) > self.log_start
        };
        let searched = |index: usize| {
            let segment = &self.segments[index];
            let active = self.active.as_ref().filter(|_| index == last);
            Searched {
                base_offset: segment.base_offset,
                end: self.segment_end(index),
                size_bytes: segment.size_bytes,
                slot: segment.slot.clone(),
                newest: active.map_or(segment.max_timestamp, |active| Some(active.index.max_timestamp())),
                tail: active.map(|active| active.index.clone()),
            }
        };
        Ok(TimestampSearch {
            context: self.context.clone(),
            dir: self.dir.clone(),
            segments: (0..self.segments.len()).filter(is_in_range).map(searched).collect(),
            log_start: self.log_start,
            upper_bound,
            wanted,
        })
    }
}

impl TimestampSearch {
    /// Waits for the device. What was found does not count if the log lost a segment meanwhile: then it is to be repeated.
    pub fn run(self) -> Result<Option<TimestampOffset>, ReadError> {
        let found = match self.wanted {
            Wanted::AtLeast(timestamp_ms) => self.first_at_least(timestamp_ms),
            Wanted::Greatest => self.greatest(),
        };
        match self.segments.iter().any(|segment| segment.slot.is_retired()) {
            true => Err(ReadError::Replaced),
            false => Ok(found?),
        }
    }

    fn first_at_least(&self, timestamp_ms: i64) -> Result<Option<TimestampOffset>, StorageError> {
        for segment in &self.segments {
            let newest = self.newest(segment)?;
            if newest.is_none_or(|newest| newest.timestamp_ms < timestamp_ms) {
                continue;
            }
            let reached = self.first_time_entry(segment, timestamp_ms).unwrap_or(segment.end);
            let position = self.position_below(segment, reached.max(self.log_start));
            if let Some(found) = self.first_from(segment, position, timestamp_ms)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn greatest(&self) -> Result<Option<TimestampOffset>, StorageError> {
        let mut greatest: Option<(&Searched, IndexedTimestamp)> = None;
        for segment in &self.segments {
            let newest = self.newest(segment)?;
            // A record beyond either bound hides what lies between them.
            let is_hidden =
                |newest: IndexedTimestamp| segment.base_offset < self.log_start || newest.offset >= self.upper_bound;
            let newest = match newest {
                Some(newest) if is_hidden(newest) => self.newest_in_range(segment)?,
                newest => newest,
            };
            if let Some(newest) = newest
                && greatest.is_none_or(|(_, greatest)| newest.timestamp_ms > greatest.timestamp_ms)
            {
                greatest = Some((segment, newest));
            }
        }
        match greatest {
            None => Ok(None),
            Some((segment, greatest)) => {
                let position = self.position_below(segment, greatest.offset);
                self.first_from(segment, position, greatest.timestamp_ms)
            }
        }
    }

    /// The greatest timestamp of a segment's records: from the end of its time index, which has no entry if they have none.
    fn newest(&self, segment: &Searched) -> Result<Option<IndexedTimestamp>, StorageError> {
        if let Some(newest) = segment.newest {
            return Ok(newest);
        }
        let index = self.context.disk.open(&self.path(segment, names::TIME_INDEX), OpenMode::Existing);
        match index.and_then(|index| last_timestamp(&*index, segment.base_offset)) {
            Ok(newest) => Ok(newest),
            // The index is lost: the batches know.
            Err(_) => {
                let mut tail = IndexTail::new(segment.base_offset);
                self.for_each_batch(segment, 0, |header, _| {
                    tail.on_existing(header);
                    true
                })?;
                Ok(tail.max_timestamp())
            }
        }
    }

    /// As [`Self::newest`], of the records between log start and upper bound.
    fn newest_in_range(&self, segment: &Searched) -> Result<Option<IndexedTimestamp>, StorageError> {
        let mut newest: Option<IndexedTimestamp> = None;
        let position = self.position_below(segment, self.log_start);
        self.for_each_batch(segment, position, |header, batch| {
            if header.base_offset >= self.upper_bound {
                return false;
            }
            let is_cut = header.base_offset < self.log_start || header.next_offset() > self.upper_bound;
            let timestamp_ms = match is_cut {
                true => self.newest_record(header, batch),
                false => Some(header.max_timestamp).filter(|_| header.record_count > 0),
            };
            if let Some(timestamp_ms) = timestamp_ms
                && timestamp_ms > newest.map_or(-1, |newest| newest.timestamp_ms)
            {
                newest = Some(IndexedTimestamp { timestamp_ms, offset: header.last_offset() });
            }
            true
        })?;
        Ok(newest)
    }

    fn newest_record(&self, header: &BatchHeader, batch: &Bytes) -> Option<i64> {
        let mut newest = None;
        let Ok(records) = records(batch, DECOMPRESSED_BYTES_MAX) else {
            return Some(header.max_timestamp).filter(|_| header.last_offset() >= self.log_start);
        };
        for record in records.flatten().filter(|record| self.is_in_range(record.offset)) {
            newest = newest.max(Some(record.timestamp_ms));
        }
        newest
    }

    /// The first record from the batch at `position` on with at least this timestamp.
    fn first_from(
        &self,
        segment: &Searched,
        position: u64,
        timestamp_ms: i64,
    ) -> Result<Option<TimestampOffset>, StorageError> {
        let mut found = None;
        self.for_each_batch(segment, position, |header, batch| {
            if header.max_timestamp >= timestamp_ms && header.last_offset() >= self.log_start {
                found = self.first_record(header, batch, timestamp_ms);
            }
            found.is_none() && header.base_offset < self.upper_bound
        })?;
        Ok(found)
    }

    /// The first record of a batch that qualifies. A batch whose records cannot be read answers as a whole.
    fn first_record(&self, header: &BatchHeader, batch: &Bytes, timestamp_ms: i64) -> Option<TimestampOffset> {
        let leader_epoch = header.partition_leader_epoch;
        let offset = header.base_offset.max(self.log_start);
        let whole = TimestampOffset { timestamp_ms: header.max_timestamp, offset, leader_epoch };
        let whole = Some(whole).filter(|whole| whole.offset < self.upper_bound);
        let Ok(records) = records(batch, DECOMPRESSED_BYTES_MAX) else {
            return whole;
        };
        for record in records {
            let Ok(record) = record else {
                return whole;
            };
            if self.is_in_range(record.offset) && record.timestamp_ms >= timestamp_ms {
                let (timestamp_ms, offset) = (record.timestamp_ms, record.offset);
                return Some(TimestampOffset { timestamp_ms, offset, leader_epoch });
            }
        }
        None
    }

    fn is_in_range(&self, offset: Offset) -> bool {
        self.log_start <= offset && offset < self.upper_bound
    }

    /// The last offset of the batch with which, by the time index, the greatest timestamp so far reached this one.
    fn first_time_entry(&self, segment: &Searched, timestamp_ms: i64) -> Option<Offset> {
        let index = self.context.disk.open(&self.path(segment, names::TIME_INDEX), OpenMode::Existing);
        let in_file = index.and_then(|index| first_time_at_least(&*index, segment.base_offset, timestamp_ms));
        in_file.ok().flatten().or_else(|| {
            let unwritten = segment.tail.as_ref()?.unwritten_times();
            Some(unwritten.iter().find(|entry| entry.timestamp_ms >= timestamp_ms)?.offset)
        })
    }

    /// Of a batch at or before the one that holds `offset`: where the last index entry below points.
    fn position_below(&self, segment: &Searched, offset: Offset) -> u64 {
        let below = offset + -1;
        if let Some(position) = segment.tail.as_ref().and_then(|tail| tail.position_of(below)) {
            return position.min(segment.size_bytes);
        }
        let index = self.context.disk.open(&self.path(segment, names::INDEX), OpenMode::Existing);
        let found = index.and_then(|index| lookup_position(&*index, segment.base_offset, below, segment.size_bytes));
        found.ok().flatten().unwrap_or(0)
    }

    /// For as long as `visit` says so.
    fn for_each_batch(
        &self,
        segment: &Searched,
        position: u64,
        mut visit: impl FnMut(&BatchHeader, &Bytes) -> bool,
    ) -> Result<(), StorageError> {
        let path = self.path(segment, names::LOG);
        let file: Arc<dyn DiskFile> = open_log_file(&self.context, &segment.slot, &self.dir, segment.base_offset)?;
        let mut scanner = BatchScanner::new(&*file, position, segment.size_bytes);
        while let ScanStep::Batch { header, batch, .. } =
            scanner.step().map_err(|error| StorageError::read("read", &path, &error))?
        {
            if !visit(&header, &batch) {
                break;
            }
        }
        Ok(())
    }

    fn path(&self, segment: &Searched, extension: &str) -> std::path::PathBuf {
        self.dir.join(names::segment_file(segment.base_offset, extension))
    }
}
