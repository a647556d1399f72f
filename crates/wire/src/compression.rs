//! The codecs of a batch's records section.

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
