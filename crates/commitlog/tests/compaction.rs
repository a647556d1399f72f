//! Compaction: what stays, what goes, and every state in which a crash may leave the files.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use support::*;
use tidelog_commitlog::disk::{Disk, OpenMode, SimDisk};
use tidelog_commitlog::{CleanError, CleanStats, Cleaned, CleanerLimits, Log, LogConfig, ReadError, ReadStart};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::{BatchBuilder, Record, RecordHeader, records};
use tidelog_wire::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const RETENTION_MS: i64 = 1000;
const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn compacted() -> LogConfig {
    LogConfig {
        cleanup_compact: true,
        cleanup_delete: false,
        delete_retention_ms: RETENTION_MS,
        segment_bytes: 2048,
        index_interval_bytes: 256,
        ..LogConfig::default()
    }
}

/// One record as it was appended.
#[derive(Clone, Debug, PartialEq)]
struct Written {
    key: u8,
    value: Option<Vec<u8>>,
    has_header: bool,
}

fn header() -> RecordHeader {
    RecordHeader { key: Bytes::from_static(b"h"), value: Some(Bytes::from_static(b"v")) }
}

fn batch_of(codec: Compression, records: &[Written]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for (index, record) in records.iter().enumerate() {
        let headers = if record.has_header { vec![header()] } else { Vec::new() };
        builder.append(NOW_MS + index as i64, Some(&[record.key]), record.value.as_deref(), &headers);
    }
    builder.build().unwrap()
}

fn value(key: u8, value: &str) -> Written {
    Written { key, value: Some(value.as_bytes().to_vec()), has_header: false }
}

fn tombstone(key: u8) -> Written {
    Written { key, value: None, has_header: false }
}

/// Fills the active segment's predecessors up: afterwards everything appended before may be cleaned.
fn roll(log: &mut Log) {
    let padding: Vec<_> = (0..4).map(|_| value(255, &"p".repeat(400))).collect();
    for _ in 0..3 {
        append(log, batch_of(Compression::None, &padding));
    }
    log.flush().unwrap();
}

fn clean_with(log: &mut Log, now_ms: i64, limits: &CleanerLimits) -> Result<Option<CleanStats>, CleanError> {
    let high_watermark = log.durable_end();
    match log.begin_cleaning(now_ms, high_watermark)? {
        Some(job) => finish(log, job.run(limits, &mut |_| {}), now_ms).map(Some),
        None => Ok(None),
    }
}

fn finish(log: &mut Log, cleaned: Cleaned, now_ms: i64) -> Result<CleanStats, CleanError> {
    let (stats, deleted) = log.finish_cleaning(cleaned, now_ms)?;
    if let Some(deleted) = deleted {
        deleted.remove()?;
    }
    Ok(stats)
}

fn clean(log: &mut Log, now_ms: i64) -> CleanStats {
    clean_with(log, now_ms, &CleanerLimits::default()).unwrap().expect("there was something to clean")
}

fn all_records(log: &mut Log) -> Vec<Record> {
    records_from(log, log.log_start_offset())
}

fn records_from(log: &mut Log, from: Offset) -> Vec<Record> {
    let mut next = from;
    let mut all = Vec::new();
    while next < log.log_end_offset() {
        let read = log.read(next, log.log_end_offset(), 4096, true).unwrap();
        assert!(!read.is_empty(), "a reader hangs at {next}");
        for batch in tidelog_wire::record_batch::batches(read) {
            let (header, bytes) = batch.unwrap();
            header.verify_crc(&bytes).unwrap();
            assert!(header.last_offset() >= next, "nothing turns back");
            all.extend(records(&bytes, 1 << 20).unwrap().map(Result::unwrap).filter(|record| record.offset >= from));
            next = header.next_offset();
        }
    }
    all
}

fn keys_and_offsets(log: &mut Log) -> Vec<(u8, i64)> {
    let visible = all_records(log).into_iter().map(|record| (record.key.unwrap()[0], record.offset.0));
    visible.filter(|(key, _)| *key != 255).collect()
}

#[test]
fn the_last_value_of_each_key_stays_at_its_offset() {
    let disk = SimDisk::default();
    let mut dir = Dir::on(Arc::new(disk), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    for codec in CODECS {
        append(&mut log, batch_of(codec, &[value(1, "a"), value(2, "b"), value(1, "c")]));
    }
    let kept = Written { has_header: true, ..value(3, "with a header") };
    append(&mut log, batch_of(Compression::Zstd, &[kept, value(1, "last")]));
    roll(&mut log);
    let end = log.log_end_offset();
    let stats = clean(&mut log, NOW_MS);
    assert!(stats.written_bytes < stats.read_bytes);
    assert_eq!(keys_and_offsets(&mut log), [(2, 13), (3, 15), (1, 16)]);
    let with_header = all_records(&mut log).into_iter().find(|record| record.offset == Offset(15)).unwrap();
    assert_eq!((with_header.headers, with_header.timestamp_ms), (vec![header()], NOW_MS));
    assert_eq!(log.log_end_offset(), end);
    assert!(log.begin_cleaning(NOW_MS, end).unwrap().is_none(), "all of it is clean");

    dir.kill(log);
    let (mut log, report) = dir.log(&compacted());
    assert_eq!(report.unclean, []);
    assert_eq!(keys_and_offsets(&mut log), [(2, 13), (3, 15), (1, 16)]);
    // A reader at any offset gets on, in gaps too.
    for from in 0..end.0 {
        let live =
            records_from(&mut log, Offset(from)).into_iter().filter(|record| record.key.as_deref() != Some(&[255]));
        let expected = [13, 15, 16].into_iter().filter(|offset| *offset >= from).collect::<Vec<_>>();
        assert_eq!(live.map(|record| record.offset.0).collect::<Vec<_>>(), expected, "from {from}");
    }
}

#[test]
fn a_tombstone_stays_for_its_time_and_hides_what_it_deletes() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    append(&mut log, batch_of(Compression::Lz4, &[value(1, "a"), value(2, "b"), tombstone(1)]));
    roll(&mut log);
    clean(&mut log, NOW_MS);
    assert_eq!(keys_and_offsets(&mut log), [(2, 1), (1, 2)]);
    let first = log.read(Offset(0), log.log_end_offset(), 1, true).unwrap();
    let first = headers(&first)[0];
    assert!(first.attributes.has_delete_horizon());
    assert_eq!((first.base_timestamp, first.max_timestamp), (NOW_MS + RETENTION_MS, NOW_MS + 2));
    assert_eq!(all_records(&mut log)[1].timestamp_ms, NOW_MS + 2, "timestamps survive the horizon");

    roll(&mut log);
    clean(&mut log, NOW_MS + RETENTION_MS - 1);
    assert_eq!(keys_and_offsets(&mut log), [(2, 1), (1, 2)]);
    roll(&mut log);
    clean(&mut log, NOW_MS + RETENTION_MS);
    assert_eq!(keys_and_offsets(&mut log), [(2, 1)]);
}

#[test]
fn more_keys_than_fit_take_several_cleanings() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    for round in ["first", "second"] {
        for key in 0..100 {
            append(&mut log, batch_of(Compression::None, &[value(key, round)]));
        }
    }
    roll(&mut log);
    let limits = CleanerLimits { dedupe_buffer_bytes: 24 * 32 };
    let mut cleanings = 0;
    while let Some(stats) = clean_with(&mut log, NOW_MS, &limits).unwrap() {
        assert!(stats.mapped_keys <= 32);
        cleanings += 1;
    }
    assert!(cleanings > 5, "{cleanings}");
    let expected: Vec<_> = (0..100u8).map(|key| (key, 100 + i64::from(key))).collect();
    assert_eq!(keys_and_offsets(&mut log), expected);
}

#[test]
fn what_is_not_committed_or_too_young_is_not_touched() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let config = LogConfig { min_compaction_lag_ms: 500, max_compaction_lag_ms: 5000, ..compacted() };
    let (mut log, _) = dir.log(&config);
    append(&mut log, batch_of(Compression::None, &[value(1, "a"), value(1, "b")]));
    roll(&mut log);
    assert!(log.begin_cleaning(NOW_MS, log.durable_end()).unwrap().is_none(), "too young");
    assert!(log.begin_cleaning(NOW_MS + 9000, Offset(1)).unwrap().is_none(), "not committed");
    let cleanable = log.cleanable(NOW_MS + 9000, log.durable_end()).unwrap().unwrap();
    assert!(cleanable.dirty_bytes > 0 && cleanable.dirty_ratio() == 1.0);
    assert_eq!(cleanable.overdue_ms, 3999);
    clean(&mut log, NOW_MS + 9000);
    assert_eq!(keys_and_offsets(&mut log), [(1, 1)]);
}

#[test]
fn a_producer_is_not_forgotten_with_its_records_and_markers_stay() {
    let mut dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    append(&mut log, idempotent(7, 0, 0, 3));
    let marker = |offset: Offset| {
        let mut builder = BatchBuilder::default().base_offset(offset).leader_epoch(EPOCH).control();
        builder = builder.producer(ProducerId(9), ProducerEpoch(0), -1).transactional();
        builder.append(NOW_MS, Some(&[0, 0, 0, 1]), Some(&[0, 0, 0, 0, 0, 0]), &[]);
        builder.build().unwrap()
    };
    log.append_as_follower(marker(Offset(3)), NOW_MS).unwrap();
    append(&mut log, build(BatchBuilder::default(), 1, 10, NOW_MS));
    roll(&mut log);
    clean(&mut log, NOW_MS);
    let found = headers(&contents(&mut log));
    assert_eq!((found[0].producer_id, found[0].record_count, found[0].last_sequence()), (ProducerId(7), 0, 2));
    assert!(found[1].attributes.is_control() && found[1].record_count == 1);
    dir.kill(log);
    let (mut log, _) = dir.log(&compacted());
    assert!(log.append_as_leader(idempotent(7, 0, 0, 3), EPOCH, NOW_MS).unwrap().duplicate);
    append(&mut log, idempotent(7, 0, 3, 1));
}

#[test]
fn a_record_without_a_key_is_refused() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    for codec in CODECS {
        let mut builder = BatchBuilder::new(codec);
        builder.append(NOW_MS, Some(b"k"), Some(b"v"), &[]);
        builder.append(NOW_MS, None, Some(b"v"), &[]);
        log.append_as_leader(builder.build().unwrap(), EPOCH, NOW_MS).expect_err("it has no key");
    }
    assert_eq!(log.log_end_offset(), Offset(0));
}

#[test]
fn a_follower_takes_over_a_log_with_gaps_and_is_cut_inside_of_one() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut leader, _) = dir.log(&compacted());
    for round in 0..30 {
        let count = 3 + round % 3;
        append(&mut leader, batch_of(CODECS[round % 5], &vec![value((round % 2) as u8, "x"); count]));
    }
    roll(&mut leader);
    clean(&mut leader, NOW_MS);
    let other = Dir::on(Arc::new(SimDisk::default()), Path::new("/other"));
    let (mut follower, _) = other.log(&compacted());
    while follower.log_end_offset() < leader.log_end_offset() {
        let read = leader.read(follower.log_end_offset(), leader.log_end_offset(), 1, true).unwrap();
        follower.append_as_follower(read, NOW_MS).unwrap();
    }
    assert_eq!(all_records(&mut follower), all_records(&mut leader));
    follower.flush().unwrap();
    let batches = headers(&contents(&mut follower));
    let gap = batches.windows(2).find(|pair| pair[1].base_offset > pair[0].next_offset()).expect("there is a gap");
    follower.truncate_to(gap[1].base_offset + -1).unwrap();
    assert_eq!(follower.log_end_offset(), gap[0].next_offset());
    let read = leader.read(follower.log_end_offset(), leader.log_end_offset(), 1, true).unwrap();
    follower.append_as_follower(read, NOW_MS).unwrap();
}

#[test]
fn a_log_that_is_cut_or_trimmed_meanwhile_stays_as_it_is() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    for round in 0..60 {
        append(&mut log, batch_of(Compression::None, &[value(round % 3, &"x".repeat(100))]));
    }
    roll(&mut log);
    let operations: [fn(&mut Log); 2] =
        [|log| drop(log.advance_log_start(Offset(40), NOW_MS).unwrap()), |log| log.truncate_to(Offset(50)).unwrap()];
    for operation in operations {
        let job = log.begin_cleaning(NOW_MS, log.durable_end()).unwrap().expect("it is dirty");
        assert!(log.begin_cleaning(NOW_MS, log.durable_end()).unwrap().is_none(), "one at a time");
        operation(&mut log);
        let before = contents(&mut log);
        let cleaned = job.run(&CleanerLimits::default(), &mut |_| {});
        assert!(matches!(log.finish_cleaning(cleaned, NOW_MS), Err(CleanError::Cancelled)));
        assert_eq!(contents(&mut log), before);
        roll(&mut log);
    }
}

#[test]
fn a_read_that_was_overtaken_by_a_swap_is_to_be_repeated() {
    let dir = Dir::on(Arc::new(SimDisk::default()), Path::new("/data"));
    let (mut log, _) = dir.log(&compacted());
    for round in 0..60 {
        append(&mut log, batch_of(Compression::None, &[value(round % 3, &"x".repeat(100))]));
    }
    roll(&mut log);
    let end = log.log_end_offset();
    let ReadStart::Cold(job) = log.begin_read(Offset(5), end, 1 << 20, true).unwrap() else {
        panic!("the position is not in memory");
    };
    clean(&mut log, NOW_MS);
    assert!(matches!(job.run(), Err(ReadError::Replaced)));
}

#[test]
fn a_real_directory_is_compacted_in_kafkas_files() {
    let temp = tempfile::tempdir().unwrap();
    let mut dir = Dir::real(temp.path());
    let (mut log, _) = dir.log(&compacted());
    for round in 0..100u8 {
        append(&mut log, batch_of(CODECS[usize::from(round) % 5], &[value(round % 7, "x"), value(round % 5, "y")]));
    }
    roll(&mut log);
    let stats = clean(&mut log, NOW_MS);
    dir.log_dir().write_cleaner_checkpoint().unwrap();
    let checkpoint = std::fs::read_to_string(temp.path().join("cleaner-offset-checkpoint")).unwrap();
    assert_eq!(checkpoint, format!("0\n1\nsample 0 {}\n", stats.cleaned_up_to));
    let before = keys_and_offsets(&mut log);
    assert_eq!(before.len(), 7);
    let names: Vec<_> = std::fs::read_dir(dir.log_path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().ends_with(".cleaned")), "{names:?}");
    dir.restart(log);
    let (mut log, report) = dir.log(&compacted());
    assert_eq!(report, Default::default());
    assert_eq!((keys_and_offsets(&mut log), log.first_dirty_offset()), (before, stats.cleaned_up_to));
}

/// Every state of the files in which a crash may leave the swap, made by hand.
#[test]
fn recovery_finishes_or_forgets_a_swap_in_each_of_its_states() {
    for state in 0..6 {
        let disk = SimDisk::default();
        let mut dir = Dir::on(Arc::new(disk.clone()), Path::new("/data"));
        let (mut log, _) = dir.log(&compacted());
        for round in 0..40 {
            append(&mut log, batch_of(Compression::None, &[value(round % 3, &"x".repeat(200))]));
        }
        roll(&mut log);
        let (path, before) = (dir.log_path(), keys_and_offsets(&mut log));
        let cleaned =
            log.begin_cleaning(NOW_MS, log.durable_end()).unwrap().unwrap().run(&CleanerLimits::default(), &mut |_| {});
        let names: Vec<String> = disk.list(&path).unwrap().into_iter().map(|entry| entry.name).collect();
        let names: Vec<String> = names.into_iter().filter(|name| name.starts_with('0')).collect();
        let file = |name: &str| path.join(name);
        let bases: Vec<&str> = names.iter().filter_map(|name| name.strip_suffix(".log.cleaned")).collect();
        assert!(!bases.is_empty());
        let dirty_end = format!("{:020}", cleaned.result().as_ref().unwrap().cleaned_up_to.0);
        // 1: committed; 2: the first old file of each is gone; 3: all; 4: renamed without indexes; 5: half a file.
        for base in &bases {
            let log_file = file(&format!("{base}.log"));
            let next = bases.iter().find(|next| *next > base);
            let is_old = |name: &&String| {
                let of = &name[..20];
                let end = next.copied().unwrap_or(dirty_end.as_str());
                !name.ends_with(".cleaned") && of > *base && of < end
            };
            if (1..5).contains(&state) {
                disk.rename(&file(&format!("{base}.log.cleaned")), &file(&format!("{base}.log.swap"))).unwrap();
            }
            if (2..5).contains(&state) {
                let mut old = names.iter().filter(is_old);
                let count = if state == 2 { 1 } else { usize::MAX };
                old.by_ref().take(count).for_each(|name| disk.remove_file(&file(name)).unwrap());
            }
            if state == 4 {
                disk.remove_file(&file(&format!("{base}.index"))).unwrap();
                disk.remove_file(&file(&format!("{base}.timeindex"))).unwrap();
                disk.rename(&file(&format!("{base}.log.swap")), &log_file).unwrap();
            }
            if state == 5 {
                disk.open(&file(&format!("{base}.log.cleaned")), OpenMode::Existing).unwrap().set_len(70).unwrap();
            }
        }
        drop(cleaned);
        disk.sync_all(&path).unwrap();
        dir.kill(log);
        let (mut log, report) = dir.log(&compacted());
        assert_eq!((&report.unclean[..], log.damage()), (&[][..], None), "state {state}");
        let after = keys_and_offsets(&mut log);
        match state {
            0 | 5 => assert_eq!(after, before, "state {state}"),
            _ => assert_eq!(after, [(1, 37), (2, 38), (0, 39)], "state {state}"),
        }
        let left: Vec<_> = disk.list(&path).unwrap().into_iter().map(|entry| entry.name).collect();
        assert!(left.iter().all(|name| !name.ends_with(".cleaned") && !name.ends_with(".swap")), "{left:?}");
        while clean_with(&mut log, NOW_MS, &CleanerLimits::default()).unwrap().is_some() {}
        assert_eq!(keys_and_offsets(&mut log), [(1, 37), (2, 38), (0, 39)]);
    }
}

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
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn compaction_keeps_what_a_map_would_whatever_crashes(steps in vec(step(), 1..80)) {
        let mut history = History::new();
        for step in &steps {
            history.run(step);
        }
        history.check_final();
    }
}
