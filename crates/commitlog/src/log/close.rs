//! Closing: afterwards opening needs no look into any batch.

use super::Log;
use crate::error::StorageError;
use crate::marks::{Mark, crc32c};
use crate::names;

impl Log {
    /// Trims the preallocated tail, writes the indexes, the producers' snapshot and the epochs. A damaged log is left as
    /// it is. All of it becomes durable with [`crate::LogDir::close_clean`], for all logs at once; until then, and
    /// without that, it is as if the process had been killed.
    pub fn close_clean(mut self) -> Result<(), StorageError> {
        self.context.check()?;
        if self.damage.is_some() || !self.is_changed {
            return Ok(());
        }
        if self.active.is_some() {
            self.close_segment()?;
        } else if self.has_dir {
            self.write_snapshot()?;
        }
        let epochs = self.epochs.to_checkpoint();
        if self.has_dir {
            self.context.replace_file(&self.dir.join(names::EPOCHS), epochs.as_bytes())?;
            self.remove_old_snapshots()?;
        }
        let mark = Mark {
            durable_end: self.mark.durable_end.max(self.log_end),
            log_start: self.log_start,
            closed_base: self.segments.last().map_or(self.log_end, |segment| segment.base_offset),
            closed_bytes: self.segments.last().map_or(0, |segment| segment.size_bytes),
            closed_epochs_crc: crc32c(epochs.as_bytes()),
            has_gaps: self.mark.has_gaps,
            is_cached: self.mark.is_cached,
        };
        if self.has_dir || self.marks.get(self.mark_key()).is_some() {
            self.marks.set_at_close(self.mark_key(), mark);
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
