//! Visiting a batch's records without holding them: the decompressed bytes pass through a window as large as the largest
//! record.

use super::raw::{Parsed, cut};
use super::{RawRecord, RawRecords, RecordError};
use crate::compression::{Compression, CompressionError, DecompressionContext, Decompressor};

const WINDOW_BYTES: usize = 128 << 10;
/// A window that grew beyond this for a large record is not kept.
const WINDOW_KEPT_BYTES: usize = 1 << 20;

/// Walks through the records of one batch after the other; what it needs for that is kept.
#[derive(Default)]
pub struct RecordWalker {
    window: Vec<u8>,
    context: DecompressionContext,
}

impl RecordWalker {
    /// Shows every record of a records section to `visit`, until it refuses one. `section` may decompress to at most
    /// `max_bytes`; uncompressed records are looked at where they lie.
    pub fn walk<E: From<RecordError>>(
        &mut self,
        codec: Compression,
        section: &[u8],
        max_bytes: usize,
        mut visit: impl FnMut(&RawRecord<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if codec == Compression::None {
            return RawRecords::new(section).try_for_each(|record| visit(&record?));
        }
        let corrupt = |error: CompressionError| RecordError::from(error);
        let mut decompressor = Decompressor::new(codec, section, max_bytes, &mut self.context).map_err(corrupt)?;
        self.window.resize(WINDOW_BYTES.max(self.window.len()), 0);
        let walked = stream(&mut self.window, &mut decompressor, &mut visit);
        if self.window.len() > WINDOW_KEPT_BYTES {
            self.window = Vec::new();
        }
        walked
    }
}

fn stream<E: From<RecordError>>(
    window: &mut Vec<u8>,
    decompressor: &mut Decompressor<'_>,
    visit: &mut impl FnMut(&RawRecord<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut end = 0;
    loop {
        if end == window.len() {
            window.resize(2 * end, 0);
        }
        let read = decompressor.read(&mut window[end..]).map_err(RecordError::from)?;
        end += read;
        let mut start = 0;
        let needed_bytes = loop {
            match RawRecord::parse(&window[start..end])? {
                Parsed::Record(record) => {
                    start += record.bytes.len();
                    visit(&record)?;
                }
                Parsed::Cut { needed_bytes } => break needed_bytes,
            }
        };
        match (read, end - start) {
            (0, 0) => return Ok(()),
            (0, available_bytes) => return Err(cut(needed_bytes, available_bytes).into()),
            _ => window.copy_within(start..end, 0),
        }
        end -= start;
    }
}
