//! What recovery keeps, cuts and reports, case by case.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use support::*;
use tidelog_commitlog::disk::{Disk, OpenMode, SimDisk};
use tidelog_commitlog::{
    AppendError, FlushJob, Log, LogConfig, LogDir, LogDirOptions, LogId, ReadError, StorageError, UncleanReason,
};
use tidelog_wire::Uuid;
use tidelog_wire::types::{LeaderEpoch, Offset, PartitionIndex};

fn file(name: &str) -> PathBuf {
    Path::new("/data/sample-0").join(name)
}

fn first_segment() -> PathBuf {
    file("00000000000000000000.log")
}

/// All batches that `durable` makes are of this size.
fn batch_bytes() -> u64 {
    batch(1, 100).len() as u64
}

#[test]
fn a_torn_tail_above_the_mark_is_cut() {
    let (disk, mut dir) = started();
    let mut log = durable(&dir, &LogConfig::default(), 5);
    append(&mut log, batch(1, 100));
    append(&mut log, batch(1, 100));
    disk.flip_bit(&first_segment(), (5 * batch_bytes() + 80) * 8).unwrap();
    dir.kill(log);
    let (log, report) = dir.log(&LogConfig::default());
    assert_eq!(report.unclean, []);
    assert_eq!(log.log_end_offset(), Offset(5));
    // Up to the last byte that is not zero.
    assert!((batch_bytes()..=2 * batch_bytes()).contains(&report.truncated_bytes), "{report:?}");
    let rest = disk.contents(&first_segment()).unwrap().split_off(5 * batch_bytes() as usize);
    assert!(rest.iter().all(|byte| *byte == 0), "nothing of the tail is left");
}

#[test]
fn a_bad_crc_in_the_middle_is_not_a_torn_tail() {
    let (disk, mut dir) = started();
    let mut log = durable(&dir, &LogConfig::default(), 10);
    let whole = contents(&mut log);
    disk.flip_bit(&first_segment(), (4 * batch_bytes() + 80) * 8).unwrap();
    let before = disk.contents(&first_segment()).unwrap();
    dir.kill(log);

    let (mut log, report) = dir.log(&LogConfig::default());
    assert_eq!(report.unclean, [UncleanReason::CorruptBelowMark { offset: Offset(4), durable_mark: Offset(10) }]);
    assert_eq!(report.truncated_bytes, 0);
    assert_eq!(disk.contents(&first_segment()).unwrap(), before, "the bytes are kept");
    assert_eq!(log.log_end_offset(), Offset(4));
    assert_eq!(contents(&mut log), whole.slice(..4 * batch_bytes() as usize));
    let refused = log.append_as_leader(batch(1, 100), EPOCH, NOW_MS);
    assert!(matches!(refused, Err(AppendError::Storage(StorageError::Damaged { .. }))), "{refused:?}");

    // The same again at the next start, until somebody decides.
    dir.kill(log);
    let (mut log, report) = dir.log(&LogConfig::default());
    assert_eq!(report.unclean.len(), 1);
    log.truncate_to(Offset(4)).unwrap();
    log.append_as_follower(whole.slice(4 * batch_bytes() as usize..), NOW_MS).unwrap();
    assert_eq!(contents(&mut log), whole);
    log.flush().unwrap();
    dir.kill(log);
    let (mut log, report) = dir.log(&LogConfig::default());
    assert_eq!(report.unclean, []);
    assert_eq!(contents(&mut log), whole);
}

#[test]
fn a_log_damaged_below_its_start_is_filled_again() {
    let (disk, mut dir) = started();
    let mut log = durable(&dir, &LogConfig::default(), 10);
    let whole = contents(&mut log);
    // As DeleteRecords does: the segment stays.
    log.advance_log_start(Offset(6), NOW_MS).unwrap();
    disk.flip_bit(&first_segment(), (4 * batch_bytes() + 80) * 8).unwrap();
    dir.kill(log);
    let (mut log, _) = dir.log(&LogConfig::default());
    let damage = log.damage().expect("records above the log start are lost").clone();
    log.truncate_to(damage.offset).unwrap();
    assert!(log.damage().is_none(), "those who are told to drop it have");
    log.truncate_fully_and_start_at(Offset(6)).unwrap();
    let rest = whole.slice(6 * batch_bytes() as usize..);
    log.append_as_follower(rest.clone(), NOW_MS).unwrap();
    log.flush().unwrap();
    dir.kill(log);
    let (mut log, report) = dir.log(&LogConfig::default());
    assert_eq!((contents(&mut log), report.unclean), (rest, vec![]));
}

/// `spoil` is done to the second of three segments while the log is in use.
fn spoiled_in_use(spoil: impl Fn(&SimDisk, &Path)) {
    let (disk, mut dir) = started();
    let mut log = durable(&dir, &small_segments(), 60);
    let whole = contents(&mut log);
    let mut names: Vec<_> = disk.list(&dir.log_path()).unwrap().into_iter().map(|entry| entry.name).collect();
    names.retain(|name| name.ends_with(".log"));
    names.sort_unstable();
    spoil(&disk, &dir.log_path().join(&names[1]));
    // As a process that opened its files anew.
    dir.log_dir().close_idle_files();
    dir.log_dir().close_idle_files();
    let mut from = Offset(0);
    let offset = loop {
        match log.read(from, log.log_end_offset(), 1 << 20, true) {
            Ok(read) => from = headers(&read).last().expect("a batch").next_offset(),
            Err(ReadError::Storage(StorageError::Damaged { offset, .. })) => break offset,
            Err(error) => panic!("{error}"),
        }
    };
    log.admit_damage(offset).unwrap();
    let damage = log.damage().expect("it is admitted").clone();
    assert_eq!((damage.offset, log.durable_end()), (log.log_end_offset(), log.log_end_offset()));
    log.truncate_to(damage.offset).unwrap();
    let kept = contents(&mut log);
    assert_eq!(kept, whole.slice(..kept.len()));
    log.append_as_follower(whole.slice(kept.len()..), NOW_MS).unwrap();
    log.flush().unwrap();
    dir.kill(log);
    let (mut log, report) = dir.log(&small_segments());
    assert_eq!((contents(&mut log), report.unclean), (whole, vec![]));
}

#[test]
fn damage_that_shows_in_use_is_cut_like_that_found_at_the_start() {
    // The magic of the third batch; its records; the end of the file, in a header and in records; all of it.
    spoiled_in_use(|disk, path| disk.flip_bit(path, (2 * batch_bytes() + 16) * 8).unwrap());
    spoiled_in_use(|disk, path| disk.flip_bit(path, (2 * batch_bytes() + 80) * 8).unwrap());
    for rest in [9, 90] {
        let len = 5 * batch_bytes() + rest;
        spoiled_in_use(|disk, path| disk.open(path, OpenMode::Existing).unwrap().set_len(len).unwrap());
    }
    spoiled_in_use(|disk, path| disk.remove_file(path).unwrap());
}

#[test]
fn a_log_that_is_whole_admits_no_damage() {
    let (_, dir) = started();
    let mut log = durable(&dir, &small_segments(), 60);
    (0..60).for_each(|offset| log.admit_damage(Offset(offset)).unwrap());
    assert_eq!((log.damage(), log.log_end_offset()), (None, Offset(60)));
}

#[test]
fn every_flipped_bit_below_the_mark_is_reported() {
    let batches = 3;
    let bits = (batches - 1) * batch_bytes() * 8;
    for bit in (0..bits).step_by(7) {
        let (disk, mut dir) = started();
        let log = durable(&dir, &LogConfig::default(), batches as usize);
        disk.flip_bit(&first_segment(), bit).unwrap();
        dir.kill(log);
        let (mut log, report) = dir.log(&LogConfig::default());
        assert_eq!(report.unclean.len(), 1, "bit {bit}: {report:?}");
        assert!(log.log_end_offset() < Offset(batches as i64), "bit {bit}");
        let damaged = bit / 8 / batch_bytes();
        // The leader epoch is outside the CRC: there it is the next batch whose epoch falls.
        let exposed = headers(&contents(&mut log)).len() as u64;
        assert!(exposed == damaged || exposed == damaged + 1 && (12..16).contains(&(bit / 8 % batch_bytes())));
    }
}

#[test]
fn flipped_bits_in_any_other_file_change_no_record() {
    let config = small_segments();
    let (_, dir) = started();
    let mut log = durable(&dir, &config, 80);
    let whole = contents(&mut log);
    let names: Vec<String> = dir.disk.list(Path::new("/data/sample-0")).unwrap().into_iter().map(|e| e.name).collect();
    assert!(names.len() > 8, "several segments with indexes: {names:?}");
    for name in names.iter().filter(|name| !name.ends_with(".log") && *name != "partition.metadata") {
        for bit in [0, 7, 33, 60, 90] {
            let (disk, mut dir) = started();
            let log = durable(&dir, &config, 80);
            // Past the end of the file nothing is flipped.
            disk.flip_bit(&file(name), bit).unwrap();
            dir.kill(log);
            let (mut log, report) = dir.log(&config);
            assert_eq!(report.unclean, [], "{name}, bit {bit}");
            assert!(contents(&mut log) == whole, "{name}, bit {bit}");
            for from in 0..80 {
                let read = log.read(Offset(from), Offset(80), 1, true).unwrap();
                assert_eq!(headers(&read)[0].base_offset, Offset(from), "{name}, bit {bit}");
            }
        }
    }
}

#[test]
fn lost_files_are_reported() {
    let config = small_segments();
    type IsExpected = fn(&UncleanReason) -> bool;
    let table: [(&str, IsExpected); 4] = [
        ("00000000000000000000.log", |reason| matches!(reason, UncleanReason::CorruptBelowMark { .. })),
        ("middle", |reason| matches!(reason, UncleanReason::CorruptBelowMark { .. })),
        ("last", |reason| matches!(reason, UncleanReason::EndsBelowMark { .. })),
        ("all", |reason| matches!(reason, UncleanReason::LogMissing { .. })),
    ];
    for is_clean in [false, true] {
        for (which, expected) in table {
            let (disk, mut dir) = started();
            let log = durable(&dir, &config, 80);
            match is_clean {
                true => dir.restart(log),
                false => dir.kill(log),
            }
            let mut logs: Vec<String> =
                disk.list(Path::new("/data/sample-0")).unwrap().into_iter().map(|e| e.name).collect();
            logs.retain(|name| name.ends_with(".log"));
            logs.sort();
            assert!(logs.len() > 2);
            let lost = match which {
                "middle" => vec![logs[1].clone()],
                "last" => vec![logs.last().unwrap().clone()],
                "all" => logs,
                name => vec![name.to_owned()],
            };
            lost.iter().for_each(|name| disk.remove_file(&file(name)).unwrap());
            let (_, report) = dir.log(&config);
            // After a clean shutdown only the ends are looked at: nobody reads the middle then.
            if is_clean && which == "middle" {
                continue;
            }
            assert!(report.unclean.iter().any(expected), "{which}, clean {is_clean}: {report:?}");
        }
    }
}

#[test]
fn a_lost_log_directory_is_reported_and_not_forgotten() {
    let (disk, mut dir) = started();
    let log = durable(&dir, &LogConfig::default(), 3);
    dir.kill(log);
    for entry in disk.list(Path::new("/data/sample-0")).unwrap() {
        disk.remove_file(&file(&entry.name)).unwrap();
    }
    disk.remove_dir(Path::new("/data/sample-0")).unwrap();
    for _ in 0..2 {
        dir.open();
        let (log, report) = dir.log(&LogConfig::default());
        assert_eq!(report.unclean, [UncleanReason::LogMissing { durable_mark: Offset(3) }]);
        assert_eq!(log.log_end_offset(), Offset(0));
    }
}

#[test]
fn a_power_cut_never_brings_back_what_was_truncated() {
    for seed in 0..100 {
        let (disk, mut dir) = started();
        let mut log = durable(&dir, &LogConfig::default(), 60);
        let whole = contents(&mut log);
        log.truncate_to(Offset(20)).unwrap();
        // As large as what was there, so that old batches would follow seamlessly.
        append(&mut log, batch(1, 100));
        let expected = contents(&mut log);
        drop(log);
        disk.crash(seed);
        dir.open();
        let (mut log, report) = dir.log(&LogConfig::default());
        assert_eq!(report.unclean, []);
        let end = log.log_end_offset();
        assert!(end == Offset(20) || end == Offset(21), "seed {seed}: log end {end}");
        assert_eq!(contents(&mut log), expected.slice(..end.0 as usize * batch_bytes() as usize));
        assert_ne!(whole.len(), expected.len());
    }
}

#[test]
fn the_durable_end_enters_a_new_segment_only_with_the_old_one_on_disk() {
    for seed in 0..80 {
        let (disk, mut dir) = started();
        let config = small_segments();
        let mut log = durable(&dir, &config, 10);
        append(&mut log, batch(1, 100));
        // A flush that was begun before the roll covers what was before it, whenever it ends.
        let early = log.begin_flush().unwrap();
        let before_roll = log.log_end_offset();
        for _ in 0..40 {
            append(&mut log, batch(1, 100));
        }
        assert!(log.begin_flush().is_none(), "one at a time");
        let done = early.run();
        assert_eq!(log.finish_flush(done).unwrap(), before_roll);
        if seed % 2 == 0 {
            assert_eq!(log.flush().unwrap(), log.log_end_offset());
        }
        let (durable_end, written) = (log.durable_end(), contents(&mut log));
        drop(log);
        disk.crash(seed);
        dir.open();
        let (mut log, report) = dir.log(&config);
        assert_eq!(report.unclean, []);
        assert!(log.log_end_offset() >= durable_end);
        let recovered = contents(&mut log);
        assert_eq!(recovered, written.slice(..recovered.len()));
    }
}

#[test]
fn write_caching_counts_the_page_cache_and_is_unclean_after_a_crash() {
    let config = LogConfig { write_caching: true, ..LogConfig::default() };
    let (_, mut dir) = started();
    let (mut log, _) = dir.log(&config);
    append(&mut log, batch(3, 10));
    assert_eq!(log.durable_end(), Offset(3));
    dir.kill(log);
    let (log, report) = dir.log(&config);
    assert_eq!(report.unclean, [UncleanReason::WriteCaching]);
    dir.restart(log);
    let (_, report) = dir.log(&config);
    assert_eq!(report.unclean, []);
}

#[test]
fn write_caching_that_was_turned_off_counts_until_all_is_on_disk() {
    let cached = LogConfig { write_caching: true, ..LogConfig::default() };
    let config = LogConfig::default();
    let (_, mut dir) = started();
    let (mut log, _) = dir.log(&cached);
    append(&mut log, batch(3, 10));
    dir.kill(log);
    let (mut log, report) = dir.log(&config);
    assert_eq!(report.unclean, [UncleanReason::WriteCaching], "turned off while it was down");
    log.flush().unwrap();
    dir.log_dir().sync_marks().unwrap();
    dir.kill(log);
    let (mut log, report) = dir.log(&config);
    assert_eq!(report.unclean, [UncleanReason::WriteCaching], "it died again before it told anybody");
    log.flush().unwrap();
    append(&mut log, batch(1, 10));
    log.set_config(Arc::new(cached));
    append(&mut log, batch(1, 10));
    log.set_config(Arc::new(config.clone()));
    append(&mut log, batch(1, 10));
    dir.kill(log);
    let (mut log, report) = dir.log(&config);
    assert_eq!(report.unclean, [UncleanReason::WriteCaching], "turned off while it ran");
    log.flush().unwrap();
    append(&mut log, batch(1, 10));
    dir.log_dir().sync_marks().unwrap();
    dir.kill(log);
    let (_, report) = dir.log(&config);
    assert_eq!(report.unclean, []);
}

#[test]
fn another_directory_id_makes_every_log_unclean() {
    let (disk, mut dir) = started();
    let log = durable(&dir, &LogConfig::default(), 3);
    dir.restart(log);
    dir.dir = None;
    let other = Uuid::from_u128(0xd2);
    let opened = LogDir::open(Arc::new(disk), Path::new("/data"), other, LogDirOptions::default()).unwrap();
    let (_, report) = opened.0.open_log(&id(), Arc::default(), NOW_MS).unwrap();
    assert_eq!(report.unclean, [UncleanReason::DirectoryIdChanged { was: DIRECTORY }]);
}

#[test]
fn lost_marks_make_every_log_unclean() {
    for damage in ["lost", "header", "slot"] {
        let (disk, mut dir) = started();
        let log = durable(&dir, &LogConfig::default(), 3);
        drop(log);
        let marks = Path::new("/data/tidelog-marks");
        match damage {
            "lost" => disk.remove_file(marks).unwrap(),
            "header" => disk.flip_bit(marks, 100).unwrap(),
            _ => disk.flip_bit(marks, (4096 + 30) * 8).unwrap(),
        }
        for _ in 0..2 {
            dir.open();
            let (log, report) = dir.log(&LogConfig::default());
            assert_eq!(report.unclean, [UncleanReason::MarkUnreadable], "{damage}");
            assert_eq!(log.log_end_offset(), Offset(3));
        }
    }
}

#[test]
fn epochs_come_back_from_the_batches() {
    let (_, mut dir) = started();
    let config = small_segments();
    let (mut log, _) = dir.log(&config);
    for epoch in 0..30 {
        for _ in 0..3 {
            log.append_as_leader(batch(1, 100), LeaderEpoch(epoch), NOW_MS).unwrap();
        }
    }
    log.flush().unwrap();
    dir.log_dir().sync_marks().unwrap();
    dir.kill(log);
    let (log, _) = dir.log(&config);
    for epoch in 0..30 {
        let end = Offset(i64::from(epoch + 1) * 3);
        assert_eq!(log.end_offset_for_epoch(LeaderEpoch(epoch)), (LeaderEpoch(epoch), end));
    }
}

#[test]
fn epochs_of_a_log_that_was_dropped_do_not_judge_the_one_that_starts_over() {
    let (_, mut dir) = started();
    let (mut log, _) = dir.log(&small_segments());
    for _ in 0..2 {
        log.append_as_leader(batch(1, 3000), LeaderEpoch(3), NOW_MS).unwrap();
    }
    // It writes the epochs, after the log was told to start over.
    let job = log.begin_flush().expect("there is something to flush");
    log.truncate_fully_and_start_at(Offset(1)).unwrap();
    log.finish_flush(job.run()).unwrap();
    let mut leader = dir.log_of(&LogId { partition: PartitionIndex(1), ..id() }, &small_segments()).0;
    (0..3).for_each(|_| assert!(append(&mut leader, batch(1, 100)) < Offset(3)));
    let records = leader.read(Offset(1), Offset(3), 1 << 20, true).unwrap();
    log.append_as_follower(records.clone(), NOW_MS).unwrap();
    log.flush().unwrap();
    dir.log_dir().sync_marks().unwrap();
    drop(leader);
    dir.kill(log);
    let (mut log, report) = dir.log(&small_segments());
    assert_eq!((report.unclean, log.latest_epoch()), (vec![], EPOCH));
    assert_eq!(contents(&mut log), records);
}

#[test]
fn a_round_of_flushes_covers_every_log_in_it() {
    for seed in 0..40 {
        let (disk, mut dir) = started();
        let ids: Vec<LogId> = (0..20).map(|n| LogId { partition: PartitionIndex(n), ..id() }).collect();
        let config = small_segments();
        let mut logs: Vec<Log> = ids.iter().map(|id| dir.log_of(id, &config).0).collect();
        for (n, log) in logs.iter_mut().enumerate() {
            for _ in 0..n * 3 + 1 {
                append(log, batch(1, 100));
            }
        }
        let jobs: Vec<FlushJob> = logs.iter_mut().map(|log| log.begin_flush().unwrap()).collect();
        let syncs = disk.syncs();
        let done = FlushJob::run_all(jobs);
        assert_eq!(disk.syncs(), syncs + 1);
        for (log, done) in logs.iter_mut().zip(done) {
            assert_eq!(log.finish_flush(done).unwrap(), log.log_end_offset());
        }
        let written: Vec<_> = logs.iter_mut().map(contents).collect();
        drop(logs);
        disk.crash(seed);
        dir.open();
        for (id, written) in ids.iter().zip(written) {
            let (mut log, report) = dir.log_of(id, &config);
            assert_eq!(report.unclean, []);
            assert!(contents(&mut log) == written, "seed {seed}, {id:?}");
        }
    }
}

#[test]
fn a_cut_torn_tail_does_not_come_back_behind_new_batches() {
    for seed in 0..100 {
        let (disk, mut dir) = started();
        let (mut log, _) = dir.log(&LogConfig::default());
        for _ in 0..60 {
            append(&mut log, batch(1, 4_000));
        }
        log.flush().unwrap();
        let size = batch(1, 4_000).len() as u64;
        // The mark is not on disk yet, so that this is a tail that nobody vouches for.
        disk.flip_bit(&first_segment(), (5 * size + 80) * 8).unwrap();
        dir.kill(log);
        let (mut log, report) = dir.log(&LogConfig::default());
        assert_eq!((report.unclean.len(), log.log_end_offset()), (0, Offset(5)));
        append(&mut log, batch_at(1, 4_000, NOW_MS + 1));
        let expected = contents(&mut log);
        drop(log);
        disk.crash(seed);
        dir.open();
        let (mut log, _) = dir.log(&LogConfig::default());
        let left = contents(&mut log);
        assert!(left.len() <= expected.len() && left == expected.slice(..left.len()), "seed {seed}");
    }
}

#[test]
fn a_mark_exactly_between_two_segments_vouches_for_neither_ones_indexes() {
    let config = LogConfig { segment_bytes: 100 * batch_bytes() as u32 + 60, ..small_segments() };
    for seed in 0..60 {
        let (disk, mut dir) = started();
        let mut log = durable(&dir, &config, 200);
        append(&mut log, batch(1, 100));
        let written = contents(&mut log);
        drop(log);
        disk.crash(seed);
        dir.open();
        let (mut log, report) = dir.log(&config);
        assert_eq!(report.unclean, [], "seed {seed}");
        assert!(log.log_end_offset() >= Offset(200));
        let left = contents(&mut log);
        assert!(left == written.slice(..left.len()), "seed {seed}");
    }
}

#[test]
fn a_snapshot_knows_nothing_of_what_follows_it() {
    let (_, dir) = started();
    let (mut log, _) = dir.log(&small_segments());
    let group: Vec<_> = (0..60).map(|n| idempotent(4, 0, n, 1)).collect();
    for appended in log.append_all_as_leader(&group, EPOCH, NOW_MS) {
        appended.unwrap();
    }
    log.flush().unwrap();
    let names = dir.disk.list(Path::new("/data/sample-0")).unwrap().into_iter().map(|entry| entry.name);
    let bases: Vec<i64> = names.filter_map(|name| name.strip_suffix(".snapshot")?.parse().ok()).collect();
    let base = *bases.iter().max().expect("the group crosses a roll");
    log.truncate_to(Offset(base)).unwrap();
    let next = log.append_as_leader(idempotent(4, 0, base as i32, 1), EPOCH, NOW_MS).unwrap();
    assert_eq!((next.base_offset, next.duplicate), (Offset(base), false));
}
