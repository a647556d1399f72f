//! Snappy as Kafka clients speak it: the Java library's framing, or one raw block.
//!
//! ```text
//! 0x82 "SNAPPY" 0x00 | version i32 = 1 | compatible version i32 = 1 | { block length i32, raw block } ...
//! ```

use std::io;

use super::{Compression, CompressionError};

const MAGIC: &[u8] = b"\x82SNAPPY\0";
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// The Java library's block size, uncompressed.
const BLOCK_SIZE: usize = 32 << 10;

pub fn compress(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut output = Vec::with_capacity(data.len() / 2);
    output.extend_from_slice(MAGIC);
    output.extend_from_slice(&VERSIONS);
    let mut encoder = snap::raw::Encoder::new();
    for block in data.chunks(BLOCK_SIZE) {
        let compressed = encoder.compress_vec(block)?;
        // A block of 32 KiB does not grow beyond an i32.
        output.extend_from_slice(&(compressed.len() as i32).to_be_bytes());
        output.extend_from_slice(&compressed);
    }
    Ok(output)
}

/// Decompresses block by block.
pub struct Blocks<'a> {
    rest: &'a [u8],
    is_framed: bool,
    block: Vec<u8>,
    /// How much of the block was handed out.
    position: usize,
}

impl<'a> Blocks<'a> {
    pub fn new(data: &'a [u8]) -> Result<Self, CompressionError> {
        let is_framed = data.starts_with(MAGIC);
        let rest = match is_framed {
            // There is no other version, and clients that look at it read no other.
            true => data[MAGIC.len()..].strip_prefix(&VERSIONS).ok_or(corrupt())?,
            false => data,
        };
        Ok(Self { rest, is_framed, block: Vec::new(), position: 0 })
    }

    /// Fills the beginning of `into`; no block may hold more than `max_bytes`.
    pub fn read(&mut self, into: &mut [u8], max_bytes: usize) -> Result<usize, CompressionError> {
        while self.position == self.block.len() {
            if self.rest.is_empty() {
                return Ok(0);
            }
            let compressed = self.cut()?;
            self.decompress(compressed, max_bytes)?;
        }
        let left = &self.block[self.position..];
        let len = left.len().min(into.len());
        into[..len].copy_from_slice(&left[..len]);
        self.position += len;
        Ok(len)
    }

    fn cut(&mut self) -> Result<&'a [u8], CompressionError> {
        if !self.is_framed {
            return Ok(std::mem::take(&mut self.rest));
        }
        let (length, tail) = self.rest.split_first_chunk::<4>().ok_or(corrupt())?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| corrupt())?;
        let (compressed, tail) = tail.split_at_checked(length).ok_or(corrupt())?;
        self.rest = tail;
        Ok(compressed)
    }

    /// The block's claimed length is checked against the cap, and against what so many bytes can hold at most,
    /// before memory is taken for it.
    fn decompress(&mut self, compressed: &[u8], max_bytes: usize) -> Result<(), CompressionError> {
        let length = snap::raw::decompress_len(compressed).map_err(|_| corrupt())?;
        // A copy of 64 bytes takes three: nothing expands more than that.
        if length > compressed.len().saturating_mul(64) {
            return Err(corrupt());
        }
        if length > max_bytes {
            return Err(CompressionError::TooLarge { max_bytes });
        }
        self.block.resize(length, 0);
        let written = snap::raw::Decoder::new().decompress(compressed, &mut self.block).map_err(|_| corrupt())?;
        self.block.truncate(written);
        self.position = 0;
        Ok(())
    }
}

fn corrupt() -> CompressionError {
    CompressionError::Corrupt(Compression::Snappy)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn decompress(data: &[u8], max_bytes: usize) -> Result<Bytes, CompressionError> {
        Compression::Snappy.decompress(&Bytes::copy_from_slice(data), max_bytes)
    }

    #[test]
    fn a_raw_block_without_framing_is_read() {
        let raw = snap::raw::Encoder::new().compress_vec(b"hello hello hello").expect("compresses");
        assert_eq!(decompress(&raw, 17), Ok(Bytes::from_static(b"hello hello hello")));
        assert_eq!(decompress(&raw, 16), Err(CompressionError::TooLarge { max_bytes: 16 }));
    }

    #[test]
    fn a_claimed_length_costs_nothing() {
        // Claims 2 GiB in five bytes, with nothing behind it.
        let forged = [0xff, 0xff, 0xff, 0xff, 0x07, 0];
        assert_eq!(decompress(&forged, usize::MAX), Err(corrupt()));
    }

    #[test]
    fn the_cap_holds_over_all_blocks() {
        let framed = compress(&vec![1; 3 * BLOCK_SIZE]).expect("compresses");
        let max_bytes = 3 * BLOCK_SIZE - 1;
        assert_eq!(decompress(&framed, max_bytes), Err(CompressionError::TooLarge { max_bytes }));
    }
}
