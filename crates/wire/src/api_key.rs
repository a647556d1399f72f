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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_kafkas() {
        assert_eq!(ApiKey::try_from(0), Ok(ApiKey::Produce));
        assert_eq!(ApiKey::try_from(92), Ok(ApiKey::DeleteShareGroupOffsets));
        for key in [-1, 4, 5, 6, 7, 52, 53, 54, 56, 58, 59, 62, 63, 67, 70, 73, 82, 93, i16::MAX] {
            assert_eq!(ApiKey::try_from(key), Err(DecodeError::UnknownApiKey(key)), "not for clients");
        }
        for key in ApiKey::ALL {
            assert_eq!(ApiKey::try_from(key.code()), Ok(*key));
        }
        assert!(ApiKey::ALL.is_sorted());
    }

    #[test]
    fn headers_become_flexible_with_their_message() {
        let table = [
            (ApiKey::Produce, 8, 1, 0),
            (ApiKey::Produce, 9, 2, 1),
            (ApiKey::OffsetDelete, 0, 1, 0),
            (ApiKey::DescribeCluster, 0, 2, 1),
            (ApiKey::ApiVersions, 2, 1, 0),
            (ApiKey::ApiVersions, 3, 2, 0),
            (ApiKey::ApiVersions, 99, 2, 0),
        ];
        for (key, version, request, response) in table {
            assert_eq!(key.request_header_version(version), request, "{key} {version}");
            assert_eq!(key.response_header_version(version), response, "{key} {version}");
        }
    }
}
