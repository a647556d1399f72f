//! Text of a peer's own, as a message to it may quote it.

use std::fmt;

/// Enough to recognize what one has sent.
const CHARS_MAX: usize = 200;

/// The beginning of a text: names and values may have 32,767 bytes, and an answer that quotes them whole may not fit
/// Kafka's format. `{}` shows it as it is, `{:?}` in quotes.
#[derive(Clone, Copy)]
pub struct Excerpt<'a> {
    text: &'a str,
    is_whole: bool,
}

/// What every message quotes a peer's text by.
pub fn excerpt(text: &str) -> Excerpt<'_> {
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => Excerpt { text: &text[..end], is_whole: false },
        None => Excerpt { text, is_whole: true },
    }
}

impl Excerpt<'_> {
    fn mark(self) -> &'static str {
        if self.is_whole { "" } else { "..." }
    }
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, self.mark())
    }
}

impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{}", self.text, self.mark())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(excerpt("orders").to_string(), "orders");
        assert_eq!(format!("{:?}", excerpt("a\"b")), r#""a\"b""#);
        let long = "ä".repeat(CHARS_MAX + 1);
        assert_eq!(excerpt(&long).to_string(), format!("{}...", "ä".repeat(CHARS_MAX)));
        assert_eq!(format!("{:?}", excerpt(&long[..2 * CHARS_MAX])), format!("{:?}", "ä".repeat(CHARS_MAX)));
    }
}
