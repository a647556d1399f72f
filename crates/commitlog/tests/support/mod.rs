//! What the tests share: batches, and a log directory that can be stopped and started.
#![allow(dead_code)]

pub mod compacted;
pub mod model;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tidelog_commitlog::disk::{Disk, RealDisk, SimDisk};
use tidelog_commitlog::{Log, LogConfig, LogDir, LogDirOptions, LogDirStart, LogId, RecoveryReport};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::BatchBuilder;
use tidelog_wire::record_batch::{BatchHeader, batches};
use tidelog_wire::types::{BrokerEpoch, LeaderEpoch, Offset, PartitionIndex, ProducerEpoch, ProducerId};
use tidelog_wire::{Str, Uuid};

pub const NOW_MS: i64 = 1_700_000_000_000;
pub const EPOCH: LeaderEpoch = LeaderEpoch(0);
pub const DIRECTORY: Uuid = Uuid::from_u128(0xd1);

/// `count` records of `size` bytes, as a producer sends them.
pub fn batch(count: usize, size: usize) -> Bytes {
    batch_at(count, size, NOW_MS)
}

pub fn batch_at(count: usize, size: usize, timestamp_ms: i64) -> Bytes {
    build(BatchBuilder::new(Compression::None), count, size, timestamp_ms)
}

pub fn idempotent(id: i64, epoch: i16, sequence: i32, count: usize) -> Bytes {
    let builder = BatchBuilder::new(Compression::None).producer(ProducerId(id), ProducerEpoch(epoch), sequence);
    build(builder, count, 20, NOW_MS)
}

pub fn build(mut builder: BatchBuilder, count: usize, size: usize, timestamp_ms: i64) -> Bytes {
    for index in 0..count {
        let value = vec![b'a' + (index % 26) as u8; size];
        builder.append(timestamp_ms + index as i64, Some(b"key"), Some(&value), &[]);
    }
    builder.build().expect("it fits")
}

/// A log directory that is started, stopped and crashed.
pub struct Dir {
    pub disk: Arc<dyn Disk>,
    pub path: PathBuf,
    pub options: LogDirOptions,
    pub dir: Option<LogDir>,
    pub start: Option<LogDirStart>,
}

impl Dir {
    pub fn real(path: &Path) -> Self {
        Self::on(Arc::new(RealDisk), path)
    }

    pub fn on(disk: Arc<dyn Disk>, path: &Path) -> Self {
        let options = LogDirOptions { reserve_bytes: 0, ..LogDirOptions::default() };
        let mut dir = Self { disk, path: path.to_owned(), options, dir: None, start: None };
        dir.open();
        dir
    }

    pub fn open(&mut self) {
        let opened = LogDir::open(self.disk.clone(), &self.path, DIRECTORY, self.options.clone());
        let (dir, start) = opened.expect("the directory opens");
        self.dir = Some(dir);
        self.start = Some(start);
    }

    pub fn log_dir(&self) -> &LogDir {
        self.dir.as_ref().expect("it is open")
    }

    pub fn log(&self, config: &LogConfig) -> (Log, RecoveryReport) {
        self.log_of(&id(), config)
    }

    pub fn log_of(&self, id: &LogId, config: &LogConfig) -> (Log, RecoveryReport) {
        self.log_dir().open_log(id, Arc::new(config.clone()), NOW_MS).expect("the log opens")
    }

    pub fn log_path(&self) -> PathBuf {
        self.path.join("sample-0")
    }

    /// Forgets everything in memory; what was written stays, as after kill -9.
    pub fn kill(&mut self, log: Log) {
        drop(log);
        self.dir = None;
        self.open();
    }

    pub fn restart(&mut self, log: Log) {
        log.close_clean().expect("the log closes");
        let dir = self.dir.take().expect("it is open");
        dir.close_clean(BrokerEpoch(5)).expect("the directory closes");
        self.open();
    }
}

pub fn id() -> LogId {
    LogId { topic: Str::from("sample"), partition: PartitionIndex(0), topic_id: Uuid::from_u128(0x70) }
}

pub fn append(log: &mut Log, records: Bytes) -> Offset {
    log.append_as_leader(records, EPOCH, NOW_MS).expect("the append is accepted").base_offset
}

/// Everything in the log, byte for byte.
pub fn contents(log: &mut Log) -> Bytes {
    let mut all = Vec::new();
    let mut from = log.log_start_offset();
    while from < log.log_end_offset() {
        let read = log.read(from, log.log_end_offset(), 1 << 20, true).expect("the log reads");
        assert!(!read.is_empty(), "no progress at {from} below {}", log.log_end_offset());
        from = headers(&read).last().expect("a batch").next_offset();
        all.extend_from_slice(&read);
    }
    Bytes::from(all)
}

pub fn headers(records: &Bytes) -> Vec<BatchHeader> {
    let cut = batches(records.clone()).map(|batch| {
        let (header, bytes) = batch.expect("a whole batch");
        header.verify_crc(&bytes).expect("a good CRC");
        header
    });
    cut.collect()
}

pub fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 4096, index_interval_bytes: 256, ..LogConfig::default() }
}

/// A log directory on a simulated disk.
pub fn started() -> (SimDisk, Dir) {
    let disk = SimDisk::default();
    let dir = Dir::on(Arc::new(disk.clone()), Path::new("/data"));
    (disk, dir)
}

/// `count` batches of one record each, flushed, with the mark on disk.
pub fn durable(dir: &Dir, config: &LogConfig, count: usize) -> Log {
    let (mut log, _) = dir.log(config);
    for _ in 0..count {
        append(&mut log, batch(1, 100));
    }
    log.flush().unwrap();
    dir.log_dir().sync_marks().unwrap();
    log
}
