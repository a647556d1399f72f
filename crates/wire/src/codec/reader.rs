//! Reading of untrusted bytes. Nothing here panics, copies text or records, or allocates from a claimed length.

use bytes::Bytes;

use super::DecodeError;
use crate::{ErrorCode, Str, Uuid};

/// Decoded arrays may take this many times the input's size in memory, and [`FREE_ALLOCATION`] on top.
const ALLOCATION_PER_INPUT_BYTE: usize = 8;
/// A little below 1 MiB: the rest is for what is not an array.
const FREE_ALLOCATION: usize = (1 << 20) - (64 << 10);
/// Elements an array reserves before any of them has been read.
const ELEMENTS_RESERVED: usize = 64;
const STRING_LEN_MAX: usize = i16::MAX as usize;

/// A position in a frame. Text and records come out as slices of it.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    position: usize,
    /// End of the frame, or of the tagged field being read.
    end: usize,
    allocation_left: usize,
}

impl Reader {
    pub fn new(bytes: Bytes) -> Self {
        let end = bytes.len();
        let allocation_left = end.saturating_mul(ALLOCATION_PER_INPUT_BYTE).saturating_add(FREE_ALLOCATION);
        Self { bytes, position: 0, end, allocation_left }
    }

    pub fn remaining(&self) -> usize {
        self.end - self.position
    }

    /// `Err` if the message ended before the frame did.
    pub fn expect_end(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }

    /// The rest of the frame, without a copy.
    pub fn rest(&self) -> Bytes {
        self.bytes.slice(self.position..self.end)
    }

    fn advance(&mut self, len: usize) -> Result<usize, DecodeError> {
        let available_bytes = self.remaining();
        if len > available_bytes {
            return Err(DecodeError::Truncated { needed_bytes: len, available_bytes });
        }
        let start = self.position;
        self.position += len;
        Ok(start)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let start = self.advance(N)?;
        let mut fixed = [0; N];
        fixed.copy_from_slice(&self.bytes[start..start + N]);
        Ok(fixed)
    }

    fn slice(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        let start = self.advance(len)?;
        Ok(self.bytes.slice(start..start + len))
    }

    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.fixed::<1>()?[0] != 0)
    }

    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        self.fixed().map(i8::from_be_bytes)
    }

    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        self.fixed().map(i16::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.fixed().map(u16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.fixed().map(i32::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.fixed().map(u32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.fixed().map(i64::from_be_bytes)
    }

    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        self.fixed().map(f64::from_be_bytes)
    }

    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        self.fixed().map(Uuid)
    }

    pub fn error_code(&mut self) -> Result<ErrorCode, DecodeError> {
        self.i16().map(ErrorCode)
    }

    /// Seven bits a byte, the lowest first, five bytes at most.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        self.varint_bits(32).map(|value| value as u32)
    }

    /// A zigzag varint: lengths and deltas inside records.
    pub fn varint(&mut self) -> Result<i32, DecodeError> {
        let value = self.unsigned_varint()?;
        Ok((value >> 1) as i32 ^ -((value & 1) as i32))
    }

    /// A zigzag varint of up to ten bytes: timestamp deltas inside records.
    pub fn varlong(&mut self) -> Result<i64, DecodeError> {
        let value = self.varint_bits(64)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn varint_bits(&mut self, bits: u32) -> Result<u64, DecodeError> {
        let mut value = 0u64;
        for shift in (0..bits).step_by(7) {
            let byte = self.fixed::<1>()?[0];
            let payload = u64::from(byte & 0x7f);
            if shift + 7 > bits && payload >> (bits - shift) != 0 {
                return Err(DecodeError::InvalidVarint);
            }
            value |= payload << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::InvalidVarint)
    }

    pub fn string(&mut self, flexible: bool) -> Result<Str, DecodeError> {
        self.nullable_string(flexible)?.ok_or(DecodeError::UnexpectedNull)
    }

    pub fn nullable_string(&mut self, flexible: bool) -> Result<Option<Str>, DecodeError> {
        let len = match flexible {
            true => self.compact_len()?,
            false => usize::try_from(self.i16()?).ok(),
        };
        let Some(len) = len else { return Ok(None) };
        if len > STRING_LEN_MAX {
            return Err(DecodeError::StringTooLong(len));
        }
        Str::from_utf8(self.slice(len)?).map(Some).ok_or(DecodeError::InvalidUtf8)
    }

    pub fn bytes(&mut self, flexible: bool) -> Result<Bytes, DecodeError> {
        self.nullable_bytes(flexible)?.ok_or(DecodeError::UnexpectedNull)
    }

    pub fn nullable_bytes(&mut self, flexible: bool) -> Result<Option<Bytes>, DecodeError> {
        self.len(flexible)?.map(|len| self.slice(len)).transpose()
    }

    /// Takes `len` bytes as they are.
    pub fn raw(&mut self, len: usize) -> Result<Bytes, DecodeError> {
        self.slice(len)
    }

    /// `min_size` is the least number of bytes an element can take, at least one.
    pub fn array<T>(
        &mut self,
        flexible: bool,
        min_size: usize,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(flexible, min_size, element)?.ok_or(DecodeError::UnexpectedNull)
    }

    pub fn nullable_array<T>(
        &mut self,
        flexible: bool,
        min_size: usize,
        element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        self.len(flexible)?.map(|count| self.elements(count, min_size, element)).transpose()
    }

    /// `count` elements, as some length field claims.
    pub(crate) fn elements<T>(
        &mut self,
        count: usize,
        min_size: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let available_bytes = self.remaining();
        if count > available_bytes / min_size.max(1) {
            return Err(DecodeError::CountTooLarge { count, available_bytes });
        }
        let mut elements = Vec::new();
        for _ in 0..count {
            if elements.len() == elements.capacity() {
                self.grow(&mut elements, count)?;
            }
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    /// Doubles the room for elements, up to `count`, within what the input's size pays for.
    fn grow<T>(&mut self, elements: &mut Vec<T>, count: usize) -> Result<(), DecodeError> {
        let old_capacity = elements.capacity();
        let capacity = (old_capacity * 2).max(ELEMENTS_RESERVED).min(count);
        let cost = capacity.saturating_mul(size_of::<T>());
        self.allocation_left = self.allocation_left.checked_sub(cost).ok_or(DecodeError::TooExpensive)?;
        elements.reserve_exact(capacity - elements.len());
        self.allocation_left += old_capacity * size_of::<T>();
        Ok(())
    }

    /// A struct behind a presence byte.
    pub fn nullable<T>(
        &mut self,
        decode: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        match self.i8()? {
            0.. => decode(self).map(Some),
            _ => Ok(None),
        }
    }

    /// Hands every tagged field to `field`, which answers whether it knew the tag; others are skipped.
    pub fn tagged_fields(
        &mut self,
        mut field: impl FnMut(&mut Self, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let count = self.unsigned_varint()? as usize;
        let available_bytes = self.remaining();
        if count > available_bytes / 2 {
            return Err(DecodeError::CountTooLarge { count, available_bytes });
        }
        for _ in 0..count {
            let tag = self.unsigned_varint()?;
            let claimed_bytes = self.unsigned_varint()? as usize;
            let start = self.advance(claimed_bytes)?;
            self.tagged_field(start, claimed_bytes, |reader| field(reader, tag))?;
        }
        Ok(())
    }

    fn tagged_field(
        &mut self,
        start: usize,
        claimed_bytes: usize,
        decode: impl FnOnce(&mut Self) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        let outer_end = self.end;
        self.position = start;
        self.end = start + claimed_bytes;
        let is_known = decode(self);
        let actual_bytes = self.position - start;
        self.position = self.end;
        self.end = outer_end;
        if is_known? && actual_bytes != claimed_bytes {
            return Err(DecodeError::TaggedFieldSize { claimed_bytes, actual_bytes });
        }
        Ok(())
    }

    pub fn skip_tagged_fields(&mut self) -> Result<(), DecodeError> {
        self.tagged_fields(|_, _| Ok(false))
    }

    /// Length of bytes or of an array; `None` is null.
    fn len(&mut self, flexible: bool) -> Result<Option<usize>, DecodeError> {
        match flexible {
            true => self.compact_len(),
            false => Ok(usize::try_from(self.i32()?).ok()),
        }
    }

    fn compact_len(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.unsigned_varint()? as usize).checked_sub(1))
    }
}
