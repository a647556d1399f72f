//! Subscriptions by regular expression: RE2's syntax, matched against whole topic names.

use regex::bytes::{Regex, RegexBuilder};

/// What a compiled pattern may take in memory; beyond it the pattern is refused.
const COMPILED_BYTES_MAX: usize = 1 << 20;
const NESTING_MAX: u32 = 100;

#[derive(Debug)]
pub struct Pattern(Regex);

impl Pattern {
    /// The message says what is wrong with the pattern.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let pattern = without_quotes(pattern);
        // On its own first: text that closes the group around it is not a pattern.
        compile(&pattern)?;
        compile(&format!(r"\A(?:{pattern})\z")).map(Self)
    }

    pub fn matches(&self, topic: &str) -> bool {
        self.0.is_match(topic.as_bytes())
    }
}

/// Topic names are ASCII, and RE2's classes without a `p` are too.
fn compile(pattern: &str) -> Result<Regex, String> {
    let mut builder = RegexBuilder::new(pattern);
    builder.unicode(false).size_limit(COMPILED_BYTES_MAX).nest_limit(NESTING_MAX);
    builder.build().map_err(|error| error.to_string())
}

/// RE2 takes text between `\Q` and `\E` literally.
fn without_quotes(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        plain.push_str(before);
        if let Some(quoted) = escape.strip_prefix("\\Q") {
            let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            plain.push_str(&regex::escape(literal));
            rest = after;
        } else {
            let escaped_bytes = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
            plain.push_str(&escape[..escaped_bytes]);
            rest = &escape[escaped_bytes..];
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_name_must_match() {
        let table = [
            ("orders", "orders", true),
            ("orders", "orders-2", false),
            ("order", "orders", false),
            ("orders.*", "orders-2", true),
            ("a|ab", "ab", true),
            ("(?i)ORD.*", "orders", true),
            (r"\d+", "007", true),
            (r"\QA.b\E.*", "A.b-c", true),
            (r"\QA.b\E.*", "Axb-c", false),
            (r"\Qa.b", "a.b", true),
            (r"\\Q", r"\Q", true),
            (r"a\.b", "a.b", true),
            ("", "", true),
        ];
        for (pattern, topic, expected) in table {
            assert_eq!(Pattern::new(pattern).expect(pattern).matches(topic), expected, "{pattern} on {topic}");
        }
    }

    #[test]
    fn what_is_no_pattern_or_too_large_is_refused() {
        for pattern in ["(", "a)(b", "[z-a]", "*", r"(?=a)", "\\", "((a{100}){100}){100}", &"(".repeat(200)] {
            assert!(Pattern::new(pattern).is_err(), "{pattern}");
        }
    }
}
