//! What appending to the last segment needs beyond reading it.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::Arc;

use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::Offset;

use super::index::{OFFSET_ENTRY_BYTES, TIME_ENTRY_BYTES, last_position};
use super::{BatchScanner, IndexTail, ScanStep, Segment, last_timestamp};
use crate::context::Context;
use crate::disk::{DiskFile, OpenMode};
use crate::error::StorageError;
use crate::names;

/// Preallocation begins with this much, for ten thousand files may begin at once, and doubles the file up to the larger
/// step, which an append and its flush have to wait for.
const PREALLOCATE_BYTES_MIN: u64 = 16 << 10;
const PREALLOCATE_BYTES_MAX: u64 = 1 << 20;
/// Appends of this size and more grow the file themselves: writing every byte twice costs them more than the journal.
const PREALLOCATE_FOR_BYTES_MAX: u64 = 32 << 10;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// The last segment's growing parts.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) index: IndexTail,
    /// Of the file, preallocated zeros included.
    pub(crate) file_bytes: u64,
    pub(crate) created_ms: i64,
}

impl Active {
    pub(crate) fn new(base_offset: Offset, now_ms: i64) -> Self {
        Self { index: IndexTail::new(base_offset), file_bytes: 0, created_ms: now_ms }
    }

    /// Takes up a segment that was closed clean: its index files are trusted, the batches behind the last entry read.
    /// `None` if the index files do not fit the segment.
    pub(crate) fn load(
        context: &Context,
        dir: &Path,
        segment: &Segment,
        now_ms: i64,
    ) -> Result<Option<Self>, StorageError> {
        let path = segment.path(dir, names::LOG);
        let file = segment.file(context, dir)?;
        let load = || -> io::Result<Option<Self>> {
            let offsets = open_existing(context, &segment.path(dir, names::INDEX))?;
            let times = open_existing(context, &segment.path(dir, names::TIME_INDEX))?;
            let (Some(offsets), Some(times)) = (offsets, times) else {
                return Ok(None);
            };
            let (offset_len, time_len) = (offsets.byte_len()?, times.byte_len()?);
            if offset_len % OFFSET_ENTRY_BYTES as u64 != 0 || time_len % TIME_ENTRY_BYTES as u64 != 0 {
                return Ok(None);
            }
            let last = last_position(&*offsets, segment.base_offset)?;
            let last_time = last_timestamp(&*times, segment.base_offset)?;
            let first = first_timestamp(&*file, segment.size_bytes)?;
            let mut index = IndexTail::continuing(
                segment.base_offset,
                offset_len / OFFSET_ENTRY_BYTES as u64,
                time_len / TIME_ENTRY_BYTES as u64,
                last_time,
                first,
            );
            let start = last.map_or(0, |(_, position)| position);
            let mut scanner = BatchScanner::new(&*file, start, segment.size_bytes);
            let mut first_step = true;
            while let ScanStep::Batch { header, .. } = scanner.step()? {
                if first_step && last.is_some_and(|(offset, _)| offset != header.last_offset()) {
                    return Ok(None);
                }
                first_step = false;
                index.on_existing(&header);
            }
            if scanner.position() != segment.size_bytes {
                return Ok(None);
            }
            Ok(Some(Self { index, file_bytes: file.byte_len()?, created_ms: now_ms }))
        };
        load().map_err(|error| StorageError::read("read", &path, &error))
    }

    /// Writes `chunks` (`bytes` long) at `position`, and zeros behind them if the file has to grow.
    /// On an error the file may hold some of them; the caller cuts it.
    pub(crate) fn write(
        &mut self,
        context: &Context,
        file: &Arc<dyn DiskFile>,
        position: u64,
        bytes: u64,
        mut chunks: Vec<IoSlice<'_>>,
        preallocate_to_max: Option<u64>,
    ) -> Result<io::Result<()>, StorageError> {
        let end = position + bytes;
        if end <= self.file_bytes {
            return Ok(file.write_at(position, &mut chunks));
        }
        let grown = match preallocate_to_max {
            Some(max) if bytes < PREALLOCATE_FOR_BYTES_MAX => {
                let step = self.file_bytes.clamp(PREALLOCATE_BYTES_MIN, PREALLOCATE_BYTES_MAX);
                (end + step).next_multiple_of(4096).min(max).max(end)
            }
            Some(_) | None => end,
        };
        context.admit_growth(grown - self.file_bytes)?;
        let mut zeros = grown - end;
        while zeros > 0 {
            let len = zeros.min(ZEROS.len() as u64);
            chunks.push(IoSlice::new(&ZEROS[..len as usize]));
            zeros -= len;
        }
        let result = file.write_at(position, &mut chunks);
        if result.is_ok() {
            self.file_bytes = grown;
        }
        Ok(result)
    }

    /// Takes note of a batch that was written at `position`.
    pub(crate) fn on_batch(&mut self, header: &BatchHeader, position: u64, interval_bytes: u32) {
        self.index.on_batch(header, position, interval_bytes);
    }

    /// Writes the entries that the index files lack. Returns the files for those who must sync them.
    pub(crate) fn write_index(
        &mut self,
        context: &Context,
        dir: &Path,
        segment: &Segment,
    ) -> Result<[Arc<dyn DiskFile>; 2], StorageError> {
        // Files of an earlier segment of this name may be around: the first block starts afresh.
        let (written_offsets, written_times) = self.index.written_entries();
        let (offsets, times) = self.index.blocks();
        let write = |extension, block: &super::index::IndexBlock, fresh| {
            let path = segment.path(dir, extension);
            let file = context.open(&path, if fresh { OpenMode::Truncate } else { OpenMode::Create })?;
            if !block.bytes.is_empty() {
                let result = file.write_at(block.position, &mut [IoSlice::new(&block.bytes)]);
                context.changed("write", &path, result)?;
            }
            Ok(file)
        };
        let files = [
            write(names::INDEX, &offsets, written_offsets == 0)?,
            write(names::TIME_INDEX, &times, written_times == 0)?,
        ];
        self.index.on_written();
        Ok(files)
    }
}

fn open_existing(context: &Context, path: &Path) -> io::Result<Option<Arc<dyn DiskFile>>> {
    match context.disk.open(path, OpenMode::Existing) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn first_timestamp(file: &dyn DiskFile, size_bytes: u64) -> io::Result<Option<i64>> {
    let head = file.read_at(0, size_bytes.min(tidelog_wire::record_batch::HEADER_SIZE as u64) as usize)?;
    Ok(BatchHeader::parse(&head).ok().map(|header| header.max_timestamp))
}
