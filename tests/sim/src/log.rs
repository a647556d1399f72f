//! A replica's log: the real one over a disk that loses what was not synced, and what was written to it, by which
//! everything that it gives back is judged.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rand::Rng;
use rand::rngs::StdRng;
use tidelog_commitlog::disk::SimDisk;
use tidelog_commitlog::{
    AppendError, Appended, FlushJob, Log as RealLog, LogConfig, LogDir, LogDirOptions, LogDirStart, LogId, ReadStart,
    RecoveryReport,
};
use tidelog_replication::{EpochEnd, EpochHistory, LogOffsets};
use tidelog_wire::types::{BrokerEpoch, LeaderEpoch, Offset, PartitionIndex};
use tidelog_wire::{Str, Uuid};

use crate::batch::{EPOCH_MS, Record, Stored, stamped};

const DIRECTORY: &str = "/data";

/// Also while its node is down: a crash is followed by the recovery at once, and the node starts when it will.
#[derive(Debug)]
pub struct Log {
    disk: SimDisk,
    dir: LogDir,
    real: Option<RealLog>,
    config: Arc<LogConfig>,
    is_cold: bool,
    /// What the log must give back, from the batch that holds its start.
    written: Vec<Stored>,
    flush: Option<FlushJob>,
    /// What was on disk before the last crash; the log knows of it again with its next flush.
    kept_end: i64,
    /// A log was deleted, and nothing is on disk since: the power may go, and bring it back as a stray.
    may_come_back: bool,
}

impl Log {
    /// `is_cold`: at times, pages are not in the page cache.
    pub fn new(config: LogConfig, is_cold: bool, rng: &mut StdRng) -> Self {
        let disk = SimDisk::default();
        let config = Arc::new(config);
        let (dir, _) = open_dir(&disk);
        let (real, _) = open_log(&dir, &config);
        let log = Self {
            disk,
            dir,
            real: Some(real),
            config,
            is_cold,
            written: Vec::new(),
            flush: None,
            kept_end: 0,
            may_come_back: false,
        };
        log.cool(rng);
        log
    }

    fn cool(&self, rng: &mut StdRng) {
        if self.is_cold {
            self.disk.draw_cached(rng.random());
        }
    }

    fn real(&mut self) -> &mut RealLog {
        self.real.as_mut().expect("it is open")
    }

    fn opened(&self) -> &RealLog {
        self.real.as_ref().expect("it is open")
    }

    pub fn start(&self) -> i64 {
        self.opened().log_start_offset().get()
    }

    pub fn end(&self) -> i64 {
        self.opened().log_end_offset().get()
    }

    /// What no crash takes, known or not.
    pub fn durable_end(&self) -> i64 {
        self.opened().durable_end().get().max(self.kept_end)
    }

    pub fn is_write_caching(&self) -> bool {
        self.config.write_caching
    }

    pub fn offsets(&self) -> LogOffsets {
        let log = self.opened();
        LogOffsets { start: log.log_start_offset(), durable_end: log.durable_end(), end: log.log_end_offset() }
    }

    /// Also a little below the log start, in the batch that holds it.
    pub fn get(&self, offset: i64) -> Option<Record> {
        let index = self.written.partition_point(|batch| batch.base <= offset).checked_sub(1)?;
        self.written.get(index).filter(|batch| offset < batch.end).map(|batch| batch.record(offset))
    }

    pub fn records(&self) -> impl Iterator<Item = Record> {
        (self.start()..self.end()).map(|offset| self.get(offset).expect("offsets are contiguous"))
    }

    /// Of the batch with this value and all after it.
    pub fn bytes_since(&self, value: u64) -> Option<usize> {
        let index = self.written.iter().position(|batch| batch.has(value))?;
        Some(self.written[index..].iter().map(|batch| batch.bytes.len()).sum())
    }

    /// P11: the epochs are those of the batches.
    pub fn check_epochs(&self, thorough: bool) {
        let skipped = if thorough { 0 } else { self.written.len().saturating_sub(1) };
        for batch in &self.written[skipped..] {
            let known = self.opened().epoch_for_offset(Offset(batch.base.max(self.start())));
            assert_eq!(known, Some(batch.epoch()), "P11: the epoch at {}", batch.base);
        }
        let grows = |pair: &[Stored]| pair[0].epoch() <= pair[1].epoch() && pair[0].end == pair[1].base;
        assert!(self.written[skipped..].windows(2).all(grows), "P11, P12: epochs go back, or offsets have gaps");
    }

    // ---- writing ----

    pub fn start_epoch(&mut self, epoch: LeaderEpoch) {
        self.real().assign_epoch_start(epoch).expect("a new epoch is the latest");
    }

    /// What a leader appends in one go.
    pub fn append_all(
        &mut self,
        batches: &[Bytes],
        epoch: LeaderEpoch,
        now_ms: i64,
    ) -> Vec<Result<Appended, AppendError>> {
        let results = self.real().append_all_as_leader(batches, epoch, EPOCH_MS + now_ms);
        for (batch, result) in batches.iter().zip(&results) {
            if let Ok(appended) = result
                && !appended.duplicate
            {
                self.written.extend(Stored::all(&stamped(batch, appended.base_offset, epoch)));
            }
        }
        results
    }

    pub fn append_one(&mut self, batch: Bytes, epoch: LeaderEpoch, now_ms: i64) -> Appended {
        let appended = self.append_all(&[batch], epoch, now_ms).pop().expect("one batch, one result");
        appended.expect("nothing is wrong with the batch")
    }

    pub fn append_fetched(&mut self, records: &Bytes, now_ms: i64) -> Result<Offset, AppendError> {
        let end = self.real().append_as_follower(records.clone(), EPOCH_MS + now_ms)?;
        self.written.extend(Stored::all(records));
        Ok(end)
    }

    /// Whether one began, and is to be finished.
    pub fn begin_flush(&mut self) -> bool {
        let job = self.real().begin_flush();
        let has_begun = job.is_some();
        self.flush = job.or(self.flush.take());
        has_begun
    }

    /// `None`: the flush was of a log that is gone.
    pub fn finish_flush(&mut self, rng: &mut StdRng) -> Option<Offset> {
        let done = self.flush.take()?.run();
        let durable_end = self.real().finish_flush(done).expect("the disk is sound");
        self.may_come_back = false;
        // A round of flushes ends with it, and nothing waits for it.
        if rng.random_bool(0.5) {
            self.dir.sync_marks().expect("the disk is sound");
        }
        Some(durable_end)
    }

    pub fn truncate_to(&mut self, to: i64) {
        self.real().truncate_to(Offset(to)).expect("the disk is sound");
        self.written.retain(|batch| batch.end <= to);
        self.kept_end = self.kept_end.min(self.end());
        if self.start() == self.end() {
            self.written.clear();
        }
        self.check();
    }

    pub fn restart_at(&mut self, at: i64) {
        self.real().truncate_fully_and_start_at(Offset(at)).expect("the disk is sound");
        self.written.clear();
        self.kept_end = 0;
        self.check();
    }

    pub fn advance_start(&mut self, start: i64, now_ms: i64, rng: &mut StdRng) {
        let deleted = self.real().advance_log_start(Offset(start), EPOCH_MS + now_ms).expect("the disk is sound");
        let start = self.start();
        self.written.retain(|batch| start < batch.end);
        // What is not removed now, the next start removes.
        for files in deleted.into_iter().filter(|_| rng.random_bool(0.5)) {
            files.remove().expect("the disk is sound");
        }
    }

    /// The replica is not this node's any more.
    pub fn delete(&mut self, now_ms: i64, rng: &mut StdRng) {
        let log = self.real.take().expect("it is open");
        let deleted = self.dir.delete_log(log, EPOCH_MS + now_ms).expect("the disk is sound");
        for files in deleted.into_iter().filter(|_| rng.random_bool(0.5)) {
            files.remove().expect("the disk is sound");
        }
        self.flush = None;
        self.written.clear();
        (self.kept_end, self.may_come_back) = (0, true);
        self.real = Some(open_log(&self.dir, &self.config).0);
        assert_eq!((self.start(), self.end()), (0, 0), "a deleted log comes back");
    }

    // ---- stopping ----

    /// The process is killed, or with a seed, the power is cut and some of what was not synced is lost. Whether the
    /// replica may lack records it promised.
    pub fn crash(&mut self, power_cut: Option<u64>, rng: &mut StdRng) -> bool {
        let (start, durable_end, end) = (self.start(), self.durable_end(), self.end());
        match power_cut {
            Some(seed) => self.disk.crash(seed),
            None => self.disk.kill(),
        }
        let (_, report) = self.reopen(rng);
        if power_cut.is_some() && std::mem::take(&mut self.may_come_back) {
            self.written = self.read_all();
            return !report.unclean.is_empty();
        }
        assert_eq!(self.start(), start, "the log start moved with a crash");
        let is_whole = self.end() == end || power_cut.is_some();
        assert!(is_whole, "a killed process lost what it had written: {} of {end}", self.end());
        let is_unclean = !report.unclean.is_empty();
        if !self.is_write_caching() {
            assert!(!is_unclean, "P8: a crash alone makes a replica unclean: {report:?}");
            assert!(self.end() >= durable_end, "a crash took what was on disk: {} < {durable_end}", self.end());
            self.kept_end = durable_end;
        }
        let found = self.end();
        self.written.retain(|batch| batch.end <= found);
        self.check();
        is_unclean
    }

    /// Returns the marker that the next start finds.
    pub fn close_clean(&mut self, broker_epoch: i64, rng: &mut StdRng) -> Option<i64> {
        let (start, end) = (self.start(), self.end());
        self.finish_flush(rng);
        self.real.take().expect("it is open").close_clean().expect("the disk is sound");
        self.dir.clone().close_clean(BrokerEpoch(broker_epoch)).expect("the disk is sound");
        let (found, report) = self.reopen(rng);
        assert_eq!((report.unclean.len(), report.scanned_bytes), (0, 0), "a log that was closed needs no recovery");
        assert_eq!(
            (self.start(), self.end(), self.durable_end()),
            (start, end, end),
            "a log changed when it was closed"
        );
        self.check();
        found.clean_shutdown.map(|epoch| epoch.get())
    }

    fn reopen(&mut self, rng: &mut StdRng) -> (LogDirStart, RecoveryReport) {
        (self.real, self.flush) = (None, None);
        let (dir, found) = open_dir(&self.disk);
        let (log, report) = open_log(&dir, &self.config);
        (self.dir, self.real) = (dir, Some(log));
        self.cool(rng);
        (found, report)
    }

    /// A new disk took the place of the one that had the log.
    pub fn replace_disk(&mut self, rng: &mut StdRng) {
        *self = Self::new((*self.config).clone(), self.is_cold, rng);
    }

    // ---- reading ----

    pub fn begin_read(&mut self, from: Offset, upper_bound: Offset, max_bytes: usize) -> ReadStart {
        self.real().begin_read(from, upper_bound, max_bytes, true).expect("what lies in the log can be read")
    }

    /// Every batch is there, as it was written.
    pub fn check(&mut self) {
        let batches = self.read_all();
        let first_wrong = batches.iter().zip(&self.written).position(|(read, written)| read != written);
        let is_same = first_wrong.is_none() && batches.len() == self.written.len();
        let (first, written) = (first_wrong.map(|at| &batches[at]), first_wrong.map(|at| &self.written[at]));
        assert!(
            is_same,
            "{} batches were written, {} are read; the first that differs: {written:?} {first:?}",
            self.written.len(),
            batches.len()
        );
    }

    fn read_all(&mut self) -> Vec<Stored> {
        let (mut from, end) = (self.real().log_start_offset(), self.real().log_end_offset());
        let mut batches = Vec::with_capacity(self.written.len());
        while from < end {
            let read = self.real().read(from, end, 1 << 20, true).expect("what lies in the log can be read");
            batches.extend(Stored::all(&read));
            let next = batches.last().map_or(0, |batch| batch.end);
            assert!(from.get() < next, "no way on from {from} to {end}");
            from = Offset(next);
        }
        batches
    }
}

impl EpochHistory for Log {
    fn latest_epoch(&self) -> LeaderEpoch {
        self.opened().latest_epoch()
    }

    fn end_offset_for_epoch(&self, epoch: LeaderEpoch) -> Option<EpochEnd> {
        let (leader_epoch, end_offset) = self.opened().end_offset_for_epoch(epoch);
        (leader_epoch != LeaderEpoch::NONE).then_some(EpochEnd { leader_epoch, end_offset })
    }
}

fn open_dir(disk: &SimDisk) -> (LogDir, LogDirStart) {
    let options = LogDirOptions { reserve_bytes: 0, ..LogDirOptions::default() };
    LogDir::open(Arc::new(disk.clone()), Path::new(DIRECTORY), Uuid::from_u128(1), options).expect("the disk is sound")
}

fn open_log(dir: &LogDir, config: &Arc<LogConfig>) -> (RealLog, RecoveryReport) {
    let id = LogId { topic: Str::from("simulated"), partition: PartitionIndex(0), topic_id: Uuid::from_u128(2) };
    dir.open_log(&id, Arc::clone(config), EPOCH_MS).expect("the disk is sound")
}
