//! Closing: afterwards opening needs no look into any batch.

use super::Log;
use crate::error::StorageError;
use crate::marks::crc32c;
use crate::names;

impl Log {
    /// Flushes, trims the preallocated tail, writes the producers' snapshot and the epochs. A damaged log is left as
    /// it is.
    pub fn close_clean(mut self) -> Result<(), StorageError> {
        self.context.check()?;
        if self.damage.is_some() || !self.is_changed {
            return Ok(());
        }
        assert!(!self.flush.outstanding, "a log is closed after its last flush");
        if self.active.is_some() {
            self.close_segment()?;
        } else if self.has_dir {
            self.write_snapshot()?;
        }
        self.flush.epochs_due = self.has_dir;
        self.flush()?;
        if self.has_dir {
            self.remove_old_snapshots()?;
        }
        self.mark.closed_base = self.segments.last().map_or(self.log_end, |segment| segment.base_offset);
        self.mark.closed_bytes = self.segments.last().map_or(0, |segment| segment.size_bytes);
        self.mark.closed_epochs_crc = crc32c(self.epochs.to_checkpoint().as_bytes());
        if self.has_dir || self.marks.get(self.mark_key()).is_some() {
            self.marks.set(self.mark_key(), self.mark);
        }
        Ok(())
    }

    /// Only those at segment boundaries and at the log end are of use.
    fn remove_old_snapshots(&self) -> Result<(), StorageError> {
        for entry in self.context.list(&self.dir)? {
            let is_of_use =
                |offset| offset == self.log_end || self.segments.iter().any(|segment| segment.base_offset == offset);
            match names::parse_segment_file(&entry.name) {
                Some((offset, names::SNAPSHOT)) if !is_of_use(offset) => {
                    self.context.remove_file(&self.dir.join(&entry.name))?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}
