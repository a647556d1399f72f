//! What describes a segment or the log, made anew from the batches' headers.

use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::Offset;

use super::Log;
use crate::epochs::Epochs;
use crate::error::StorageError;
use crate::names;
use crate::producers::Producers;
use crate::segment::{Active, BatchScanner, IndexTail, ScanStep};

/// A retry repeats what was sent shortly before, and a roll may lie between.
const RECENT_SEGMENTS: usize = 2;

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
        let segment = &self.segments[index];
        let path = segment.path(&self.dir, names::LOG);
        let file = segment.file(&self.context, &self.dir)?;
        let mut scanner = BatchScanner::of_headers(&*file, 0, segment.size_bytes);
        loop {
            match scanner.step_header().map_err(|error| StorageError::read("read", &path, &error))? {
                ScanStep::Batch { header, .. } => visit(&header),
                ScanStep::End | ScanStep::Invalid(_) => return Ok(()),
            }
        }
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
                self.for_each_header(index, |header| {
                    if header.base_offset >= from && header.next_offset() <= end {
                        producers.update(header);
                    }
                })?;
            }
        }
        Ok((producers, are_partial))
    }

    /// What a snapshot does not hold of the producers, from the last segments' batches.
    pub(super) fn complete_producers(&mut self) -> Result<(), StorageError> {
        self.producers_are_partial = false;
        let mut recent = Producers::default();
        for index in self.segments.len().saturating_sub(RECENT_SEGMENTS)..self.segments.len() {
            self.for_each_header(index, |header| recent.update(header))?;
        }
        self.producers.complete_from(recent);
        Ok(())
    }
}
