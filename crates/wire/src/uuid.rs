//! Kafka's 128-bit ids (topics, directories, clusters, members of new groups).
//!
//! Their text form is URL-safe base64 without padding, 22 characters, and not the dashed
//! hexadecimal form of RFC 9562.

use std::fmt;
use std::str::FromStr;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const TEXT_LEN: usize = 22;

/// 16 bytes, in wire order.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

/// The text is not 22 characters of URL-safe base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Kafka uuid: expected 22 characters of URL-safe base64")]
pub struct ParseUuidError;

impl Uuid {
    /// "No id"; never given to anything.
    pub const ZERO: Self = Self([0; 16]);
    /// The topic id of the metadata log in Kafka; reserved.
    pub const ONE: Self = Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

    pub const fn from_u128(value: u128) -> Self {
        Self(value.to_be_bytes())
    }

    pub const fn as_u128(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    pub const fn is_zero(self) -> bool {
        self.as_u128() == 0
    }

    /// Whether Kafka reserves this value (0 to 100) instead of handing it out as a random id.
    pub const fn is_reserved(self) -> bool {
        self.as_u128() <= 100
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.as_u128();
        let mut text = [0u8; TEXT_LEN];
        for (index, slot) in text.iter_mut().enumerate() {
            // 22 * 6 = 132 bits: the last character carries two bits and four zeros.
            let sextet = match index {
                21 => (value << 4) & 63,
                _ => (value >> (122 - 6 * index)) & 63,
            };
            *slot = ALPHABET[sextet as usize];
        }
        f.pad(&String::from_utf8_lossy(&text))
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Uuid {
    type Err = ParseUuidError;

    fn from_str(text: &str) -> Result<Self, ParseUuidError> {
        let text = text.as_bytes();
        if text.len() != TEXT_LEN {
            return Err(ParseUuidError);
        }
        let mut value = 0u128;
        for (index, byte) in text.iter().enumerate() {
            let sextet = sextet(*byte).ok_or(ParseUuidError)?;
            value = match index {
                21 if sextet & 15 != 0 => return Err(ParseUuidError),
                21 => (value << 2) | (sextet >> 4),
                _ => (value << 6) | sextet,
            };
        }
        Ok(Self::from_u128(value))
    }
}

fn sextet(byte: u8) -> Option<u128> {
    let index = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(u128::from(index))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_matches_kafkas() {
        let table = [
            (0, "AAAAAAAAAAAAAAAAAAAAAA"),
            (1, "AAAAAAAAAAAAAAAAAAAAAQ"),
            (u128::MAX, "_____________________w"),
            (0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f, "AAECAwQFBgcICQoLDA0ODw"),
        ];
        for (value, text) in table {
            let uuid = Uuid::from_u128(value);
            assert_eq!(uuid.to_string(), text);
            assert_eq!(text.parse(), Ok(uuid));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "AAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAA+A",
            "AAAAAAAAAAAAAAAAAAAAAB",
            "é1234567890123456789",
        ] {
            assert_eq!(text.parse::<Uuid>(), Err(ParseUuidError), "{text}");
        }
    }
}
