//! Decompression piece by piece, so that what comes out is bounded while it comes.
//!
//! Data counts as whole only if every Kafka client can read it: clients differ in what they make of a second gzip member,
//! a second LZ4 frame or bytes behind the end, and Java's reads only LZ4 frames with independent blocks.

use std::io::Read;

use flate2::bufread::GzDecoder;
use zstd::zstd_safe::{DCtx, ResetDirective};

use super::snappy::Blocks;
use super::{Compression, CompressionError};

/// What is worth keeping from one decompression to the next.
#[derive(Default)]
pub(crate) struct DecompressionContext {
    zstd: Option<DCtx<'static>>,
}

/// Hands out decompressed data, never more than `max_bytes` in all.
pub(crate) struct Decompressor<'a> {
    codec: Compression,
    decoder: Decoder<'a>,
    max_bytes: usize,
    bytes_left: usize,
}

enum Decoder<'a> {
    Gzip(Box<GzDecoder<&'a [u8]>>),
    Snappy(Blocks<'a>),
    /// `None` after the end.
    Lz4(Option<lz4::Decoder<&'a [u8]>>),
    Zstd(Box<zstd::Decoder<'a, &'a [u8]>>),
}

impl<'a> Decompressor<'a> {
    /// `data` is compressed with `codec`, which is not [`Compression::None`].
    pub(crate) fn new(
        codec: Compression,
        data: &'a [u8],
        max_bytes: usize,
        context: &'a mut DecompressionContext,
    ) -> Result<Self, CompressionError> {
        let corrupt = CompressionError::Corrupt(codec);
        let decoder = match codec {
            Compression::None => unreachable!("uncompressed data is read where it lies"),
            Compression::Gzip => Decoder::Gzip(Box::new(GzDecoder::new(data))),
            Compression::Snappy => Decoder::Snappy(Blocks::new(data)?),
            Compression::Lz4 if !has_lz4_frame(data) => return Err(corrupt),
            Compression::Lz4 => Decoder::Lz4(Some(lz4::Decoder::new(data).map_err(|_| corrupt)?)),
            Compression::Zstd => {
                let context = context.zstd.get_or_insert_with(DCtx::create);
                context.reset(ResetDirective::SessionOnly).map_err(|_| corrupt)?;
                Decoder::Zstd(Box::new(zstd::Decoder::with_context(data, context)))
            }
        };
        Ok(Self { codec, decoder, max_bytes, bytes_left: max_bytes })
    }

    /// Fills the beginning of `into`, which is not empty, and says how much of it. Nothing comes at the end only, and only
    /// if the data ended as it should.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> Result<usize, CompressionError> {
        let corrupt = CompressionError::Corrupt(self.codec);
        let too_large = CompressionError::TooLarge { max_bytes: self.max_bytes };
        let read = match &mut self.decoder {
            Decoder::Gzip(decoder) => decoder.read(into),
            Decoder::Snappy(blocks) => match blocks.read(into, self.bytes_left) {
                Err(CompressionError::TooLarge { .. }) => return Err(too_large),
                read => Ok(read?),
            },
            Decoder::Lz4(None) => Ok(0),
            Decoder::Lz4(Some(decoder)) => decoder.read(into),
            Decoder::Zstd(decoder) => decoder.read(into),
        };
        let read = read.map_err(|_| corrupt)?;
        if read == 0 && !self.decoder.ended_well() {
            return Err(corrupt);
        }
        self.bytes_left = self.bytes_left.checked_sub(read).ok_or(too_large)?;
        Ok(read)
    }
}

impl Decoder<'_> {
    /// Nothing comes any more: whether nothing is missing, and nothing follows.
    fn ended_well(&mut self) -> bool {
        match self {
            Self::Gzip(decoder) => decoder.get_ref().is_empty(),
            // Both say so themselves.
            Self::Snappy(_) | Self::Zstd(_) => true,
            Self::Lz4(decoder) => match decoder.take().map(lz4::Decoder::finish) {
                Some((rest, result)) => rest.is_empty() && result.is_ok(),
                None => true,
            },
        }
    }
}

/// Whether the data begins with a frame of version 1 with independent blocks and no dictionary.
fn has_lz4_frame(data: &[u8]) -> bool {
    const MAGIC: [u8; 4] = 0x184D_2204_u32.to_le_bytes();
    // Version, block independence, a reserved bit, a dictionary's presence.
    const FLAGS_MASK: u8 = 0b1110_0011;
    const FLAGS: u8 = 0b0110_0000;
    data.starts_with(&MAGIC) && data.get(MAGIC.len()).is_some_and(|flags| flags & FLAGS_MASK == FLAGS)
}
