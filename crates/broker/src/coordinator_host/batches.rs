//! The records that one turn of the shard decided, as batches to append.

use bytes::Bytes;
use tidelog_coordinator::Record;
use tidelog_wire::compression::CompressionError;
use tidelog_wire::record::BatchBuilder;

/// A batch takes no more outcomes beyond this size. One outcome's records stay together, however large.
const BATCH_BYTES_MAX: usize = 512 << 10;

#[derive(Default)]
pub(super) struct Batches {
    full: Vec<BatchBuilder>,
    open: BatchBuilder,
}

impl Batches {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Adds the records of one outcome, all into one batch.
    pub(super) fn add(&mut self, now_ms: i64, records: &[Record]) {
        if records.is_empty() {
            return;
        }
        if self.open.size_in_bytes() > BATCH_BYTES_MAX {
            self.full.push(std::mem::take(&mut self.open));
        }
        for record in records {
            self.open.append(now_ms, Some(&record.key), record.value.as_deref(), &[]);
        }
    }

    /// Everything so far, ready for the log.
    pub(super) fn take(&mut self) -> Result<Vec<Bytes>, CompressionError> {
        let open = std::mem::take(&mut self.open);
        let full = std::mem::take(&mut self.full);
        full.into_iter().chain([open]).filter(|batch| !batch.is_empty()).map(BatchBuilder::build).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(records: usize, bytes: usize) -> Vec<Record> {
        let record = Record { key: Bytes::from_static(b"k"), value: Some(Bytes::from(vec![0; bytes])) };
        vec![record; records]
    }

    #[test]
    fn outcomes_share_a_batch_until_it_is_full_and_are_never_torn() {
        let mut batches = Batches::default();
        batches.add(0, &outcome(1, 10));
        batches.add(0, &outcome(3, BATCH_BYTES_MAX));
        batches.add(0, &outcome(1, 10));
        let sizes: Vec<_> = batches.take().expect("uncompressed").iter().map(Bytes::len).collect();
        assert_eq!(sizes.len(), 2, "{sizes:?}");
        assert!(sizes[0] > 3 * BATCH_BYTES_MAX && sizes[1] < 200, "{sizes:?}");
        assert!(batches.is_empty());
    }
}
