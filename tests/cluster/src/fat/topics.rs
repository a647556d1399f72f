//! The topics of a storm, and the batches that are written to them.

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};
use tidelog_wire::Uuid;
use tidelog_wire::compression::Compression;
use tidelog_wire::record::{BatchBuilder, Record, RecordHeader};
use tidelog_wire::types::{ProducerEpoch, ProducerId};

/// The header that says which record it is.
const IDENTITY: &[u8] = b"identity";
const KEYS: u32 = 40;
const REPLICAS: usize = 3;

#[derive(Debug)]
pub struct Topic {
    pub name: &'static str,
    pub partitions: i32,
    pub kind: Kind,
    pub configs: &'static [(&'static str, &'static str)],
    /// Of one batch, before it is compressed.
    batch_bytes_max: usize,
}

/// What may happen to its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Kept until DeleteRecords.
    Kept,
    /// Retention by size takes the oldest.
    Retained,
    Compacted,
    /// The topic is deleted and recreated.
    Recreated,
}

const SEGMENT: (&str, &str) = ("segment.bytes", "1048576");

pub const TOPICS: [Topic; 5] = [
    Topic { name: "kept", partitions: 12, kind: Kind::Kept, configs: &[SEGMENT], batch_bytes_max: 900_000 },
    Topic {
        name: "fat",
        partitions: 4,
        kind: Kind::Kept,
        configs: &[("segment.bytes", "2200000"), ("max.message.bytes", "2150000")],
        batch_bytes_max: 2_000_000,
    },
    Topic {
        name: "retained",
        partitions: 8,
        kind: Kind::Retained,
        configs: &[SEGMENT, ("retention.bytes", "3000000")],
        batch_bytes_max: 600_000,
    },
    Topic {
        name: "compacted",
        partitions: 8,
        kind: Kind::Compacted,
        configs: &[SEGMENT, ("cleanup.policy", "compact"), ("min.cleanable.dirty.ratio", "0.1")],
        batch_bytes_max: 200_000,
    },
    Topic { name: "recreated", partitions: 8, kind: Kind::Recreated, configs: &[SEGMENT], batch_bytes_max: 300_000 },
];

impl Topic {
    pub fn replicas(&self) -> usize {
        REPLICAS
    }
}

/// `topic-partition` of the nth partition of all.
pub fn partition_name(nth: usize) -> String {
    let mut all =
        TOPICS.iter().flat_map(|topic| (0..topic.partitions).map(move |index| format!("{}-{index}", topic.name)));
    all.nth(nth).unwrap_or_default()
}

/// A record among all that were ever sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    pub topic_id: Uuid,
    pub partition: i32,
    /// Of the batch, counted by partition.
    pub number: u32,
    /// In the batch.
    pub index: u32,
}

impl Identity {
    fn to_bytes(self) -> Bytes {
        let mut bytes = self.topic_id.as_u128().to_be_bytes().to_vec();
        bytes.extend(self.partition.to_be_bytes());
        bytes.extend(self.number.to_be_bytes());
        bytes.extend(self.index.to_be_bytes());
        Bytes::from(bytes)
    }

    pub fn of(record: &Record) -> Option<Identity> {
        let header = record.headers.iter().find(|header| &header.key[..] == IDENTITY)?;
        let bytes: [u8; 28] = header.value.as_deref()?.try_into().ok()?;
        let number = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let topic_id = Uuid::from_u128(u128::from_be_bytes(bytes[..16].try_into().expect("sixteen bytes")));
        Some(Identity { topic_id, partition: number(16) as i32, number: number(20), index: number(24) })
    }

    pub fn is_of(self, topic_id: Uuid, partition: i32) -> bool {
        (self.topic_id, self.partition) == (topic_id, partition)
    }

    pub fn key(self) -> Bytes {
        Self::key_of(self.number, self.index)
    }

    pub fn key_of(number: u32, index: u32) -> Bytes {
        Bytes::from(format!("key-{}", number.wrapping_mul(7).wrapping_add(index) % KEYS))
    }

    /// Now and then a key of a compacted topic is deleted.
    fn is_tombstone(self) -> bool {
        (self.number + self.index) % 13 == 5
    }
}

/// One batch: mostly small, at times nearly as large as may be. Returns how many records it has.
pub fn batch(
    rng: &mut StdRng,
    topic: &Topic,
    first: Identity,
    producer: (ProducerId, ProducerEpoch, i32),
    now_ms: i64,
) -> (Bytes, u32) {
    let kinds = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    let compression = *kinds.choose(rng).expect("some");
    let bytes_max = *[300, 3_000, 60_000, topic.batch_bytes_max].choose(rng).expect("some");
    let total = rng.random_range(100..=bytes_max);
    let count = rng.random_range(1..=12);
    let (id, epoch, sequence) = producer;
    let mut builder = BatchBuilder::new(compression).producer(id, epoch, sequence);
    for index in 0..count {
        let identity = Identity { index, ..first };
        let mut value = vec![0; total / count as usize];
        // Half of it can be compressed away.
        let random = value.len() / 2;
        rng.fill_bytes(&mut value[..random]);
        let has_value = topic.kind != Kind::Compacted || !identity.is_tombstone();
        let header = RecordHeader { key: Bytes::from_static(IDENTITY), value: Some(identity.to_bytes()) };
        builder.append(now_ms, Some(&identity.key()), has_value.then_some(&value[..]), &[header]);
    }
    (builder.build().expect("it is compressed"), count)
}
