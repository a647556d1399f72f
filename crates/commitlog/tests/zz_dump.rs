mod support;
use support::*;
use tidelog_commitlog::LogConfig;
use tidelog_wire::types::*;
#[test]
fn dump() {
    let path = std::path::Path::new("/tmp/tl-dump");
    let _ = std::fs::remove_dir_all(path);
    let mut dir = Dir::real(path);
    let config = LogConfig { segment_bytes: 64 << 10, index_interval_bytes: 1024, ..LogConfig::default() };
    let (mut log, _) = dir.log(&config);
    for n in 0..2000 {
        if n == 700 {
            log.assign_epoch_start(LeaderEpoch(3)).unwrap();
        }
        let e = if n < 700 { EPOCH } else { LeaderEpoch(3) };
        log.append_as_leader(idempotent(7 + n as i64 % 3, 0, (n / 3) * 3, 3), e, NOW_MS).unwrap();
    }
    dir.restart(log);
    let (log, report) = dir.log(&config);
    println!("{report:?} {:?}", log.log_end_offset());
}
