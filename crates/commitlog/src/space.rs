//! The reserve of free space: appends stop while there is still room for checkpoints, marks and the metadata.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::disk::Disk;

/// Asking the file system costs more than an append, so it grants credit for this many bytes at most.
const CREDIT_BYTES_MAX: u64 = 64 << 20;
/// A few times what a segment grows by at once.
const ROOM_BYTES: u64 = 4 << 20;

#[derive(Debug)]
pub(crate) struct Reserve {
    reserve_bytes: u64,
    credit_bytes: AtomicU64,
}

impl Reserve {
    pub(crate) fn new(reserve_bytes: u64) -> Self {
        Self { reserve_bytes, credit_bytes: AtomicU64::new(0) }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.reserve_bytes
    }

    /// Whether files in `path` may grow by `bytes`.
    pub(crate) fn admit(&self, bytes: u64, disk: &dyn Disk, path: &Path) -> io::Result<bool> {
        let take = |credit: u64| credit.checked_sub(bytes);
        if self.credit_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
            return Ok(true);
        }
        let above_reserve = disk.free_bytes(path)?.saturating_sub(self.reserve_bytes);
        if bytes > above_reserve {
            return Ok(false);
        }
        // A quarter, since other log directories and programs may write to the same file system.
        let credit = ((above_reserve - bytes) / 4).min(CREDIT_BYTES_MAX);
        self.credit_bytes.store(credit, Ordering::Relaxed);
        Ok(true)
    }

    /// Whether files in `path` may grow as the next appends are likely to want it.
    pub(crate) fn has_room(&self, disk: &dyn Disk, path: &Path) -> bool {
        disk.free_bytes(path).is_ok_and(|free| free > self.reserve_bytes.saturating_add(ROOM_BYTES))
    }

    /// After the file system itself refused: no credit is worth anything.
    pub(crate) fn exhausted(&self) {
        self.credit_bytes.store(0, Ordering::Relaxed);
    }
}
