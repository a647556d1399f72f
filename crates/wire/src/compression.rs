//! The codecs of a batch's records section.

mod snappy;

use std::io::{self, Read, Write};

use bytes::Bytes;

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
        let compressed = match self {
            Self::None => Ok(data.to_vec()),
            Self::Gzip => gzip(data),
            Self::Snappy => snappy::compress(data),
            Self::Lz4 => lz4(data),
            Self::Zstd => zstd::bulk::compress(data, zstd::DEFAULT_COMPRESSION_LEVEL),
        };
        compressed.map(Bytes::from).map_err(|_| CompressionError::Failed(self))
    }

    /// Decompresses piece by piece, and stops as soon as more than `max_bytes` come out. Uncompressed
    /// data is neither copied nor measured.
    pub fn decompress(self, data: &Bytes, max_bytes: usize) -> Result<Bytes, CompressionError> {
        match self {
            Self::None => Ok(data.clone()),
            Self::Gzip => self.read_capped(flate2::bufread::MultiGzDecoder::new(&data[..]), max_bytes),
            Self::Snappy => snappy::decompress(data, max_bytes),
            Self::Lz4 => self.read_capped(lz4_flex::frame::FrameDecoder::new(&data[..]), max_bytes),
            Self::Zstd => {
                let decoder = zstd::Decoder::with_buffer(&data[..]).map_err(|_| CompressionError::Corrupt(self))?;
                self.read_capped(decoder, max_bytes)
            }
        }
    }

    fn read_capped(self, decoder: impl Read, max_bytes: usize) -> Result<Bytes, CompressionError> {
        let mut output = Vec::new();
        let mut capped = decoder.take(max_bytes as u64 + 1);
        capped.read_to_end(&mut output).map_err(|_| CompressionError::Corrupt(self))?;
        if output.len() > max_bytes {
            return Err(CompressionError::TooLarge { max_bytes });
        }
        Ok(Bytes::from(output))
    }
}

fn gzip(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(data)?;
    encoder.finish()
}

fn lz4(data: &[u8]) -> io::Result<Vec<u8>> {
    // Independent blocks of 64 KiB: the only frames that all Kafka clients read.
    let frame = lz4_flex::frame::FrameInfo::new()
        .block_size(lz4_flex::frame::BlockSize::Max64KB)
        .block_mode(lz4_flex::frame::BlockMode::Independent);
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(frame, Vec::new());
    encoder.write_all(data)?;
    encoder.finish().map_err(io::Error::other)
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
