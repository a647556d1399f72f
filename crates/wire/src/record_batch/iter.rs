//! Cutting a range of a log into batches.

use bytes::Bytes;

use super::{BatchError, BatchHeader};

/// The batches in `records`, in order, each with its own bytes; see [`Batches`].
pub fn batches(records: Bytes) -> Batches {
    Batches { rest: records }
}

/// Cuts a range of a log into batches without copying or looking at records. Ends after the first error;
/// a batch cut off at the end of the range is [`BatchError::Incomplete`].
#[derive(Clone, Debug)]
pub struct Batches {
    rest: Bytes,
}

impl Batches {
    fn cut(&mut self) -> Result<(BatchHeader, Bytes), BatchError> {
        let header = BatchHeader::parse(&self.rest)?;
        let needed_bytes = header.size_in_bytes();
        if needed_bytes > self.rest.len() {
            return Err(BatchError::Incomplete { needed_bytes, available_bytes: self.rest.len() });
        }
        Ok((header, self.rest.split_to(needed_bytes)))
    }
}

impl Iterator for Batches {
    type Item = Result<(BatchHeader, Bytes), BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let item = self.cut();
        if item.is_err() {
            self.rest = Bytes::new();
        }
        Some(item)
    }
}

impl std::iter::FusedIterator for Batches {}
