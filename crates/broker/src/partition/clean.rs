//! Compaction of this replica's log; every replica compacts its own.

use std::rc::Rc;

use tidelog_commitlog::{CleanError, CleanJob, CleanStats, Cleanable, Cleaned};
use tidelog_wire::types::Offset;

use super::host::PartitionHost;
use crate::shard::Shard;

/// What there is to compact.
pub(crate) struct CleanLook {
    pub cleanable: Cleanable,
    /// Enough of it is dirty, or it waited long enough.
    pub is_due: bool,
}

impl PartitionHost {
    /// `None` for a log that is not compacted.
    pub(crate) fn cleanable(&self, shard: &Shard, wall_ms: i64) -> Option<CleanLook> {
        let mut state = self.state.borrow_mut();
        let high_watermark = state.protocol.high_watermark();
        let log = state.log.as_mut()?;
        let cleanable = log.cleanable(wall_ms, high_watermark).inspect_err(|error| shard.storage_error(error));
        let cleanable = cleanable.ok()??;
        let is_dirty = cleanable.dirty_ratio() > log.config().min_cleanable_dirty_ratio;
        let is_due = cleanable.dirty_bytes > 0 && (is_dirty || cleanable.overdue_ms > 0);
        Some(CleanLook { cleanable, is_due })
    }

    pub(crate) fn begin_cleaning(&self, shard: &Shard) -> Option<CleanJob> {
        let mut state = self.state.borrow_mut();
        let high_watermark = state.protocol.high_watermark();
        let job = state.log.as_mut()?.begin_cleaning(shard.clock.wall_ms(), high_watermark);
        job.inspect_err(|error| shard.storage_error(error)).ok()?
    }

    pub(crate) fn finish_cleaning(
        self: &Rc<Self>,
        shard: &Rc<Shard>,
        cleaned: Cleaned,
    ) -> Result<CleanStats, CleanError> {
        let mut state = self.state.borrow_mut();
        let log = state.log.as_mut().ok_or(CleanError::Cancelled)?;
        let (stats, deleted) = log.finish_cleaning(cleaned, shard.clock.wall_ms())?;
        shard.deletions.add(deleted);
        Ok(stats)
    }

    /// The job is lost.
    pub(crate) fn forget_cleaning(&self) {
        if let Some(log) = self.state.borrow_mut().log.as_mut() {
            log.cancel_cleaning();
        }
    }

    pub(crate) fn first_dirty_offset(&self) -> Option<Offset> {
        self.state.borrow().log.as_ref().map(tidelog_commitlog::Log::first_dirty_offset)
    }
}
