//! Compacted logs: what is written to them, cleaning them, reading what is left.

use bytes::Bytes;
use tidelog_commitlog::{CleanError, CleanStats, Cleaned, CleanerLimits, Log, LogConfig};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::{BatchBuilder, Record, RecordHeader, records};
use tidelog_wire::types::Offset;

use super::{NOW_MS, append};

pub const RETENTION_MS: i64 = 1000;
pub const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

pub fn compacted() -> LogConfig {
    LogConfig {
        cleanup_compact: true,
        cleanup_delete: false,
        delete_retention_ms: RETENTION_MS,
        segment_bytes: 2048,
        index_interval_bytes: 256,
        ..LogConfig::default()
    }
}

/// One record as it was appended.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub key: u8,
    pub value: Option<Vec<u8>>,
    pub has_header: bool,
}

pub fn header() -> RecordHeader {
    RecordHeader { key: Bytes::from_static(b"h"), value: Some(Bytes::from_static(b"v")) }
}

pub fn batch_of(codec: Compression, records: &[Written]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    for (index, record) in records.iter().enumerate() {
        let headers = if record.has_header { vec![header()] } else { Vec::new() };
        builder.append(NOW_MS + index as i64, Some(&[record.key]), record.value.as_deref(), &headers);
    }
    builder.build().unwrap()
}

pub fn value(key: u8, value: &str) -> Written {
    Written { key, value: Some(value.as_bytes().to_vec()), has_header: false }
}

pub fn tombstone(key: u8) -> Written {
    Written { key, value: None, has_header: false }
}

/// Fills the active segment's predecessors up: afterwards everything appended before may be cleaned.
pub fn roll(log: &mut Log) {
    let padding: Vec<_> = (0..4).map(|_| value(255, &"p".repeat(400))).collect();
    for _ in 0..3 {
        append(log, batch_of(Compression::None, &padding));
    }
    log.flush().unwrap();
}

pub fn clean_with(log: &mut Log, now_ms: i64, limits: &CleanerLimits) -> Result<Option<CleanStats>, CleanError> {
    let high_watermark = log.durable_end();
    match log.begin_cleaning(now_ms, high_watermark)? {
        Some(job) => finish(log, job.run(limits, &mut |_| {}), now_ms).map(Some),
        None => Ok(None),
    }
}

pub fn finish(log: &mut Log, cleaned: Cleaned, now_ms: i64) -> Result<CleanStats, CleanError> {
    let (stats, deleted) = log.finish_cleaning(cleaned, now_ms)?;
    if let Some(deleted) = deleted {
        deleted.remove()?;
    }
    Ok(stats)
}

pub fn clean(log: &mut Log, now_ms: i64) -> CleanStats {
    clean_with(log, now_ms, &CleanerLimits::default()).unwrap().expect("there was something to clean")
}

pub fn all_records(log: &mut Log) -> Vec<Record> {
    records_from(log, log.log_start_offset())
}

pub fn records_from(log: &mut Log, from: Offset) -> Vec<Record> {
    let mut next = from;
    let mut all = Vec::new();
    while next < log.log_end_offset() {
        let read = log.read(next, log.log_end_offset(), 4096, true).unwrap();
        assert!(!read.is_empty(), "a reader hangs at {next}");
        for batch in tidelog_wire::record_batch::batches(read) {
            let (header, bytes) = batch.unwrap();
            header.verify_crc(&bytes).unwrap();
            assert!(header.last_offset() >= next, "nothing turns back");
            all.extend(records(&bytes, 1 << 20).unwrap().map(Result::unwrap).filter(|record| record.offset >= from));
            next = header.next_offset();
        }
    }
    all
}

pub fn keys_and_offsets(log: &mut Log) -> Vec<(u8, i64)> {
    let visible = all_records(log).into_iter().map(|record| (record.key.unwrap()[0], record.offset.0));
    visible.filter(|(key, _)| *key != 255).collect()
}
