//! Snappy as Kafka clients speak it: the Java library's framing, or one raw block.
//!
//! ```text
//! 0x82 "SNAPPY" 0x00 | version i32 = 1 | compatible version i32 = 1 | { block length i32, raw block } ...
//! ```

use std::io;

use bytes::Bytes;

use super::{Compression, CompressionError};

const MAGIC: &[u8] = b"\x82SNAPPY\0";
const HEADER_SIZE: usize = 16;
const VERSIONS: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
/// The Java library's block size, uncompressed.
const BLOCK_SIZE: usize = 32 << 10;

pub fn compress(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut output = Vec::with_capacity(HEADER_SIZE + data.len() / 2);
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

pub fn decompress(data: &[u8], max_bytes: usize) -> Result<Bytes, CompressionError> {
    let mut output = Vec::new();
    if !data.starts_with(MAGIC) {
        block(data, max_bytes, &mut output)?;
        return Ok(Bytes::from(output));
    }
    let mut rest = data.get(HEADER_SIZE..).ok_or(corrupt())?;
    while !rest.is_empty() {
        let (length, tail) = rest.split_first_chunk::<4>().ok_or(corrupt())?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| corrupt())?;
        let (compressed, tail) = tail.split_at_checked(length).ok_or(corrupt())?;
        block(compressed, max_bytes, &mut output)?;
        rest = tail;
    }
    Ok(Bytes::from(output))
}

/// The block's claimed length is checked against the cap, and against what so many bytes can hold at most,
/// before memory is taken for it.
fn block(compressed: &[u8], max_bytes: usize, output: &mut Vec<u8>) -> Result<(), CompressionError> {
    let length = snap::raw::decompress_len(compressed).map_err(|_| corrupt())?;
    // A copy of 64 bytes takes three: nothing expands more than that.
    if length > compressed.len().saturating_mul(64) {
        return Err(corrupt());
    }
    let start = output.len();
    if length > max_bytes - start {
        return Err(CompressionError::TooLarge { max_bytes });
    }
    output.resize(start + length, 0);
    let written = snap::raw::Decoder::new().decompress(compressed, &mut output[start..]).map_err(|_| corrupt())?;
    output.truncate(start + written);
    Ok(())
}

fn corrupt() -> CompressionError {
    CompressionError::Corrupt(Compression::Snappy)
}

#[cfg(test)]
mod tests {
    use super::*;

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
