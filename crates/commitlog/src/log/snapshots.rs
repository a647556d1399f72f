//! Producers' snapshots inside the last segment, so that a truncation need not read all of it.

use std::collections::VecDeque;

use tidelog_wire::types::Offset;

use super::Log;
use crate::names;

/// A truncation that goes back further reads more.
const KEPT: usize = 4;
const SNAPSHOT_BYTES_MAX: u64 = 16 << 20;
/// So many to a segment, if it is a small one.
const PER_SEGMENT: u64 = 8;

/// Those of the last segment, oldest first.
#[derive(Debug, Default)]
pub(super) struct RecentSnapshots {
    offsets: VecDeque<Offset>,
    pub(super) bytes_since: u64,
}

impl RecentSnapshots {
    /// The log is cut: the files of those above `end` are gone.
    pub(super) fn truncate(&mut self, end: Offset) {
        self.offsets.retain(|offset| *offset <= end);
    }
}

impl Log {
    /// To be called when the producers are what they are at the log end. Nothing depends on it: recovery drops these files.
    pub(super) fn snapshot_if_due(&mut self) {
        let due_bytes = (u64::from(self.config.segment_bytes) / PER_SEGMENT).min(SNAPSHOT_BYTES_MAX);
        if self.recent_snapshots.bytes_since < due_bytes {
            return;
        }
        self.recent_snapshots.bytes_since = 0;
        let is_boundary = self.segments.last().is_some_and(|segment| segment.base_offset == self.log_end);
        if self.producers.is_empty() || is_boundary || self.context.check().is_err() {
            return;
        }
        let path = self.dir.join(names::segment_file(self.log_end, names::SNAPSHOT));
        if let Err(error) = self.write_small(&path, &self.producers.to_snapshot()) {
            tracing::warn!(log = %self.dir.display(), "going without a snapshot: {error}");
            return;
        }
        self.recent_snapshots.offsets.push_back(self.log_end);
        if self.recent_snapshots.offsets.len() > KEPT {
            self.drop_oldest_snapshot();
        }
    }

    /// The segment ends here: the one at its end is enough.
    pub(super) fn drop_recent_snapshots(&mut self) {
        while !self.recent_snapshots.offsets.is_empty() {
            self.drop_oldest_snapshot();
        }
        self.recent_snapshots.bytes_since = 0;
    }

    fn drop_oldest_snapshot(&mut self) {
        let Some(offset) = self.recent_snapshots.offsets.pop_front() else {
            return;
        };
        let path = self.dir.join(names::segment_file(offset, names::SNAPSHOT));
        if let Err(error) = self.context.remove_file(&path) {
            tracing::warn!(log = %self.dir.display(), "a snapshot stays: {error}");
        }
    }
}
