//! Record batches: built here and read here, built by another implementation, stamped, damaged and forged.

use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as theirs;
use tidelog_wire::compression::{Compression, CompressionError};
use tidelog_wire::record::{BatchBuilder, Record, RecordError, RecordHeader, records};
use tidelog_wire::record_batch::{
    BatchError, BatchHeader, HEADER_SIZE, TimestampType, batches, set_base_offset, set_partition_leader_epoch,
};
use tidelog_wire::types::{LeaderEpoch, Offset, ProducerEpoch, ProducerId};

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
const MAX_BYTES: usize = 1 << 20;

fn header(key: &'static [u8], value: Option<&'static [u8]>) -> RecordHeader {
    RecordHeader { key: Bytes::from_static(key), value: value.map(Bytes::from_static) }
}

fn three_records() -> Vec<Record> {
    let key = Some(Bytes::from_static(b"key"));
    let value = Some(Bytes::from(vec![b'v'; 1000]));
    let record = |offset, timestamp_ms| Record { offset: Offset(offset), timestamp_ms, ..Default::default() };
    vec![
        Record { key, value: value.clone(), ..record(0, 1_700_000_000_000) },
        Record {
            value: Some(Bytes::new()),
            // The same key twice, in this order, and a key that is not text.
            headers: vec![header(b"h", Some(b"2")), header(b"h", Some(b"1")), header(b"\xff", None)],
            ..record(1, 1_699_999_999_000)
        },
        Record { key: Some(Bytes::new()), ..record(2, 1_700_000_000_500) },
    ]
}

fn batch_of(records: &[Record], builder: BatchBuilder) -> Bytes {
    let mut builder = builder;
    for record in records {
        builder.append(record.timestamp_ms, record.key.as_deref(), record.value.as_deref(), &record.headers);
    }
    builder.build().expect("builds")
}

fn read(batch: &Bytes) -> Result<Vec<Record>, RecordError> {
    records(batch, MAX_BYTES)?.collect()
}

/// A copy of the batch with some bytes changed.
fn forged(batch: &Bytes, change: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut bytes = BytesMut::from(&batch[..]);
    change(&mut bytes);
    bytes.freeze()
}

#[test]
fn records_come_back_with_every_codec() {
    for codec in CODECS {
        let builder = BatchBuilder::new(codec).producer(ProducerId(7), ProducerEpoch(3), 40);
        let batch = batch_of(&three_records(), builder);
        let header = BatchHeader::parse(&batch).expect("parses");
        assert_eq!(header.size_in_bytes(), batch.len());
        assert_eq!(header.verify_crc(&batch), Ok(()));
        assert_eq!(header.attributes.compression(), Ok(codec));
        assert_eq!((header.record_count, header.last_offset(), header.next_offset()), (3, Offset(2), Offset(3)));
        assert_eq!((header.base_sequence, header.last_sequence()), (40, 42));
        assert_eq!((header.base_timestamp, header.max_timestamp), (1_700_000_000_000, 1_700_000_000_500));
        assert_eq!(header.to_bytes(), batch[..HEADER_SIZE]);
        assert_eq!(read(&batch), Ok(three_records()), "{codec:?}");
    }
}

#[test]
fn another_implementation_reads_our_batches() {
    for codec in CODECS {
        // It keeps headers in a map, so that none may stand twice or have a key that is not text.
        let mut expected = three_records();
        expected[1].headers = vec![header(b"a", Some(b"1")), header(b"b", None)];
        let mut batch = batch_of(&expected, BatchBuilder::new(codec));
        let decoded = theirs::RecordBatchDecoder::decode(&mut batch).expect("decodes").records;
        assert_eq!(decoded.len(), expected.len());
        for (theirs, ours) in decoded.iter().zip(&expected) {
            assert_eq!((theirs.offset, theirs.timestamp), (ours.offset.0, ours.timestamp_ms));
            assert_eq!((&theirs.key, &theirs.value), (&ours.key, &ours.value));
            let headers = theirs.headers.iter();
            let headers =
                headers.map(|(key, value)| RecordHeader { key: key.clone().into_bytes(), value: value.clone() });
            assert_eq!(headers.collect::<Vec<_>>(), ours.headers);
        }
    }
}

#[test]
fn batches_of_another_implementation_are_read() {
    let codecs = [
        theirs::Compression::None,
        theirs::Compression::Gzip,
        theirs::Compression::Snappy,
        theirs::Compression::Lz4,
        theirs::Compression::Zstd,
    ];
    for compression in codecs {
        let record = |index: i64| theirs::Record {
            transactional: false,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: 4,
            producer_id: 9,
            producer_epoch: 1,
            timestamp_type: theirs::TimestampType::Creation,
            offset: 100 + index,
            sequence: index as i32,
            timestamp: 1_700_000_000_000 + index,
            key: (index % 2 == 0).then(|| Bytes::from(index.to_string())),
            value: Some(Bytes::from(vec![index as u8; 300])),
            headers: IndexMap::from([(StrBytes::from_static_str("h"), Some(Bytes::from_static(b"x")))]),
        };
        let sent: Vec<_> = (0..50).map(record).collect();
        let mut encoded = BytesMut::new();
        let options = theirs::RecordEncodeOptions { version: 2, compression };
        theirs::RecordBatchEncoder::encode(&mut encoded, &sent, &options).expect("encodes");
        let mut read_back = Vec::new();
        for batch in batches(encoded.freeze()) {
            let (header, batch) = batch.expect("parses");
            assert_eq!(header.verify_crc(&batch), Ok(()));
            assert_eq!((header.producer_id, header.partition_leader_epoch), (ProducerId(9), LeaderEpoch(4)));
            read_back.extend(read(&batch).expect("reads"));
        }
        assert_eq!(read_back.len(), sent.len());
        for (ours, theirs) in read_back.iter().zip(&sent) {
            assert_eq!((ours.offset.0, ours.timestamp_ms), (theirs.offset, theirs.timestamp));
            assert_eq!((&ours.key, &ours.value), (&theirs.key, &theirs.value));
            assert_eq!(ours.headers, [header(b"h", Some(b"x"))]);
        }
    }
}

#[test]
fn offset_and_epoch_are_stamped_outside_the_crc() {
    let batch = batch_of(&three_records(), BatchBuilder::new(Compression::Lz4));
    // The header alone is enough.
    let mut stamped = BytesMut::from(&batch[..HEADER_SIZE]);
    set_base_offset(&mut stamped, Offset(1 << 40));
    set_partition_leader_epoch(&mut stamped, LeaderEpoch(12));
    stamped.extend_from_slice(&batch[HEADER_SIZE..]);
    let stamped = stamped.freeze();
    let header = BatchHeader::parse(&stamped).expect("parses");
    assert_eq!(header.verify_crc(&stamped), Ok(()));
    assert_eq!((header.base_offset, header.partition_leader_epoch), (Offset(1 << 40), LeaderEpoch(12)));
    assert_eq!(header.last_offset(), Offset((1 << 40) + 2));
    assert_eq!(read(&stamped).expect("reads")[2].offset, Offset((1 << 40) + 2));
}

#[test]
fn log_append_time_takes_the_place_of_all_timestamps() {
    let batch = batch_of(&three_records(), BatchBuilder::new(Compression::Zstd));
    let mut header = BatchHeader::parse(&batch).expect("parses");
    header.attributes = header.attributes.with_timestamp_type(TimestampType::LogAppendTime);
    header.max_timestamp = 5_000;
    header.seal(&batch[HEADER_SIZE..]);
    let batch = forged(&batch, |bytes| bytes[..HEADER_SIZE].copy_from_slice(&header.to_bytes()));
    assert_eq!((BatchHeader::parse(&batch), header.verify_crc(&batch)), (Ok(header), Ok(())));
    assert_eq!(header.attributes.compression(), Ok(Compression::Zstd));
    for record in read(&batch).expect("reads") {
        assert_eq!(record.timestamp_ms, 5_000);
    }
}

#[test]
fn a_range_is_cut_into_batches() {
    let one = batch_of(&three_records(), BatchBuilder::default());
    let two = batch_of(&three_records()[..1], BatchBuilder::default().base_offset(Offset(3)));
    let range = Bytes::from([&one[..], &two[..], &one[..one.len() - 1]].concat());
    let mut cut = batches(range.clone());
    let (_, first) = cut.next().expect("is there").expect("is whole");
    assert_eq!((&first, first.as_ptr()), (&one, range.as_ptr()), "not copied");
    let (header, second) = cut.next().expect("is there").expect("is whole");
    assert_eq!((header.base_offset, &second), (Offset(3), &two));
    let incomplete = BatchError::Incomplete { needed_bytes: one.len(), available_bytes: one.len() - 1 };
    assert_eq!(cut.next(), Some(Err(incomplete)));
    assert_eq!(cut.next(), None);
}

#[test]
fn every_damaged_byte_behind_the_length_is_noticed() {
    let batch = batch_of(&three_records(), BatchBuilder::new(Compression::Snappy));
    for at in 16..batch.len() {
        let damaged = forged(&batch, |bytes| bytes[at] ^= 0x10);
        let verdict = BatchHeader::parse(&damaged).and_then(|header| header.verify_crc(&damaged));
        assert!(verdict.is_err(), "byte {at}");
    }
}

#[test]
fn headers_that_cannot_be_are_refused() {
    let batch = batch_of(&three_records(), BatchBuilder::default());
    let cases: [(usize, &[u8], BatchError); 8] = [
        (0, &[0x80], BatchError::BadField("base offset")),
        (0, &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], BatchError::BadField("last offset delta")),
        (8, &[0, 0, 0, 48], BatchError::BadLength(48)),
        (8, &[0xff, 0xff, 0xff, 0xff], BatchError::BadLength(-1)),
        (16, &[1], BatchError::UnsupportedMagic(1)),
        (16, &[0], BatchError::UnsupportedMagic(0)),
        (23, &[0xff], BatchError::BadField("last offset delta")),
        (57, &[0xff], BatchError::BadField("record count")),
    ];
    for (at, bytes, expected) in cases {
        let forged = forged(&batch, |batch| batch[at..at + bytes.len()].copy_from_slice(bytes));
        assert_eq!(BatchHeader::parse(&forged), Err(expected));
        assert_eq!(batches(forged.clone()).next(), Some(Err(expected)));
        assert_eq!(read(&forged), Err(RecordError::Batch(expected)));
    }
}

#[test]
fn a_format_1_message_is_named_as_such_though_it_is_short() {
    let mut message = vec![0; 34];
    message[16] = 1;
    assert_eq!(BatchHeader::parse(&message), Err(BatchError::UnsupportedMagic(1)));
}

#[test]
fn sequences_wrap_to_zero() {
    let builder = BatchBuilder::default().producer(ProducerId(7), ProducerEpoch(0), i32::MAX - 1);
    let header = BatchHeader::parse(&batch_of(&three_records(), builder)).expect("parses");
    assert_eq!(header.last_sequence(), 0);
}

#[test]
fn record_counts_and_offsets_must_agree_with_the_header() {
    let batch = batch_of(&three_records(), BatchBuilder::default());
    let more = forged(&batch, |batch| batch[60] = 4);
    assert_eq!(read(&more), Err(RecordError::Count(4)));
    let fewer = forged(&batch, |batch| batch[60] = 2);
    assert_eq!(read(&fewer), Err(RecordError::Count(2)));
    let shorter = forged(&batch, |batch| batch[26] = 1);
    assert_eq!(read(&shorter), Err(RecordError::OffsetDelta(2)));
}

#[test]
fn decompression_is_capped() {
    let record = Record { value: Some(Bytes::from(vec![0; 100_000])), ..Default::default() };
    for codec in &CODECS[1..] {
        let batch = batch_of(std::slice::from_ref(&record), BatchBuilder::new(*codec));
        let expected = CompressionError::TooLarge { max_bytes: 50_000 };
        let error = records(&batch, 50_000).map(|_| ()).expect_err("is refused");
        assert_eq!(error, RecordError::Compression(expected), "{codec:?}");
    }
}

/// Any change of any byte ends in records or an error.
#[test]
fn forged_records_never_panic() {
    let mut readable = 0;
    for codec in CODECS {
        let batch = batch_of(&three_records(), BatchBuilder::new(codec));
        for at in 0..batch.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
                let changed = forged(&batch, |batch| batch[at] = value);
                readable += u32::from(read(&changed).is_ok());
            }
            let _ = read(&batch.slice(..at)).expect_err("a part is no batch");
        }
    }
    assert!(readable > 100, "{readable}");
}
