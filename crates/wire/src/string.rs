//! Strings that stay where they arrived: slices of the request they came in.

use std::borrow::Borrow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use bytes::Bytes;

/// UTF-8 text in a `Bytes`; cloning counts a reference.
///
/// A decoded `Str` keeps the whole frame it was cut from in memory. State that outlives its
/// request stores [`Str::detached`] copies.
#[derive(Clone, Default)]
pub struct Str(Bytes);

impl Str {
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// `None` if the bytes are not UTF-8.
    pub fn from_utf8(bytes: Bytes) -> Option<Self> {
        std::str::from_utf8(&bytes).is_ok().then_some(Self(bytes))
    }

    pub fn as_str(&self) -> &str {
        // Checked on the way in; checking again costs a few nanoseconds for names and no `unsafe`.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// A copy with memory of its own, which does not hold on to the frame it came in.
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }

    pub fn into_bytes(self) -> Bytes {
        self.0
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for Str {
    type Target = str;
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Str {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Str {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl From<String> for Str {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}

impl From<&'static str> for Str {
    fn from(text: &'static str) -> Self {
        Self::from_static(text)
    }
}

impl From<Str> for String {
    fn from(text: Str) -> Self {
        text.as_str().to_owned()
    }
}

impl PartialEq for Str {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Str {}

impl PartialEq<str> for Str {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for Str {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialOrd for Str {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Str {
    // The order of UTF-8 bytes is the order of `str`, as `Borrow<str>` demands.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

impl Hash for Str {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Display for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Str {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, HashMap};

    #[test]
    fn maps_keyed_by_str_are_asked_with_plain_text() {
        let hashed = HashMap::from([(Str::from("topic"), 1)]);
        let ordered = BTreeMap::from([(Str::from("topic".to_owned()), 2)]);
        assert_eq!(hashed.get("topic"), Some(&1));
        assert_eq!(ordered.get("topic"), Some(&2));
        assert_eq!(hashed.get("topics"), None);
    }

    #[test]
    fn only_utf8_becomes_text() {
        assert_eq!(Str::from_utf8(Bytes::from_static(b"\xff")), None);
        assert_eq!(Str::from_utf8(Bytes::from_static("ä".as_bytes())).as_deref(), Some("ä"));
    }

    #[test]
    fn a_detached_copy_does_not_share_the_frame() {
        let frame = Bytes::from(b"a long frame with a name in it".to_vec());
        let shared = Str::from_utf8(frame.slice(2..6)).expect("ascii");
        assert_eq!(shared.as_bytes().as_ptr(), frame[2..].as_ptr());
        assert_ne!(shared.detached().as_bytes().as_ptr(), frame[2..].as_ptr());
        assert_eq!(shared.detached(), shared);
    }
}
