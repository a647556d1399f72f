//! Damage that shows while the log is in use: a read came upon bytes that are not as they were written.

use std::sync::Arc;

use tidelog_wire::types::Offset;

use super::{Damage, Log};
use crate::error::StorageError;
use crate::names;
use crate::segment::{BatchScanner, ScanStep};

impl Log {
    /// A read at `offset` was [`StorageError::Damaged`]. If its segment is not whole, the log ends there from now on, as if
    /// it had just been opened: see [`Self::damage`]. Nothing on disk is changed.
    pub fn admit_damage(&mut self, offset: Offset) -> Result<(), StorageError> {
        let Some(index) = self.segment_of(offset) else {
            return Ok(());
        };
        let (end, position) = self.whole_until(index)?;
        if end == self.segment_end(index) && position == self.segments[index].size_bytes {
            return Ok(());
        }
        let path = self.segments[index].path(&self.dir, names::LOG);
        let reason = format!("a read at offset {offset} came upon it");
        self.cancel_cleaning();
        self.active = None;
        self.cursors = Arc::default();
        self.drop_segments_from(index + 1);
        self.segments[index].renew_slot();
        self.segments[index].size_bytes = position;
        self.segments[index].max_timestamp = None;
        if end < self.log_start {
            self.segments.clear();
        }
        self.log_end = end.max(self.log_start);
        self.epochs.truncate_from_end(self.log_end);
        self.flush.generation += 1;
        self.flush.flushed_end = self.flush.flushed_end.min(self.log_end);
        self.set_damage(Damage { path, position, offset: end, reason });
        self.check_order();
        Ok(())
    }

    /// The offset and position up to which the headers of a segment's batches follow one another.
    fn whole_until(&self, index: usize) -> Result<(Offset, u64), StorageError> {
        let segment = &self.segments[index];
        let mut end = segment.base_offset;
        let file = match segment.file(&self.context, &self.dir) {
            Ok(file) => file,
            // It is gone.
            Err(StorageError::Damaged { .. }) => return Ok((end, 0)),
            Err(error) => return Err(error),
        };
        let path = segment.path(&self.dir, names::LOG);
        let mut scanner = BatchScanner::of_headers(&*file, 0, segment.size_bytes);
        loop {
            let position = scanner.position();
            match scanner.step_header().map_err(|error| StorageError::read("read", &path, &error))? {
                ScanStep::Batch { header, .. }
                    if header.base_offset == end || header.base_offset > end && self.mark.has_gaps =>
                {
                    end = header.next_offset();
                }
                ScanStep::Batch { .. } | ScanStep::End | ScanStep::Invalid(_) => return Ok((end, position)),
            }
        }
    }
}
