//! The parts that all messages share, one by one. Whole messages are tested in `tests/messages`.

use bytes::Bytes;

use super::{DecodeError, EncodeError, Reader, Writer, varint_size, varlong_size};
use crate::Str;

fn reader(bytes: &[u8]) -> Reader {
    Reader::new(Bytes::copy_from_slice(bytes))
}

fn written(write: impl FnOnce(&mut Writer)) -> Bytes {
    let mut writer = Writer::new();
    write(&mut writer);
    writer.into_bytes()
}

#[test]
fn varints_have_kafkas_form() {
    let unsigned: [(u32, &[u8]); 5] =
        [(0, &[0]), (127, &[0x7f]), (128, &[0x80, 1]), (300, &[0xac, 2]), (u32::MAX, &[0xff, 0xff, 0xff, 0xff, 0x0f])];
    for (value, bytes) in unsigned {
        assert_eq!(written(|writer| writer.unsigned_varint(value)), bytes);
        assert_eq!(reader(bytes).unsigned_varint(), Ok(value));
    }
    for value in [0, -1, 1, 63, 64, -64, -65, i32::MAX, i32::MIN] {
        let bytes = written(|writer| writer.varint(value));
        assert_eq!(bytes.len(), varint_size(value), "{value}");
        assert_eq!(reader(&bytes).varint(), Ok(value));
    }
    for value in [0, -1, 1 << 34, i64::MAX, i64::MIN] {
        let bytes = written(|writer| writer.varlong(value));
        assert_eq!(bytes.len(), varlong_size(value), "{value}");
        assert_eq!(reader(&bytes).varlong(), Ok(value));
    }
}

#[test]
fn varints_that_are_too_long_or_too_large_are_refused() {
    for bytes in [[0x80, 0x80, 0x80, 0x80, 0x80, 0], [0xff, 0xff, 0xff, 0xff, 0x1f, 0]] {
        assert_eq!(reader(&bytes).unsigned_varint(), Err(DecodeError::InvalidVarint));
    }
    let eleven_bytes = [0x80; 11];
    assert_eq!(reader(&eleven_bytes).varlong(), Err(DecodeError::InvalidVarint));
    let too_large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
    assert_eq!(reader(&too_large).varlong(), Err(DecodeError::InvalidVarint));
}

#[test]
fn strings_have_two_forms_and_a_limit() {
    type Decoded = Result<Option<Str>, DecodeError>;
    let cases: [(bool, &[u8], Decoded); 7] = [
        (false, &[0, 2, b'h', b'i'], Ok(Some("hi".into()))),
        (true, &[3, b'h', b'i'], Ok(Some("hi".into()))),
        (false, &[0xff, 0xff], Ok(None)),
        (true, &[0], Ok(None)),
        (true, &[3, b'h'], Err(DecodeError::Truncated { needed_bytes: 2, available_bytes: 1 })),
        (true, &[2, 0xff], Err(DecodeError::InvalidUtf8)),
        (true, &[0x81, 0x80, 2], Err(DecodeError::StringTooLong(0x8000))),
    ];
    for (flexible, bytes, expected) in cases {
        assert_eq!(reader(bytes).nullable_string(flexible), expected, "{bytes:?}");
    }
    assert_eq!(reader(&[0]).string(true), Err(DecodeError::UnexpectedNull));
    let longest = Str::from("x".repeat(0x7fff));
    let too_long = Str::from("x".repeat(0x8000));
    for flexible in [false, true] {
        assert_eq!(Writer::new().string(flexible, &longest), Ok(()));
        assert_eq!(Writer::new().string(flexible, &too_long), Err(EncodeError::TooLong(0x8000)));
    }
}

#[test]
fn an_array_cannot_claim_more_than_what_is_left() {
    let bytes = [0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0];
    let error = DecodeError::CountTooLarge { count: 3, available_bytes: 11 };
    assert_eq!(reader(&bytes).array(false, 4, Reader::i32), Err(error));
    assert_eq!(reader(&bytes[..12]).array(false, 2, Reader::i16).map(|array| array.len()), Ok(3));
}

#[test]
fn arrays_that_outgrow_their_input_are_refused() {
    // One byte on the wire, a kilobyte in memory.
    let bytes = vec![0; 8192];
    let element = |reader: &mut Reader| reader.i8().map(|_| [0u8; 1024]);
    let mut reader = Reader::new(Bytes::from(bytes));
    assert_eq!(reader.elements(8192, 1, element).map(|array| array.len()), Err(DecodeError::TooExpensive));
}

#[test]
fn a_tagged_field_stays_within_its_size() {
    // Tag 0 with two bytes, then a byte behind the fields.
    let bytes = [1, 0, 2, 7, 7, 9];
    let known = |size: usize| {
        let mut reader = reader(&bytes);
        let outcome = reader.tagged_fields(|reader, _| reader.raw(size).map(|_| true));
        outcome.and_then(|()| reader.i8())
    };
    assert_eq!(known(2), Ok(9));
    assert_eq!(known(1), Err(DecodeError::TaggedFieldSize { claimed_bytes: 2, actual_bytes: 1 }));
    assert_eq!(known(3), Err(DecodeError::Truncated { needed_bytes: 3, available_bytes: 2 }));
    let mut skipping = reader(&bytes);
    assert_eq!(skipping.skip_tagged_fields().and_then(|()| skipping.i8()), Ok(9));
}

#[test]
fn chunks_keep_their_order() {
    let record = Bytes::from_static(b"records");
    let mut writer = Writer::new();
    writer.chunk(record.clone());
    writer.i8(1);
    writer.chunk(Bytes::new());
    writer.i8(2);
    writer.chunk(record.clone());
    assert_eq!(writer.len(), 16);
    assert_eq!(writer.finish(), [record.clone(), Bytes::from_static(&[1, 2]), record]);
    assert!(Writer::new().finish().is_empty());
}
