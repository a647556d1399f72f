//! Replicas that lost what they once had on disk: how they notice, and how they go on.

mod support;

use std::io::IoSlice;
use std::path::{Path, PathBuf};

use support::*;
use tidelog_commitlog::disk::{Disk, OpenMode, SimDisk};
use tidelog_commitlog::{Log, LogConfig, LogId, ReadError, ReadStart, StorageError, UncleanReason};
use tidelog_wire::types::{LeaderEpoch, Offset, PartitionIndex};

fn first_segment() -> PathBuf {
    PathBuf::from("/data/sample-0/00000000000000000000.log")
}

/// All batches that `durable` makes are of this size.
fn batch_bytes() -> u64 {
    batch(1, 100).len() as u64
}

/// Zeros instead of what was written: the device lost the batches from `first` on.
fn lose_from(disk: &SimDisk, first: u64, count: u64) {
    let file = disk.open(&first_segment(), OpenMode::Existing).unwrap();
    let zeros = vec![0; (count * batch_bytes()) as usize];
    file.write_at(first * batch_bytes(), &mut [IoSlice::new(&zeros)]).unwrap();
    file.sync_data().unwrap();
}

#[test]
fn what_a_recovery_lost_makes_no_later_torn_tail_damage() {
    for leads in [true, false] {
        let (disk, mut dir) = started();
        let log = durable(&dir, &LogConfig::default(), 10);
        lose_from(&disk, 5, 5);
        dir.kill(log);
        let (mut log, report) = dir.log(&LogConfig::default());
        let is_short = [UncleanReason::EndsBelowMark { log_end: Offset(5), durable_mark: Offset(10) }];
        assert_eq!(report.unclean, is_short);
        match leads {
            true => log.assign_epoch_start(LeaderEpoch(1)).unwrap(),
            false => log.accept_end().unwrap(),
        }
        for _ in 0..2 {
            log.append_as_leader(batch(1, 100), LeaderEpoch(1), NOW_MS).unwrap();
        }
        disk.flip_bit(&first_segment(), (6 * batch_bytes() + 80) * 8).unwrap();
        dir.kill(log);
        let (mut log, report) = dir.log(&LogConfig::default());
        assert_eq!((report.unclean, log.log_end_offset()), (vec![], Offset(6)));
        log.append_as_leader(batch(1, 100), LeaderEpoch(2), NOW_MS).expect("it is an ordinary torn tail");
    }
}

#[test]
fn a_leader_with_damaged_records_keeps_its_mark() {
    let (disk, mut dir) = started();
    let log = durable(&dir, &LogConfig::default(), 10);
    disk.flip_bit(&first_segment(), (5 * batch_bytes() + 80) * 8).unwrap();
    dir.kill(log);
    for epoch in 1..3 {
        let (mut log, report) = dir.log(&LogConfig::default());
        let damage = [UncleanReason::CorruptBelowMark { offset: Offset(5), durable_mark: Offset(10) }];
        assert_eq!(report.unclean, damage);
        log.assign_epoch_start(LeaderEpoch(epoch)).unwrap();
        dir.kill(log);
    }
}

fn remove(disk: &SimDisk, path: &Path) {
    for entry in disk.list(path).unwrap() {
        match entry.is_dir {
            true => {
                remove(disk, &path.join(&entry.name));
                disk.remove_dir(&path.join(&entry.name)).unwrap();
            }
            false => disk.remove_file(&path.join(&entry.name)).unwrap(),
        }
    }
}

#[test]
fn a_directory_that_was_emptied_may_lack_logs_until_the_controller_knows() {
    let (disk, mut dir) = started();
    let may_lack_logs = |dir: &Dir| dir.start.as_ref().unwrap().may_lack_logs;
    assert!(may_lack_logs(&dir), "nobody can tell a new directory from an emptied one");
    dir.log_dir().set_known();
    let log = durable(&dir, &LogConfig::default(), 3);
    dir.restart(log);
    assert!(!may_lack_logs(&dir));
    dir.dir = None;
    remove(&disk, Path::new("/data"));
    for _ in 0..2 {
        dir.open();
        assert!(may_lack_logs(&dir));
        let (log, report) = dir.log(&LogConfig::default());
        assert!(report.has_no_trace);
        dir.kill(log);
    }
    dir.log_dir().set_known();
    dir.log_dir().sync_marks().unwrap();
    dir.open();
    assert!(!may_lack_logs(&dir));
}

#[test]
fn the_marks_remember_which_logs_have_records() {
    let (_, mut dir) = started();
    let log = durable(&dir, &LogConfig::default(), 3);
    let (mut trimmed, _) = dir.log_of(&LogId { partition: PartitionIndex(1), ..id() }, &LogConfig::default());
    append(&mut trimmed, batch(1, 100));
    trimmed.flush().unwrap();
    trimmed.advance_log_start(Offset(1), NOW_MS).unwrap();
    drop(trimmed);
    dir.kill(log);
    assert_eq!(dir.log_dir().logs_with_records(), [(id().topic_id, PartitionIndex(0))]);
}

/// Bytes of records that rotted on the device: headers tell nothing, and the page cache does not have them.
#[test]
fn rotten_records_show_in_a_read_from_the_device_and_are_cut() {
    let (disk, mut dir) = started();
    let (mut log, _) = dir.log(&small_segments());
    for _ in 0..60 {
        append(&mut log, batch(1, 100));
    }
    log.flush().unwrap();
    dir.restart(log);
    let (mut log, _) = dir.log(&small_segments());
    disk.flip_bit(&first_segment(), (5 * batch_bytes() + 80) * 8).unwrap();
    let cold = |log: &mut Log, from| match log.begin_read(Offset(from), Offset(60), 1 << 20, true).unwrap() {
        ReadStart::Cold(job) => job.run(),
        ReadStart::Ready(_) => panic!("nothing is known of this position"),
    };
    let read = cold(&mut log, 3);
    let Err(ReadError::Storage(StorageError::Damaged { offset, .. })) = read else { panic!("{read:?}") };
    assert_eq!(offset, Offset(5));
    assert!(!cold(&mut log, 7).unwrap().is_empty(), "the rest is whole");
    log.admit_damage(offset).unwrap();
    let damage = log.damage().expect("it is admitted");
    assert_eq!((damage.offset, damage.position, log.log_end_offset()), (Offset(5), 5 * batch_bytes(), Offset(5)));
    log.truncate_to(Offset(5)).unwrap();
    append(&mut log, batch(1, 100));
    assert_eq!(headers(&contents(&mut log)).len(), 6);
}
