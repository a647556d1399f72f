//! What is looked at inside a client's batch, and what is put right.

mod support;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use support::*;
use tidelog_commitlog::disk::SimDisk;
use tidelog_commitlog::{
    AppendError, InvalidBatch, Log, LogConfig, RecordRule, RecordValidation, RejectedRecord, StoredCompression,
    Validator,
};
use tidelog_wire::compression::Compression;
use tidelog_wire::record::{BatchBuilder, Record, RecordError, RecordHeader, records};
use tidelog_wire::record_batch::{BatchHeader, HEADER_SIZE, TimestampType};
use tidelog_wire::types::Offset;

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn log(config: &LogConfig) -> Log {
    Dir::on(Arc::new(SimDisk::default()), Path::new("/data")).log(config).0
}

/// A batch whose header and records are changed before it gets its length and checksum.
fn forged(codec: Compression, change: impl FnOnce(&mut BatchHeader, &mut Vec<u8>)) -> Bytes {
    let plain = build(BatchBuilder::default(), 3, 20, NOW_MS);
    let mut header = BatchHeader::parse(&plain).expect("parses");
    let mut section = plain[HEADER_SIZE..].to_vec();
    change(&mut header, &mut section);
    header.attributes = header.attributes.with_compression(codec);
    let section = codec.compress(&section).expect("compresses");
    sealed(header, &section)
}

fn sealed(mut header: BatchHeader, section: &[u8]) -> Bytes {
    header.seal(section);
    Bytes::from([&header.to_bytes(), section].concat())
}

fn refusal(log: &mut Log, batch: Bytes) -> InvalidBatch {
    match log.append_as_leader(batch, EPOCH, NOW_MS) {
        Err(AppendError::Batch(error)) => error,
        other => panic!("an invalid batch was taken: {other:?}"),
    }
}

fn stored(log: &mut Log) -> (BatchHeader, Vec<Record>) {
    let all = contents(log);
    let header = headers(&all)[0];
    let read = records(&all, 1 << 30).expect("reads").collect::<Result<_, _>>().expect("all are whole");
    (header, read)
}

fn of_records(codec: Compression, records: &[(i64, Option<&[u8]>)]) -> Bytes {
    let mut builder = BatchBuilder::new(codec);
    records.iter().for_each(|(timestamp, key)| builder.append(*timestamp, *key, Some(b"value"), &[]));
    builder.build().expect("builds")
}

#[test]
fn records_that_are_not_what_the_header_says_are_refused() {
    // A record of 20 bytes has 30: length, attributes, two deltas, key length, "key", value length, value, header count.
    type Change = fn(&mut BatchHeader, &mut Vec<u8>);
    let changes: [(&str, Change); 10] = [
        ("a count above", |header, _| (header.record_count, header.last_offset_delta) = (4, 3)),
        ("a count below", |header, _| (header.record_count, header.last_offset_delta) = (2, 1)),
        ("junk", |_, section| section.fill(0x55)),
        ("nothing", |_, section| section.clear()),
        ("a byte behind the records", |_, section| section.push(0)),
        ("a record cut short", |_, section| section.truncate(section.len() - 1)),
        ("a record longer than it says", |_, section| section[0] -= 2),
        ("an offset twice", |_, section| section[30 + 3] = 0),
        ("a value longer than the record", |_, section| section[8] = 120),
        ("a header without a key", |_, section| {
            // One header, its key's length -1.
            let last = section.len() - 1;
            section[last] = 2;
            section.extend_from_slice(&[1, 1]);
            section[60] += 4;
        }),
    ];
    let mut log = log(&LogConfig::default());
    for codec in CODECS {
        for (what, change) in changes {
            let error = refusal(&mut log, forged(codec, change));
            assert!(matches!(error, InvalidBatch::UnreadableRecord { .. }), "{what}, {codec:?}: {error:?}");
        }
        log.append_as_leader(forged(codec, |_, _| {}), EPOCH, NOW_MS).expect("nothing is wrong with it");
    }
    let offset = refusal(&mut log, forged(Compression::None, changes[7].1));
    assert_eq!(offset, InvalidBatch::UnreadableRecord { index: 1, error: RecordError::OffsetDelta(0) });
}

#[test]
fn compressed_data_that_clients_may_not_read_is_refused() {
    let mut log = log(&LogConfig::default());
    let plain = build(BatchBuilder::default(), 3, 20, NOW_MS);
    let (header, section) = (BatchHeader::parse(&plain).expect("parses"), &plain[HEADER_SIZE..]);
    for codec in &CODECS[1..] {
        let mut header = header;
        header.attributes = header.attributes.with_compression(*codec);
        let compressed = codec.compress(section).expect("compresses");
        let followed = sealed(header, &[&compressed[..], b"more"].concat());
        for batch in [followed, sealed(header, section), sealed(header, &compressed[..compressed.len() - 1])] {
            let error = refusal(&mut log, batch);
            assert!(matches!(error, InvalidBatch::Compression(_)), "{codec:?}: {error:?}");
        }
    }
    // A second frame or member, and LZ4 blocks that refer to each other.
    let (first, second) = section.split_at(section.len() / 2);
    for codec in [Compression::Gzip, Compression::Lz4] {
        let mut header = header;
        header.attributes = header.attributes.with_compression(codec);
        let parts = [codec.compress(first).expect("compresses"), codec.compress(second).expect("compresses")];
        assert!(matches!(refusal(&mut log, sealed(header, &parts.concat())), InvalidBatch::Compression(_)));
    }
    let mut linked = Compression::Lz4.compress(section).expect("compresses").to_vec();
    linked[4] &= !0x20;
    let mut header = header;
    header.attributes = header.attributes.with_compression(Compression::Lz4);
    assert!(matches!(refusal(&mut log, sealed(header, &linked)), InvalidBatch::Compression(_)));
}

#[test]
fn every_record_at_fault_is_named() {
    let (old, late) = (NOW_MS - 100_000, NOW_MS + 3_600_001);
    let config = LogConfig { timestamp_before_max_ms: 1000, cleanup_compact: true, ..LogConfig::default() };
    let key = Some(&b"k"[..]);
    let faulty = [(NOW_MS, key), (NOW_MS, None), (old, key), (-1, key), (late, key), (NOW_MS, Some(&b""[..]))];
    for codec in CODECS {
        let mut log = log(&config);
        let InvalidBatch::Records(rejected) = refusal(&mut log, of_records(codec, &faulty)) else {
            panic!("it is the records' fault");
        };
        let (earliest, latest) = (NOW_MS - 1000, NOW_MS + 3_600_000);
        let timestamp = |timestamp| RecordRule::Timestamp { timestamp, earliest, latest };
        let expected = [(1, RecordRule::Key), (2, timestamp(old)), (4, timestamp(late))];
        assert_eq!(rejected, expected.map(|(index, rule)| RejectedRecord { index, rule }));
        log.append_as_leader(of_records(codec, &[faulty[0], faulty[3], faulty[5]]), EPOCH, NOW_MS).expect("is taken");
    }
}

#[test]
fn the_named_records_stay_few_beside_the_batch() {
    let faulty = vec![(NOW_MS, None); 100_000];
    let batch = of_records(Compression::Zstd, &faulty);
    let (size, config) = (batch.len(), LogConfig { cleanup_compact: true, ..LogConfig::default() });
    let InvalidBatch::Records(rejected) = refusal(&mut log(&config), batch) else {
        panic!("it is the records' fault");
    };
    let answered: usize = rejected.iter().map(|record| record.rule.to_string().len() + 8).sum();
    assert!(rejected.len() > 4 && answered < 4 * size, "{} named, {answered} bytes for {size}", rejected.len());
}

#[test]
fn the_header_gets_the_greatest_timestamp_of_the_records() {
    for codec in CODECS {
        for claim in [-1, NOW_MS - 86_400_000, NOW_MS + 86_400_000] {
            let mut log = log(&LogConfig::default());
            let batch = forged(codec, |header, _| header.max_timestamp = claim);
            log.append_as_leader(batch, EPOCH, NOW_MS).expect("the claim is no reason to refuse it");
            let (header, read) = stored(&mut log);
            assert_eq!(header.max_timestamp, NOW_MS + 2, "{codec:?} {claim}");
            assert_eq!(read.last().map(|record| record.timestamp_ms), Some(NOW_MS + 2));
            let found = log.offset_for_timestamp(NOW_MS + 1, Offset(3)).expect("searches").expect("there is one");
            assert_eq!((found.offset, found.timestamp_ms), (Offset(1), NOW_MS + 1));
        }
    }
}

#[test]
fn a_producer_cannot_say_when_tombstones_go() {
    let mut log = log(&LogConfig::default());
    let batch = forged(Compression::None, |header, _| header.attributes = header.attributes.with_delete_horizon(true));
    log.append_as_leader(batch, EPOCH, NOW_MS).expect("is taken");
    assert!(!stored(&mut log).0.attributes.has_delete_horizon());
}

#[test]
fn batches_are_stored_with_the_topics_codec() {
    let headers =
        [RecordHeader { key: Bytes::from_static(b"h"), value: None }, RecordHeader::default(), RecordHeader::default()];
    for (came, target) in CODECS.iter().flat_map(|came| CODECS.map(|target| (*came, target))) {
        let mut builder = BatchBuilder::new(came);
        for index in 0..5 {
            builder.append(NOW_MS + index, None, Some(&[b'v'; 1000]), &headers[..index as usize % 4]);
        }
        let sent = builder.build().expect("builds");
        let compression = StoredCompression::As { codec: target, level: None };
        for timestamp_type in [TimestampType::CreateTime, TimestampType::LogAppendTime] {
            let mut log = log(&LogConfig { compression, timestamp_type, ..LogConfig::default() });
            log.append_as_leader(sent.clone(), EPOCH, NOW_MS + 50).expect("is taken");
            let (header, read) = stored(&mut log);
            assert_eq!(header.attributes.compression(), Ok(target));
            assert_eq!(header.attributes.timestamp_type(), timestamp_type);
            let mut expected: Vec<_> =
                records(&sent, 1 << 20).expect("reads").collect::<Result<_, _>>().expect("all are whole");
            if timestamp_type == TimestampType::LogAppendTime {
                expected.iter_mut().for_each(|record| record.timestamp_ms = NOW_MS + 50);
            }
            assert_eq!(read, expected);
        }
    }
}

#[test]
fn levels_have_an_effect() {
    let text: Vec<u8> =
        (0..60_000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761) % 977).to_string().into_bytes()).collect();
    for (codec, low, high) in [(Compression::Gzip, 1, 9), (Compression::Lz4, 9, 12), (Compression::Zstd, -7, 19)] {
        let size = |level| {
            let compression = StoredCompression::As { codec, level: Some(level) };
            let mut log = log(&LogConfig { compression, ..LogConfig::default() });
            let mut builder = BatchBuilder::default();
            builder.append(NOW_MS, None, Some(&text), &[]);
            log.append_as_leader(builder.build().expect("builds"), EPOCH, NOW_MS).expect("is taken");
            stored(&mut log).0.size_in_bytes()
        };
        assert!(size(high) < size(low), "{codec:?}: {} and {}", size(low), size(high));
    }
}

#[test]
fn limits_hold_for_what_is_stored() {
    let uncompressed = StoredCompression::As { codec: Compression::None, level: None };
    let sent = |count| build(BatchBuilder::new(Compression::Gzip), count, 1000, NOW_MS);
    let config = LogConfig { max_message_bytes: 20_000, compression: uncompressed, ..LogConfig::default() };
    let mut log = log(&config);
    log.append_as_leader(sent(5), EPOCH, NOW_MS).expect("is small enough");
    let error = refusal(&mut log, sent(100));
    assert!(matches!(error, InvalidBatch::TooLarge { max: 20_000, .. }), "{error:?}");
    let config = LogConfig { segment_bytes: 20_000, compression: uncompressed, ..LogConfig::default() };
    let error = refusal(&mut self::log(&config), sent(100));
    assert!(matches!(error, InvalidBatch::LargerThanSegment { max: 20_000, .. }), "{error:?}");
}

#[test]
fn a_bomb_is_refused() {
    let zeros = vec![0; (64 << 20) + 1];
    for codec in [Compression::Gzip, Compression::Lz4, Compression::Zstd] {
        let mut builder = BatchBuilder::new(codec);
        builder.append(NOW_MS, None, Some(&zeros), &[]);
        let error = refusal(&mut log(&LogConfig::default()), builder.build().expect("builds"));
        assert_eq!(error, InvalidBatch::TooLargeDecompressed { max: 64 << 20 }, "{codec:?}");
    }
}

#[test]
fn a_topic_may_have_its_producers_believed() {
    let believed = LogConfig { record_validation: RecordValidation::Header, ..LogConfig::default() };
    let claim = NOW_MS - 5;
    let junk = forged(Compression::Zstd, |header, section| {
        header.max_timestamp = claim;
        section.fill(0x55);
    });
    let mut log = log(&believed);
    log.append_as_leader(junk.clone(), EPOCH, NOW_MS).expect("only the header is looked at");
    assert_eq!(headers(&contents(&mut log))[0].max_timestamp, claim);
    let late = forged(Compression::None, |header, _| header.max_timestamp = NOW_MS + 3_600_001);
    assert!(matches!(refusal(&mut log, late), InvalidBatch::Timestamp { .. }));
    let compacted = LogConfig { cleanup_compact: true, ..believed };
    assert!(matches!(refusal(&mut self::log(&compacted), junk), InvalidBatch::UnreadableRecord { .. }));
}

#[test]
fn work_beyond_the_limit_is_not_begun() {
    let (mut validator, config) = (Validator::default(), LogConfig::default());
    for codec in CODECS {
        let batch = build(BatchBuilder::new(codec), 100, 1000, NOW_MS);
        assert!(validator.client_batch_within(90_000, &batch, &config, NOW_MS).is_none(), "{codec:?}");
        let judged = validator.client_batch_within(200_000, &batch, &config, NOW_MS).expect("is little enough");
        assert_eq!(judged.expect("is valid").size_in_bytes(), batch.len());
    }
    let compression = StoredCompression::As { codec: Compression::Lz4, level: None };
    let config = LogConfig { compression, ..config };
    let batch = build(BatchBuilder::default(), 1, 10, NOW_MS);
    assert!(validator.client_batch_within(1 << 20, &batch, &config, NOW_MS).is_none(), "it would be compressed");
}
