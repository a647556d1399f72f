//! How fast one log is compacted: `cargo run --release -p tidelog-commitlog --example compaction_speed -- DIR MIB KEYS
//! RECORD_BYTES`. Input counts once, as it lies in the dirty segments; it is read twice, for the map and for the copy.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tidelog_commitlog::disk::RealDisk;
use tidelog_commitlog::{CleanerLimits, LogConfig, LogDir, LogDirOptions, LogId};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::BatchBuilder;
use tidelog_wire::types::{LeaderEpoch, PartitionIndex};
use tidelog_wire::{Str, Uuid};

const RECORDS_PER_BATCH: u64 = 100;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().expect("a directory"));
    let mut number = |default| arguments.next().map_or(default, |text| text.parse().expect("a number"));
    let (mib, keys, record_bytes): (u64, u64, u64) = (number(1024), number(1_000_000), number(256));
    let id = LogId { topic: Str::from("speed"), partition: PartitionIndex(0), topic_id: Uuid::from_u128(1) };
    let config = Arc::new(LogConfig { cleanup_compact: true, segment_bytes: 256 << 20, ..LogConfig::default() });
    let (dir, _) =
        LogDir::open(Arc::new(RealDisk), &path, Uuid::from_u128(2), LogDirOptions::default()).expect("it opens");
    let (mut log, _) = dir.open_log(&id, config, 0).expect("it opens");

    let mut random = 1u64;
    let value = vec![b'v'; record_bytes as usize];
    while log.size_bytes() < mib << 20 {
        let batches: Vec<_> = (0..32)
            .map(|_| {
                let mut builder = BatchBuilder::new(Compression::None);
                for _ in 0..RECORDS_PER_BATCH {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    builder.append(1, Some(format!("key-{:012}", (random >> 33) % keys).as_bytes()), Some(&value), &[]);
                }
                builder.build().expect("it fits")
            })
            .collect();
        let results = log.append_all_as_leader(&batches, LeaderEpoch(0), 1);
        assert!(results.iter().all(Result::is_ok), "all of it is accepted");
        log.flush().expect("it is flushed");
    }
    let high_watermark = log.durable_end();
    let mut round = 0;
    while let Some(job) = log.begin_cleaning(2, high_watermark).expect("it can be cleaned") {
        let began = Instant::now();
        let cleaned = job.run(&CleanerLimits::default(), &mut |_| {});
        let took = began.elapsed().as_secs_f64();
        let (stats, deleted) = log.finish_cleaning(cleaned, 2).expect("it was cleaned");
        deleted.into_iter().for_each(|files| files.remove().expect("it is removed"));
        round += 1;
        println!(
            "round {round}: {:.0} MB dirty, {:.0} MB copied to {:.0} MB, {} keys, {took:.2} s, {:.0} MB/s of input",
            stats.mapped_bytes as f64 / 1e6,
            stats.read_bytes as f64 / 1e6,
            stats.written_bytes as f64 / 1e6,
            stats.mapped_keys,
            stats.read_bytes as f64 / 1e6 / took
        );
    }
}
