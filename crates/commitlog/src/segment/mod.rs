//! One segment of a log: a file of batches, its two indexes, and for the last one what appending needs.

mod active;
mod index;
mod scan;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidelog_wire::types::Offset;

use crate::context::Context;
use crate::disk::{DiskFile, OpenMode};
use crate::error::StorageError;
use crate::files::FileSlot;
use crate::names;

pub(crate) use active::Active;
pub(crate) use index::{
    IndexTail, IndexedTimestamp, first_time_at_least, last_position, last_position_at_most, last_timestamp,
    lengths_below, lookup_position,
};
pub(crate) use scan::{BatchScanner, ScanStep, is_zero};

/// A segment's place in the log and its file.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) base_offset: Offset,
    /// Of its batches; the file may be longer by preallocated zeros.
    pub(crate) size_bytes: u64,
    pub(crate) slot: Arc<FileSlot>,
    /// The greatest timestamp, once somebody asked (`Some(None)`: its records have none); for the last segment [`Active`]
    /// knows.
    pub(crate) max_timestamp: Option<Option<IndexedTimestamp>>,
    /// The same of the headers, of a segment whose records have none.
    pub(crate) newest_header_ms: Option<Option<i64>>,
}

impl Segment {
    pub(crate) fn new(base_offset: Offset, size_bytes: u64) -> Self {
        Self { base_offset, size_bytes, slot: Arc::default(), max_timestamp: None, newest_header_ms: None }
    }

    pub(crate) fn path(&self, dir: &Path, extension: &str) -> PathBuf {
        dir.join(names::segment_file(self.base_offset, extension))
    }

    /// The segment is cut: what a read under way finds of it does not count, nor is it damage.
    pub(crate) fn renew_slot(&mut self) {
        std::mem::take(&mut self.slot).retire();
    }

    pub(crate) fn file(&self, context: &Context, dir: &Path) -> Result<Arc<dyn DiskFile>, StorageError> {
        open_log_file(context, &self.slot, dir, self.base_offset)
    }
}

/// The segment's log file through the cache of open files.
pub(crate) fn open_log_file(
    context: &Context,
    slot: &Arc<FileSlot>,
    dir: &Path,
    base_offset: Offset,
) -> Result<Arc<dyn DiskFile>, StorageError> {
    let path = || dir.join(names::segment_file(base_offset, names::LOG));
    let opened = context.files.get(slot, || context.disk.open(&path(), OpenMode::Existing));
    opened.map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            let reason = "the file is gone".to_owned();
            StorageError::Damaged { path: path(), position: 0, offset: base_offset, reason }
        }
        _ => StorageError::read("open", &path(), &error),
    })
}
