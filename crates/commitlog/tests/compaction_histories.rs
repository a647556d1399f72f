//! Random histories of a compacted log, with crashes at every operation on the disk, against a map of what was written.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use support::compacted::*;
use support::*;
use tidelog_commitlog::disk::SimDisk;
use tidelog_commitlog::{CleanerLimits, Log};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::{BatchBuilder, Record};
use tidelog_wire::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

#[derive(Clone, Debug)]
enum Step {
    Append { codec: usize, producer: Option<i64>, records: Vec<Written> },
    Roll,
    Clean { after_ms: i64, keys_max: u64, crash: Option<(u64, u64)> },
    Crash { seed: u64 },
    Restart,
    Trim { part: u8 },
    NewEpoch,
}

fn written() -> impl Strategy<Value = Written> {
    (0..12u8, proptest::option::weighted(0.8, vec(any::<u8>(), 0..200)), any::<bool>())
        .prop_map(|(key, value, has_header)| Written { key, value, has_header })
}

fn step() -> impl Strategy<Value = Step> {
    let append = (0..5usize, proptest::option::of(0..3i64), vec(written(), 1..8));
    let clean = (0..RETENTION_MS, 3..60u64, proptest::option::weighted(0.3, (any::<u64>(), 0..30u64)));
    prop_oneof![
        12 => append.prop_map(|(codec, producer, records)| Step::Append { codec, producer, records }),
        3 => Just(Step::Roll),
        4 => clean.prop_map(|(after_ms, keys_max, crash)| Step::Clean { after_ms, keys_max, crash }),
        1 => any::<u64>().prop_map(|seed| Step::Crash { seed }),
        1 => Just(Step::Restart),
        1 => any::<u8>().prop_map(|part| Step::Trim { part }),
        1 => Just(Step::NewEpoch),
    ]
}

/// A compacted log and everything that was appended to it.
struct History {
    disk: SimDisk,
    dir: Dir,
    log: Option<Log>,
    written: BTreeMap<i64, Written>,
    epochs: BTreeMap<i64, i32>,
    epoch: i32,
    sequences: [i32; 3],
    now_ms: i64,
}

impl History {
    fn new() -> Self {
        let disk = SimDisk::default();
        let dir = Dir::on(Arc::new(disk.clone()), Path::new("/data"));
        let log = Some(dir.log(&compacted()).0);
        let (written, epochs) = (BTreeMap::new(), BTreeMap::new());
        Self { disk, dir, log, written, epochs, epoch: 0, sequences: [0; 3], now_ms: NOW_MS }
    }

    fn run(&mut self, step: &Step) {
        match step {
            Step::Append { codec, producer, records } => self.append(CODECS[*codec], *producer, records),
            Step::Roll => {
                let padding: Vec<_> = (0..4).map(|_| value(255, &"p".repeat(400))).collect();
                (0..2).for_each(|_| self.append(Compression::None, None, &padding));
                self.log.as_mut().unwrap().flush().unwrap();
            }
            Step::Clean { after_ms, keys_max, crash } => self.clean(*after_ms, *keys_max, *crash),
            Step::Crash { seed } => self.crash(*seed),
            Step::Restart => {
                self.dir.restart(self.log.take().unwrap());
                self.open();
            }
            Step::Trim { part } => {
                let log = self.log.as_mut().unwrap();
                let (start, end) = (log.log_start_offset().0, log.durable_end().0);
                let offset = Offset(start + (end - start).max(0) * i64::from(*part) / 1024);
                log.advance_log_start(offset, self.now_ms).unwrap();
            }
            Step::NewEpoch => {
                self.epoch += 1;
                self.log.as_mut().unwrap().assign_epoch_start(LeaderEpoch(self.epoch)).unwrap();
            }
        }
    }

    fn append(&mut self, codec: Compression, producer: Option<i64>, records: &[Written]) {
        let mut builder = BatchBuilder::new(codec);
        if let Some(id) = producer {
            let sequence = &mut self.sequences[id as usize];
            builder = builder.producer(ProducerId(id), ProducerEpoch(0), *sequence);
            *sequence += records.len() as i32;
        }
        for record in records {
            let headers = if record.has_header { vec![header()] } else { Vec::new() };
            builder.append(NOW_MS, Some(&[record.key]), record.value.as_deref(), &headers);
        }
        let log = self.log.as_mut().unwrap();
        let appended = log.append_as_leader(builder.build().unwrap(), LeaderEpoch(self.epoch), NOW_MS);
        let base = appended.expect("no producer is forgotten").base_offset.0;
        for (offset, record) in (base..).zip(records) {
            self.written.insert(offset, record.clone());
            self.epochs.insert(offset, self.epoch);
        }
    }

    fn clean(&mut self, after_ms: i64, keys_max: u64, crash: Option<(u64, u64)>) {
        self.now_ms += after_ms;
        let limits = CleanerLimits { dedupe_buffer_bytes: keys_max * 24 };
        let log = self.log.as_mut().unwrap();
        let Some(job) = log.begin_cleaning(self.now_ms, log.durable_end()).unwrap() else {
            return;
        };
        if let Some((_, operations)) = crash {
            self.disk.stop_after(operations);
        }
        let cleaned = job.run(&limits, &mut |_| {});
        let finished = finish(log, cleaned, self.now_ms);
        match crash {
            Some((seed, _)) => self.crash(seed),
            None => drop(finished.expect("it is cleaned")),
        }
        self.check();
    }

    fn crash(&mut self, seed: u64) {
        self.log = None;
        self.disk.crash(seed);
        self.dir.open();
        self.open();
    }

    fn open(&mut self) {
        let (log, report) = self.dir.log(&compacted());
        assert_eq!((&report.unclean[..], log.damage()), (&[][..], None));
        let end = log.log_end_offset();
        self.written.split_off(&end.0);
        self.epochs.split_off(&end.0);
        self.log = Some(log);
        for id in 0..3 {
            // What the crash took, the producer sends again.
            while self.sequences[id] > 0 && !self.is_known(id) {
                self.sequences[id] -= 1;
            }
        }
        self.check();
    }

    fn is_known(&mut self, id: usize) -> bool {
        let log = self.log.as_mut().unwrap();
        let mut probe = BatchBuilder::new(Compression::None).producer(
            ProducerId(id as i64),
            ProducerEpoch(0),
            self.sequences[id] + 1,
        );
        probe.append(NOW_MS, Some(b"k"), None, &[]);
        match log.append_as_leader(probe.build().unwrap(), LeaderEpoch(self.epoch), NOW_MS) {
            Err(tidelog_commitlog::AppendError::Producer(tidelog_commitlog::ProducerError::OutOfOrderSequence {
                expected,
                ..
            })) => expected == self.sequences[id],
            // The whole of it is gone, or it was trimmed: it starts anywhere, and this was its first record.
            result => {
                let base = result.unwrap().base_offset.0;
                self.written.insert(base, Written { key: b'k', value: None, has_header: false });
                self.epochs.insert(base, self.epoch);
                self.sequences[id] += 2;
                true
            }
        }
    }

    /// Every live record is there, nothing that was not written is, and what is dead goes in its time.
    fn check(&mut self) {
        let mut log = self.log.take().unwrap();
        let start = log.log_start_offset().0;
        let latest: BTreeMap<u8, i64> = self.written.iter().map(|(offset, record)| (record.key, *offset)).collect();
        let found: BTreeMap<i64, Record> =
            all_records(&mut log).into_iter().map(|record| (record.offset.0, record)).collect();
        for (offset, record) in &found {
            let written = &self.written[offset];
            assert_eq!(record.key.as_deref(), Some(&[written.key][..]));
            assert_eq!(record.value.as_deref(), written.value.as_deref());
            assert_eq!((record.timestamp_ms, record.headers.len()), (NOW_MS, usize::from(written.has_header)));
            let epoch = log.epoch_for_offset(Offset(*offset));
            assert_eq!(epoch, Some(LeaderEpoch(self.epochs[offset])));
        }
        for (key, offset) in latest.range(..).filter(|(_, offset)| **offset >= start) {
            let is_tombstone = self.written[offset].value.is_none();
            let may_be_gone = is_tombstone && self.now_ms >= NOW_MS + RETENTION_MS;
            assert!(found.contains_key(offset) || may_be_gone, "key {key} lost its value at {offset}");
        }
        for from in (start..log.log_end_offset().0).step_by(7) {
            let live: Vec<i64> = records_from(&mut log, Offset(from)).iter().map(|record| record.offset.0).collect();
            assert!(live.iter().eq(found.range(from..).map(|(offset, _)| offset)), "reading from {from}");
        }
        self.log = Some(log);
    }

    /// With room for all keys, everything closed ends as the map says.
    fn check_final(&mut self) {
        self.run(&Step::Roll);
        self.clean(0, 10_000, None);
        let log = self.log.as_mut().unwrap();
        let clean_end = log.first_dirty_offset().0;
        let mut latest = BTreeMap::new();
        for (offset, record) in self.written.range(..clean_end) {
            latest.insert(record.key, *offset);
        }
        for record in all_records(log).iter().filter(|record| record.offset.0 < clean_end) {
            let key = record.key.as_ref().unwrap()[0];
            assert_eq!(latest.get(&key), Some(&record.offset.0), "an outdated record of key {key} stayed");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compaction_keeps_what_a_map_would_whatever_crashes(steps in vec(step(), 1..80)) {
        let mut history = History::new();
        for step in &steps {
            history.run(step);
        }
        history.check_final();
    }
}
