//! Damage that shows while the log is in use: a read came upon bytes that are not as they were written.

use std::sync::Arc;

use tidelog_wire::types::Offset;

use super::{Damage, Log};
use crate::error::StorageError;
use crate::names;
use crate::segment::{BatchScanner, ScanStep};

/// The owner's thread looks for the damage, and no further than this from where a read came upon it.
const LOOKED_AT_BYTES: u64 = 64 << 20;

impl Log {
    /// A read at `offset` was [`StorageError::Damaged`]. If its segment is not whole, the log ends there from now on, as if
    /// it had just been opened: see [`Self::damage`]. Nothing on disk is changed.
    pub fn admit_damage(&mut self, offset: Offset) -> Result<(), StorageError> {
        let Some(index) = self.segment_of(offset) else {
            return Ok(());
        };
        let Some((end, position)) = self.whole_until(index, offset)? else {
            return Ok(());
        };
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

    /// The offset and position up to which a segment's batches are whole and follow one another, looked at from the one that
    /// holds `offset` on; `None` if they do.
    fn whole_until(&self, index: usize, offset: Offset) -> Result<Option<(Offset, u64)>, StorageError> {
        let segment = &self.segments[index];
        let file = match segment.file(&self.context, &self.dir) {
            Ok(file) => file,
            // It is gone.
            Err(StorageError::Damaged { .. }) => return Ok(Some((segment.base_offset, 0))),
            Err(error) => return Err(error),
        };
        let path = segment.path(&self.dir, names::LOG);
        let start = self.start_below(index, offset)?;
        let mut scanner = BatchScanner::new(&*file, start, segment.size_bytes);
        let mut end = (start == 0).then_some(segment.base_offset);
        while scanner.position() < (start + LOOKED_AT_BYTES).min(segment.size_bytes) {
            let position = scanner.position();
            let step = scanner.step().map_err(|error| StorageError::read("read", &path, &error))?;
            let ScanStep::Batch { header, batch, .. } = step else {
                return Ok(Some((end.unwrap_or(segment.base_offset), position)));
            };
            let expected = end.unwrap_or(header.base_offset);
            let continues = header.base_offset == expected || header.base_offset > expected && self.mark.has_gaps;
            if !continues || header.verify_crc(&batch).is_err() {
                return Ok(Some((expected, position)));
            }
            end = Some(header.next_offset());
        }
        let is_short =
            scanner.position() == segment.size_bytes && end.is_some_and(|end| end != self.segment_end(index));
        Ok(end.filter(|_| is_short).map(|end| (end, segment.size_bytes)))
    }
}
