//! Walking over the batches of a segment file.

use std::io;

use bytes::Bytes;
use tidelog_wire::record_batch::{BatchError, BatchHeader, HEADER_SIZE};

use crate::disk::DiskFile;

/// Read at once; larger batches are read whole.
const CHUNK_BYTES: u64 = 1 << 20;
/// Read at once when only headers are wanted.
const HEADER_CHUNK_BYTES: u64 = 16 << 10;

/// Steps through a file from batch to batch. Knows nothing of offsets having to continue.
pub(crate) struct BatchScanner<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    /// Nothing is read at or beyond.
    end: u64,
    chunk: Bytes,
    chunk_position: u64,
    chunk_bytes: u64,
}

pub(crate) enum ScanStep {
    /// The position is that of the batch; the scanner stands behind it.
    Batch { position: u64, header: BatchHeader, batch: Bytes },
    /// The end, or the zeros of preallocation: the scanner stays.
    End,
    /// Not a batch, or one cut off by the end: the scanner stays.
    Invalid(BatchError),
}

impl<'a> BatchScanner<'a> {
    pub(crate) fn new(file: &'a dyn DiskFile, position: u64, end: u64) -> Self {
        Self { file, position, end, chunk: Bytes::new(), chunk_position: position, chunk_bytes: CHUNK_BYTES }
    }

    /// For [`Self::step_header`], with smaller reads.
    pub(crate) fn of_headers(file: &'a dyn DiskFile, position: u64, end: u64) -> Self {
        Self { chunk_bytes: HEADER_CHUNK_BYTES, ..Self::new(file, position, end) }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The next batch; its CRC is for the caller to check.
    pub(crate) fn step(&mut self) -> io::Result<ScanStep> {
        let position = self.position;
        let step = self.step_header()?;
        let ScanStep::Batch { header, .. } = step else {
            return Ok(step);
        };
        let size = header.size_in_bytes() as u64;
        self.position = position;
        let bytes = self.bytes(size)?;
        if (bytes.len() as u64) < size {
            // The file is shorter than it should be.
            let (needed_bytes, available_bytes) = (size as usize, bytes.len());
            return Ok(ScanStep::Invalid(BatchError::Incomplete { needed_bytes, available_bytes }));
        }
        self.position = position + size;
        Ok(ScanStep::Batch { position, header, batch: bytes.slice(..size as usize) })
    }

    /// As [`Self::step`], but reads no more than the header and leaves `batch` empty.
    pub(crate) fn step_header(&mut self) -> io::Result<ScanStep> {
        let rest = self.bytes(HEADER_SIZE as u64)?;
        if is_zero(&rest[..rest.len().min(HEADER_SIZE)]) {
            return Ok(ScanStep::End);
        }
        let header = match BatchHeader::parse(&rest) {
            Ok(header) => header,
            Err(error) => return Ok(ScanStep::Invalid(error)),
        };
        let needed = header.size_in_bytes() as u64;
        let available = self.end.saturating_sub(self.position);
        if available < needed {
            let (needed_bytes, available_bytes) = (needed as usize, available as usize);
            return Ok(ScanStep::Invalid(BatchError::Incomplete { needed_bytes, available_bytes }));
        }
        let position = self.position;
        self.position += needed;
        Ok(ScanStep::Batch { position, header, batch: Bytes::new() })
    }

    /// What the file has from the current position on, at least `wanted` bytes unless it ends before.
    fn bytes(&mut self, wanted: u64) -> io::Result<Bytes> {
        let available = self.end.saturating_sub(self.position);
        let offset = self.position - self.chunk_position;
        let held = (self.chunk.len() as u64).saturating_sub(offset);
        if held < wanted.min(available) {
            let len = wanted.max(self.chunk_bytes).min(available);
            self.chunk = self.file.read_at(self.position, len as usize)?;
            self.chunk_position = self.position;
        }
        let start = (self.position - self.chunk_position) as usize;
        Ok(self.chunk.slice(start.min(self.chunk.len())..))
    }
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}
