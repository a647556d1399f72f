//! Cutting the log back: a follower drops what its leader does not have (KIP-101, KIP-279).
//!
//! The order is what matters: the lowered mark is on disk before any batch goes, and the cut is on disk before
//! anything is appended in its place. Otherwise a crash could show old batches behind new ones. What may fail without
//! taking the directory offline (a read, a full disk) comes before both: then the log is as it was, and may be told again.

use std::path::PathBuf;
use std::sync::Arc;

use tidelog_wire::types::Offset;

use super::Log;
use crate::disk::{DiskFile, OpenMode};
use crate::error::{ReadError, StorageError};
use crate::marks::Mark;
use crate::names;
use crate::segment::{Active, lengths_below};

impl Log {
    /// Drops everything at and above `offset` (a batch that straddles it goes as a whole). The lowered durable mark is
    /// on disk first, the cut itself before this returns. An offset at or above the log end drops no record,
    /// but the epochs that start there, and damaged bytes above the log end.
    pub fn truncate_to(&mut self, offset: Offset) -> Result<(), StorageError> {
        self.context.check()?;
        if offset < self.log_start {
            return self.truncate_fully_and_start_at(offset);
        }
        if offset >= self.log_end && self.damage.is_none() {
            // An epoch in which nothing was appended may diverge too.
            if self.epochs.truncate_from_end(offset) {
                self.flush.owed.epochs_due = self.has_dir;
            }
            return Ok(());
        }
        let offset = offset.min(self.log_end);
        let (position, end) = match self.find_batch(offset) {
            Ok(Some((position, header))) if header.base_offset > offset => (Some(position), self.end_before(offset)?),
            Ok(Some((position, header))) => (Some(position), header.base_offset),
            Ok(None) => (None, offset),
            Err(ReadError::Storage(error)) => return Err(error),
            Err(ReadError::OutOfRange { .. } | ReadError::Replaced) => unreachable!("the offset lies in the log"),
        };
        // The batch that holds the log start may begin below it: then nothing stays, and the leader sends all of it again.
        if end < self.log_start {
            return self.truncate_fully_and_start_at(self.log_start);
        }
        let files = self.files_above(end)?;
        let last = self.segments.iter().rfind(|segment| segment.base_offset < end);
        let last = last.map(|segment| segment.file(&self.context, &self.dir)).transpose()?;
        let producers = self.producers.reaches(end).then(|| self.producers_at(end)).transpose()?;
        self.lower_mark(Mark { durable_end: self.mark.durable_end.min(end), ..self.mark })?;
        self.cancel_cleaning_above(end);
        if self.segments.last().is_some_and(|segment| segment.base_offset < end) && self.active.is_some() {
            // The entries in memory are lost with it.
            self.write_index_block();
        }
        self.remove_above(end, &files)?;
        self.log_end = end;
        if let Some(file) = last {
            self.cut_last_segment(&*file, position)?;
        }
        if let Some((producers, are_partial)) = producers {
            self.producers = producers;
            self.producers_are_partial = are_partial;
        }
        self.forget_above(end)?;
        self.check_order();
        Ok(())
    }

    /// Drops everything and restarts empty at `offset`.
    pub fn truncate_fully_and_start_at(&mut self, offset: Offset) -> Result<(), StorageError> {
        self.context.check()?;
        let files = self.files_above(Offset::ZERO)?;
        self.lower_mark(Mark { durable_end: offset, log_start: offset, ..Mark::default() })?;
        self.cancel_cleaning();
        self.cancel_cleaning_above(Offset::ZERO);
        self.remove_above(Offset::ZERO, &files)?;
        self.remove_file_named(names::EPOCHS)?;
        self.epochs.clear();
        self.producers.clear();
        self.damage = None;
        (self.log_start, self.log_end) = (offset, offset);
        self.flush.flushed_end = offset;
        if self.has_dir {
            self.context.sync_dir(&self.dir)?;
        }
        self.check_order();
        Ok(())
    }

    /// Where the batches before a gap end that holds `offset`: the log must end with a batch.
    fn end_before(&self, offset: Offset) -> Result<Offset, StorageError> {
        let index = self.segment_of(offset).expect("a batch was found in it");
        let mut end = self.segments[index].base_offset;
        let start = self.start_below(index, offset)?;
        self.for_each_header_from(index, start, |header| {
            if header.next_offset() <= offset {
                end = header.next_offset();
            }
            header.next_offset() <= offset
        })?;
        Ok(end)
    }

    fn lower_mark(&mut self, mark: Mark) -> Result<(), StorageError> {
        self.flush.generation += 1;
        self.cursors = Arc::default();
        self.is_changed = true;
        if mark != self.mark {
            if let Err(error) = self.marks.set_durably(&self.context, self.mark_key(), mark) {
                self.marks.set(self.mark_key(), self.mark);
                return Err(error);
            }
            self.mark = mark;
        }
        Ok(())
    }

    /// The files of all segments that begin at or above `offset`, those a damaged log does not count too.
    fn files_above(&self, offset: Offset) -> Result<Vec<PathBuf>, StorageError> {
        if !self.has_dir {
            return Ok(Vec::new());
        }
        let is_above = |name: &str| match names::parse_segment_file(name) {
            // A snapshot at the new end still holds, unless everything goes.
            Some((base, extension)) => {
                base > offset || base == offset && extension != names::SNAPSHOT || offset == Offset::ZERO
            }
            None => false,
        };
        let entries = self.context.list(&self.dir)?.into_iter().filter(|entry| is_above(&entry.name));
        Ok(entries.map(|entry| self.dir.join(entry.name)).collect())
    }

    fn remove_above(&mut self, offset: Offset, files: &[PathBuf]) -> Result<(), StorageError> {
        self.active = None;
        self.recent_snapshots.truncate(offset);
        self.drop_segments_from(self.segments.partition_point(|segment| segment.base_offset < offset));
        self.flush.owed.dir_changed |= !files.is_empty();
        files.iter().try_for_each(|file| self.context.remove_file(file))
    }

    /// Cuts the last segment's file to `position`, or to its batches. A cut that fails would leave old batches behind the
    /// end, whatever the reason.
    fn cut_last_segment(&mut self, file: &dyn DiskFile, position: Option<u64>) -> Result<(), StorageError> {
        let segment = self.segments.last_mut().expect("its file is open");
        // Position 0 is that of a segment that went as a whole.
        if let Some(position) = position.filter(|position| *position > 0) {
            segment.size_bytes = position;
        }
        segment.max_timestamp = None;
        segment.renew_slot();
        let path = segment.path(&self.dir, names::LOG);
        self.context.synced(&path, file.set_len(segment.size_bytes))?;
        self.context.synced(&path, file.sync_data())
    }

    /// Brings everything that describes the log in line with its new end.
    fn forget_above(&mut self, end: Offset) -> Result<(), StorageError> {
        self.flush.flushed_end = self.flush.flushed_end.min(end);
        self.flush.owed.epochs_due = true;
        self.epochs.truncate_from_end(end);
        self.damage = None;
        if let Some(last) = self.segments.len().checked_sub(1) {
            self.renew_index(last, end)?;
        }
        if self.has_dir {
            self.context.sync_dir(&self.dir)?;
            self.flush.owed.dir_changed = false;
        }
        Ok(())
    }

    /// The index files still describe what was cut: their entries above go too, and if the rest does not fit, they are made
    /// from the batches. If they cannot be made now, the next append makes them.
    fn renew_index(&mut self, index: usize, end: Offset) -> Result<(), StorageError> {
        let cut = self.cut_index(index, end);
        self.context.check()?;
        let renewed = match cut {
            Ok(Some(active)) => Ok(active),
            Ok(None) | Err(_) => self.rebuild_index(index, 0),
        };
        match renewed {
            Ok(active) => self.active = Some(Box::new(active)),
            Err(error) => {
                self.context.check()?;
                tracing::warn!(log = %self.dir.display(), "going without indexes until the next append: {error}");
                for extension in [names::INDEX, names::TIME_INDEX] {
                    self.context.remove_file(&self.segments[index].path(&self.dir, extension))?;
                }
            }
        }
        Ok(())
    }

    /// `None` if the index files do not fit the segment. They need no sync: recovery looks at the last segment's batches.
    fn cut_index(&self, index: usize, end: Offset) -> Result<Option<Active>, StorageError> {
        let segment = &self.segments[index];
        let paths = [names::INDEX, names::TIME_INDEX].map(|extension| segment.path(&self.dir, extension));
        let [offsets, times] = [&paths[0], &paths[1]].map(|path| self.context.open(path, OpenMode::Existing));
        let (offsets, times) = (offsets?, times?);
        let lengths = lengths_below(&*offsets, &*times, segment.base_offset, end);
        let (offsets_len, times_len) = lengths.map_err(|error| StorageError::read("read", &paths[0], &error))?;
        self.context.changed("cut", &paths[0], offsets.set_len(offsets_len))?;
        self.context.changed("cut", &paths[1], times.set_len(times_len))?;
        Active::load(&self.context, &self.dir, segment, 0)
    }

    fn remove_file_named(&mut self, name: &str) -> Result<(), StorageError> {
        match self.has_dir {
            true => self.context.remove_file(&self.dir.join(name)),
            false => Ok(()),
        }
    }
}
