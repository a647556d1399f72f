//! The records of a batch as compaction sees them: offset, timestamp, key, whether there is a value. Everything else is
//! bytes that are copied. Nothing is allocated for a record.

/// Bytes that do not follow the record format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// One record in its batch's decompressed bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawRecord<'a> {
    /// Where it begins and ends, its length field included.
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) has_value: bool,
    attributes: u8,
    /// From the key's length on.
    rest: &'a [u8],
}

/// Steps through `section`, the records of one batch, decompressed.
pub(crate) struct RawRecords<'a> {
    section: &'a [u8],
    position: usize,
    left: i32,
}

impl<'a> RawRecords<'a> {
    pub(crate) fn new(section: &'a [u8], record_count: i32) -> Self {
        Self { section, position: 0, left: record_count }
    }

    fn read(&mut self) -> Result<RawRecord<'a>, Malformed> {
        let start = self.position;
        let mut cursor = self.section.get(start..).ok_or(Malformed)?;
        let len = length(&mut cursor)?.ok_or(Malformed)?;
        let mut body = cursor.get(..len).ok_or(Malformed)?;
        let end = self.section.len() - cursor.len() + len;
        let (attributes, after) = body.split_first().ok_or(Malformed)?;
        body = after;
        let timestamp_delta = varint(&mut body)?;
        let offset_delta = i32::try_from(varint(&mut body)?).map_err(|_| Malformed)?;
        let rest = body;
        let key = match length(&mut body)? {
            Some(len) => Some(take(&mut body, len)?),
            None => None,
        };
        let has_value = length(&mut body)?.is_some();
        self.position = end;
        Ok(RawRecord { start, end, timestamp_delta, offset_delta, key, has_value, attributes: *attributes, rest })
    }
}

impl<'a> Iterator for RawRecords<'a> {
    type Item = Result<RawRecord<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let record = self.read();
        if record.is_err() {
            self.left = 0;
        }
        Some(record)
    }
}

impl RawRecord<'_> {
    /// Writes the record with another timestamp delta.
    pub(crate) fn write_with(&self, timestamp_delta: i64, out: &mut Vec<u8>) {
        let offset_delta = i64::from(self.offset_delta);
        let len = 1 + varint_len(timestamp_delta) + varint_len(offset_delta) + self.rest.len();
        put_varint(len as i64, out);
        out.push(self.attributes);
        put_varint(timestamp_delta, out);
        put_varint(offset_delta, out);
        out.extend_from_slice(self.rest);
    }
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8], Malformed> {
    let (taken, rest) = bytes.split_at_checked(len).ok_or(Malformed)?;
    *bytes = rest;
    Ok(taken)
}

/// A length, `None` if it is negative.
fn length(bytes: &mut &[u8]) -> Result<Option<usize>, Malformed> {
    let value = i32::try_from(varint(bytes)?).map_err(|_| Malformed)?;
    Ok(usize::try_from(value).ok())
}

fn varint(bytes: &mut &[u8]) -> Result<i64, Malformed> {
    let mut value = 0u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(Malformed)
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
            assert_eq!(varint(&mut &bytes[..]), Ok(value));
        }
        assert_eq!(varint(&mut &[0x80u8; 11][..]), Err(Malformed));
        assert_eq!(varint(&mut &[0x80u8][..]), Err(Malformed));
    }
}
