//! Reading whole batches from an offset on.
//!
//! A reader that goes on where it stopped is found in [`Cursors`] and costs one read and no search. What is not in
//! memory (position or pages) becomes a [`ReadJob`].

use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tidelog_wire::record_batch::{BatchHeader, HEADER_SIZE};
use tidelog_wire::types::Offset;

use super::Log;
use crate::context::Context;
use crate::disk::{DiskFile, OpenMode};
use crate::error::{ReadError, StorageError};
use crate::files::{FileSlot, lock};
use crate::names;
use crate::segment::{BatchScanner, ScanStep, lookup_position, open_log_file};

/// Readers remembered per log.
const CURSORS_MAX: usize = 8;

/// Where the last readers stopped. Replaced when the log is cut, so that a job still under way cannot leave a position
/// that no longer holds.
#[derive(Debug, Default)]
pub(super) struct Cursors(Mutex<Vec<Cursor>>);

#[derive(Clone, Copy, Debug)]
struct Cursor {
    offset: Offset,
    segment_base: Offset,
    position: u64,
}

/// The start of a read: done, or to be done where waiting for the device harms nobody.
#[derive(Debug)]
pub enum ReadStart {
    Ready(Bytes),
    Cold(ReadJob),
}

/// A read within one segment that may wait for the device.
#[derive(Debug)]
pub struct ReadJob {
    context: Arc<Context>,
    dir: Arc<Path>,
    slot: Arc<FileSlot>,
    cursors: Arc<Cursors>,
    segment_base: Offset,
    /// Batches end here.
    segment_bytes: u64,
    /// Otherwise offsets that are missing are damage.
    may_have_gaps: bool,
    /// A batch at or before `from`, if known.
    start: Option<u64>,
    range: ReadRange,
}

/// What comes from the device may have rotted there, so its checksums are looked at; the page cache has it as it was
/// written, or as a read brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    PageCache,
    Device,
}

#[derive(Clone, Copy, Debug)]
struct ReadRange {
    from: Offset,
    upper_bound: Offset,
    max_bytes: usize,
    at_least_one: bool,
}

impl Cursors {
    fn find(&self, offset: Offset, segment_base: Offset) -> Option<u64> {
        let cursors = lock(&self.0);
        let found = cursors.iter().find(|cursor| cursor.offset == offset && cursor.segment_base == segment_base);
        found.map(|cursor| cursor.position)
    }

    /// A reader that stood at `from` now stands at `next`.
    fn advance(&self, from: Offset, next: Cursor) {
        let mut cursors = lock(&self.0);
        if let Some(index) = cursors.iter().position(|cursor| cursor.offset == from || cursor.offset == next.offset) {
            cursors.remove(index);
        } else if cursors.len() == CURSORS_MAX {
            cursors.remove(0);
        }
        cursors.push(next);
    }
}

impl ReadJob {
    /// Waits for the device if it has to. What was read of a segment that was replaced or deleted meanwhile
    /// does not count.
    pub fn run(self) -> Result<Bytes, ReadError> {
        let read = open_log_file(&self.context, &self.slot, &self.dir, self.segment_base)
            .and_then(|file| self.read(&*file, Source::Device));
        match self.slot.is_retired() {
            // The index may have been that of the segment which took its place.
            true => Err(ReadError::Replaced),
            false => Ok(read?),
        }
    }

    fn read(&self, file: &dyn DiskFile, source: Source) -> Result<Bytes, StorageError> {
        // A known position is exact or shortly before, so that one read is enough.
        let hinted = match self.start {
            Some(start) => self.read_from(file, start)?,
            None => None,
        };
        let located = match hinted {
            Some(read) => Some(read),
            None => match self.locate(file)? {
                Some(position) => self.read_from(file, position)?,
                None => None,
            },
        };
        let Some((mut bytes, position)) = located else {
            return Ok(Bytes::new());
        };
        let first = BatchHeader::parse(&bytes).map_err(|error| self.damaged(position, &error.to_string()))?;
        let size = first.size_in_bytes();
        if size as u64 > self.segment_bytes - position {
            return Err(self.damaged(position, "a batch is cut off"));
        }
        if self.range.from < first.base_offset && !self.may_have_gaps {
            return Err(self.damaged(position, "a batch does not continue the one before"));
        }
        if size > self.range.max_bytes && !self.range.at_least_one {
            return Ok(Bytes::new());
        }
        if size > bytes.len() {
            bytes = self.read_at(file, position, size as u64)?;
        }
        self.cut(bytes, position, source)
    }

    /// Reads at `position` and drops the batches before `from`; `None` if all that was read lies before.
    fn read_from(&self, file: &dyn DiskFile, position: u64) -> Result<Option<(Bytes, u64)>, StorageError> {
        let wanted = (self.range.max_bytes.max(HEADER_SIZE) as u64).min(self.segment_bytes - position);
        let bytes = self.read_at(file, position, wanted)?;
        let mut skipped = 0;
        while skipped + HEADER_SIZE <= bytes.len() {
            let at = position + skipped as u64;
            let header = BatchHeader::parse(&bytes[skipped..]).map_err(|error| self.damaged(at, &error.to_string()))?;
            if header.last_offset() >= self.range.from {
                return Ok(Some((bytes.slice(skipped..), at)));
            }
            skipped += header.size_in_bytes();
        }
        Ok(None)
    }

    /// Leaves the batches that are whole and end at or below the upper bound.
    fn cut(&self, bytes: Bytes, position: u64, source: Source) -> Result<Bytes, StorageError> {
        let mut len = 0;
        let mut next_offset = None;
        while len + HEADER_SIZE <= bytes.len() {
            let header = BatchHeader::parse(&bytes[len..])
                .map_err(|error| self.damaged(position + len as u64, &error.to_string()))?;
            let continues =
                |next: Offset| next == header.base_offset || next < header.base_offset && self.may_have_gaps;
            if next_offset.is_some_and(|next| !continues(next)) {
                return Err(self.damaged(position + len as u64, "offsets do not continue"));
            }
            let end = len + header.size_in_bytes();
            if end > bytes.len() || header.next_offset() > self.range.upper_bound {
                break;
            }
            if source == Source::Device
                && let Err(error) = header.verify_crc(&bytes[len..end])
            {
                let offset = header.base_offset;
                return Err(self.damaged_at(offset, position + len as u64, &error.to_string()));
            }
            next_offset = Some(header.next_offset());
            len = end;
        }
        if let Some(offset) = next_offset {
            let next = Cursor { offset, segment_base: self.segment_base, position: position + len as u64 };
            self.cursors.advance(self.range.from, next);
        }
        Ok(bytes.slice(..len))
    }

    /// The position of the batch that holds `from`; `None` if it ends above the upper bound.
    fn locate(&self, file: &dyn DiskFile) -> Result<Option<u64>, StorageError> {
        let start = match self.start {
            Some(start) => start,
            None => self.look_up()?,
        };
        let mut scanner = BatchScanner::of_headers(file, start, self.segment_bytes);
        loop {
            let at = scanner.position();
            match scanner.step_header().map_err(|error| self.unreadable(&error))? {
                ScanStep::Batch { header, .. } if header.last_offset() < self.range.from => {}
                ScanStep::Batch { position, .. } => return Ok(Some(position)),
                ScanStep::End if at == self.segment_bytes => return Ok(None),
                ScanStep::End => return Err(self.damaged(at, "zeros where a batch should be")),
                ScanStep::Invalid(error) => return Err(self.damaged(at, &error.to_string())),
            }
        }
    }

    /// From the index file. A missing or senseless one costs time, never a wrong answer.
    fn look_up(&self) -> Result<u64, StorageError> {
        let path = self.dir.join(names::segment_file(self.segment_base, names::INDEX));
        let found = self
            .context
            .disk
            .open(&path, OpenMode::Existing)
            .and_then(|index| lookup_position(&*index, self.segment_base, self.range.from, self.segment_bytes));
        match found {
            Ok(position) => Ok(position.unwrap_or(0)),
            Err(error) => {
                tracing::warn!(path = %path.display(), "searching without the index: {error}");
                Ok(0)
            }
        }
    }

    fn read_at(&self, file: &dyn DiskFile, position: u64, len: u64) -> Result<Bytes, StorageError> {
        let bytes = file.read_at(position, len as usize).map_err(|error| self.unreadable(&error))?;
        match bytes.len() as u64 == len {
            true => Ok(bytes),
            false => Err(self.damaged(position, "the file is shorter than its batches")),
        }
    }

    fn unreadable(&self, error: &std::io::Error) -> StorageError {
        StorageError::read("read", &self.dir.join(names::segment_file(self.segment_base, names::LOG)), error)
    }

    fn damaged(&self, position: u64, reason: &str) -> StorageError {
        self.damaged_at(self.range.from, position, reason)
    }

    fn damaged_at(&self, offset: Offset, position: u64, reason: &str) -> StorageError {
        let path = self.dir.join(names::segment_file(self.segment_base, names::LOG));
        StorageError::Damaged { path, position, offset, reason: reason.to_owned() }
    }
}

impl Log {
    /// Whole batches from the one that holds `from` on, or if compaction removed that, the next one, as many as end at or below `upper_bound` and fit in
    /// `max_bytes`; with `at_least_one`, the first even if it alone is larger. Empty at the upper bound or log end.
    /// Stays within one segment.
    ///
    /// A wrong `from` is [`ReadError::OutOfRange`]. May wait for the device: [`Self::begin_read`] does not.
    pub fn read(
        &mut self,
        from: Offset,
        upper_bound: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Bytes, ReadError> {
        match self.read_job(ReadRange { from, upper_bound, max_bytes, at_least_one })? {
            Some(job) => job.run(),
            None => Ok(Bytes::new()),
        }
    }

    /// As [`Self::read`], but what is not in the page cache comes as a job for another thread.
    pub fn begin_read(
        &mut self,
        from: Offset,
        upper_bound: Offset,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<ReadStart, ReadError> {
        let Some(job) = self.read_job(ReadRange { from, upper_bound, max_bytes, at_least_one })? else {
            return Ok(ReadStart::Ready(Bytes::new()));
        };
        let Some(start) = job.start else {
            return Ok(ReadStart::Cold(job));
        };
        let file = open_log_file(&job.context, &job.slot, &job.dir, job.segment_base)?;
        let len = (max_bytes as u64).min(job.segment_bytes - start) as usize;
        match file.is_cached(start, len) {
            true => Ok(ReadStart::Ready(job.read(&*file, Source::PageCache)?)),
            false => Ok(ReadStart::Cold(job)),
        }
    }

    /// `None` if there is nothing to read.
    fn read_job(&self, range: ReadRange) -> Result<Option<ReadJob>, ReadError> {
        let (from, log_start, log_end) = (range.from, self.log_start, self.log_end);
        if from < log_start || from > log_end {
            return Err(ReadError::OutOfRange { offset: from, log_start, log_end });
        }
        self.context.check()?;
        if from >= log_end.min(range.upper_bound) || range.max_bytes == 0 && !range.at_least_one {
            return Ok(None);
        }
        let index = self.segment_of(from).expect("a log that is not empty has a segment at its start");
        let segment = &self.segments[index];
        let base = segment.base_offset;
        let start = match self.cursors.find(from, base) {
            Some(position) => Some(position),
            None if from == base => Some(0),
            None if index + 1 == self.segments.len() => {
                self.active.as_ref().and_then(|active| active.index.position_of(from))
            }
            None => None,
        };
        Ok(Some(ReadJob {
            context: self.context.clone(),
            dir: self.dir.clone(),
            slot: segment.slot.clone(),
            cursors: self.cursors.clone(),
            segment_base: base,
            segment_bytes: segment.size_bytes,
            may_have_gaps: self.mark.has_gaps,
            start: start.filter(|start| *start < segment.size_bytes),
            range,
        }))
    }

    /// The position of the batch that holds `offset`, which lies in the log, or if compaction removed that, of the next
    /// one, and that batch's header.
    pub(super) fn find_batch(&self, offset: Offset) -> Result<Option<(u64, BatchHeader)>, ReadError> {
        let range = ReadRange { from: offset, upper_bound: self.log_end, max_bytes: HEADER_SIZE, at_least_one: true };
        let Some(job) = self.read_job(range)? else {
            return Ok(None);
        };
        let file = open_log_file(&job.context, &job.slot, &job.dir, job.segment_base)?;
        let Some(position) = job.locate(&*file)? else {
            return Ok(None);
        };
        let head = job.read_at(&*file, position, HEADER_SIZE as u64)?;
        let header = BatchHeader::parse(&head).map_err(|error| job.damaged(position, &error.to_string()))?;
        Ok(Some((position, header)))
    }
}
