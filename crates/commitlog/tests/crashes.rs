//! Random histories with crashes: what was durable is back, byte for byte, and nothing else appears.

mod support;

use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use support::model::Model;
use support::*;
use tidelog_commitlog::disk::SimDisk;
use tidelog_commitlog::{FlushJob, Log, LogConfig};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::BatchBuilder;
use tidelog_wire::types::{LeaderEpoch, Offset};

#[derive(Clone, Debug)]
enum Step {
    Append {
        producer: i64,
        count: usize,
    },
    AppendPlain {
        count: usize,
        size: usize,
    },
    AppendMany {
        producer: i64,
        batches: usize,
    },
    /// Too large to be preallocated for; several of them with one write.
    AppendLarge {
        batches: usize,
        size: usize,
    },
    BeginFlush,
    FinishFlush,
    SyncMarks,
    NewEpoch,
    Truncate {
        back: i64,
    },
    Restart {
        ahead: i64,
    },
    /// As a follower whose leader's log starts inside a batch.
    RestartInside {
        before: i64,
        after: usize,
    },
    AdvanceStart {
        part: u8,
    },
    Retention {
        removes: bool,
    },
    Crash {
        seed: u64,
    },
    Kill,
    CloseClean,
    CrashWhileClosing {
        seed: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3i64, 1..5usize).prop_map(|(producer, count)| Step::Append { producer, count }),
        8 => (1..6usize, 10..700usize).prop_map(|(count, size)| Step::AppendPlain { count, size }),
        3 => (0..3i64, 2..12usize).prop_map(|(producer, batches)| Step::AppendMany { producer, batches }),
        3 => (1..4usize, (30 << 10)..(50usize << 10)).prop_map(|(batches, size)| Step::AppendLarge { batches, size }),
        6 => Just(Step::BeginFlush),
        6 => Just(Step::FinishFlush),
        3 => Just(Step::SyncMarks),
        2 => Just(Step::NewEpoch),
        3 => (0..30i64).prop_map(|back| Step::Truncate { back }),
        1 => (0..20i64).prop_map(|ahead| Step::Restart { ahead }),
        1 => (1..10i64, 1..10usize).prop_map(|(before, after)| Step::RestartInside { before, after }),
        2 => any::<u8>().prop_map(|part| Step::AdvanceStart { part }),
        1 => any::<bool>().prop_map(|removes| Step::Retention { removes }),
        3 => any::<u64>().prop_map(|seed| Step::Crash { seed }),
        1 => Just(Step::Kill),
        1 => Just(Step::CloseClean),
        1 => any::<u64>().prop_map(|seed| Step::CrashWhileClosing { seed }),
    ]
}

/// A log, what it should hold, and the disk under it.
struct History {
    /// `None` for real files, of which the power cannot be cut.
    disk: Option<SimDisk>,
    dir: Dir,
    log: Option<Log>,
    model: Model,
    job: Option<FlushJob>,
    config: LogConfig,
}

impl History {
    fn simulated() -> Self {
        let disk = SimDisk::default();
        let dir = Dir::on(Arc::new(disk.clone()), Path::new("/data"));
        Self::new(dir, Some(disk))
    }

    fn new(dir: Dir, disk: Option<SimDisk>) -> Self {
        let retention_bytes = 100_000;
        let config =
            LogConfig { segment_bytes: 64 << 10, index_interval_bytes: 512, retention_bytes, ..LogConfig::default() };
        let (log, report) = dir.log(&config);
        assert_eq!(report.unclean, []);
        Self { disk, dir, log: Some(log), model: Model::default(), job: None, config }
    }

    fn log(&mut self) -> &mut Log {
        self.log.as_mut().expect("the log is open")
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Append { producer, count } => {
                let sequence = self.model.next_sequence(producer);
                self.append(vec![idempotent(producer, 0, sequence, count)]);
            }
            Step::AppendPlain { count, size } => self.append(vec![batch(count, size)]),
            Step::AppendMany { producer, batches } => {
                let first = self.model.next_sequence(producer);
                let batch = |n: usize| idempotent(producer, 0, first + 2 * n as i32, 2);
                self.append((0..batches).map(batch).collect());
            }
            Step::AppendLarge { batches, size } => self.append((0..batches).map(|_| batch(1, size)).collect()),
            Step::BeginFlush if self.job.is_none() => self.job = self.log().begin_flush(),
            Step::BeginFlush => {}
            Step::FinishFlush => self.finish_flush(),
            Step::SyncMarks => drop(self.dir.log_dir().sync_marks().unwrap()),
            Step::NewEpoch => {
                self.model.epoch += 1;
                let epoch = LeaderEpoch(self.model.epoch);
                self.log().assign_epoch_start(epoch).unwrap();
            }
            Step::Truncate { back } => self.truncate(back),
            Step::Restart { ahead } => self.restart_at(ahead),
            Step::RestartInside { before, after } => self.restart_inside(before, after),
            Step::AdvanceStart { part } => self.advance_start(part),
            Step::Retention { removes } => self.retention(removes),
            Step::Crash { seed } => self.crash(Some(seed)),
            Step::Kill => self.crash(None),
            Step::CloseClean => self.close_clean(),
            Step::CrashWhileClosing { seed } => self.crash_while_closing(seed),
        }
    }

    fn append(&mut self, batches: Vec<bytes::Bytes>) {
        let epoch = LeaderEpoch(self.model.epoch);
        let log = self.log.as_mut().unwrap();
        for result in log.append_all_as_leader(&batches, epoch, NOW_MS) {
            assert!(!result.expect("the batch is accepted").duplicate);
        }
        self.model.appended(log);
    }

    fn finish_flush(&mut self) {
        if let Some(job) = self.job.take() {
            let done = job.run();
            self.log().finish_flush(done).unwrap();
        }
    }

    fn truncate(&mut self, back: i64) {
        let end = Offset((self.model.log_end().0 - back).max(self.model.log_start.0));
        let straddled = self.model.batches.iter().find(|(header, _)| header.last_offset() >= end);
        let restarts = straddled.is_some_and(|(header, _)| header.base_offset < self.model.log_start);
        self.log().truncate_to(end).unwrap();
        match restarts {
            true => self.restarted_at(self.model.log_start),
            false => self.model.truncate(end),
        }
        let model = self.model.clone();
        model.check(self.log());
    }

    fn restart_at(&mut self, ahead: i64) {
        let start = self.model.log_end() + ahead;
        self.log().truncate_fully_and_start_at(start).unwrap();
        self.restarted_at(start);
    }

    fn restart_inside(&mut self, before: i64, after: usize) {
        self.restart_at(before);
        let start = self.model.start;
        let builder = BatchBuilder::new(Compression::None).base_offset(start + -before);
        let builder = builder.leader_epoch(LeaderEpoch(self.model.epoch));
        let first = build(builder, before as usize + after, 20, NOW_MS);
        self.log.as_mut().unwrap().append_as_follower(first, NOW_MS).unwrap();
        self.model.appended(self.log.as_mut().unwrap());
    }

    fn restarted_at(&mut self, start: Offset) {
        let epoch = self.model.epoch;
        self.model = Model { start, log_start: start, epoch, ..Model::default() };
    }

    fn advance_start(&mut self, part: u8) {
        let (start, end) = (self.model.log_start.0, self.model.log_end().0);
        let offset = Offset(start + (end - start) * i64::from(part) / 512);
        self.log().advance_log_start(offset, NOW_MS).unwrap();
        self.model.log_start = self.model.log_start.max(offset);
    }

    fn retention(&mut self, removes: bool) {
        let high_watermark = self.log().durable_end();
        let deleted = self.log().apply_retention(NOW_MS, high_watermark).unwrap();
        self.model.log_start = self.log().log_start_offset();
        for files in deleted.into_iter().filter(|_| removes) {
            files.remove().unwrap();
        }
        // Retention is not promised to survive a crash; the checks want to know.
        self.dir.log_dir().sync_marks().unwrap();
    }

    /// A power cut, or a killed process without a seed.
    fn crash(&mut self, seed: Option<u64>) {
        let log = self.log.take().unwrap();
        let durable_end = log.durable_end();
        drop(log);
        self.start_again(durable_end, seed);
    }

    /// The log is closed, but the directory is not.
    fn crash_while_closing(&mut self, seed: u64) {
        let log = self.log.take().unwrap();
        let durable_end = log.durable_end();
        log.close_clean().unwrap();
        self.start_again(durable_end, Some(seed));
    }

    fn start_again(&mut self, durable_end: Offset, seed: Option<u64>) {
        self.job = None;
        let cut = self.disk.as_ref().zip(seed);
        match (&self.disk, cut) {
            (_, Some((disk, seed))) => disk.crash(seed),
            (Some(disk), None) => disk.kill(),
            (None, None) => {}
        }
        self.dir.open();
        let (mut log, report) = self.dir.log(&self.config);
        let before = self.model.log_end();
        self.model.check_recovered(&mut log, &report, durable_end);
        if cut.is_none() {
            assert_eq!(log.log_end_offset(), before.max(self.model.log_start), "a killed process loses nothing");
        }
        self.log = Some(log);
    }

    fn close_clean(&mut self) {
        self.finish_flush();
        let log = self.log.take().unwrap();
        self.dir.restart(log);
        let (mut log, report) = self.dir.log(&self.config);
        assert_eq!((report.scanned_bytes, report.unclean.len()), (0, 0), "{report:?}");
        assert_eq!(log.durable_end(), log.log_end_offset());
        let end = self.model.log_end();
        self.model.check_recovered(&mut log, &report, end);
        self.log = Some(log);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_durable_survives_every_history(steps in vec(step(), 1..60), seed in any::<u64>()) {
        run_and_crash(&steps, seed);
    }
}

fn run_and_crash(steps: &[Step], seed: u64) {
    let mut history = History::simulated();
    for step in steps {
        history.run(step);
    }
    history.crash(Some(seed));
    // A second crash must not find what the first recovery left half done.
    history.append(vec![batch(2, 40)]);
    history.crash(Some(!seed));
}

/// A snapshot survives the crash, the segments that it tells of do not, and another history begins at their offsets.
#[test]
fn a_snapshot_that_outlives_its_segments_tells_nothing_of_the_next_history() {
    for seed in 0..64 {
        let first = [(0, 2), (1, 5), (0, 2)].map(|(producer, count)| Step::Append { producer, count });
        let next = [Step::AppendMany { producer: 0, batches: 11 }, Step::Truncate { back: 11 }];
        let crash = [Step::CrashWhileClosing { seed }];
        run_and_crash(&first.into_iter().chain(crash).chain(next).collect::<Vec<_>>(), seed);
    }
}

/// The snapshot at the new log start may be lost while the one before it, whose segment is gone, is found again.
#[test]
fn a_snapshot_from_below_the_log_start_makes_no_producer_stale() {
    for seed in 0..256 {
        let large = |batches, size| Step::AppendLarge { batches, size };
        let append = |producer, count| Step::Append { producer, count };
        let written =
            [large(2, 32_694), append(0, 1), large(1, 32_421), append(0, 4), Step::BeginFlush, large(2, 32_369)];
        let flushed = [Step::FinishFlush, Step::AppendPlain { count: 4, size: 90 }, Step::BeginFlush, Step::SyncMarks];
        let moved = [Step::FinishFlush, Step::Crash { seed: 0 }, Step::AdvanceStart { part: 224 }];
        let crashed = [Step::AdvanceStart { part: 171 }, append(1, 1), Step::Crash { seed }, append(0, 1)];
        let steps: Vec<_> = written.into_iter().chain(flushed).chain(moved).chain(crashed).collect();
        run_and_crash(&steps, 0);
    }
}

/// Retention hides three segments, a crash brings the first one back.
#[test]
fn a_segment_that_comes_back_below_the_log_start_is_not_appended_to() {
    for seed in 0..256 {
        let append = |producer, count| Step::Append { producer, count };
        let large = |batches, size| Step::AppendLarge { batches, size };
        let written = [append(0, 1), large(1, 30_720), append(0, 3), large(3, 34_303), Step::CloseClean];
        let trimmed = [append(0, 1), large(1, 31_078), Step::Kill, Step::Retention { removes: false }];
        let crashed = [Step::Crash { seed }, Step::CloseClean, Step::Truncate { back: 3 }];
        let flushed = [append(0, 1), Step::BeginFlush, Step::FinishFlush];
        let steps: Vec<_> = written.into_iter().chain(trimmed).chain(crashed).chain(flushed).collect();
        run_and_crash(&steps, seed);
    }
}

/// Appends of this size fill a segment each: a crash may keep a later one and lose the first.
#[test]
fn a_segment_that_outlives_the_ones_before_it_is_no_beginning() {
    for seed in 0..64 {
        let large = |batches| Step::AppendLarge { batches, size: 34_667 };
        run_and_crash(&[large(3)], seed);
        let start = [large(1), Step::CloseClean, Step::Crash { seed: 0 }, large(3), Step::AdvanceStart { part: 128 }];
        run_and_crash(&start, seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_over_real_files_survives_being_killed(steps in vec(step(), 1..60)) {
        let temp = tempfile::tempdir().unwrap();
        let mut history = History::new(Dir::real(temp.path()), None);
        for step in &steps {
            history.run(step);
        }
        history.crash(None);
    }
}
