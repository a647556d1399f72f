//! What a log remembers of idempotent producers (KIP-98): per producer id its epoch and its last five batches.
//!
//! [`Producers::check`] decides, [`Producers::update`] applies; recovery and followers only apply.

mod snapshot;

use std::collections::HashMap;

use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::{Offset, ProducerEpoch, ProducerId};

use crate::error::ProducerError;

/// A producer may have this many requests in flight, so a retry repeats one of its last five batches.
const BATCHES_KEPT: usize = 5;

/// All producers of a log, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Producers {
    entries: HashMap<ProducerId, Producer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    epoch: ProducerEpoch,
    /// Oldest first.
    batches: Vec<AppendedBatch>,
    last_timestamp_ms: i64,
    coordinator_epoch: i32,
    /// First offset of the open transaction, -1 if there is none.
    transaction_first_offset: Offset,
}

/// A batch that is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppendedBatch {
    pub(crate) last_sequence: i32,
    pub(crate) last_offset: Offset,
    pub(crate) offset_delta: i32,
    pub(crate) timestamp_ms: i64,
}

/// What a producer was before an append that may have to be taken back.
#[derive(Debug)]
pub(crate) struct Undo(ProducerId, Option<Producer>);

impl AppendedBatch {
    fn of(header: &BatchHeader) -> Self {
        Self {
            last_sequence: header.last_sequence(),
            last_offset: header.last_offset(),
            offset_delta: header.last_offset_delta,
            timestamp_ms: header.max_timestamp,
        }
    }

    fn first_sequence(&self) -> i32 {
        let first = i64::from(self.last_sequence) - i64::from(self.offset_delta);
        // Sequences wrap from i32::MAX to 0.
        if first < 0 { (first + i64::from(i32::MAX) + 1) as i32 } else { first as i32 }
    }

    pub(crate) fn base_offset(&self) -> Offset {
        self.last_offset + -i64::from(self.offset_delta)
    }
}

impl Producers {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Judges a batch from a client: new (`None`), a repetition of one in the log, or forbidden.
    pub(crate) fn check(&self, header: &BatchHeader) -> Result<Option<AppendedBatch>, ProducerError> {
        let Some(producer) = self.entries.get(&header.producer_id) else {
            // A producer whose state expired, or is new here, starts anywhere (KIP-360).
            return Ok(None);
        };
        let producer_id = header.producer_id.0;
        let (epoch, current) = (header.producer_epoch.0, producer.epoch.0);
        if epoch < current {
            return Err(ProducerError::Fenced { producer_id, epoch, current });
        }
        let sequence = header.base_sequence;
        if epoch > current {
            return match sequence {
                0 => Ok(None),
                _ => Err(ProducerError::NewEpochNotAtZero { producer_id, epoch, sequence }),
            };
        }
        if let Some(duplicate) = producer.find(header) {
            return Ok(Some(duplicate));
        }
        match producer.next_sequence() {
            Some(expected) if expected != sequence => {
                Err(ProducerError::OutOfOrderSequence { producer_id, sequence, expected })
            }
            _ => Ok(None),
        }
    }

    /// Notes a batch that is in the log, or about to be; its header has its final offsets.
    pub(crate) fn update(&mut self, header: &BatchHeader) {
        if !header.has_producer_id() {
            return;
        }
        let producer = self.entries.entry(header.producer_id).or_insert_with(|| Producer::new(header.producer_epoch));
        producer.append(header);
    }

    /// As [`Self::update`], with the way back.
    pub(crate) fn update_undoably(&mut self, header: &BatchHeader) -> Option<Undo> {
        if !header.has_producer_id() {
            return None;
        }
        let before = self.entries.get(&header.producer_id).cloned();
        self.update(header);
        Some(Undo(header.producer_id, before))
    }

    /// To be called with the latest first.
    pub(crate) fn undo(&mut self, Undo(producer_id, before): Undo) {
        match before {
            Some(producer) => self.entries.insert(producer_id, producer),
            None => self.entries.remove(&producer_id),
        };
    }

    /// Forgets who was silent for `expiration_ms`, but nobody with an open transaction.
    pub(crate) fn expire(&mut self, now_ms: i64, expiration_ms: i64) {
        self.entries.retain(|_, producer| {
            producer.transaction_first_offset.0 >= 0
                || now_ms.saturating_sub(producer.last_timestamp_ms) < expiration_ms
        });
    }

    /// Takes over the batches before the last one from `recent`, which was built from the end of the same log: a
    /// snapshot has only the last.
    pub(crate) fn complete_from(&mut self, recent: Self) {
        for (id, known) in recent.entries {
            if let Some(producer) = self.entries.get_mut(&id)
                && producer.epoch == known.epoch
                && producer.batches.last() == known.batches.last()
                && producer.batches.len() < known.batches.len()
            {
                producer.batches = known.batches;
            }
        }
    }

    /// Where the last batch of each producer ends.
    pub(crate) fn last_offsets(&self) -> HashMap<ProducerId, Offset> {
        let last = |(id, producer): (&ProducerId, &Producer)| Some((*id, producer.batches.last()?.last_offset));
        self.entries.iter().filter_map(last).collect()
    }

    /// Whether any producer's state depends on records at or above `offset`.
    pub(crate) fn reaches(&self, offset: Offset) -> bool {
        self.entries.values().any(|producer| match producer.batches.last() {
            Some(batch) => batch.last_offset >= offset,
            // A marker may have set the epoch, at an offset that is not kept.
            None => true,
        })
    }
}

impl Producer {
    fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            batches: Vec::new(),
            last_timestamp_ms: -1,
            coordinator_epoch: -1,
            transaction_first_offset: Offset(-1),
        }
    }

    fn find(&self, header: &BatchHeader) -> Option<AppendedBatch> {
        let repeats = |batch: &&AppendedBatch| {
            batch.first_sequence() == header.base_sequence && batch.last_sequence == header.last_sequence()
        };
        self.batches.iter().find(repeats).copied()
    }

    fn next_sequence(&self) -> Option<i32> {
        let last = self.batches.last()?.last_sequence;
        Some(last.checked_add(1).unwrap_or(0))
    }

    fn append(&mut self, header: &BatchHeader) {
        if header.producer_epoch > self.epoch {
            self.epoch = header.producer_epoch;
            self.batches.clear();
        }
        self.last_timestamp_ms = header.max_timestamp;
        if header.attributes.is_control() {
            self.transaction_first_offset = Offset(-1);
            return;
        }
        if header.attributes.is_transactional() && self.transaction_first_offset.0 < 0 {
            self.transaction_first_offset = header.base_offset;
        }
        if self.batches.len() == BATCHES_KEPT {
            self.batches.remove(0);
        }
        self.batches.push(AppendedBatch::of(header));
    }
}

#[cfg(test)]
mod tests {
    use tidelog_wire::record_batch::{Attributes, MAGIC};
    use tidelog_wire::types::LeaderEpoch;

    use super::*;

    fn batch(epoch: i16, sequence: i32, count: i32, base_offset: i64) -> BatchHeader {
        BatchHeader {
            base_offset: Offset(base_offset),
            batch_length: 49,
            partition_leader_epoch: LeaderEpoch(0),
            magic: MAGIC,
            crc: 0,
            attributes: Attributes(0),
            last_offset_delta: count - 1,
            base_timestamp: 1000,
            max_timestamp: 1000 + i64::from(sequence),
            producer_id: ProducerId(9),
            producer_epoch: ProducerEpoch(epoch),
            base_sequence: sequence,
            record_count: count,
        }
    }

    fn after(batches: &[BatchHeader]) -> Producers {
        let mut producers = Producers::default();
        batches.iter().for_each(|batch| producers.update(batch));
        producers
    }

    #[test]
    fn a_repeated_batch_is_answered_with_its_place_while_it_is_among_the_last_five() {
        let batches: Vec<_> = (0..6).map(|n| batch(0, n * 2, 2, i64::from(n) * 10)).collect();
        let producers = after(&batches);
        for repeated in &batches[1..] {
            let found = producers.check(repeated).unwrap().expect("a duplicate");
            assert_eq!(found.base_offset(), repeated.base_offset);
            assert_eq!(found.timestamp_ms, repeated.max_timestamp);
        }
        let too_old = producers.check(&batches[0]);
        assert_eq!(too_old, Err(ProducerError::OutOfOrderSequence { producer_id: 9, sequence: 0, expected: 12 }));
    }

    #[test]
    fn sequences_have_no_gap_and_wrap_to_zero() {
        let producers = after(&[batch(0, 0, 3, 0)]);
        assert_eq!(producers.check(&batch(0, 3, 1, 0)), Ok(None));
        let gap = producers.check(&batch(0, 4, 1, 0));
        assert_eq!(gap, Err(ProducerError::OutOfOrderSequence { producer_id: 9, sequence: 4, expected: 3 }));

        let wrapping = batch(0, i32::MAX - 1, 4, 10);
        assert_eq!(wrapping.last_sequence(), 1);
        let producers = after(&[wrapping]);
        assert_eq!(producers.check(&batch(0, 2, 1, 0)), Ok(None));
        assert_eq!(producers.check(&wrapping).unwrap().unwrap().base_offset(), Offset(10));
        let at_the_end = after(&[batch(0, i32::MAX, 1, 0)]);
        assert_eq!(at_the_end.check(&batch(0, 0, 1, 0)), Ok(None));
    }

    #[test]
    fn an_older_epoch_is_fenced_and_a_newer_one_starts_at_zero() {
        let producers = after(&[batch(3, 0, 1, 0)]);
        let fenced = producers.check(&batch(2, 1, 1, 0));
        assert_eq!(fenced, Err(ProducerError::Fenced { producer_id: 9, epoch: 2, current: 3 }));
        let midway = producers.check(&batch(4, 1, 1, 0));
        assert_eq!(midway, Err(ProducerError::NewEpochNotAtZero { producer_id: 9, epoch: 4, sequence: 1 }));
        assert_eq!(producers.check(&batch(4, 0, 1, 0)), Ok(None));
    }

    #[test]
    fn an_unknown_producer_starts_anywhere() {
        assert_eq!(Producers::default().check(&batch(5, 77, 1, 0)), Ok(None));
    }

    #[test]
    fn undo_restores_what_was() {
        let mut producers = after(&[batch(0, 0, 1, 0)]);
        let before = producers.clone();
        let undo = producers.update_undoably(&batch(1, 0, 1, 1)).unwrap();
        assert_ne!(producers, before);
        producers.undo(undo);
        assert_eq!(producers, before);
    }

    #[test]
    fn silence_expires_a_producer() {
        let mut producers = after(&[batch(0, 0, 1, 0)]);
        producers.expire(1999, 1000);
        assert!(!producers.is_empty());
        producers.expire(2000, 1000);
        assert!(producers.is_empty());
    }
}
