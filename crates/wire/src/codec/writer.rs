//! Writing of messages in chunks, so that record bytes leave as they are.

use bytes::{BufMut, Bytes, BytesMut};

use super::EncodeError;
use crate::{ErrorCode, Str, Uuid};

const STRING_LEN_MAX: usize = i16::MAX as usize;

/// Collects a message: small fields in buffers of its own, record fields as chunks that are not copied.
#[derive(Debug, Default)]
pub struct Writer {
    /// Where the frame's length will be patched in: the first buffer, once a second one was begun.
    head: Option<BytesMut>,
    chunks: Vec<Bytes>,
    current: BytesMut,
    /// Bytes in `head` and `chunks`.
    closed_bytes: usize,
}

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn with_capacity(bytes: usize) -> Self {
        Self { current: BytesMut::with_capacity(bytes), ..Self::default() }
    }

    pub fn len(&self) -> usize {
        self.closed_bytes + self.current.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The chunks in order, none of them empty.
    pub fn finish(mut self) -> Vec<Bytes> {
        self.close_current();
        let head = self.head.take().map(BytesMut::freeze);
        head.into_iter().chain(self.chunks).collect()
    }

    /// One buffer with everything in it: copies unless there is a single chunk.
    pub fn into_bytes(self) -> Bytes {
        let len = self.len();
        let mut chunks = self.finish();
        if chunks.len() == 1 {
            return chunks.remove(0);
        }
        let mut joined = BytesMut::with_capacity(len);
        for chunk in chunks {
            joined.extend_from_slice(&chunk);
        }
        joined.freeze()
    }

    /// Overwrites the first four bytes, which the frame reserved for its length.
    pub(crate) fn patch_start(&mut self, value: i32) {
        let start = self.head.as_mut().unwrap_or(&mut self.current);
        start[..4].copy_from_slice(&value.to_be_bytes());
    }

    fn close_current(&mut self) {
        if self.current.is_empty() {
            return;
        }
        // What is left of the buffer's capacity serves the next small fields.
        let closed = self.current.split();
        self.closed_bytes += closed.len();
        if self.head.is_none() && self.chunks.is_empty() {
            self.head = Some(closed);
        } else {
            self.chunks.push(closed.freeze());
        }
    }

    /// Appends `bytes` without copying them.
    pub fn chunk(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        self.close_current();
        self.closed_bytes += bytes.len();
        self.chunks.push(bytes);
    }

    /// Copies `bytes`.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.current.put_slice(bytes);
    }

    pub fn bool(&mut self, value: bool) {
        self.current.put_u8(value.into());
    }

    pub fn i8(&mut self, value: i8) {
        self.current.put_i8(value);
    }

    pub fn i16(&mut self, value: i16) {
        self.current.put_i16(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.current.put_u16(value);
    }

    pub fn i32(&mut self, value: i32) {
        self.current.put_i32(value);
    }

    pub fn u32(&mut self, value: u32) {
        self.current.put_u32(value);
    }

    pub fn i64(&mut self, value: i64) {
        self.current.put_i64(value);
    }

    pub fn f64(&mut self, value: f64) {
        self.current.put_f64(value);
    }

    pub fn uuid(&mut self, value: Uuid) {
        self.current.put_slice(&value.0);
    }

    pub fn error_code(&mut self, value: ErrorCode) {
        self.current.put_i16(value.0);
    }

    pub fn unsigned_varint(&mut self, value: u32) {
        self.varint_bits(value.into());
    }

    /// Zigzag, as inside records.
    pub fn varint(&mut self, value: i32) {
        self.unsigned_varint(((value << 1) ^ (value >> 31)) as u32);
    }

    /// Zigzag, as inside records.
    pub fn varlong(&mut self, value: i64) {
        self.varint_bits(((value << 1) ^ (value >> 63)) as u64);
    }

    fn varint_bits(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.current.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.current.put_u8(value as u8);
    }

    pub fn string(&mut self, flexible: bool, value: &Str) -> Result<(), EncodeError> {
        self.nullable_string(flexible, Some(value))
    }

    pub fn nullable_string(&mut self, flexible: bool, value: Option<&Str>) -> Result<(), EncodeError> {
        let len = value.map(|text| text.as_bytes().len());
        if len.is_some_and(|len| len > STRING_LEN_MAX) {
            return Err(EncodeError::TooLong(len.unwrap_or_default()));
        }
        match flexible {
            true => self.len_prefix(true, len)?,
            false => self.i16(len.map_or(-1, |len| len as i16)),
        }
        self.raw(value.map_or(&[], |text| text.as_bytes()));
        Ok(())
    }

    pub fn bytes(&mut self, flexible: bool, value: &Bytes) -> Result<(), EncodeError> {
        self.nullable_bytes(flexible, Some(value))
    }

    pub fn nullable_bytes(&mut self, flexible: bool, value: Option<&Bytes>) -> Result<(), EncodeError> {
        self.len_prefix(flexible, value.map(Bytes::len))?;
        self.raw(value.map_or(&[], |bytes| bytes));
        Ok(())
    }

    /// Record batches: like bytes, but never copied.
    pub fn records(&mut self, flexible: bool, value: &Bytes) -> Result<(), EncodeError> {
        self.nullable_records(flexible, Some(value))
    }

    pub fn nullable_records(&mut self, flexible: bool, value: Option<&Bytes>) -> Result<(), EncodeError> {
        self.len_prefix(flexible, value.map(Bytes::len))?;
        self.chunk(value.cloned().unwrap_or_default());
        Ok(())
    }

    pub fn array<T>(
        &mut self,
        flexible: bool,
        elements: &[T],
        element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.nullable_array(flexible, Some(elements), element)
    }

    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        elements: Option<&[T]>,
        mut element: impl FnMut(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        self.len_prefix(flexible, elements.map(<[T]>::len))?;
        elements.unwrap_or_default().iter().try_for_each(|each| element(self, each))
    }

    /// A struct behind a presence byte.
    pub fn nullable<T>(
        &mut self,
        value: Option<&T>,
        encode: impl FnOnce(&mut Self, &T) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match value {
            None => self.i8(-1),
            Some(value) => {
                self.i8(1);
                encode(self, value)?;
            }
        }
        Ok(())
    }

    /// One tagged field; the caller has written their number and keeps them in the order of their tags.
    pub fn tagged_field(
        &mut self,
        tag: u32,
        encode: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        let mut field = Self::new();
        encode(&mut field)?;
        self.unsigned_varint(tag);
        self.unsigned_varint(u32::try_from(field.len()).map_err(|_| EncodeError::TooLong(field.len()))?);
        for chunk in field.finish() {
            self.raw(&chunk);
        }
        Ok(())
    }

    fn len_prefix(&mut self, flexible: bool, len: Option<usize>) -> Result<(), EncodeError> {
        let len = match len {
            None => -1,
            Some(len) => i32::try_from(len).map_err(|_| EncodeError::TooLong(len))?,
        };
        match flexible {
            // Null is 0, and i32::MAX + 1 is still a u32.
            true => self.unsigned_varint((i64::from(len) + 1) as u32),
            false => self.i32(len),
        }
        Ok(())
    }
}

/// Bytes that [`Writer::varint`] takes.
pub fn varint_size(value: i32) -> usize {
    varlong_size(value.into())
}

/// Bytes that [`Writer::varlong`] takes.
pub fn varlong_size(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    let bits = u64::BITS - zigzag.leading_zeros();
    bits.max(1).div_ceil(7) as usize
}
