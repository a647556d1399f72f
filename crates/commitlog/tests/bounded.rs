//! What a log reads on its owner's thread is bounded, however large its segments are.

mod support;

use support::*;
use tidelog_commitlog::disk::SimDisk;
use tidelog_commitlog::{AppendError, Log, LogConfig};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::{BatchBuilder, records};
use tidelog_wire::record_batch::batches;
use tidelog_wire::types::{Offset, ProducerEpoch, ProducerId};

const MIB: u64 = 1 << 20;
const BATCHES: i32 = 48 * 64;

fn config() -> LogConfig {
    LogConfig { segment_bytes: 64 << 20, ..LogConfig::default() }
}

fn sequenced(sequence: i32, timestamp_ms: i64) -> bytes::Bytes {
    let builder = BatchBuilder::new(Compression::None).producer(ProducerId(7), ProducerEpoch(0), sequence);
    build(builder, 1, 16 << 10, timestamp_ms)
}

/// One segment of 48 MiB, in batches of one record and one time.
fn large(dir: &Dir) -> Log {
    let (mut log, _) = dir.log(&config());
    for sequence in 0..BATCHES {
        append(&mut log, sequenced(sequence, NOW_MS));
    }
    log.flush().unwrap();
    log
}

fn bytes_read(disk: &SimDisk, action: impl FnOnce()) -> u64 {
    let before = disk.bytes_read();
    action();
    disk.bytes_read() - before
}

#[test]
fn a_truncation_reads_what_lies_behind_the_last_snapshot() {
    let (disk, mut dir) = started();
    let mut log = large(&dir);
    let end = log.log_end_offset();
    let read = bytes_read(&disk, || log.truncate_to(end + -3).unwrap());
    assert!(read < 10 * MIB, "{} MiB", read / MIB);
    let read = bytes_read(&disk, || {
        append(&mut log, sequenced(BATCHES - 3, NOW_MS));
    });
    assert!(read < 2 * MIB, "{} MiB", read / MIB);
    let gap = log.append_as_leader(sequenced(BATCHES, NOW_MS), EPOCH, NOW_MS);
    assert!(matches!(gap, Err(AppendError::Producer(_))), "{gap:?}");
    for from in (0..BATCHES - 2).step_by(97) {
        let found = log.read(Offset(i64::from(from)), Offset(i64::MAX), 1, true).unwrap();
        assert_eq!(headers(&found)[0].base_offset, Offset(i64::from(from)));
    }
    let expected = contents(&mut log);
    dir.restart(log);
    let (mut log, report) = dir.log(&config());
    assert_eq!((report.unclean, report.scanned_bytes), (vec![], 0));
    assert_eq!(contents(&mut log), expected);
    assert!(log.append_as_leader(sequenced(BATCHES - 3, NOW_MS), EPOCH, NOW_MS).unwrap().duplicate);
}

#[test]
fn a_producers_gap_after_a_restart_reads_the_end_of_the_log_only() {
    let (disk, mut dir) = started();
    let log = large(&dir);
    dir.restart(log);
    let (mut log, _) = dir.log(&config());
    append(&mut log, batch(1, 10));
    let read = bytes_read(&disk, || {
        let gap = log.append_as_leader(sequenced(BATCHES + 5, NOW_MS), EPOCH, NOW_MS);
        assert!(matches!(gap, Err(AppendError::Producer(_))), "{gap:?}");
    });
    assert!(read < 34 * MIB, "{} MiB", read / MIB);
    for sequence in BATCHES - 5..BATCHES {
        assert!(log.append_as_leader(sequenced(sequence, NOW_MS), EPOCH, NOW_MS).unwrap().duplicate, "{sequence}");
    }
}

#[test]
fn a_search_by_timestamp_reads_nothing_before_it_runs_and_little_then() {
    let (disk, dir) = started();
    let mut log = large(&dir);
    for later in [1, 2] {
        append(&mut log, sequenced(BATCHES + later - 1, NOW_MS + i64::from(later)));
    }
    let end = log.log_end_offset();
    for (timestamp_ms, offset) in [(NOW_MS, 0), (NOW_MS + 1, BATCHES), (NOW_MS + 2, BATCHES + 1)] {
        let before = disk.bytes_read();
        let search = log.search_timestamp(timestamp_ms, end).unwrap();
        assert_eq!(disk.bytes_read(), before);
        assert_eq!(search.run().unwrap().unwrap().offset, Offset(i64::from(offset)));
        let read = disk.bytes_read() - before;
        assert!(read < 3 * MIB, "{} KiB for {offset}", read >> 10);
    }
    let before = disk.bytes_read();
    let search = log.search_max_timestamp(end + -1).unwrap();
    assert_eq!(disk.bytes_read(), before);
    assert_eq!(search.run().unwrap().unwrap().offset, end + -2);
}

/// A record's offset and timestamp.
fn all_records(log: &mut Log) -> Vec<(i64, i64)> {
    let read = contents(log);
    let of_batch = |batch: bytes::Bytes| records(&batch, 1 << 20).unwrap().map(|record| record.unwrap());
    let all = batches(read).flat_map(|batch| of_batch(batch.unwrap().1));
    all.map(|record| (record.offset.0, record.timestamp_ms)).collect()
}

#[test]
fn every_search_finds_what_reading_it_all_would() {
    let mut seed = 17u64;
    let mut random = |below: i64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 33) % below as u64) as i64
    };
    for round in 0..20 {
        let (_, mut dir) = started();
        let config = LogConfig { segment_bytes: 3000, index_interval_bytes: 200, ..LogConfig::default() };
        let (mut log, _) = dir.log(&config);
        for _ in 0..60 {
            let mut builder = BatchBuilder::new(Compression::None);
            for _ in 0..=random(4) {
                let timestamp_ms = if round % 5 == 4 { -1 } else { NOW_MS + random(30) };
                builder.append(timestamp_ms, None, Some(&[b'x'; 40]), &[]);
            }
            append(&mut log, builder.build().unwrap());
        }
        log.flush().unwrap();
        log.advance_log_start(Offset(random(90)), NOW_MS).unwrap();
        if round % 2 == 0 {
            dir.restart(log);
            log = dir.log(&config).0;
        }
        let all = all_records(&mut log);
        for _ in 0..60 {
            let below = all[random(all.len() as i64) as usize].0;
            let wanted = NOW_MS + random(32);
            let visible = all.iter().filter(|(offset, _)| (log.log_start_offset().0..below).contains(offset));
            let first = visible.clone().find(|(_, timestamp)| *timestamp >= wanted).copied();
            let found = log.offset_for_timestamp(wanted, Offset(below)).unwrap();
            assert_eq!(found.map(|found| (found.offset.0, found.timestamp_ms)), first, "{wanted} below {below}");
            let known = visible.filter(|(_, timestamp)| *timestamp >= 0);
            let greatest = known.max_by_key(|(offset, timestamp)| (*timestamp, -offset)).copied();
            let found = log.max_timestamp(Offset(below)).unwrap();
            assert_eq!(found.map(|found| (found.offset.0, found.timestamp_ms)), greatest, "below {below}");
        }
    }
}
