//! Bytes in JSON: text where it is text, otherwise an object `{"base64": …}`.

use serde::Serialize;

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum TextOrBase64 {
    Text(String),
    Base64 { base64: String },
}

pub fn text_or_base64(bytes: &[u8]) -> TextOrBase64 {
    match std::str::from_utf8(bytes) {
        Ok(text) => TextOrBase64::Text(text.to_owned()),
        Err(_) => TextOrBase64::Base64 { base64: base64(bytes) },
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let sextet = (bits >> (18 - 6 * index)) & 63;
            text.push(if index <= chunk.len() { ALPHABET[sextet as usize] as char } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_as_rfc_4648_says() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(text_or_base64(&[0xff, 0]), TextOrBase64::Base64 { base64: "/wA=".to_owned() });
        assert_eq!(text_or_base64(b"x"), TextOrBase64::Text("x".to_owned()));
    }
}
