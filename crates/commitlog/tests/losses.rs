//! Replicas that lost what they once had on disk: how they notice, and how they go on.

mod support;

use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use support::*;
use tidelog_commitlog::disk::{Disk, OpenMode, SimDisk};
use tidelog_commitlog::{Log, LogConfig, UncleanReason};
use tidelog_wire::types::{LeaderEpoch, Offset};

fn started() -> (SimDisk, Dir) {
    let disk = SimDisk::default();
    let dir = Dir::on(Arc::new(disk.clone()), Path::new("/data"));
    (disk, dir)
}

/// `count` batches of one record each, flushed, with the mark on disk.
fn durable(dir: &Dir, config: &LogConfig, count: usize) -> Log {
    let (mut log, _) = dir.log(config);
    for _ in 0..count {
        append(&mut log, batch(1, 100));
    }
    log.flush().unwrap();
    dir.log_dir().sync_marks().unwrap();
    log
}

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
