//! Deleting from the start of the log: retention by time and size, DeleteRecords.

use tidelog_wire::types::Offset;

use super::{DeletedFiles, Log};
use crate::error::StorageError;
use crate::names;
use crate::segment::{IndexedTimestamp, last_timestamp};

impl Log {
    /// Moves the log start up (DeleteRecords, or a leader's log start in a Fetch). On disk when this returns. Whole
    /// segments below are handed back as deleted files.
    ///
    /// An offset beyond the log end is the caller's mistake and panics; one below the log start changes nothing.
    pub fn advance_log_start(&mut self, offset: Offset, now_ms: i64) -> Result<Vec<DeletedFiles>, StorageError> {
        self.context.check()?;
        assert!(offset <= self.log_end, "log start {offset} beyond log end {}", self.log_end);
        if offset <= self.log_start {
            return Ok(Vec::new());
        }
        let mark = crate::marks::Mark { log_start: offset, ..self.mark };
        self.marks.set_durably(&self.context, self.mark_key(), mark)?;
        self.mark = mark;
        self.start_at(offset);
        self.delete_below_start(now_ms)
    }

    /// Applies `retention.ms` and `retention.bytes` to whole segments, never past `high_watermark`.
    pub fn apply_retention(&mut self, now_ms: i64, high_watermark: Offset) -> Result<Vec<DeletedFiles>, StorageError> {
        self.context.check()?;
        if !self.config.cleanup_delete || self.damage.is_some() {
            return Ok(Vec::new());
        }
        let expired = self.expired_segments(now_ms)?;
        let deletable = expired.max(self.surplus_segments());
        let below_high_watermark =
            (0..deletable).take_while(|index| self.segment_end(*index) <= high_watermark).count();
        let Some(last) = below_high_watermark.checked_sub(1) else {
            return Ok(Vec::new());
        };
        let start = self.segment_end(last);
        if below_high_watermark == self.segments.len() {
            // Nothing stays, so the last segment ends here; the next append begins another.
            self.prepare_append(now_ms)?;
            self.close_segment()?;
        }
        self.start_at(start);
        self.mark.log_start = start;
        self.marks.set(self.mark_key(), self.mark);
        self.delete_below_start(now_ms)
    }

    fn start_at(&mut self, offset: Offset) {
        self.log_start = offset;
        self.flush.flushed_end = self.flush.flushed_end.max(offset);
        self.epochs.truncate_from_start(offset);
        self.flush.owed.epochs_due = self.has_dir;
        self.is_changed = true;
    }

    /// Takes out the segments that end at or below the log start; the one being appended to stays.
    fn delete_below_start(&mut self, now_ms: i64) -> Result<Vec<DeletedFiles>, StorageError> {
        let closed = self.segments.len() - usize::from(self.active.is_some() || self.log_end > self.log_start);
        let count =
            (0..closed.min(self.segments.len())).take_while(|index| self.segment_end(*index) <= self.log_start).count();
        if count == 0 {
            return Ok(Vec::new());
        }
        self.cancel_cleaning();
        let mut files = Vec::new();
        for segment in self.segments.drain(..count) {
            segment.slot.retire();
            let extensions = [names::LOG, names::INDEX, names::TIME_INDEX, names::SNAPSHOT];
            files.extend(extensions.map(|extension| segment.path(&self.dir, extension)));
        }
        self.flush.owed.dir_changed = true;
        let due_ms = now_ms.saturating_add(self.config.file_delete_delay_ms);
        Ok(vec![DeletedFiles::hide_files(&self.context, &self.marks, files, names::DELETED, due_ms)?])
    }

    /// How many segments from the start on hold nothing younger than `retention.ms`.
    fn expired_segments(&mut self, now_ms: i64) -> Result<usize, StorageError> {
        if self.config.retention_ms < 0 {
            return Ok(0);
        }
        for index in 0..self.segments.len() {
            let newest_ms = match self.segment_max_timestamp(index)? {
                Some(newest) => Some(newest.timestamp_ms),
                None => self.newest_header_ms(index)?,
            };
            // Records without timestamps do not expire.
            let is_expired = newest_ms.is_some_and(|newest| now_ms.saturating_sub(newest) > self.config.retention_ms);
            if !is_expired {
                return Ok(index);
            }
        }
        Ok(self.segments.len())
    }

    /// How many segments from the start on may go so that at least `retention.bytes` stay.
    fn surplus_segments(&self) -> usize {
        let Ok(retention_bytes) = u64::try_from(self.config.retention_bytes) else {
            return 0;
        };
        let mut surplus = self.size_bytes().saturating_sub(retention_bytes);
        let mut count = 0;
        // The last segment is never deleted for its size.
        for segment in self.segments.iter().rev().skip(1).rev() {
            if segment.size_bytes > surplus {
                break;
            }
            surplus -= segment.size_bytes;
            count += 1;
        }
        count
    }

    /// How old a segment is in which compaction left nothing but empty batches: without an age it would never expire, nor
    /// would anything behind it.
    fn newest_header_ms(&mut self, index: usize) -> Result<Option<i64>, StorageError> {
        if let Some(known) = self.segments[index].newest_header_ms {
            return Ok(known);
        }
        let mut newest = None;
        self.for_each_header(index, |header| newest = newest.max(Some(header.max_timestamp)))?;
        let newest = newest.filter(|newest| *newest >= 0);
        if index + 1 < self.segments.len() {
            self.segments[index].newest_header_ms = Some(newest);
        }
        Ok(newest)
    }

    /// The greatest timestamp of a segment's records, from memory or the end of its time index.
    pub(super) fn segment_max_timestamp(&mut self, index: usize) -> Result<Option<IndexedTimestamp>, StorageError> {
        if index + 1 == self.segments.len()
            && let Some(active) = &self.active
        {
            return Ok(active.index.max_timestamp());
        }
        let segment = &self.segments[index];
        if let Some(known) = segment.max_timestamp.or((segment.size_bytes == 0).then_some(None)) {
            return Ok(known);
        }
        let path = segment.path(&self.dir, names::TIME_INDEX);
        let read = self.context.disk.open(&path, crate::disk::OpenMode::Existing);
        let found = read.and_then(|file| last_timestamp(&*file, segment.base_offset));
        let found = match found {
            // Without an entry if no record has a timestamp.
            Ok(found) => found,
            // Lost: the batches know.
            Err(_) => {
                let mut index_tail = crate::segment::IndexTail::new(segment.base_offset);
                self.for_each_header(index, |header| index_tail.on_existing(header))?;
                index_tail.max_timestamp()
            }
        };
        self.segments[index].max_timestamp = Some(found);
        Ok(found)
    }
}
