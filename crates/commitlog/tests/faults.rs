//! Failing and full disks, bounded open files, deleted logs.

mod support;

use std::path::Path;
use std::sync::Arc;

use support::*;
use tidelog_commitlog::disk::{Disk, Operation};
use tidelog_commitlog::{
    AppendError, FlushJob, Log, LogConfig, LogDirOptions, LogId, ReadError, ReadStart, StorageError,
};
use tidelog_wire::Uuid;
use tidelog_wire::compression::Compression;
use tidelog_wire::record::BatchBuilder;
use tidelog_wire::types::{Offset, PartitionIndex, ProducerEpoch, ProducerId};

fn is_offline<T>(result: Result<T, StorageError>) -> bool {
    matches!(result, Err(StorageError::Offline { .. }))
}

#[test]
fn the_first_failed_sync_takes_the_directory_offline_and_is_not_repeated() {
    let (disk, dir) = started();
    let (mut log, _) = dir.log(&LogConfig::default());
    let (mut other, _) = dir.log_of(&LogId { partition: PartitionIndex(1), ..id() }, &LogConfig::default());
    append(&mut log, batch(1, 10));
    append(&mut other, batch(1, 10));
    disk.fail(Operation::Sync, 0);
    assert!(is_offline(log.flush()));
    assert_eq!(log.durable_end(), Offset(0));
    let syncs = disk.syncs();
    assert!(is_offline(log.flush()));
    assert!(is_offline(other.flush()), "it is the whole directory");
    let refused = other.append_as_leader(batch(1, 10), EPOCH, NOW_MS);
    assert!(matches!(refused, Err(AppendError::Storage(StorageError::Offline { .. }))), "{refused:?}");
    assert!(is_offline(log.truncate_to(Offset(0))));
    assert!(is_offline(dir.log_dir().sync_marks()));
    assert!(dir.log_dir().failure().is_some());
    assert_eq!(disk.syncs(), syncs, "no sync after the failed one");
}

#[test]
fn a_failed_write_takes_the_directory_offline_and_shows_nothing() {
    let (disk, dir) = started();
    let (mut log, _) = dir.log(&LogConfig::default());
    append(&mut log, idempotent(1, 0, 0, 2));
    disk.fail(Operation::Write, 0);
    let results = log.append_all_as_leader(&[idempotent(1, 0, 2, 2), batch(1, 10)], EPOCH, NOW_MS);
    assert!(results.iter().all(|r| matches!(r, Err(AppendError::Storage(StorageError::Offline { .. })))));
    assert_eq!(log.log_end_offset(), Offset(2));
}

#[test]
fn a_full_disk_refuses_before_it_is_full_and_recovers() {
    let (disk, mut dir) = started();
    dir.options = LogDirOptions { reserve_bytes: 256 << 10, ..LogDirOptions::default() };
    dir.open();
    let (mut log, _) = dir.log(&LogConfig::default());
    disk.set_capacity(Some(2 << 20));
    let mut sequence = 0;
    let refused = loop {
        match log.append_as_leader(idempotent(1, 0, sequence, 50), EPOCH, NOW_MS) {
            Ok(_) => sequence += 50,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, AppendError::Storage(StorageError::DiskFull { .. })), "{refused:?}");
    assert!(disk.free_bytes(Path::new("/")).unwrap() >= 256 << 10, "the reserve is left");
    assert_eq!(log.log_end_offset(), Offset(i64::from(sequence)));
    log.flush().expect("what was accepted still becomes durable");

    disk.set_capacity(None);
    let retried = log.append_as_leader(idempotent(1, 0, sequence, 50), EPOCH, NOW_MS).unwrap();
    assert_eq!((retried.base_offset, retried.duplicate), (Offset(i64::from(sequence)), false));
    assert_eq!(headers(&contents(&mut log)).last().unwrap().next_offset(), log.log_end_offset());
}

#[test]
fn a_retry_in_the_same_group_shares_the_fate_of_what_it_repeats() {
    let (disk, dir) = started();
    let (mut log, _) = dir.log(&LogConfig::default());
    append(&mut log, batch(1, 10));
    disk.set_capacity(Some(disk.used_bytes()));
    // The producer lost its connection and sends again over another one what still waits for the group's write.
    let large =
        || build(BatchBuilder::new(Compression::None).producer(ProducerId(1), ProducerEpoch(0), 0), 9, 99_999, NOW_MS);
    let results = log.append_all_as_leader(&[large(), large()], EPOCH, NOW_MS);
    let is_refused = |result: &_| matches!(result, Err(AppendError::Storage(StorageError::DiskFull { .. })));
    assert!(results.iter().all(is_refused), "{results:?}");
    disk.set_capacity(None);
    let retried = log.append_as_leader(large(), EPOCH, NOW_MS).unwrap();
    assert_eq!((retried.base_offset, retried.duplicate), (Offset(1), false));
}

#[test]
fn a_write_cut_short_by_a_full_disk_leaves_nothing_behind() {
    for seed in 0..50 {
        let (disk, mut dir) = started();
        let (mut log, _) = dir.log(&LogConfig::default());
        append(&mut log, batch(1, 10));
        log.flush().unwrap();
        // The write for the group gets through some of its batches before the disk is full.
        disk.set_capacity(Some(disk.used_bytes() + 200_000));
        let group: Vec<_> = (0..8).map(|_| batch(1, 40_000)).collect();
        let results = log.append_all_as_leader(&group, EPOCH, NOW_MS);
        assert!(results.iter().all(|r| matches!(r, Err(AppendError::Storage(StorageError::DiskFull { .. })))));
        assert_eq!(log.log_end_offset(), Offset(1));
        disk.set_capacity(None);
        // As large as what was refused, so that the refused ones would follow seamlessly.
        append(&mut log, batch_at(1, 40_000, NOW_MS + 1));
        let expected = contents(&mut log);
        if seed % 2 == 0 {
            log.flush().unwrap();
        }
        let durable_end = log.durable_end();
        drop(log);
        disk.crash(seed);
        dir.open();
        let (mut log, report) = dir.log(&LogConfig::default());
        assert_eq!(report.unclean, []);
        assert!(log.log_end_offset() >= durable_end);
        let left = contents(&mut log);
        assert!(left.len() <= expected.len() && left == expected.slice(..left.len()), "seed {seed}");
    }
}

#[test]
fn a_follower_hears_of_what_was_appended_before_the_disk_was_full() {
    let (_, leader_dir) = started();
    let (mut leader, _) = leader_dir.log(&small_segments());
    (0..12).for_each(|_| assert!(append(&mut leader, batch(1, 1000)) >= Offset(0)));
    let all = contents(&mut leader);
    let mut cut_short = 0;
    for room in (0..20_000).step_by(500) {
        let (disk, dir) = started();
        let (mut log, _) = dir.log(&small_segments());
        disk.set_capacity(Some(disk.used_bytes() + room));
        let known_end = log.append_as_follower(all.clone(), NOW_MS).unwrap_or(Offset::ZERO);
        assert_eq!(log.log_end_offset(), known_end, "room for {room} bytes");
        cut_short += usize::from(known_end > Offset::ZERO && known_end < Offset(12));
        disk.set_capacity(None);
        let rest = leader.read(known_end, Offset(12), 1 << 20, true).unwrap();
        if !rest.is_empty() {
            log.append_as_follower(rest, NOW_MS).unwrap();
        }
        assert!(log.log_end_offset() > known_end || known_end == Offset(12));
    }
    assert!(cut_short > 0, "no append was cut short");
}

#[test]
fn a_flush_that_a_full_disk_hinders_is_made_up_for_by_the_next() {
    for (seed, count) in (0..40).zip([1, 6].into_iter().cycle()) {
        let (disk, mut dir) = started();
        let id_of = |n| LogId { partition: PartitionIndex(n), ..id() };
        let mut logs: Vec<_> = (0..count).map(|n| dir.log_of(&id_of(n), &small_segments()).0).collect();
        logs.iter_mut().for_each(|log| assert!(append(log, batch(1, 3000)) < Offset(2)));
        logs.iter_mut().for_each(|log| assert_eq!(log.flush().unwrap(), Offset(1)));
        // Into the next segment, whose name is to be synced, as are the epochs of the first.
        logs.iter_mut().for_each(|log| assert!(append(log, batch(1, 3000)) < Offset(2)));
        disk.set_capacity(Some(disk.used_bytes()));
        let jobs = logs.iter_mut().map(|log| log.begin_flush().expect("there is something to flush")).collect();
        for (log, done) in logs.iter_mut().zip(FlushJob::run_all(jobs)) {
            assert!(matches!(log.finish_flush(done), Err(StorageError::DiskFull { .. })));
            assert_eq!(log.durable_end(), Offset(1));
        }
        disk.set_capacity(None);
        logs.iter_mut().for_each(|log| assert_eq!(log.flush().unwrap(), Offset(2)));
        drop(logs);
        disk.crash(seed);
        dir.open();
        for n in 0..count {
            let (log, report) = dir.log_of(&id_of(n), &small_segments());
            assert_eq!((log.log_end_offset(), report.unclean), (Offset(2), vec![]), "seed {seed}, {count} logs");
        }
    }
}

#[test]
fn a_flush_whose_outcome_nobody_brings_back_is_begun_anew() {
    let (disk, mut dir) = started();
    let (mut log, _) = dir.log(&small_segments());
    append(&mut log, batch(1, 3000));
    log.flush().unwrap();
    append(&mut log, batch(1, 3000));
    let job = log.begin_flush().expect("there is something to flush");
    assert!(!log.is_flush_blocked(), "its end asks again");
    // Who was to finish it is gone.
    log.forget_flush();
    assert!(log.begin_flush().is_none(), "two must not write the same files");
    assert!(log.is_flush_blocked(), "nobody else would ask again");
    drop(job);
    assert_eq!(log.flush().unwrap(), Offset(2));
    drop(log);
    disk.crash(1);
    dir.open();
    assert_eq!(dir.log(&small_segments()).0.log_end_offset(), Offset(2));
}

#[test]
fn open_files_are_bounded_and_idle_ones_closed() {
    let temp = tempfile::tempdir().unwrap();
    let mut dir = Dir::real(temp.path());
    dir.options.open_files_max = 8;
    dir.open();
    let mut logs: Vec<_> =
        (0..30).map(|n| dir.log_of(&LogId { partition: PartitionIndex(n), ..id() }, &LogConfig::default()).0).collect();
    for round in 0..3 {
        for log in &mut logs {
            append(log, batch(1, 10));
            log.flush().unwrap();
            assert!(dir.log_dir().open_files() <= 8);
            assert_eq!(headers(&contents(log)).len(), round + 1);
        }
    }
    dir.log_dir().close_idle_files();
    dir.log_dir().close_idle_files();
    assert_eq!(dir.log_dir().open_files(), 0);
    assert_eq!(headers(&contents(&mut logs[3])).len(), 3);
}

#[test]
fn unflushed_files_stay_open() {
    let (_, mut dir) = started();
    dir.options.open_files_max = 4;
    dir.open();
    let mut logs: Vec<_> =
        (0..10).map(|n| dir.log_of(&LogId { partition: PartitionIndex(n), ..id() }, &LogConfig::default()).0).collect();
    for log in &mut logs {
        append(log, batch(1, 10));
    }
    assert_eq!(dir.log_dir().open_files(), 10);
    for log in &mut logs {
        log.flush().unwrap();
    }
    dir.log_dir().close_idle_files();
    dir.log_dir().close_idle_files();
    assert_eq!(dir.log_dir().open_files(), 0);
}

#[test]
fn ten_thousand_empty_logs_touch_no_file() {
    let (disk, mut dir) = started();
    let before = (disk.syncs(), disk.used_bytes());
    let logs: Vec<_> = (0..10_000)
        .map(|n| dir.log_of(&LogId { partition: PartitionIndex(n), ..id() }, &LogConfig::default()))
        .collect();
    assert!(logs.iter().all(|(_, report)| report.unclean.is_empty()));
    for (log, _) in logs {
        log.close_clean().unwrap();
    }
    assert_eq!((disk.syncs(), disk.used_bytes()), before);
    dir.dir.take().unwrap().close_clean(tidelog_wire::types::BrokerEpoch(1)).unwrap();
    dir.open();
    assert_eq!(dir.start.as_ref().unwrap().found, []);
}

#[test]
fn a_deleted_log_is_gone_after_every_crash_and_its_successor_starts_empty() {
    for seed in 0..60 {
        let (disk, mut dir) = started();
        let (mut log, _) = dir.log(&LogConfig::default());
        append(&mut log, batch(5, 10));
        log.flush().unwrap();
        dir.log_dir().sync_marks().unwrap();
        let deleted = dir.log_dir().delete_log(log, NOW_MS).unwrap().expect("it had files");
        assert_eq!(deleted.due_ms(), NOW_MS + 60_000);
        let successor = LogId { topic_id: Uuid::from_u128(0x71), ..id() };
        let (mut log, report) = dir.log_of(&successor, &LogConfig::default());
        assert_eq!((report.unclean.len(), log.log_end_offset()), (0, Offset(0)));
        append(&mut log, batch(2, 10));
        log.flush().unwrap();
        if seed % 2 == 0 {
            deleted.remove().unwrap();
        }
        disk.crash(seed);
        dir.open();
        let found: Vec<_> = dir.start.as_ref().unwrap().found.iter().map(|found| found.id.clone()).collect();
        assert_eq!(found, std::slice::from_ref(&successor), "seed {seed}");
        let (mut log, report) = dir.log_of(&successor, &LogConfig::default());
        assert_eq!(report.unclean, []);
        assert_eq!(headers(&contents(&mut log)).len(), 1);
        let left = disk.list(Path::new("/data")).unwrap();
        assert!(left.iter().all(|entry| !entry.name.ends_with("-delete")), "{left:?}");
    }
}

#[test]
fn a_directory_of_another_topic_id_is_not_taken_over() {
    let (_, mut dir) = started();
    let (mut log, _) = dir.log(&LogConfig::default());
    append(&mut log, batch(5, 10));
    log.flush().unwrap();
    dir.kill(log);
    let other = LogId { topic_id: Uuid::from_u128(0x71), ..id() };
    let refused = dir.log_dir().open_log(&other, Arc::default(), NOW_MS);
    assert!(matches!(refused, Err(StorageError::TopicIdMismatch { .. })));
    let found = dir.start.as_ref().unwrap().found[0].clone();
    dir.log_dir().delete_found(&found, NOW_MS).unwrap().unwrap().remove().unwrap();
    let (log, report) = dir.log_of(&other, &LogConfig::default());
    assert_eq!((report.unclean.len(), log.log_end_offset()), (0, Offset(0)));
}

#[test]
fn a_flush_that_a_deletion_overtakes_leaves_the_directory_in_use() {
    // The first flush names the directory; one after a roll writes the epochs too.
    for rolls in [false, true] {
        let (_, dir) = started();
        let (mut log, _) = dir.log(&small_segments());
        append(&mut log, batch(1, 3000));
        if rolls {
            log.flush().unwrap();
            append(&mut log, batch(1, 3000));
        }
        let job = log.begin_flush().expect("there is something to flush");
        dir.log_dir().delete_log(log, NOW_MS).unwrap().expect("it had files");
        drop(job.run());
        assert!(dir.log_dir().failure().is_none(), "{:?}", dir.log_dir().failure());
        let successor = LogId { topic_id: Uuid::from_u128(0x71), ..id() };
        let (mut log, _) = dir.log_of(&successor, &small_segments());
        append(&mut log, batch(1, 10));
        assert_eq!(log.flush().unwrap(), Offset(1));
    }
}

#[test]
fn a_read_that_a_deletion_overtakes_shows_nothing_of_the_successor() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::real(temp.path());
    let (mut log, _) = dir.log(&small_segments());
    (0..20).for_each(|_| assert!(append(&mut log, batch(1, 1000)) < Offset(20)));
    log.flush().unwrap();
    dir.log_dir().close_idle_files();
    dir.log_dir().close_idle_files();
    // Nobody knows where it is but the index, so it comes as a job.
    let Ok(ReadStart::Cold(job)) = log.begin_read(Offset(1), Offset(20), 1 << 20, true) else {
        panic!("the read was done at once");
    };
    dir.log_dir().delete_log(log, NOW_MS).unwrap().expect("it had files");
    let successor = LogId { topic_id: Uuid::from_u128(0x71), ..id() };
    let (mut log, _) = dir.log_of(&successor, &small_segments());
    append(&mut log, batch(7, 10));
    assert!(matches!(job.run(), Err(ReadError::Replaced)));
}

#[test]
fn a_read_that_a_truncation_overtakes_is_to_be_repeated() {
    for end in [0, 2] {
        let (_, dir) = started();
        let (mut log, _) = dir.log(&small_segments());
        (0..20).for_each(|_| assert!(append(&mut log, batch(1, 1000)) < Offset(20)));
        log.flush().unwrap();
        let Ok(ReadStart::Cold(job)) = log.begin_read(Offset(1), Offset(20), 1 << 20, true) else {
            panic!("the read was done at once");
        };
        log.truncate_to(Offset(end)).unwrap();
        let read = job.run();
        assert!(matches!(read, Err(ReadError::Replaced)), "{read:?}");
    }
}

/// Three segments of two producers' batches, all durable.
fn three_segments(dir: &Dir) -> Log {
    let (mut log, _) = dir.log(&small_segments());
    for round in 0..30 {
        append(&mut log, idempotent(round % 2, 0, round as i32 / 2 * 10, 10));
    }
    log.flush().unwrap();
    log
}

#[test]
fn a_truncation_that_could_not_read_leaves_the_log_whole_and_succeeds_later() {
    let mut failures = 0;
    for (end, fails_at) in [100, 125, 290].into_iter().flat_map(|end| (0..25).map(move |fails_at| (end, fails_at))) {
        let (disk, mut dir) = started();
        let mut log = three_segments(&dir);
        let before = contents(&mut log);
        disk.fail(Operation::Read, fails_at);
        let truncated = log.truncate_to(Offset(end));
        // A fault that is still to come is not the truncation's.
        (0..=fails_at).for_each(|_| drop(log.read(Offset(0), Offset(10), 1, true)));
        if let Err(error) = truncated {
            failures += 1;
            assert!(matches!(error, StorageError::Read { .. }), "{error}");
            assert_eq!((log.log_end_offset(), log.durable_end()), (Offset(300), Offset(300)), "read {fails_at}");
            assert_eq!(contents(&mut log), before);
            log.truncate_to(Offset(end)).unwrap();
        }
        assert_eq!(log.log_end_offset(), Offset(end / 10 * 10));
        assert_eq!(contents(&mut log), before.slice(..contents(&mut log).len()));
        // What was cut is no repetition, and what precedes it is the last of its producer.
        let cut = end / 10;
        let next = append(&mut log, idempotent(cut % 2, 0, cut as i32 / 2 * 10, 10));
        assert_eq!(next, Offset(end / 10 * 10));
        log.flush().unwrap();
        let expected = contents(&mut log);
        dir.kill(log);
        let (mut log, report) = dir.log(&small_segments());
        assert_eq!((contents(&mut log), report.unclean), (expected, vec![]));
    }
    assert!(failures > 10, "{failures} truncations failed");
}

#[test]
fn a_truncation_on_a_full_disk_does_without_indexes() {
    let (disk, dir) = started();
    let mut log = three_segments(&dir);
    let before = contents(&mut log);
    disk.set_capacity(Some(0));
    log.truncate_to(Offset(100)).unwrap();
    disk.set_capacity(None);
    assert_eq!(contents(&mut log), before.slice(..contents(&mut log).len()));
    assert_eq!(append(&mut log, idempotent(0, 0, 50, 10)), Offset(100));
    assert_eq!(headers(&log.read(Offset(95), Offset(110), 1 << 20, true).unwrap()).len(), 2);
}
