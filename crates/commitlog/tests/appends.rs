//! What is taken and what is refused, from clients and from leaders.

mod support;

use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use support::*;
use tidelog_commitlog::disk::SimDisk;
use tidelog_commitlog::{AppendError, InvalidBatch, Log, LogConfig, ProducerError, ReadStart};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::BatchBuilder;
use tidelog_wire::record_batch::{BatchHeader, TimestampType};
use tidelog_wire::types::{LeaderEpoch, Offset};

fn started() -> Dir {
    Dir::on(Arc::new(SimDisk::default()), Path::new("/data"))
}

fn patched(batch: Bytes, at: usize, bytes: &[u8]) -> Bytes {
    let mut batch = BytesMut::from(&batch[..]);
    batch[at..at + bytes.len()].copy_from_slice(bytes);
    // The attributes stay as they are, the CRC is put right.
    let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &batch[21..]) as u32;
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch.freeze()
}

#[test]
fn each_rule_for_a_clients_batch_has_its_error() {
    let good = || batch(2, 10);
    let control = build(BatchBuilder::new(Compression::None).control(), 1, 10, NOW_MS);
    let mut two = BytesMut::from(&good()[..]);
    two.extend_from_slice(&good());
    let mut flipped = BytesMut::from(&good()[..]);
    flipped[70] ^= 1;
    let oversized = batch(1, 2_000);
    let table: Vec<(Bytes, InvalidBatch)> = vec![
        (good().slice(..40), InvalidBatch::Truncated),
        (good().slice(..good().len() - 1), InvalidBatch::Truncated),
        (Bytes::new(), InvalidBatch::Truncated),
        (two.freeze(), InvalidBatch::NotOneBatch),
        (flipped.freeze(), InvalidBatch::BadCrc),
        (patched(good(), 16, &[1]), InvalidBatch::UnsupportedMagic(1)),
        (patched(good(), 16, &[0]), InvalidBatch::UnsupportedMagic(0)),
        (patched(good(), 0, &7i64.to_be_bytes()), InvalidBatch::BaseOffset(7)),
        (patched(good(), 57, &0i32.to_be_bytes()), InvalidBatch::RecordCount(0)),
        (
            patched(good(), 57, &3i32.to_be_bytes()),
            InvalidBatch::LastOffsetDelta { last_offset_delta: 1, record_count: 3 },
        ),
        (patched(good(), 57, &(-1i32).to_be_bytes()), InvalidBatch::BadField("record count")),
        (control, InvalidBatch::ControlFromClient),
        (patched(good(), 21, &7i16.to_be_bytes()), InvalidBatch::UnknownCompression(7)),
        (patched(good(), 21, &8i16.to_be_bytes()), InvalidBatch::LogAppendTimeFromClient),
        (
            patched(idempotent(5, 0, 0, 1), 53, &(-1i32).to_be_bytes()),
            InvalidBatch::ProducerFields { producer_id: 5, producer_epoch: 0, base_sequence: -1 },
        ),
        (oversized.clone(), InvalidBatch::TooLarge { size: oversized.len(), max: 1500 }),
    ];
    let dir = started();
    let (mut log, _) = dir.log(&LogConfig { max_message_bytes: 1500, ..LogConfig::default() });
    for (records, expected) in table {
        match log.append_as_leader(records, EPOCH, NOW_MS) {
            Err(AppendError::Batch(error)) => assert_eq!(error, expected),
            other => panic!("expected {expected:?}, got {other:?}"),
        }
    }
    assert_eq!(log.log_end_offset(), Offset(0));
}

#[test]
fn old_timestamps_and_segments_that_are_too_small_are_refused() {
    let dir = started();
    let config = LogConfig { timestamp_before_max_ms: 1000, segment_bytes: 1000, ..LogConfig::default() };
    let (mut log, _) = dir.log(&config);
    let old = log.append_as_leader(batch_at(1, 10, NOW_MS - 1001), EPOCH, NOW_MS);
    assert!(matches!(old, Err(AppendError::Batch(InvalidBatch::Records(_)))), "{old:?}");
    log.append_as_leader(batch_at(1, 10, -1), EPOCH, NOW_MS).expect("no timestamp, no limit");
    let large = log.append_as_leader(batch(1, 1000), EPOCH, NOW_MS);
    assert!(matches!(large, Err(AppendError::Batch(InvalidBatch::LargerThanSegment { .. }))), "{large:?}");
}

#[test]
fn a_refused_batch_does_not_hinder_the_others_of_its_group() {
    let dir = started();
    let (mut log, _) = dir.log(&LogConfig::default());
    let group =
        [idempotent(1, 0, 0, 2), idempotent(1, 0, 9, 1), batch(3, 10), idempotent(1, 0, 2, 1), idempotent(1, 0, 0, 2)];
    let results = log.append_all_as_leader(&group, EPOCH, NOW_MS);
    let offsets: Vec<_> = results.iter().map(|r| r.as_ref().ok().map(|a| (a.base_offset.0, a.duplicate))).collect();
    assert_eq!(offsets, [Some((0, false)), None, Some((2, false)), Some((5, false)), Some((0, true))]);
    let gap = ProducerError::OutOfOrderSequence { producer_id: 1, sequence: 9, expected: 2 };
    assert!(matches!(&results[1], Err(AppendError::Producer(error)) if *error == gap));
    assert_eq!(headers(&contents(&mut log)).len(), 3);
}

#[test]
fn log_append_time_is_stamped_and_a_duplicate_has_the_first_stamp() {
    let dir = started();
    let config = LogConfig { timestamp_type: TimestampType::LogAppendTime, ..LogConfig::default() };
    let (mut log, _) = dir.log(&config);
    let first = log.append_as_leader(idempotent(1, 0, 0, 2), EPOCH, NOW_MS + 5).unwrap();
    assert_eq!(first.log_append_time_ms, NOW_MS + 5);
    let again = log.append_as_leader(idempotent(1, 0, 0, 2), EPOCH, NOW_MS + 99).unwrap();
    assert_eq!((again.duplicate, again.log_append_time_ms), (true, NOW_MS + 5));
    let header = headers(&contents(&mut log))[0];
    assert_eq!(header.max_timestamp, NOW_MS + 5);
    assert_eq!(header.attributes.timestamp_type(), TimestampType::LogAppendTime);
}

#[test]
fn an_older_leader_epoch_is_fenced() {
    let dir = started();
    let (mut log, _) = dir.log(&LogConfig::default());
    log.assign_epoch_start(LeaderEpoch(4)).unwrap();
    let stale = log.append_as_leader(batch(1, 10), LeaderEpoch(3), NOW_MS);
    assert!(matches!(stale, Err(AppendError::StaleEpoch { .. })), "{stale:?}");
    assert!(log.assign_epoch_start(LeaderEpoch(3)).is_err());
}

#[test]
fn a_follower_takes_over_every_byte_and_refuses_what_does_not_continue() {
    let dir = started();
    let (mut leader, _) = dir.log(&small_segments());
    for sequence in 0..50 {
        leader.append_as_leader(idempotent(3, 0, sequence * 2, 2), LeaderEpoch(sequence / 10), NOW_MS).unwrap();
    }
    let all = contents(&mut leader);
    let follower_dir = started();
    let (mut follower, _) = follower_dir.log(&small_segments());
    // Cut in the middle of a batch, as a fetch may be.
    follower.append_as_follower(all.slice(..all.len() / 2), NOW_MS).unwrap();
    let end = follower.log_end_offset();
    assert!(end > Offset(40) && end < Offset(60));
    let again = leader.read(end + -2, Offset(100), 1 << 20, true).unwrap();
    assert!(matches!(follower.append_as_follower(again, NOW_MS), Err(AppendError::OutOfOrder { .. })));
    let rest = all.slice(contents(&mut follower).len()..);
    let mut flipped = BytesMut::from(&rest[..]);
    flipped[80] ^= 4;
    let refused = follower.append_as_follower(flipped.freeze(), NOW_MS);
    assert!(matches!(refused, Err(AppendError::Batch(InvalidBatch::BadCrc))), "{refused:?}");
    assert_eq!(follower.append_as_follower(rest, NOW_MS).unwrap(), Offset(100));
    assert_eq!(contents(&mut follower), all);
    for epoch in (0..5).map(LeaderEpoch) {
        assert_eq!(follower.end_offset_for_epoch(epoch), leader.end_offset_for_epoch(epoch));
    }
    // As a new leader it knows the producers.
    let again = follower.append_as_leader(idempotent(3, 0, 96, 2), LeaderEpoch(9), NOW_MS).unwrap();
    assert_eq!((again.duplicate, again.base_offset), (true, Offset(96)));

    let old = BatchBuilder::new(Compression::None).base_offset(Offset(100)).leader_epoch(LeaderEpoch(1));
    let old = follower.append_as_follower(build(old, 1, 10, NOW_MS), NOW_MS);
    assert!(matches!(old, Err(AppendError::StaleEpoch { .. })), "{old:?}");
}

/// Producer 7 sends batches of one record again.
fn assert_known(log: &mut Log, repeated: std::ops::Range<i32>) {
    for sequence in repeated {
        let again = log.append_as_leader(idempotent(7, 0, sequence, 1), EPOCH, NOW_MS).unwrap();
        assert!(again.duplicate, "sequence {sequence}");
    }
}

#[test]
fn another_producers_gap_takes_nothing_from_those_who_have_none() {
    let mut dir = started();
    let (mut log, _) = dir.log(&small_segments());
    append(&mut log, idempotent(7, 0, 0, 1));
    append(&mut log, idempotent(8, 0, 0, 1));
    dir.restart(log);
    let (mut log, _) = dir.log(&small_segments());
    append(&mut log, idempotent(7, 0, 1, 1));
    append(&mut log, batch(1, 4000));
    append(&mut log, idempotent(7, 0, 2, 1));
    let gap = log.append_as_leader(idempotent(8, 0, 5, 1), EPOCH, NOW_MS);
    assert!(matches!(gap, Err(AppendError::Producer(_))), "{gap:?}");
    assert_known(&mut log, 0..3);
}

#[test]
fn a_retry_of_what_came_before_the_last_roll_is_known_after_a_crash() {
    let mut dir = started();
    let (mut log, _) = dir.log(&small_segments());
    (0..3).for_each(|sequence| assert!(append(&mut log, idempotent(7, 0, sequence, 1)) >= Offset(0)));
    append(&mut log, batch(1, 3700));
    append(&mut log, idempotent(7, 0, 3, 1));
    log.flush().unwrap();
    dir.log_dir().sync_marks().unwrap();
    dir.kill(log);
    let (mut log, _) = dir.log(&small_segments());
    assert_known(&mut log, 0..4);
}

#[test]
fn reads_respect_their_limits_wherever_they_start() {
    let dir = started();
    let (mut log, _) = dir.log(&small_segments());
    for _ in 0..60 {
        append(&mut log, batch(3, 50));
    }
    let size = batch(3, 50).len();
    for from in (0..180).map(Offset) {
        for (max_bytes, upper_bound) in [(1, 180), (size, 180), (3 * size + 7, 180), (1 << 20, 100)] {
            let upper_bound = Offset(upper_bound);
            let read = log.read(from, upper_bound, max_bytes, true).unwrap();
            let headers: Vec<BatchHeader> = headers(&read);
            let fits = from.0 / 3 * 3 + 3 <= upper_bound.0;
            assert_eq!(headers.is_empty(), !fits, "{from} {max_bytes} {upper_bound}");
            if fits {
                assert!((headers[0].base_offset..=headers[0].last_offset()).contains(&from));
                assert!(headers.last().unwrap().next_offset() <= upper_bound);
                assert!(read.len() <= max_bytes.max(size));
            }
            if max_bytes < size {
                assert!(log.read(from, upper_bound, max_bytes, false).unwrap().is_empty());
            }
            let begun = match log.begin_read(from, upper_bound, max_bytes, true).unwrap() {
                ReadStart::Ready(bytes) => bytes,
                ReadStart::Cold(job) => job.run().unwrap(),
            };
            assert!(begun.len().abs_diff(read.len()) <= size, "an inline read may stop a batch earlier");
        }
    }
    assert!(log.read(Offset(181), Offset(200), 100, true).is_err());
    assert!(log.read(Offset(180), Offset(200), 100, true).unwrap().is_empty());
}
