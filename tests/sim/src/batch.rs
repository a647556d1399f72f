//! Batches as producers send them, and as a log stores them.

use std::hash::{DefaultHasher, Hasher};

use bytes::{Bytes, BytesMut};
use rand::Rng;
use rand::rngs::StdRng;
use tidelog_wire::compression::Compression;
use tidelog_wire::record::BatchBuilder;
use tidelog_wire::record_batch::{BatchHeader, batches, set_base_offset, set_partition_leader_epoch};
use tidelog_wire::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

/// The simulation's clock starts here.
pub const EPOCH_MS: i64 = 1_700_000_000_000;

/// A batch of `count` records with the values from `first_value` on, which no other batch has: a batch's first timestamp
/// tells its first value. `producer`: id and sequence of an idempotent one.
pub fn build(rng: &mut StdRng, first_value: u64, count: u64, producer: Option<(i64, i32)>) -> Bytes {
    let kinds = [
        Compression::None,
        Compression::None,
        Compression::None,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];
    let mut builder = BatchBuilder::new(kinds[rng.random_range(0..kinds.len())]);
    if let Some((id, sequence)) = producer {
        builder = builder.producer(ProducerId(id), ProducerEpoch(0), sequence);
    }
    for value in first_value..first_value + count {
        let size = [8, 8, 30, 200][rng.random_range(0..4)];
        let fill: u8 = rng.random();
        let mut content = vec![fill; size];
        content[..8].copy_from_slice(&value.to_be_bytes());
        builder.append(EPOCH_MS + value as i64, Some(b"key"), Some(&content), &[]);
    }
    builder.build().expect("it fits")
}

/// A producer's batch as the leader stores it, byte for byte.
pub fn stamped(batch: &Bytes, base_offset: Offset, leader_epoch: LeaderEpoch) -> Bytes {
    let mut stamped = BytesMut::from(&batch[..]);
    set_base_offset(&mut stamped, base_offset);
    set_partition_leader_epoch(&mut stamped, leader_epoch);
    stamped.freeze()
}

/// A record where it stands. Equal ones stand in batches that are equal byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Of the leader that appended it.
    pub epoch: i32,
    /// No other record has it.
    pub value: u64,
    /// Of its batch's bytes.
    hash: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub base: i64,
    pub end: i64,
    first_value: u64,
    epoch: i32,
    hash: u64,
    pub bytes: Bytes,
}

impl Stored {
    /// The batches that follow one another in what was read or is to be appended.
    pub fn all(records: &Bytes) -> impl Iterator<Item = Stored> + use<> {
        batches(records.clone()).map(|batch| {
            let (header, bytes) = batch.expect("whole batches");
            Self::new(&header, bytes)
        })
    }

    fn new(header: &BatchHeader, bytes: Bytes) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(&bytes);
        Self {
            base: header.base_offset.get(),
            end: header.next_offset().get(),
            first_value: (header.base_timestamp - EPOCH_MS) as u64,
            epoch: header.partition_leader_epoch.get(),
            hash: hasher.finish(),
            bytes,
        }
    }

    pub fn epoch(&self) -> LeaderEpoch {
        LeaderEpoch(self.epoch)
    }

    pub fn has(&self, value: u64) -> bool {
        self.first_value <= value && value < self.first_value + (self.end - self.base) as u64
    }

    pub fn record(&self, offset: i64) -> Record {
        Record { epoch: self.epoch, value: self.first_value + (offset - self.base) as u64, hash: self.hash }
    }
}
