//! The codecs of a batch's records section.

mod decompressor;
mod snappy;

use std::io::{self, Write};

use bytes::Bytes;

pub(crate) use decompressor::{DecompressionContext, Decompressor};

/// What decompression adds to its output at a time.
const PIECE_BYTES: usize = 64 << 10;

/// `compression.type`, as the three low bits of a batch's attributes name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Compression {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

/// The attributes name a codec that does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown compression codec {0}")]
pub struct UnknownCompression(pub i16);

impl TryFrom<i16> for Compression {
    type Error = UnknownCompression;

    fn try_from(id: i16) -> Result<Self, UnknownCompression> {
        Ok(match id {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => return Err(UnknownCompression(id)),
        })
    }
}

impl From<Compression> for i16 {
    fn from(compression: Compression) -> i16 {
        compression as i16
    }
}

impl Compression {
    /// The name in configuration and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// A records section that cannot be (de)compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompressionError {
    #[error("the records are larger than {max_bytes} bytes when decompressed")]
    TooLarge { max_bytes: usize },
    #[error("the {} data is damaged", .0.name())]
    Corrupt(Compression),
    #[error("{} could not compress the data", .0.name())]
    Failed(Compression),
}

impl Compression {
    /// Compresses with the codec's usual level.
    pub fn compress(self, data: &[u8]) -> Result<Bytes, CompressionError> {
        self.compress_at(None, data)
    }

    /// Compresses with a level as `compression.*.level` names it; codecs without levels take none.
    pub fn compress_at(self, level: Option<i32>, data: &[u8]) -> Result<Bytes, CompressionError> {
        let compressed = match self {
            Self::None => Ok(data.to_vec()),
            Self::Gzip => gzip(level, data),
            Self::Snappy => snappy::compress(data),
            Self::Lz4 => lz4(level, data),
            Self::Zstd => zstd::bulk::compress(data, level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL)),
        };
        compressed.map(Bytes::from).map_err(|_| CompressionError::Failed(self))
    }

    /// Decompresses piece by piece, and stops as soon as more than `max_bytes` come out. Uncompressed
    /// data is neither copied nor measured.
    pub fn decompress(self, data: &Bytes, max_bytes: usize) -> Result<Bytes, CompressionError> {
        if self == Self::None {
            return Ok(data.clone());
        }
        let mut context = DecompressionContext::default();
        let mut decompressor = Decompressor::new(self, data, max_bytes, &mut context)?;
        let mut output = Vec::new();
        loop {
            let end = output.len();
            output.resize(end + PIECE_BYTES, 0);
            let read = decompressor.read(&mut output[end..])?;
            output.truncate(end + read);
            if read == 0 {
                return Ok(Bytes::from(output));
            }
        }
    }
}

fn gzip(level: Option<i32>, data: &[u8]) -> io::Result<Vec<u8>> {
    let level = level.and_then(|level| u32::try_from(level).ok()).map(flate2::Compression::new);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level.unwrap_or_default());
    encoder.write_all(data)?;
    encoder.finish()
}

fn lz4(level: Option<i32>, data: &[u8]) -> io::Result<Vec<u8>> {
    // Kafka's default, for which it takes the fast compressor; any other level is one of the slower one's.
    const FAST: i32 = 9;
    let level = level.filter(|level| *level != FAST).and_then(|level| u32::try_from(level).ok());
    // Independent blocks of 64 KiB: the only frames that all Kafka clients read.
    let encoder = lz4::EncoderBuilder::new()
        .block_size(lz4::BlockSize::Max64KB)
        .block_mode(lz4::BlockMode::Independent)
        .block_checksum(lz4::liblz4::BlockChecksum::NoBlockChecksum)
        .checksum(lz4::ContentChecksum::NoChecksum)
        .level(level.unwrap_or(0))
        .build(Vec::new());
    let mut encoder = encoder?;
    encoder.write_all(data)?;
    let (output, result) = encoder.finish();
    result.map(|()| output)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    fn text(len: usize) -> Vec<u8> {
        (0..len).map(|index| b"one line, another line; "[index % 24] ^ (index / 5000) as u8).collect()
    }

    #[test]
    fn every_codec_gives_back_what_it_took() {
        for compression in ALL {
            for len in [0, 1, 100, 32 << 10, (32 << 10) + 1, 300_000] {
                let compressed = compression.compress(&text(len)).expect("compresses");
                assert_eq!(
                    compression.decompress(&compressed, len),
                    Ok(Bytes::from(text(len))),
                    "{compression:?} {len}"
                );
            }
        }
    }

    #[test]
    fn output_stops_at_the_cap() {
        for compression in &ALL[1..] {
            let compressed = compression.compress(&text(300_000)).expect("compresses");
            let expected = CompressionError::TooLarge { max_bytes: 299_999 };
            assert_eq!(compression.decompress(&compressed, 299_999), Err(expected), "{compression:?}");
        }
    }

    #[test]
    fn damaged_data_is_an_error() {
        for compression in &ALL[1..] {
            let compressed = compression.compress(&text(10_000)).expect("compresses");
            let cut = compressed.slice(..compressed.len() / 2);
            assert_eq!(compression.decompress(&cut, 1 << 20), Err(CompressionError::Corrupt(*compression)));
            let noise = Bytes::from_static(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
            assert_eq!(compression.decompress(&noise, 1 << 20), Err(CompressionError::Corrupt(*compression)));
        }
    }
}
