//! What a log should hold, kept beside it.

use bytes::Bytes;
use tidelog_commitlog::{Log, RecoveryReport};
use tidelog_wire::record_batch::BatchHeader;
use tidelog_wire::types::{LeaderEpoch, Offset};

use super::{NOW_MS, contents, headers, idempotent};

/// The batches of a log as they were read back when appended.
#[derive(Clone, Default)]
pub struct Model {
    pub batches: Vec<(BatchHeader, Bytes)>,
    pub log_start: Offset,
    /// Where an empty log stands.
    pub start: Offset,
    pub epoch: i32,
}

impl Model {
    pub fn log_end(&self) -> Offset {
        self.batches.last().map_or(self.start, |(header, _)| header.next_offset())
    }

    /// The next sequence of a producer.
    pub fn next_sequence(&self, id: i64) -> i32 {
        self.last_of(id).map_or(0, |header| header.last_sequence() + 1)
    }

    fn last_of(&self, id: i64) -> Option<BatchHeader> {
        self.batches.iter().rev().map(|(header, _)| *header).find(|header| header.producer_id.0 == id)
    }

    /// Takes over what was appended since.
    pub fn appended(&mut self, log: &mut Log) {
        let mut from = self.log_end();
        while from < log.log_end_offset() {
            let read = log.read(from, log.log_end_offset(), 1 << 20, true).expect("the log reads");
            for batch in tidelog_wire::record_batch::batches(read) {
                let (header, bytes) = batch.expect("whole batches");
                // Only the log start may lie inside a batch.
                let expected = if from == self.log_start { header.base_offset.min(from) } else { from };
                assert_eq!(header.base_offset, expected, "offsets continue");
                from = header.next_offset();
                self.batches.push((header, bytes));
            }
        }
    }

    pub fn truncate(&mut self, end: Offset) {
        self.batches.retain(|(header, _)| header.next_offset() <= end);
    }

    /// After a restart: everything below `durable_end` is back, and nothing that was never there.
    pub fn check_recovered(&mut self, log: &mut Log, report: &RecoveryReport, durable_end: Offset) {
        assert_eq!(report.unclean, [], "nothing durable is missing");
        assert_eq!(log.damage(), None);
        assert_eq!(log.log_start_offset(), self.log_start);
        let log_end = log.log_end_offset();
        assert!(log_end >= durable_end, "{log_end} is below the durable end {durable_end}");
        assert!(log_end <= self.log_end(), "{log_end} is above the log end {}", self.log_end());
        self.truncate(log_end);
        assert_eq!(self.log_end().max(self.log_start), log_end, "the log ends with a batch");
        if self.log_end() < self.log_start {
            *self = Self { start: self.log_start, log_start: self.log_start, epoch: self.epoch, ..Self::default() };
        }
        self.check(log);
    }

    /// The log is as the model says, and so is everything that describes it.
    pub fn check(&self, log: &mut Log) {
        assert_eq!(log.log_end_offset(), self.log_end());
        let visible: Vec<u8> = self.visible().flat_map(|(_, bytes)| bytes.to_vec()).collect();
        let read = contents(log);
        assert!(
            read == visible,
            "bytes differ: {:?}, expected {:?}",
            headers(&read),
            self.visible().map(|b| b.0).collect::<Vec<_>>()
        );
        self.check_epochs(log);
        self.check_producers(log);
    }

    fn visible(&self) -> impl Iterator<Item = &(BatchHeader, Bytes)> {
        self.batches.iter().filter(|(header, _)| header.last_offset() >= self.log_start)
    }

    fn check_epochs(&self, log: &Log) {
        let mut latest = LeaderEpoch::NONE;
        for (header, _) in self.visible() {
            assert_eq!(
                log.epoch_for_offset(header.base_offset.max(self.log_start)),
                Some(header.partition_leader_epoch)
            );
            if header.partition_leader_epoch > latest {
                let end = header.base_offset;
                assert!(latest == LeaderEpoch::NONE || log.end_offset_for_epoch(latest) == (latest, end));
                latest = header.partition_leader_epoch;
            }
        }
        assert!(log.latest_epoch() >= latest);
    }

    fn check_producers(&self, log: &mut Log) {
        for id in 0..3 {
            let Some(last) = self.last_of(id).filter(|last| last.base_offset >= self.log_start) else {
                continue;
            };
            let repeated = idempotent(id, 0, last.base_sequence, last.record_count as usize);
            let epoch = log.latest_epoch();
            let answer = log.append_as_leader(repeated, epoch, NOW_MS).expect("a duplicate is no error");
            assert!(answer.duplicate, "producer {id} is forgotten");
            assert_eq!(answer.base_offset, last.base_offset);
            let gap = idempotent(id, 0, last.last_sequence() + 2, 1);
            log.append_as_leader(gap, epoch, NOW_MS).expect_err("a gap in the sequence");
        }
    }
}
