//! A partition log in memory, with what a crash does to it.

use rand::Rng;
use rand::rngs::StdRng;
use tidelog_replication::{EpochEnd, EpochHistory, LogOffsets};
use tidelog_wire::types::{LeaderEpoch, Offset};

/// A record: which epoch's leader appended it, and a value that no other record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub epoch: i32,
    pub value: u64,
}

/// Offsets `start .. end`, on disk up to `durable_end`.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Offset of `records[0]`; the log start may be above it.
    base: i64,
    start: i64,
    records: Vec<Record>,
    durable_end: i64,
    epochs: Vec<(i32, i64)>,
    /// Grows with every truncation: a flush begun before one proves nothing of what was appended after it.
    pub truncations: u64,
}

impl Log {
    pub fn start(&self) -> i64 {
        self.start
    }

    pub fn end(&self) -> i64 {
        self.base + self.records.len() as i64
    }

    pub fn durable_end(&self) -> i64 {
        self.durable_end
    }

    pub fn offsets(&self) -> LogOffsets {
        LogOffsets { start: Offset(self.start), durable_end: Offset(self.durable_end), end: Offset(self.end()) }
    }

    pub fn get(&self, offset: i64) -> Option<Record> {
        let index = usize::try_from(offset - self.base).ok()?;
        self.records.get(index).copied()
    }

    pub fn slice(&self, from: i64, to: i64) -> Vec<Record> {
        self.records[(from - self.base) as usize..(to - self.base) as usize].to_vec()
    }

    pub fn epochs(&self) -> &[(i32, i64)] {
        &self.epochs
    }

    pub fn start_epoch(&mut self, epoch: i32, start: i64) {
        assert!(self.epochs.last().is_none_or(|&(last, at)| last < epoch && at <= start), "epoch history goes back");
        // An epoch in which nothing was appended leaves no trace when the next begins at the same offset.
        self.epochs.retain(|&(_, at)| at < start);
        self.epochs.push((epoch, start));
    }

    pub fn append(&mut self, records: &[Record]) {
        for &record in records {
            if self.latest_epoch().get() < record.epoch {
                self.start_epoch(record.epoch, self.end());
            }
            assert_eq!(self.latest_epoch().get(), record.epoch, "a record of an epoch that is over");
            self.records.push(record);
        }
    }

    pub fn flush_to(&mut self, to: i64) {
        self.durable_end = self.durable_end.max(to.min(self.end()));
    }

    pub fn truncate_to(&mut self, to: i64) {
        assert!(to >= self.start, "truncation below the log start");
        self.records.truncate((to - self.base) as usize);
        self.epochs.retain(|&(_, at)| at < to);
        self.durable_end = self.durable_end.min(to);
        self.truncations += 1;
    }

    pub fn restart_at(&mut self, at: i64) {
        let truncations = self.truncations + 1;
        *self = Self { base: at, start: at, durable_end: at, truncations, ..Self::default() };
    }

    pub fn advance_start(&mut self, start: i64) {
        assert!(start <= self.end());
        self.start = self.start.max(start);
        self.durable_end = self.durable_end.max(self.start);
        let kept = self.epochs.iter().rposition(|&(_, at)| at <= self.start).unwrap_or(0);
        self.epochs.drain(..kept);
        if let Some(first) = self.epochs.first_mut() {
            first.1 = first.1.max(self.start);
        }
    }

    /// Power is gone: some of what was not synced is lost. Recovery syncs what it found.
    pub fn lose_unsynced(&mut self, rng: &mut StdRng) {
        let kept = rng.random_range(self.durable_end..=self.end());
        self.truncate_to(kept);
    }

    pub fn recover(&mut self) {
        let end = self.end();
        self.epochs.retain(|&(_, at)| at < end);
        self.durable_end = end;
    }
}

impl EpochHistory for Log {
    fn latest_epoch(&self) -> LeaderEpoch {
        self.epochs.last().map_or(LeaderEpoch::NONE, |&(epoch, _)| LeaderEpoch(epoch))
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let at = self.epochs.iter().rposition(|&(known, _)| known <= epoch.get())?;
        let end = self.epochs.get(at + 1).map_or(self.end(), |&(_, start)| start);
        Some(EpochEnd { leader_epoch: LeaderEpoch(self.epochs[at].0), end_offset: Offset(end) })
    }
}
