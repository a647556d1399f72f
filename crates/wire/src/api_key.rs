//! The APIs, the versions their schemas define, and which headers stand before them.

use std::fmt;
use std::ops::RangeInclusive;

use crate::codec::DecodeError;

macro_rules! api_keys {
    ($($name:ident $key:literal $min:literal $max:literal $flexible_from:expr, $doc:literal;)*) => {
        /// An API that clients may call; nodes among themselves speak gRPC.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i16)]
        pub enum ApiKey {
            $(#[doc = $doc] $name = $key,)*
        }

        impl ApiKey {
            /// Sorted by key.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            /// The versions that the schema defines. A broker may serve less: old versions that are gone
            /// or new ones that are not complete.
            pub const fn versions(self) -> RangeInclusive<i16> {
                match self {
                    $(Self::$name => $min..=$max,)*
                }
            }

            /// First version with compact lengths and tagged fields.
            pub const fn flexible_from(self) -> Option<i16> {
                match self {
                    $(Self::$name => $flexible_from,)*
                }
            }
        }

        impl TryFrom<i16> for ApiKey {
            type Error = DecodeError;

            fn try_from(key: i16) -> Result<Self, DecodeError> {
                match key {
                    $($key => Ok(Self::$name),)*
                    _ => Err(DecodeError::UnknownApiKey(key)),
                }
            }
        }
    };
}

include!(concat!(env!("OUT_DIR"), "/api_keys.rs"));

impl ApiKey {
    /// The number on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    pub fn is_flexible(self, version: i16) -> bool {
        self.flexible_from().is_some_and(|from| version >= from)
    }

    pub fn request_header_version(self, version: i16) -> i16 {
        if self.is_flexible(version) { 2 } else { 1 }
    }

    /// ApiVersions always answers with header 0, because a client may not know yet what the broker speaks.
    pub fn response_header_version(self, version: i16) -> i16 {
        match self {
            Self::ApiVersions => 0,
            _ if self.is_flexible(version) => 1,
            _ => 0,
        }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
