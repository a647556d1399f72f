//! What describes a segment or the log, made anew from the batches' headers.

use std::io;

use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::Offset;

use super::Log;
use crate::disk::{DiskFile, OpenMode};
use crate::epochs::Epochs;
use crate::error::StorageError;
use crate::names;
use crate::producers::Producers;
use crate::segment::{Active, BatchScanner, IndexTail, ScanStep, last_position_at_most, lookup_position};

/// A retry repeats what was sent shortly before, and a roll may lie between. The shard's thread waits for as much as this.
const RECENT_SEGMENTS: usize = 2;
const RECENT_BYTES: u64 = 32 << 20;

impl Log {
    /// The indexes of a segment from its batches; its files are written anew.
    pub(super) fn rebuild_index(&mut self, index: usize, now_ms: i64) -> Result<Active, StorageError> {
        let segment = &self.segments[index];
        let mut active = Active::new(segment.base_offset, now_ms);
        let file = segment.file(&self.context, &self.dir)?;
        let path = segment.path(&self.dir, names::LOG);
        active.file_bytes = file.byte_len().map_err(|error| StorageError::read("examine", &path, &error))?;
        let interval_bytes = self.config.index_interval_bytes;
        let mut position = 0;
        let mut tail = IndexTail::new(segment.base_offset);
        self.for_each_header(index, |header| {
            tail.on_batch(header, position, interval_bytes);
            position += header.size_in_bytes() as u64;
        })?;
        active.index = tail;
        active.write_index(&self.context, &self.dir, &self.segments[index])?;
        Ok(active)
    }

    /// The headers of a segment's batches, in order.
    pub(super) fn for_each_header(
        &self,
        index: usize,
        mut visit: impl FnMut(&BatchHeader),
    ) -> Result<(), StorageError> {
        self.for_each_header_from(index, 0, |header| {
            visit(header);
            true
        })
    }

    /// The headers of a segment's batches from a position on, for as long as `visit` says so.
    pub(super) fn for_each_header_from(
        &self,
        index: usize,
        position: u64,
        mut visit: impl FnMut(&BatchHeader) -> bool,
    ) -> Result<(), StorageError> {
        let segment = &self.segments[index];
        let path = segment.path(&self.dir, names::LOG);
        let file = segment.file(&self.context, &self.dir)?;
        let mut scanner = BatchScanner::of_headers(&*file, position, segment.size_bytes);
        loop {
            match scanner.step_header().map_err(|error| StorageError::read("read", &path, &error))? {
                ScanStep::Batch { header, .. } if visit(&header) => {}
                ScanStep::Batch { .. } | ScanStep::End | ScanStep::Invalid(_) => return Ok(()),
            }
        }
    }

    /// A position from which on to look for `offset`: that of the last index entry at or below.
    pub(super) fn start_below(&self, index: usize, offset: Offset) -> Result<u64, StorageError> {
        let segment = &self.segments[index];
        let (base, size) = (segment.base_offset, segment.size_bytes);
        if offset <= base {
            return Ok(0);
        }
        let active = self.active.as_ref().filter(|_| index + 1 == self.segments.len());
        let found = match active.and_then(|active| active.index.position_of(offset)) {
            Some(position) => Some(position),
            None => self.look_up(index, |file| lookup_position(file, base, offset, size)),
        };
        self.checked_start(index, found.unwrap_or(0), offset)
    }

    /// The position of a batch from which on the segment has about `bytes` more.
    fn start_of_last(&self, index: usize, bytes: u64) -> Result<u64, StorageError> {
        let segment = &self.segments[index];
        match segment.size_bytes.checked_sub(bytes) {
            None | Some(0) => Ok(0),
            Some(limit) => {
                let found = self.look_up(index, |file| last_position_at_most(file, limit));
                self.checked_start(index, found.unwrap_or(0), Offset(i64::MAX))
            }
        }
    }

    fn look_up(&self, index: usize, look: impl Fn(&dyn DiskFile) -> io::Result<Option<u64>>) -> Option<u64> {
        let path = self.segments[index].path(&self.dir, names::INDEX);
        self.context.disk.open(&path, OpenMode::Existing).and_then(|file| look(&*file)).ok().flatten()
    }

    /// An index that makes no sense costs time, never a wrong answer.
    fn checked_start(&self, index: usize, position: u64, offset: Offset) -> Result<u64, StorageError> {
        let mut is_batch = false;
        if position < self.segments[index].size_bytes {
            let base = self.segments[index].base_offset;
            self.for_each_header_from(index, position, |header| {
                is_batch = (base..=offset).contains(&header.base_offset);
                false
            })?;
        }
        Ok(if is_batch { position } else { 0 })
    }

    /// The epochs of the segments that are not scanned, from all their batches.
    pub(super) fn rebuild_epochs(&mut self) -> Result<(), StorageError> {
        let mut epochs = Epochs::default();
        for index in 0..self.segments.len() {
            self.for_each_header(index, |header| {
                epochs.assign(header.partition_leader_epoch, header.base_offset);
            })?;
        }
        self.epochs = epochs;
        Ok(())
    }

    /// The producers as they were when the log ended at `end`: the latest snapshot below, then the batches. And whether
    /// they are partial.
    pub(super) fn producers_at(&self, end: Offset) -> Result<(Producers, bool), StorageError> {
        let (mut producers, from) = self.latest_snapshot(end)?;
        let are_partial = !producers.is_empty();
        for index in 0..self.segments.len() {
            if self.segment_end(index) > from && self.segments[index].base_offset < end {
                let start = self.start_below(index, from)?;
                self.for_each_header_from(index, start, |header| {
                    if header.base_offset >= from && header.next_offset() <= end {
                        producers.update(header);
                    }
                    header.next_offset() < end
                })?;
            }
        }
        Ok((producers, are_partial))
    }

    /// What a snapshot does not hold of the producers, from the last segments' batches.
    pub(super) fn complete_producers(&mut self) -> Result<(), StorageError> {
        self.producers_are_partial = false;
        let mut recent = Producers::default();
        let first = self.segments.len().saturating_sub(RECENT_SEGMENTS);
        for index in first..self.segments.len() {
            let later: u64 = self.segments[index + 1..].iter().map(|segment| segment.size_bytes).sum();
            if later < RECENT_BYTES {
                let start = self.start_of_last(index, RECENT_BYTES - later)?;
                self.for_each_header_from(index, start, |header| {
                    recent.update(header);
                    true
                })?;
            }
        }
        self.producers.complete_from(recent);
        Ok(())
    }
}
