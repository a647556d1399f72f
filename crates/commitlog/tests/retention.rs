//! Deleting from the start, and finding records by time.

mod support;

use support::*;
use tidelog_commitlog::{Log, LogConfig};
use tidelog_wire::types::Offset;

const HOUR_MS: i64 = 3_600_000;

/// Batches of one record, an hour apart.
fn hourly(dir: &Dir, config: &LogConfig, count: i64) -> Log {
    let (mut log, _) = dir.log(config);
    for hour in 0..count {
        let now_ms = NOW_MS + hour * HOUR_MS;
        log.append_as_leader(batch_at(1, 500, now_ms), EPOCH, now_ms).unwrap();
    }
    log.flush().unwrap();
    log
}

fn files(dir: &Dir, extension: &str) -> usize {
    let entries = dir.disk.list(&dir.log_path()).unwrap();
    entries.iter().filter(|entry| entry.name.ends_with(extension)).count()
}

#[test]
fn whole_segments_older_than_retention_ms_go_but_never_beyond_the_high_watermark() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::real(temp.path());
    let config = LogConfig { retention_ms: 40 * HOUR_MS, ..small_segments() };
    let mut log = hourly(&dir, &config, 100);
    let now_ms = NOW_MS + 100 * HOUR_MS;

    assert!(log.apply_retention(now_ms, Offset(3)).unwrap().is_empty());
    let deleted = log.apply_retention(now_ms, Offset(30)).unwrap();
    let start = log.log_start_offset();
    assert!(start > Offset(20) && start <= Offset(30), "{start}");
    let deleted: Vec<_> = deleted.into_iter().chain(log.apply_retention(now_ms, Offset(100)).unwrap()).collect();
    let start = log.log_start_offset();
    assert!(start > Offset(50) && start <= Offset(60), "{start}");
    assert!(log.read(Offset(0), Offset(100), 1 << 20, true).is_err());
    assert_eq!(headers(&contents(&mut log))[0].base_offset, start);

    assert!(files(&dir, ".log.deleted") > 0);
    assert!(deleted.iter().all(|files| files.due_ms() == now_ms + config.file_delete_delay_ms));
    deleted.into_iter().for_each(|files| files.remove().unwrap());
    assert_eq!(files(&dir, ".deleted"), 0);
}

#[test]
fn an_expired_last_segment_goes_too_and_the_log_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let mut dir = Dir::real(temp.path());
    let config = LogConfig { retention_ms: HOUR_MS, ..small_segments() };
    let mut log = hourly(&dir, &config, 20);
    log.apply_retention(NOW_MS + 1000 * HOUR_MS, Offset(20)).unwrap();
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(20), Offset(20)));
    assert_eq!(log.size_bytes(), 0);
    dir.restart(log);
    let (mut log, report) = dir.log(&config);
    assert_eq!(report.unclean, []);
    assert_eq!(append(&mut log, batch(1, 10)), Offset(20));
    log.flush().unwrap();
    dir.kill(log);
    let (log, report) = dir.log(&config);
    assert_eq!(report.unclean, []);
    assert_eq!((log.log_start_offset(), log.log_end_offset()), (Offset(20), Offset(21)));
}

#[test]
fn retention_bytes_keeps_at_least_that_much() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::real(temp.path());
    let config = LogConfig { retention_ms: -1, retention_bytes: 10_000, ..small_segments() };
    let mut log = hourly(&dir, &config, 100);
    log.apply_retention(NOW_MS, Offset(100)).unwrap();
    assert!((10_000..10_000 + 4096).contains(&log.size_bytes()), "{}", log.size_bytes());
}

#[test]
fn an_advanced_log_start_survives_a_kill_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let mut dir = Dir::real(temp.path());
    let mut log = hourly(&dir, &small_segments(), 40);
    log.advance_log_start(Offset(25), NOW_MS).unwrap();
    assert!(log.advance_log_start(Offset(5), NOW_MS).unwrap().is_empty(), "it never goes back");
    dir.kill(log);
    let (mut log, report) = dir.log(&small_segments());
    assert_eq!(report.unclean, []);
    assert_eq!(log.log_start_offset(), Offset(25));
    assert_eq!(headers(&contents(&mut log))[0].base_offset, Offset(25));
}

#[test]
fn segments_roll_by_time_and_by_size() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::real(temp.path());
    let config = LogConfig { segment_ms: 10 * HOUR_MS, ..LogConfig::default() };
    let log = hourly(&dir, &config, 34);
    assert_eq!(files(&dir, ".log"), 4);
    drop(log);
}

#[test]
fn records_are_found_by_timestamp_in_every_segment() {
    let temp = tempfile::tempdir().unwrap();
    let mut dir = Dir::real(temp.path());
    let mut log = hourly(&dir, &small_segments(), 60);
    for reopened in [false, true] {
        let end = log.log_end_offset();
        for hour in 0..60 {
            for before_ms in [0, 1, HOUR_MS - 1] {
                let wanted = NOW_MS + hour * HOUR_MS - before_ms;
                let found = log.offset_for_timestamp(wanted, end).unwrap().expect("there is one");
                assert_eq!((found.offset, found.timestamp_ms), (Offset(hour), NOW_MS + hour * HOUR_MS));
            }
        }
        assert_eq!(log.offset_for_timestamp(NOW_MS + 60 * HOUR_MS, end).unwrap(), None);
        assert_eq!(log.offset_for_timestamp(NOW_MS + 30 * HOUR_MS, Offset(30)).unwrap(), None);
        assert_eq!(log.max_timestamp(end).unwrap().unwrap().offset, Offset(59));
        assert_eq!(log.max_timestamp(Offset(20)).unwrap().unwrap().offset, Offset(19));
        if !reopened {
            dir.restart(log);
            log = dir.log(&small_segments()).0;
        } else {
            break;
        }
    }
}

#[test]
fn within_a_batch_the_first_record_in_time_is_meant() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::real(temp.path());
    let (mut log, _) = dir.log(&LogConfig::default());
    append(&mut log, batch_at(10, 10, NOW_MS));
    let found = log.offset_for_timestamp(NOW_MS + 4, Offset(10)).unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp_ms), (Offset(4), NOW_MS + 4));
    log.advance_log_start(Offset(6), NOW_MS).unwrap();
    let found = log.offset_for_timestamp(0, Offset(10)).unwrap().unwrap();
    assert_eq!(found.offset, Offset(6));
}
