//! The new files of a cleaned segment, under names that no recovery takes for a segment.

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::Offset;

use crate::context::{Context, with_suffix};
use crate::disk::{DiskFile, OpenMode};
use crate::error::StorageError;
use crate::names;
use crate::segment::{IndexTail, IndexedTimestamp};

/// Written at once.
const WRITE_BYTES: usize = 1 << 20;

/// A segment being written.
pub(super) struct Output<'a> {
    context: &'a Context,
    base: PathBuf,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    /// Bytes that are in the file.
    written: u64,
    buffer: Vec<u8>,
    index: IndexTail,
    index_interval_bytes: u32,
}

/// What was written.
pub(super) struct Written {
    pub(super) size_bytes: u64,
    pub(super) max_timestamp: Option<IndexedTimestamp>,
}

/// `<base offset>.log.cleaned` and the like.
pub(crate) fn cleaned_path(dir: &Path, base_offset: Offset, extension: &str) -> PathBuf {
    with_suffix(&dir.join(names::segment_file(base_offset, extension)), names::CLEANED)
}

impl<'a> Output<'a> {
    pub(super) fn create(
        context: &'a Context,
        dir: &Path,
        base_offset: Offset,
        index_interval_bytes: u32,
    ) -> Result<Self, StorageError> {
        let path = cleaned_path(dir, base_offset, names::LOG);
        let file = context.open(&path, OpenMode::Truncate)?;
        let buffer = Vec::with_capacity(WRITE_BYTES);
        let index = IndexTail::new(base_offset);
        Ok(Self { context, base: dir.to_owned(), path, file, written: 0, buffer, index, index_interval_bytes })
    }

    pub(super) fn put(&mut self, header: &BatchHeader, batch: &[u8]) -> Result<(), StorageError> {
        let position = self.written + self.buffer.len() as u64;
        self.index.on_batch(header, position, self.index_interval_bytes);
        if self.buffer.len() + batch.len() > WRITE_BYTES {
            self.write_buffer()?;
        }
        match batch.len() >= WRITE_BYTES {
            true => self.write(batch),
            false => {
                self.buffer.extend_from_slice(batch);
                Ok(())
            }
        }
    }

    /// Everything is on disk when this returns, but for the names.
    pub(super) fn finish(mut self, base_offset: Offset) -> Result<Written, StorageError> {
        self.write_buffer()?;
        self.context.synced(&self.path, self.file.sync_data())?;
        self.index.finish();
        let (offsets, times) = self.index.blocks();
        for (extension, block) in [(names::INDEX, offsets), (names::TIME_INDEX, times)] {
            let path = cleaned_path(&self.base, base_offset, extension);
            let file = self.context.open(&path, OpenMode::Truncate)?;
            self.context.changed("write", &path, file.write_at(0, &mut [IoSlice::new(&block.bytes)]))?;
            self.context.synced(&path, file.sync_data())?;
        }
        Ok(Written { size_bytes: self.written, max_timestamp: self.index.max_timestamp() })
    }

    fn write_buffer(&mut self) -> Result<(), StorageError> {
        let buffer = std::mem::take(&mut self.buffer);
        let written = self.write(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        written
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.context.check()?;
        self.context.admit_growth(bytes.len() as u64)?;
        let result = self.file.write_at(self.written, &mut [IoSlice::new(bytes)]);
        self.context.changed("write", &self.path, result)?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

/// Removes what a cleaning wrote that did not come to its end.
pub(crate) fn discard(context: &Context, dir: &Path, base_offset: Offset) {
    for extension in [names::LOG, names::INDEX, names::TIME_INDEX] {
        let path = cleaned_path(dir, base_offset, extension);
        // What is left over is removed when the log is opened.
        if let Err(error) = context.disk.remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), "cannot remove: {error}");
        }
    }
}
