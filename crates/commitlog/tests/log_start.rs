//! A log that starts inside a batch, as after DeleteRecords, and its followers, which get whole batches.

mod support;

use std::path::Path;

use support::compacted::{batch_of, clean, compacted, keys_and_offsets, value};
use support::*;
use tidelog_commitlog::{AppendError, Log, LogConfig};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::BatchBuilder;
use tidelog_wire::types::{LeaderEpoch, Offset};

/// A follower with nothing yet, which begins where its leader's log does.
fn follower_of(leader: &mut Log, dir: &Dir, config: &LogConfig) -> Log {
    let (mut follower, _) = dir.log(config);
    follower.truncate_fully_and_start_at(leader.log_start_offset()).unwrap();
    catch_up(&mut follower, leader);
    follower
}

fn catch_up(follower: &mut Log, leader: &mut Log) {
    while follower.log_end_offset() < leader.log_end_offset() {
        let (from, end) = (follower.log_end_offset(), leader.log_end_offset());
        let records = leader.read(from, end, 500, true).unwrap();
        follower.append_as_follower(records, NOW_MS).expect("it is the leader's log");
    }
    follower.flush().unwrap();
}

/// Twenty batches of ten records in four epochs, of which the first five records are deleted.
fn trimmed_leader(dir: &Dir, config: &LogConfig) -> Log {
    let (mut leader, _) = dir.log(config);
    for number in 0..20 {
        let batch = idempotent(7, 0, number * 10, 10);
        leader.append_as_leader(batch, LeaderEpoch(number / 5), NOW_MS).unwrap();
    }
    leader.advance_log_start(Offset(5), NOW_MS).unwrap();
    leader
}

fn assert_same(follower: &mut Log, leader: &mut Log) {
    let offsets = |log: &Log| (log.log_start_offset(), log.log_end_offset());
    assert_eq!(offsets(follower), offsets(leader));
    assert_eq!(contents(follower), contents(leader));
    for epoch in (0..4).map(LeaderEpoch) {
        assert_eq!(follower.end_offset_for_epoch(epoch), leader.end_offset_for_epoch(epoch));
    }
    for from in 5..200 {
        assert_eq!(follower.epoch_for_offset(Offset(from)), leader.epoch_for_offset(Offset(from)));
        let read = |log: &mut Log| log.read(Offset(from), Offset(200), 300, true).unwrap();
        assert_eq!(read(follower), read(leader), "from {from}");
    }
    for timestamp in NOW_MS..NOW_MS + 11 {
        let find = |log: &mut Log| log.offset_for_timestamp(timestamp, Offset(200)).unwrap();
        assert_eq!(find(follower), find(leader));
    }
    let greatest = |log: &mut Log| log.max_timestamp(Offset(200)).unwrap();
    assert_eq!(greatest(follower), greatest(leader));
}

#[test]
fn a_follower_begins_with_the_whole_batch_that_its_leaders_log_starts_in() {
    for config in [LogConfig::default(), small_segments()] {
        let (_, leader_dir) = started();
        let mut leader = trimmed_leader(&leader_dir, &config);
        let (disk, mut dir) = started();
        let mut follower = follower_of(&mut leader, &dir, &config);
        assert!(disk.contents(Path::new("/data/sample-0/00000000000000000000.log")).is_ok(), "named after its batch");
        assert_same(&mut follower, &mut leader);

        dir.restart(follower);
        let (mut follower, report) = dir.log(&config);
        assert_eq!((report.scanned_bytes, report.unclean.len()), (0, 0));
        assert_same(&mut follower, &mut leader);

        drop(follower);
        disk.crash(1);
        dir.open();
        let (mut follower, report) = dir.log(&config);
        assert_eq!(report.unclean, []);
        assert_same(&mut follower, &mut leader);

        // As a leader it knows the producer of the first batch and of the last ones, and has followers of its own.
        let repeated = follower.append_as_leader(idempotent(7, 0, 150, 10), LeaderEpoch(4), NOW_MS).unwrap();
        assert_eq!((repeated.duplicate, repeated.base_offset), (true, Offset(150)));
        let (_, third_dir) = started();
        let mut third = follower_of(&mut follower, &third_dir, &config);
        assert_same(&mut third, &mut follower);
    }
}

#[test]
fn only_an_empty_log_begins_below_its_start() {
    let (_, leader_dir) = started();
    let mut leader = trimmed_leader(&leader_dir, &LogConfig::default());
    let (_, dir) = started();
    let (mut follower, _) = dir.log(&LogConfig::default());
    follower.truncate_fully_and_start_at(Offset(10)).unwrap();
    let below = leader.read(Offset(5), Offset(10), 1 << 20, true).unwrap();
    let refused = follower.append_as_follower(below.clone(), NOW_MS);
    assert!(matches!(refused, Err(AppendError::OutOfOrder { .. })), "it ends at the log start: {refused:?}");
    assert_eq!(follower.log_end_offset(), Offset(10));
    catch_up(&mut follower, &mut leader);
    let refused = follower.append_as_follower(below, NOW_MS);
    assert!(matches!(refused, Err(AppendError::OutOfOrder { .. })), "{refused:?}");
}

/// What lies below the log start is no reason to keep, nor to lose, what lies above it.
#[test]
fn cutting_the_batch_that_the_log_starts_in_begins_again_at_the_log_start() {
    let (_, leader_dir) = started();
    let mut leader = trimmed_leader(&leader_dir, &LogConfig::default());
    let (_, mut dir) = started();
    let mut follower = follower_of(&mut leader, &dir, &LogConfig::default());
    follower.truncate_to(Offset(8)).unwrap();
    assert_eq!((follower.log_start_offset(), follower.log_end_offset()), (Offset(5), Offset(5)));
    catch_up(&mut follower, &mut leader);
    assert_same(&mut follower, &mut leader);
    follower.truncate_to(Offset(13)).unwrap();
    assert_eq!((follower.log_start_offset(), follower.log_end_offset()), (Offset(5), Offset(10)));
    dir.kill(follower);
    let (mut follower, report) = dir.log(&LogConfig::default());
    assert_eq!((report.unclean, follower.log_end_offset()), (vec![], Offset(10)));
    catch_up(&mut follower, &mut leader);
    assert_same(&mut follower, &mut leader);
}

#[test]
fn the_first_batch_never_reached_the_disk() {
    let (_, leader_dir) = started();
    let mut leader = trimmed_leader(&leader_dir, &LogConfig::default());
    for seed in 0..32 {
        let (disk, mut dir) = started();
        let (mut follower, _) = dir.log(&LogConfig::default());
        follower.truncate_fully_and_start_at(Offset(5)).unwrap();
        let records = leader.read(Offset(5), Offset(200), 1 << 20, true).unwrap();
        follower.append_as_follower(records, NOW_MS).unwrap();
        drop(follower);
        disk.crash(seed);
        dir.open();
        let (mut follower, report) = dir.log(&LogConfig::default());
        assert_eq!((report.unclean, follower.log_start_offset()), (vec![], Offset(5)));
        catch_up(&mut follower, &mut leader);
        assert_same(&mut follower, &mut leader);
    }
}

#[test]
fn a_log_that_starts_inside_a_batch_is_compacted() {
    let (_, leader_dir) = started();
    let (mut leader, _) = leader_dir.log(&compacted());
    append(&mut leader, batch_of(Compression::None, &[value(1, "a"), value(2, "b"), value(1, "c"), value(3, "d")]));
    append(&mut leader, batch_of(Compression::None, &[value(3, "e"), value(4, "f")]));
    leader.advance_log_start(Offset(2), NOW_MS).unwrap();
    let (_, mut dir) = started();
    let mut follower = follower_of(&mut leader, &dir, &compacted());
    let epoch = LeaderEpoch(1);
    follower.assign_epoch_start(epoch).unwrap();
    follower.append_as_leader(batch_of(Compression::None, &[value(4, "g")]), epoch, NOW_MS).unwrap();
    for _ in 0..3 {
        let padding = build(BatchBuilder::new(Compression::None), 3, 500, NOW_MS);
        follower.append_as_leader(padding, epoch, NOW_MS).unwrap();
    }
    follower.flush().unwrap();
    clean(&mut follower, NOW_MS);
    let kept = |log: &mut Log| keys_and_offsets(log).into_iter().filter(|(key, _)| *key < 5).collect::<Vec<_>>();
    assert_eq!(kept(&mut follower), [(1, 2), (3, 4), (4, 6)]);
    dir.kill(follower);
    let (mut follower, report) = dir.log(&compacted());
    assert_eq!((report.unclean, follower.log_start_offset()), (vec![], Offset(2)));
    assert_eq!(kept(&mut follower), [(1, 2), (3, 4), (4, 6)]);
    let (_, third_dir) = started();
    let mut third = follower_of(&mut follower, &third_dir, &compacted());
    assert_eq!(kept(&mut third), [(1, 2), (3, 4), (4, 6)]);
}
