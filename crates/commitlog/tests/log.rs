//! A log over real files: append, read, restart, roll.

mod support;

use support::*;
use tidelog_commitlog::{LogConfig, RecoveryReport};
use tidelog_wire::types::Offset;

#[test]
fn what_is_appended_is_read_back_with_its_offsets() {
    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::real(temp.path());
    let (mut log, report) = dir.log(&LogConfig::default());
    assert_eq!(report, RecoveryReport { has_no_trace: true, ..RecoveryReport::default() });
    assert!(!dir.log_path().exists(), "files appear with the first append");

    assert_eq!(append(&mut log, batch(3, 10)), Offset(0));
    assert_eq!(append(&mut log, batch(2, 10)), Offset(3));
    assert_eq!(log.log_end_offset(), Offset(5));
    assert_eq!(log.durable_end(), Offset(0));
    assert_eq!(log.flush().unwrap(), Offset(5));

    let read = log.read(Offset(4), Offset(5), 1 << 20, false).unwrap();
    let headers = headers(&read);
    assert_eq!(headers.len(), 1);
    assert_eq!((headers[0].base_offset, headers[0].partition_leader_epoch), (Offset(3), EPOCH));
    assert!(log.read(Offset(0), Offset(4), 1 << 20, false).unwrap().len() < contents(&mut log).len());
}

#[test]
fn restarts_clean_or_not_change_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let mut dir = Dir::real(temp.path());
    let (mut log, _) = dir.log(&small_segments());
    for sequence in 0..100 {
        append(&mut log, idempotent(7, 0, sequence * 3, 3));
    }
    log.flush().unwrap();
    let written = contents(&mut log);
    assert!(written.len() > 2 * 4096, "several segments");

    dir.restart(log);
    assert!(dir.start.as_ref().unwrap().clean_shutdown.is_some());
    let (mut log, report) = dir.log(&small_segments());
    assert_eq!(report, Default::default());
    assert_eq!(contents(&mut log), written);
    let again = log.append_as_leader(idempotent(7, 0, 297, 3), EPOCH, NOW_MS).unwrap();
    assert!(again.duplicate);
    assert_eq!(again.base_offset, Offset(297));
    append(&mut log, idempotent(7, 0, 300, 3));
    let written = contents(&mut log);

    dir.kill(log);
    assert!(dir.start.as_ref().unwrap().clean_shutdown.is_none());
    let (mut log, report) = dir.log(&small_segments());
    assert_eq!(report.unclean, []);
    assert_eq!(report.truncated_bytes, 0);
    assert!(report.scanned_bytes > 0);
    assert_eq!(contents(&mut log), written);
    assert!(log.append_as_leader(idempotent(7, 0, 300, 3), EPOCH, NOW_MS).unwrap().duplicate);
}

#[test]
fn after_a_clean_restart_each_of_the_last_five_batches_is_still_known() {
    let temp = tempfile::tempdir().unwrap();
    let mut dir = Dir::real(temp.path());
    let (mut log, _) = dir.log(&LogConfig::default());
    for sequence in 0..8 {
        append(&mut log, idempotent(7, 0, sequence * 2, 2));
        append(&mut log, idempotent(8, 0, sequence * 2, 2));
    }
    dir.restart(log);
    let (mut log, _) = dir.log(&LogConfig::default());
    // Appended since, it is the last one now.
    append(&mut log, idempotent(8, 0, 16, 1));
    for sequence in 3..8 {
        let again = log.append_as_leader(idempotent(7, 0, sequence * 2, 2), EPOCH, NOW_MS).unwrap();
        assert_eq!((again.duplicate, again.base_offset), (true, Offset(i64::from(sequence) * 4)));
    }
    let again = log.append_as_leader(idempotent(8, 0, 14, 2), EPOCH, NOW_MS).unwrap();
    assert!(again.duplicate);
    log.append_as_leader(idempotent(7, 0, 4, 2), EPOCH, NOW_MS).expect_err("older than the last five");
}
