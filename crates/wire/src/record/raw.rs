//! One record in its batch's decompressed bytes, looked at without allocating or copying anything.

use super::RecordError;
use crate::DecodeError;

/// A record that follows the format from its first byte to its last.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// All of it, its length field included.
    pub bytes: &'a [u8],
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub has_value: bool,
    attributes: u8,
    /// From the key's length on.
    rest: &'a [u8],
}

/// What stands at the beginning of some bytes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parsed<'a> {
    Record(RawRecord<'a>),
    /// The record, if it is one, ends behind the bytes; it has this many, or its length field itself is cut.
    Cut {
        needed_bytes: Option<usize>,
    },
}

impl<'a> RawRecord<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Parsed<'a>, RecordError> {
        let mut cursor = bytes;
        let length = match varint(&mut cursor) {
            Err(DecodeError::Truncated { .. }) => return Ok(Parsed::Cut { needed_bytes: None }),
            length => usize::try_from(length?).map_err(|_| DecodeError::UnexpectedNull)?,
        };
        let start = bytes.len() - cursor.len();
        let Some(body) = cursor.get(..length) else {
            return Ok(Parsed::Cut { needed_bytes: Some(start.saturating_add(length)) });
        };
        Self::parse_body(&bytes[..start + length], body).map(Parsed::Record)
    }

    fn parse_body(bytes: &'a [u8], body: &'a [u8]) -> Result<Self, RecordError> {
        let mut cursor = body;
        let attributes = take(&mut cursor, 1)?[0];
        let timestamp_delta = varlong(&mut cursor)?;
        let offset_delta = varint(&mut cursor)?;
        let rest = cursor;
        let key = nullable(&mut cursor)?;
        let has_value = nullable(&mut cursor)?.is_some();
        let header_count = varint(&mut cursor)?;
        if header_count < 0 {
            return Err(DecodeError::UnexpectedNull.into());
        }
        for _ in 0..header_count {
            nullable(&mut cursor)?.ok_or(DecodeError::UnexpectedNull)?;
            nullable(&mut cursor)?;
        }
        if !cursor.is_empty() {
            let claimed_bytes = body.len();
            return Err(RecordError::Length { claimed_bytes, actual_bytes: claimed_bytes - cursor.len() });
        }
        Ok(Self { bytes, timestamp_delta, offset_delta, key, has_value, attributes, rest })
    }

    /// Writes the record with another timestamp delta.
    pub fn write_with(&self, timestamp_delta: i64, out: &mut Vec<u8>) {
        let offset_delta = i64::from(self.offset_delta);
        let len = 1 + varint_len(timestamp_delta) + varint_len(offset_delta) + self.rest.len();
        put_varint(len as i64, out);
        out.push(self.attributes);
        put_varint(timestamp_delta, out);
        put_varint(offset_delta, out);
        out.extend_from_slice(self.rest);
    }
}

/// Steps through decompressed records. Ends after the first error, and where the bytes do.
#[derive(Clone, Debug)]
pub struct RawRecords<'a> {
    rest: &'a [u8],
}

impl<'a> RawRecords<'a> {
    pub fn new(section: &'a [u8]) -> Self {
        Self { rest: section }
    }
}

impl<'a> Iterator for RawRecords<'a> {
    type Item = Result<RawRecord<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let parsed = match RawRecord::parse(self.rest) {
            Ok(Parsed::Record(record)) => {
                self.rest = &self.rest[record.bytes.len()..];
                return Some(Ok(record));
            }
            Ok(Parsed::Cut { needed_bytes }) => cut(needed_bytes, self.rest.len()),
            Err(error) => error,
        };
        self.rest = &[];
        Some(Err(parsed))
    }
}

impl std::iter::FusedIterator for RawRecords<'_> {}

/// The records end in the middle of one.
pub(super) fn cut(needed_bytes: Option<usize>, available_bytes: usize) -> RecordError {
    DecodeError::Truncated { needed_bytes: needed_bytes.unwrap_or(available_bytes + 1), available_bytes }.into()
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], DecodeError> {
    let available_bytes = bytes.len();
    let (taken, rest) =
        bytes.split_at_checked(len).ok_or(DecodeError::Truncated { needed_bytes: len, available_bytes })?;
    *bytes = rest;
    Ok(taken)
}

/// Null is -1, and not every client takes another negative length for it.
fn nullable<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, DecodeError> {
    match varint(bytes)? {
        -1 => Ok(None),
        len => take(bytes, usize::try_from(len).map_err(|_| DecodeError::UnexpectedNull)?).map(Some),
    }
}

fn varint(bytes: &mut &[u8]) -> Result<i32, DecodeError> {
    let value = varint_bits::<32>(bytes)? as u32;
    Ok((value >> 1) as i32 ^ -((value & 1) as i32))
}

fn varlong(bytes: &mut &[u8]) -> Result<i64, DecodeError> {
    let value = varint_bits::<64>(bytes)?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// As [`Reader::varint`](crate::Reader::varint) reads it.
#[inline]
fn varint_bits<const BITS: u32>(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    // Nearly every field of a record is below 64.
    if let Some((&byte, rest)) = bytes.split_first()
        && byte < 0x80
    {
        *bytes = rest;
        return Ok(u64::from(byte));
    }
    long_varint_bits::<BITS>(bytes)
}

fn long_varint_bits<const BITS: u32>(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(BITS.div_ceil(7) as usize) {
        let (shift, payload) = (7 * index as u32, u64::from(byte & 0x7f));
        if shift + 7 > BITS && payload >> (BITS - shift) != 0 {
            return Err(DecodeError::InvalidVarint);
        }
        value |= payload << shift;
        if byte < 0x80 {
            *bytes = &bytes[index + 1..];
            return Ok(value);
        }
    }
    match bytes.len() < BITS.div_ceil(7) as usize {
        true => Err(DecodeError::Truncated { needed_bytes: bytes.len() + 1, available_bytes: bytes.len() }),
        false => Err(DecodeError::InvalidVarint),
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn varint_len(value: i64) -> usize {
    (64 - zigzag(value).leading_zeros() as usize).div_ceil(7).max(1)
}

fn put_varint(value: i64, out: &mut Vec<u8>) {
    let mut rest = zigzag(value);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_survive_a_round_trip() {
        for value in [0, 1, -1, 63, 64, -64, -65, 300, i64::from(i32::MAX), i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_varint(value, &mut bytes);
            assert_eq!(bytes.len(), varint_len(value), "{value}");
            assert_eq!(varlong(&mut &bytes[..]), Ok(value));
            if let Ok(value) = i32::try_from(value) {
                assert_eq!(varint(&mut &bytes[..]), Ok(value));
            }
        }
    }

    #[test]
    fn a_varint_is_as_long_as_its_type_allows() {
        assert_eq!(varlong(&mut &[0x80u8; 11][..]), Err(DecodeError::InvalidVarint));
        assert_eq!(varint(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0][..]), Err(DecodeError::InvalidVarint));
        assert_eq!(varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), Err(DecodeError::InvalidVarint));
        let truncated = DecodeError::Truncated { needed_bytes: 2, available_bytes: 1 };
        assert_eq!(varint(&mut &[0x80u8][..]), Err(truncated));
    }
}
