//! Whatever is done to a good batch before its checksum is put right: it is refused, or what is stored of it can be read by
//! our own client and by another implementation.

mod support;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::records::RecordBatchDecoder;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use support::*;
use tidelog_commitlog::disk::SimDisk;
use tidelog_commitlog::{Log, LogConfig, StoredCompression};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::{BatchBuilder, Record, RecordHeader, records};
use tidelog_wire::record_batch::{BatchHeader, HEADER_SIZE};
use tidelog_wire::types::Offset;

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

/// One change of some bytes.
#[derive(Clone, Debug)]
enum Mutation {
    Set(Index, u8),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let at = |index: &Index| index.index(bytes.len());
        let up_to = |at: usize, count: usize| at..(at + count).min(bytes.len());
        match self {
            Self::Set(index, value) => {
                let at = at(index);
                bytes[at] = *value;
            }
            Self::Flip(index, bit) => {
                let at = at(index);
                bytes[at] ^= 1 << bit;
            }
            Self::Insert(index, inserted) => {
                let at = at(index);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Remove(index, count) => {
                let range = up_to(at(index), *count);
                bytes.drain(range);
            }
            Self::Repeat(index, count) => {
                let range = up_to(at(index), *count);
                bytes.extend_from_within(range);
            }
        }
    }
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let mutation = prop_oneof![
        (any::<Index>(), select(vec![0, 1, 2, 3, 0x7f, 0x80, 0xff])).prop_map(|(at, value)| Mutation::Set(at, value)),
        (any::<Index>(), 0..8u8).prop_map(|(at, bit)| Mutation::Flip(at, bit)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..4)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<Index>(), 1..4usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (any::<Index>(), 1..40usize).prop_map(|(at, count)| Mutation::Repeat(at, count)),
    ];
    prop::collection::vec(mutation, 0..3)
}

/// Changes of the header's fields from the attributes on, of the records, and of what they are compressed to.
#[derive(Clone, Debug)]
struct Case {
    codec: Compression,
    header: Vec<Mutation>,
    records: Vec<Mutation>,
    section: Vec<Mutation>,
}

fn cases() -> impl Strategy<Value = Case> {
    let parts = (select(CODECS.to_vec()), mutations(), mutations(), mutations(), 0..4u8);
    parts.prop_map(|(codec, header, records, section, part)| {
        let only = |wanted, mutations| if part == wanted || part == 3 { mutations } else { Vec::new() };
        Case { codec, header: only(0, header), records: only(1, records), section: only(2, section) }
    })
}

fn good() -> Bytes {
    let mut builder = BatchBuilder::default();
    let header = |key: &'static [u8], value| RecordHeader { key: Bytes::from_static(key), value };
    let headers = [header(b"a", Some(Bytes::from_static(b"1"))), header(b"", None)];
    builder.append(NOW_MS, Some(b"key"), Some(b"a value that repeats, a value that repeats"), &headers);
    builder.append(NOW_MS - 70_000, None, Some(&[7; 300]), &headers[..1]);
    builder.append(NOW_MS + 1, Some(b""), None, &[]);
    builder.build().expect("builds")
}

impl Case {
    fn batch(&self) -> Bytes {
        /// The field that the CRC begins with.
        const ATTRIBUTES: usize = 21;
        let good = good();
        let mut records = good[HEADER_SIZE..].to_vec();
        self.records.iter().for_each(|mutation| mutation.apply(&mut records));
        let mut section = self.codec.compress(&records).expect("compresses").to_vec();
        self.section.iter().for_each(|mutation| mutation.apply(&mut section));
        let mut header = BatchHeader::parse(&good).expect("parses");
        header.attributes = header.attributes.with_compression(self.codec);
        header.seal(&section);
        let mut fields = header.to_bytes()[ATTRIBUTES..].to_vec();
        let length = fields.len();
        self.header.iter().for_each(|mutation| mutation.apply(&mut fields));
        fields.resize(length, 0);
        let batch = [&header.to_bytes()[..ATTRIBUTES], &fields, &section].concat();
        let crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &batch[ATTRIBUTES..]) as u32;
        [&batch[..17], &crc.to_be_bytes(), &batch[ATTRIBUTES..]].concat().into()
    }
}

fn read(batch: &Bytes) -> Vec<Record> {
    let read = records(batch, 1 << 30).expect("it can be read");
    read.collect::<Result<Vec<_>, _>>().expect("all its records can be read")
}

/// What another implementation makes of it, which takes only text for a header's key.
fn assert_others_read(batch: &Bytes, ours: &[Record]) {
    let keys = ours.iter().flat_map(|record| &record.headers);
    if keys.into_iter().any(|header| std::str::from_utf8(&header.key).is_err()) {
        return;
    }
    let theirs = RecordBatchDecoder::decode(&mut batch.clone()).expect("another implementation reads it").records;
    assert_eq!(theirs.len(), ours.len());
    for (theirs, ours) in theirs.iter().zip(ours) {
        assert_eq!((theirs.offset, &theirs.key, &theirs.value), (ours.offset.0, &ours.key, &ours.value));
    }
}

fn appended(log: &mut Log, case: &Case) -> Option<Bytes> {
    let start = log.log_end_offset();
    let appended = log.append_as_leader(case.batch(), EPOCH, NOW_MS).ok().filter(|appended| !appended.duplicate)?;
    assert_eq!((appended.base_offset, appended.last_offset + 1), (start, log.log_end_offset()));
    Some(log.read(start, Offset(i64::MAX), 1, true).expect("the log reads"))
}

fn check(case: &Case) {
    for compression in [StoredCompression::Producer, StoredCompression::As { codec: Compression::Zstd, level: None }] {
        let config = LogConfig { compression, ..LogConfig::default() };
        let (mut log, _) = Dir::on(Arc::new(SimDisk::default()), Path::new("/data")).log(&config);
        if let Some(stored) = appended(&mut log, case) {
            let header = headers(&stored)[0];
            let read = read(&stored);
            assert_eq!(read.len() as i32, header.record_count);
            let newest = read.iter().map(|record| record.timestamp_ms).max();
            assert_eq!(newest.map(|newest| newest.max(-1)), Some(header.max_timestamp), "-1 is no timestamp");
            assert_eq!(read.last().map(|record| record.offset), Some(header.last_offset()));
            assert_others_read(&stored, &read);
        }
    }
}

#[test]
fn an_unchanged_batch_is_stored() {
    for codec in CODECS {
        let case = Case { codec, header: Vec::new(), records: Vec::new(), section: Vec::new() };
        let (mut log, _) = Dir::on(Arc::new(SimDisk::default()), Path::new("/data")).log(&LogConfig::default());
        assert_eq!(read(&appended(&mut log, &case).expect("it is stored")).len(), 3);
        check(&case);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_batch_is_refused_or_readable(case in cases()) {
        check(&case);
    }
}
