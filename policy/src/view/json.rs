//! What a text says that is one JSON object or array (RFC 8259): its texts and numbers, one a line, and its
//! keys apart, with their escapes decoded. Depth and size are bounded by the text alone.

use std::ops::Range;

use super::mapped::{Builder, Mapped};
use crate::work::spend;

/// The two texts of an object or array.
#[derive(Debug)]
pub(crate) struct Json {
    /// Texts and numbers.
    pub(crate) visible: Mapped<'static>,
    /// Keys of objects.
    pub(crate) hidden: Mapped<'static>,
    /// Bytes of the source that are numbers, in order.
    pub(crate) numbers: Vec<Range<usize>>,
}

/// `None` where the text is something else.
pub(crate) fn read(source: &str) -> Option<Json> {
    let mut prefix = Prefix::default();
    let (mut visible, mut hidden) = (Builder::default(), Builder::default());
    let mut numbers: Vec<Range<usize>> = Vec::new();
    let (mut begin, mut number) = (0, None);
    for (at, byte) in source.bytes().enumerate() {
        let step = prefix.take(byte)?;
        if step != Step::Number
            && let Some(first) = number.take()
        {
            parted(first, &mut visible);
            visible.atom(first..at, source.get(first..at).unwrap_or_default());
            numbers.push(first..at);
        }
        match step {
            Step::Between | Step::Within => {}
            Step::Begins => begin = at + 1,
            Step::EndsKey => text(source, begin..at, &mut hidden),
            Step::EndsText => text(source, begin..at, &mut visible),
            Step::Number => {
                number.get_or_insert(at);
            }
        }
    }
    spend(source.len());
    let whole = matches!(prefix.at, At::End);
    whole.then(|| Json {
        visible: visible.finish(),
        hidden: hidden.finish(),
        numbers,
    })
}

/// A text as it is written between the quotes of JSON.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            // What rules put in place of texts has no other control characters.
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// What has come of a text that may become JSON.
#[derive(Debug, Default)]
pub(crate) struct Prefix {
    /// What is open, from the outside in: objects are true.
    open: Vec<bool>,
    at: At,
}

#[derive(Clone, Copy, Debug, Default)]
enum At {
    #[default]
    Start,
    Value {
        or_end: bool,
    },
    Key {
        or_end: bool,
    },
    Colon,
    Behind,
    Text {
        key: bool,
        escape: Escape,
    },
    Number,
    Literal(&'static [u8]),
    End,
}

#[derive(Clone, Copy, Debug)]
enum Escape {
    No,
    Begun,
    /// So many digits are missing.
    Digits(u8),
}

/// What a byte is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Between,
    Begins,
    Within,
    EndsKey,
    EndsText,
    Number,
}

impl Prefix {
    /// Takes more of the text: whether it may still become JSON.
    pub(crate) fn goes_on(&mut self, piece: &str) -> bool {
        spend(piece.len());
        piece.bytes().all(|byte| self.take(byte).is_some())
    }

    fn take(&mut self, byte: u8) -> Option<Step> {
        match self.at {
            At::Text { key, escape } => self.in_text(key, escape, byte),
            At::Literal(rest) => {
                let (next, rest) = rest.split_first()?;
                self.at = if rest.is_empty() {
                    At::Behind
                } else {
                    At::Literal(rest)
                };
                (*next == byte).then_some(Step::Between)
            }
            At::Number if is_of_number(byte) => Some(Step::Number),
            At::Number => {
                self.at = At::Behind;
                self.between(byte)
            }
            _ => self.between(byte),
        }
    }

    fn in_text(&mut self, key: bool, escape: Escape, byte: u8) -> Option<Step> {
        let escape = match (escape, byte) {
            (Escape::No, b'"') => {
                self.at = if key { At::Colon } else { At::Behind };
                return Some(if key { Step::EndsKey } else { Step::EndsText });
            }
            (Escape::No, b'\\') => Escape::Begun,
            (Escape::Begun, b'u') => Escape::Digits(4),
            (Escape::No, b' '..)
            | (Escape::Begun, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Escape::No,
            (Escape::Digits(1), byte) if byte.is_ascii_hexdigit() => Escape::No,
            (Escape::Digits(left), byte) if byte.is_ascii_hexdigit() => Escape::Digits(left - 1),
            _ => return None,
        };
        self.at = At::Text { key, escape };
        Some(Step::Within)
    }

    fn between(&mut self, byte: u8) -> Option<Step> {
        if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            return Some(Step::Between);
        }
        let in_object = self.open.last().copied();
        let mut step = Step::Between;
        self.at = match (self.at, byte) {
            (At::Start | At::Value { .. }, b'{') => {
                self.open.push(true);
                At::Key { or_end: true }
            }
            (At::Start | At::Value { .. }, b'[') => {
                self.open.push(false);
                At::Value { or_end: true }
            }
            (At::Key { or_end: true } | At::Behind, b'}') if in_object == Some(true) => {
                self.closed()
            }
            (At::Value { or_end: true } | At::Behind, b']') if in_object == Some(false) => {
                self.closed()
            }
            (At::Behind, b',') if in_object == Some(true) => At::Key { or_end: false },
            (At::Behind, b',') | (At::Colon, b':') => At::Value { or_end: false },
            (At::Key { .. } | At::Value { .. }, b'"') => {
                step = Step::Begins;
                At::Text {
                    key: matches!(self.at, At::Key { .. }),
                    escape: Escape::No,
                }
            }
            (At::Value { .. }, b't') => At::Literal(b"rue"),
            (At::Value { .. }, b'f') => At::Literal(b"alse"),
            (At::Value { .. }, b'n') => At::Literal(b"ull"),
            (At::Value { .. }, b'-' | b'0'..=b'9') => {
                step = Step::Number;
                At::Number
            }
            _ => return None,
        };
        Some(step)
    }

    fn closed(&mut self) -> At {
        self.open.pop();
        if self.open.is_empty() {
            At::End
        } else {
            At::Behind
        }
    }
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

/// A line of its own.
fn parted(at: usize, out: &mut Builder) {
    if !out.is_empty() {
        out.markup(at..at, "\n");
    }
}

/// Appends what stands between two quotes, its escapes decoded.
fn text(source: &str, range: Range<usize>, out: &mut Builder) {
    parted(range.start, out);
    let mut at = range.start;
    while at < range.end {
        let rest = source.get(at..range.end).unwrap_or_default();
        let plain = rest.find('\\').unwrap_or(rest.len());
        out.linear(at, rest.get(..plain).unwrap_or_default());
        at += plain;
        if let Some((c, len)) = rest.get(plain..).and_then(decoded) {
            out.atom(at..at + len, c.encode_utf8(&mut [0; 4]));
            at += len;
        }
    }
}

/// The escape that a text begins with, and its length. Half a character is an unknown one.
fn decoded(text: &str) -> Option<(char, usize)> {
    let c = match text.as_bytes().get(1)? {
        b'u' => {
            return Some(
                unit(text).map_or((char::REPLACEMENT_CHARACTER, 6), |unit| paired(unit, text)),
            );
        }
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        other => char::from(*other),
    };
    Some((c, 2))
}

fn paired(first: u16, text: &str) -> (char, usize) {
    let second = text.get(6..).and_then(unit);
    let units = [Some(first), second].into_iter().flatten();
    match char::decode_utf16(units).next() {
        Some(Ok(c)) => (c, 6 * c.len_utf16()),
        _ => (char::REPLACEMENT_CHARACTER, 6),
    }
}

fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::Value;

    use super::{Prefix, escaped, read};

    #[rstest]
    #[case(r#"{"mail": "a\u0040b.de"}"#, "a@b.de", "mail")]
    #[case(
        r#" ["a\nb", 1.5e3, true, null, {"c\u00e9": ["\ud83d\ude00"]}] "#,
        "a\nb\n1.5e3\n😀",
        "cé"
    )]
    #[case(r#"{"a": {}, "b": [], "c": "\"\\\/"}"#, "\"\\/", "a\nb\nc")]
    #[case(r#"["\ud800x", "\udc00"]"#, "\u{fffd}x\n\u{fffd}", "")]
    fn texts_and_keys_are_read_without_escapes(
        #[case] source: &str,
        #[case] visible: &str,
        #[case] hidden: &str,
    ) {
        let json = read(source).unwrap();
        assert_eq!(
            (json.visible.as_str(), json.hidden.as_str()),
            (visible, hidden)
        );
    }

    #[rstest]
    #[case("")]
    #[case("\"a\"")]
    #[case("{} {}")]
    #[case("{\"a\": }")]
    #[case("[1,]")]
    #[case("[1}")]
    #[case("[\"a\\x\"]")]
    #[case("[\"a\\u00g0\"]")]
    #[case("[\"a\nb\"]")]
    #[case("[nil]")]
    #[case("[1] According to")]
    #[case("Here: {}")]
    fn anything_else_is_read_as_it_stands(#[case] source: &str) {
        assert!(read(source).is_none());
    }

    #[test]
    fn spans_lead_back_to_whole_escapes_and_numbers() {
        let source = r#"{"a": "x\u0040y", "n": 4917}"#;
        let json = read(source).unwrap();
        let of = |text: &str| {
            let at = json.visible.as_str().find(text).unwrap();
            &source[json.visible.source(at..at + text.len())]
        };
        assert_eq!((of("x@"), of("91")), ("x\\u0040", "4917"));
        assert_eq!(json.numbers.as_slice(), std::slice::from_ref(&(23..27)));
    }

    #[test]
    fn what_is_put_in_place_of_a_text_stays_within_its_quotes() {
        let text = "say \"no\"\\\n";
        let value: Value = serde_json::from_str(&format!("\"{}\"", escaped(text))).unwrap();
        assert_eq!(value, text);
    }

    proptest! {
        #[test]
        fn what_a_parser_reads_is_read(source in r#"[\[\]{}",:\\ u0n1a@té-]{0,24}"#) {
            let parsed = serde_json::from_str::<Value>(&source);
            let composed = parsed.is_ok_and(|value| value.is_object() || value.is_array());
            let read = read(&source);
            prop_assert!(!composed || read.is_some());
            for view in read.iter().flat_map(|json| [&json.visible, &json.hidden]) {
                for (at, c) in view.as_str().char_indices() {
                    prop_assert!(source.get(view.source(at..at + c.len_utf8())).is_some());
                }
            }
        }

        #[test]
        fn the_begin_of_json_may_become_json(at in 0_usize..60) {
            let source = r#"{"a": ["\u00e9\"", -1.5, {"b": false}], "c": null, "dé": 7} "#;
            let begin = &source[..source.floor_char_boundary(at)];
            prop_assert!(Prefix::default().goes_on(begin));
            let broken = format!("x{begin}");
            prop_assert!(!Prefix::default().goes_on(&broken));
        }
    }
}
