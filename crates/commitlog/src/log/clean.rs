//! Compaction as the log's owner sees it: what there is to clean, handing out a job, putting its files in place.
//!
//! The new files take over in three steps, each on disk before the next:
//!
//! ```text
//!   1  <base>.log.cleaned becomes <base>.log.swap        from here on recovery finishes the rest
//!   2  the old files become .deleted
//!   3  <base>.log.swap becomes <base>.log                 the indexes with it
//! ```
//! Nothing is renamed over an old file: freeing the space of a large one takes the device tens of milliseconds.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tidelog_wire::record_batch::{BatchHeader, HEADER_SIZE};
use tidelog_wire::types::Offset;

use super::{DeletedFiles, Log};
use crate::cleaner::{CleanError, CleanJob, CleanStats, Cleaned, CleanedSegment, Source, Token, cleaned_path, discard};
use crate::context::with_suffix;
use crate::error::StorageError;
use crate::names;
use crate::segment::Segment;

/// Where the cleaning of a log stands.
#[derive(Debug, Default)]
pub(super) struct Cleaning {
    /// Everything below was cleaned.
    pub(super) first_dirty: Offset,
    pub(super) running: Option<Running>,
}

#[derive(Debug)]
pub(super) struct Running {
    token: Token,
    /// No segment at or above is touched.
    end: Offset,
}

/// How dirty a log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleanable {
    pub clean_bytes: u64,
    /// Of closed segments that may be cleaned now.
    pub dirty_bytes: u64,
    /// How long the oldest of them is overdue by `max.compaction.lag.ms`; 0 if it is not.
    pub overdue_ms: i64,
}

impl Cleanable {
    /// Share of the log that is dirty.
    pub fn dirty_ratio(&self) -> f64 {
        match self.clean_bytes + self.dirty_bytes {
            0 => 0.0,
            all => self.dirty_bytes as f64 / all as f64,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.token.store(true, Ordering::Relaxed);
    }
}

impl Log {
    /// Everything below was compacted.
    pub fn first_dirty_offset(&self) -> Offset {
        self.cleaning.first_dirty.clamp(self.log_start, self.log_end)
    }

    /// How much there is to clean below `high_watermark`; `None` for a log that is not compacted, is being cleaned, or
    /// is damaged.
    pub fn cleanable(&mut self, now_ms: i64, high_watermark: Offset) -> Result<Option<Cleanable>, StorageError> {
        if !self.config.cleanup_compact || self.cleaning.running.is_some() || self.damage.is_some() {
            return Ok(None);
        }
        self.context.check()?;
        let first_dirty = self.first_dirty_offset();
        let count = self.cleanable_segments(now_ms, high_watermark)?;
        let dirty = (0..count).take_while(|index| self.segment_end(*index) <= first_dirty).count();
        let bytes = |segments: &[Segment]| segments.iter().map(|segment| segment.size_bytes).sum();
        let (clean_bytes, dirty_bytes) = (bytes(&self.segments[..dirty]), bytes(&self.segments[dirty..count]));
        let mut overdue_ms = 0;
        if dirty < count && self.config.max_compaction_lag_ms < i64::MAX {
            let age_ms = now_ms.saturating_sub(self.first_timestamp(dirty)?.unwrap_or(now_ms));
            overdue_ms = age_ms.saturating_sub(self.config.max_compaction_lag_ms).max(0);
        }
        Ok(Some(Cleanable { clean_bytes, dirty_bytes, overdue_ms }))
    }

    /// A job that compacts what [`Self::cleanable`] speaks of; `None` if there is nothing. To be run on any thread and
    /// handed to [`Self::finish_cleaning`]; until then there is no other.
    pub fn begin_cleaning(&mut self, now_ms: i64, high_watermark: Offset) -> Result<Option<CleanJob>, StorageError> {
        let Some(Cleanable { dirty_bytes: 1.., .. }) = self.cleanable(now_ms, high_watermark)? else {
            return Ok(None);
        };
        if !self.mark.has_gaps {
            // The job syncs it before it does anything else.
            self.mark.has_gaps = true;
            self.marks.set(self.mark_key(), self.mark);
        }
        let count = self.cleanable_segments(now_ms, high_watermark)?;
        let source = |index: usize| {
            let Segment { base_offset, size_bytes, slot, .. } = &self.segments[index];
            let (end, slot) = (self.segment_end(index), slot.clone());
            Source { base_offset: *base_offset, end, size_bytes: *size_bytes, slot }
        };
        let sources: Vec<_> = (0..count).map(source).collect();
        let token = Token::default();
        self.cleaning.running = Some(Running { token: token.clone(), end: self.segment_end(count - 1) });
        Ok(Some(CleanJob {
            context: self.context.clone(),
            marks: self.marks.clone(),
            dir: self.dir.clone(),
            config: self.config.clone(),
            sources,
            first_dirty: self.first_dirty_offset(),
            last_of_producers: self.producers.last_offsets(),
            now_ms,
            token,
        }))
    }

    /// Puts the new segments in the place of the old ones, whose files are handed back. Waits for the device twice.
    pub fn finish_cleaning(
        &mut self,
        cleaned: Cleaned,
        now_ms: i64,
    ) -> Result<(CleanStats, Option<DeletedFiles>), CleanError> {
        let is_current =
            self.cleaning.running.as_ref().is_some_and(|running| Arc::ptr_eq(&running.token, &cleaned.token));
        if is_current {
            self.cleaning.running = None;
        }
        let stats = match cleaned.result {
            Ok(stats) if is_current => stats,
            Ok(_) => {
                cleaned.discard(self);
                return Err(CleanError::Cancelled);
            }
            Err(error) => return Err(error),
        };
        let deleted = match cleaned.segments.is_empty() {
            true => None,
            false => Some(self.swap(&cleaned.segments, stats.cleaned_up_to, now_ms)?),
        };
        self.cleaning.first_dirty = stats.cleaned_up_to;
        self.context.cleaner_checkpoint.set(&self.id, stats.cleaned_up_to);
        Ok((stats, deleted))
    }

    /// The log changes at and above `offset`: a cleaning that reaches so far is of no use any more.
    pub(super) fn cancel_cleaning_above(&mut self, offset: Offset) {
        if self.cleaning.running.as_ref().is_some_and(|running| offset < running.end) {
            self.cleaning.running = None;
        }
        if offset < self.cleaning.first_dirty {
            self.cleaning.first_dirty = offset;
            self.context.cleaner_checkpoint.set(&self.id, offset);
        }
    }

    /// The job that was begun is lost, or the log loses segments at its start.
    pub fn cancel_cleaning(&mut self) {
        self.cleaning.running = None;
    }

    /// How many segments from the start on are closed, committed, on disk beyond doubt, and old enough.
    fn cleanable_segments(&mut self, now_ms: i64, high_watermark: Offset) -> Result<usize, StorageError> {
        let newest_ms = now_ms.saturating_sub(self.config.min_compaction_lag_ms);
        let first_dirty = self.first_dirty_offset();
        let closed = self.segments.len().saturating_sub(1);
        for index in 0..closed {
            let end = self.segment_end(index);
            // Recovery scans nothing that ends below the mark.
            if end > high_watermark || end >= self.mark.durable_end {
                return Ok(index);
            }
            if end > first_dirty
                && self.config.min_compaction_lag_ms > 0
                && self.segment_max_timestamp(index)?.is_some_and(|newest| newest.timestamp_ms > newest_ms)
            {
                return Ok(index);
            }
        }
        Ok(closed)
    }

    fn first_timestamp(&self, index: usize) -> Result<Option<i64>, StorageError> {
        let segment = &self.segments[index];
        let file = segment.file(&self.context, &self.dir)?;
        let head = file.read_at(0, HEADER_SIZE);
        let head = head.map_err(|error| StorageError::read("read", &segment.path(&self.dir, names::LOG), &error))?;
        Ok(BatchHeader::parse(&head).ok().map(|header| header.max_timestamp))
    }

    fn swap(
        &mut self,
        cleaned: &[CleanedSegment],
        cleaned_up_to: Offset,
        now_ms: i64,
    ) -> Result<DeletedFiles, StorageError> {
        for segment in cleaned {
            self.rename_cleaned(segment.base_offset, names::LOG, names::SWAP)?;
        }
        self.context.sync_dir(&self.dir)?;
        let mut hidden = Vec::new();
        for segment in cleaned {
            hidden.extend(self.take_out(segment));
        }
        let due_ms = now_ms.saturating_add(self.config.file_delete_delay_ms);
        // Not the name of a segment that retention deleted: to recovery that explains why the log begins later.
        let suffix = format!(".before-{cleaned_up_to}{}", names::DELETED);
        let deleted = DeletedFiles::hide_files(&self.context, &self.marks, hidden, &suffix, due_ms)?;
        self.context.sync_dir(&self.dir)?;
        for segment in cleaned {
            let path = self.dir.join(names::segment_file(segment.base_offset, names::LOG));
            let swap = with_suffix(&path, names::SWAP);
            self.context.synced(&swap, self.context.disk.rename(&swap, &path))?;
            self.rename_cleaned(segment.base_offset, names::INDEX, "")?;
            self.rename_cleaned(segment.base_offset, names::TIME_INDEX, "")?;
        }
        self.flush.owed.dir_changed = true;
        self.is_changed = true;
        self.cursors = Arc::default();
        Ok(deleted)
    }

    /// A rename that fails leaves files of which nobody knows to which log they belong: the directory goes offline.
    fn rename_cleaned(&self, base_offset: Offset, extension: &str, suffix: &str) -> Result<(), StorageError> {
        let from = cleaned_path(&self.dir, base_offset, extension);
        let to = with_suffix(&self.dir.join(names::segment_file(base_offset, extension)), suffix);
        self.context.synced(&from, self.context.disk.rename(&from, &to))
    }

    /// Replaces the old segments in memory. Returns their files; of the first, the snapshot still holds.
    fn take_out(&mut self, cleaned: &CleanedSegment) -> Vec<PathBuf> {
        let first = self.segment_of(cleaned.base_offset).expect("the job began with it");
        let after = self.segments.partition_point(|segment| segment.base_offset < cleaned.end);
        let new = Segment::new(cleaned.base_offset, cleaned.size_bytes);
        let new = Segment { max_timestamp: Some(cleaned.max_timestamp), ..new };
        let mut files = Vec::new();
        for old in self.segments.splice(first..after, [new]) {
            old.slot.retire();
            let extensions = [names::LOG, names::INDEX, names::TIME_INDEX];
            files.extend(extensions.map(|extension| old.path(&self.dir, extension)));
            if old.base_offset > cleaned.base_offset {
                files.push(old.path(&self.dir, names::SNAPSHOT));
            }
        }
        files
    }
}

impl Cleaned {
    fn discard(&self, log: &Log) {
        self.segments.iter().for_each(|segment| discard(&log.context, &log.dir, segment.base_offset));
    }
}
