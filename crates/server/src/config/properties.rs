//! The `.properties` syntax of Java, as `java.util.Properties` reads it: comments with `#` and `!`, `key=value`,
//! `key: value` and `key value`, a trailing backslash joins lines, `\t \n \r \f \uXXXX` are characters and any other
//! escaped character stands for itself. A repeated key keeps its last value.

use std::iter::Peekable;
use std::str::Chars;

/// One `key = value` of a file and the line it began on, counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    pub key: String,
    pub value: String,
    pub line: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: \\u must be followed by four hexadecimal digits")]
pub struct MalformedEscape {
    pub line: usize,
}

pub fn parse(text: &str) -> Result<Vec<Property>, MalformedEscape> {
    logical_lines(text).into_iter().map(|(line, content)| property(line, &content)).collect()
}

/// Joins continued lines, drops blank ones and comments.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let unified = text.replace("\r\n", "\n").replace('\r', "\n");
    for (index, natural) in unified.split('\n').enumerate() {
        let content = natural.trim_start_matches(is_blank);
        if open.is_none() && (content.is_empty() || content.starts_with(['#', '!'])) {
            continue;
        }
        let (line, mut joined) = open.take().unwrap_or((index + 1, String::new()));
        let continues = content.chars().rev().take_while(|&c| c == '\\').count() % 2 == 1;
        joined.push_str(if continues { &content[..content.len() - 1] } else { content });
        if continues {
            open = Some((line, joined));
        } else {
            lines.push((line, joined));
        }
    }
    lines.extend(open);
    lines
}

fn property(line: usize, content: &str) -> Result<Property, MalformedEscape> {
    let mut chars = content.chars().peekable();
    let key = unescape(&mut chars, line, |c| is_blank(c) || c == '=' || c == ':')?;
    skip_blanks(&mut chars);
    if chars.next_if(|&c| c == '=' || c == ':').is_some() {
        skip_blanks(&mut chars);
    }
    let value = unescape(&mut chars, line, |_| false)?;
    Ok(Property { key, value, line })
}

fn unescape(chars: &mut Peekable<Chars<'_>>, line: usize, ends: fn(char) -> bool) -> Result<String, MalformedEscape> {
    let mut out = String::new();
    while let Some(c) = chars.next_if(|&c| !ends(c)) {
        match c {
            '\\' => out.extend(escaped(chars, line)?),
            plain => out.push(plain),
        }
    }
    Ok(out)
}

/// The character after a backslash; a backslash at the very end stands for nothing.
fn escaped(chars: &mut Peekable<Chars<'_>>, line: usize) -> Result<Option<char>, MalformedEscape> {
    Ok(match chars.next() {
        Some('t') => Some('\t'),
        Some('n') => Some('\n'),
        Some('r') => Some('\r'),
        Some('f') => Some('\u{c}'),
        Some('u') => Some(unicode(chars, line)?),
        other => other,
    })
}

/// One UTF-16 code unit, or two of them when the first is a high surrogate, as Java writes characters beyond U+FFFF.
fn unicode(chars: &mut Peekable<Chars<'_>>, line: usize) -> Result<char, MalformedEscape> {
    let first = code_unit(chars, line)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first).ok_or(MalformedEscape { line });
    }
    if chars.next() != Some('\\') || chars.next() != Some('u') {
        return Err(MalformedEscape { line });
    }
    let second = code_unit(chars, line)?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err(MalformedEscape { line });
    }
    char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(MalformedEscape { line })
}

fn code_unit(chars: &mut Peekable<Chars<'_>>, line: usize) -> Result<u32, MalformedEscape> {
    let mut unit = 0;
    for _ in 0..4 {
        let digit = chars.next().and_then(|c| c.to_digit(16)).ok_or(MalformedEscape { line })?;
        unit = unit * 16 + digit;
    }
    Ok(unit)
}

fn skip_blanks(chars: &mut Peekable<Chars<'_>>) {
    while chars.next_if(|&c| is_blank(c)).is_some() {}
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{c}')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are what `java.util.Properties.load` gives for the same text.
    #[test]
    fn reads_what_java_reads() {
        let table: &[(&str, &[(&str, &str)])] = &[
            ("a=b", &[("a", "b")]),
            ("a = b", &[("a", "b")]),
            ("a:b\nc d\ne", &[("a", "b"), ("c", "d"), ("e", "")]),
            ("a==b", &[("a", "=b")]),
            ("a =: b", &[("a", ": b")]),
            ("# x=1\n  ! y=2\n\n\t\nz=3", &[("z", "3")]),
            ("a=b # no comment", &[("a", "b # no comment")]),
            ("a=1,\\\n   2,\\\n   3", &[("a", "1,2,3")]),
            ("a=1\\\n# joined", &[("a", "1# joined")]),
            ("a=x\\\\\nb=y", &[("a", "x\\"), ("b", "y")]),
            ("a\\ b\\=c=d", &[("a b=c", "d")]),
            ("a=\\tx\\n\\q", &[("a", "\tx\nq")]),
            ("a=\\u00e9\\ud83d\\ude00", &[("a", "é😀")]),
            ("a=trailing  ", &[("a", "trailing  ")]),
            ("a=1\r\nb=2\rc=3", &[("a", "1"), ("b", "2"), ("c", "3")]),
            ("a=end\\", &[("a", "end")]),
            ("=v", &[("", "v")]),
        ];
        for (text, expected) in table {
            let parsed = parse(text).unwrap();
            let got: Vec<(&str, &str)> = parsed.iter().map(|p| (p.key.as_str(), p.value.as_str())).collect();
            assert_eq!(&got, expected, "{text:?}");
        }
    }

    #[test]
    fn names_the_line_a_property_begins_on() {
        let parsed = parse("# one\na=1,\\\n 2\n\nb=3").unwrap();
        assert_eq!(parsed.iter().map(|p| p.line).collect::<Vec<_>>(), [2, 5]);
        for bad in ["x=1\ny=\\u12", "x=1\ny=\\uzzzz", "x=1\ny=\\ud800z", "x=1\ny=\\ud800\\u0041"] {
            assert_eq!(parse(bad), Err(MalformedEscape { line: 2 }), "{bad:?}");
        }
    }
}
