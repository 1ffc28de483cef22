//! What the escapes of JSON say in a text that is no whole JSON.

use std::borrow::Cow;

/// The text with its escapes read; those that say nothing stay.
pub fn read(text: &str) -> Cow<'_, str> {
    let mut parts = text.split('\\');
    let first = parts.next().unwrap_or_default();
    if first.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let mut rest = text.get(first.len()..).unwrap_or_default();
    let mut out = first.to_owned();
    while !rest.is_empty() {
        let (said, len) = escape(rest);
        let len = len.min(rest.len());
        match said {
            Some(letter) => out.push(letter),
            None => out.push_str(rest.get(..len).unwrap_or_default()),
        }
        rest = rest.get(len..).unwrap_or_default();
        let plain = rest.find('\\').unwrap_or(rest.len());
        out.push_str(rest.get(..plain).unwrap_or_default());
        rest = rest.get(plain..).unwrap_or_default();
    }
    Cow::Owned(out)
}

/// What an escape at the beginning says, and its length.
fn escape(text: &str) -> (Option<char>, usize) {
    let letter = match text.as_bytes().get(1) {
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'"') => '"',
        Some(b'/') => '/',
        Some(b'\\') => '\\',
        Some(b'u') => return unit(text),
        _ => return (None, 1),
    };
    (Some(letter), 2)
}

fn unit(text: &str) -> (Option<char>, usize) {
    let at = |from: usize| {
        let digits = text.get(from..from + 6)?.strip_prefix("\\u")?;
        let digits = digits
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit())
            .then_some(digits)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let Some(first) = at(0) else {
        return (None, 1);
    };
    if let Some(letter) = char::from_u32(first.into()) {
        return (Some(letter), 6);
    }
    let pair = at(6).map(|second| char::decode_utf16([first, second]).next());
    match pair {
        Some(Some(Ok(letter))) => (Some(letter), 12),
        _ => (None, 6),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::read;

    #[rstest]
    #[case(r#"{"say":"the A\u0063me Bank"#, r#"{"say":"the Acme Bank"#)]
    #[case(r"\ud83d\ude00 \ud83d \u12", "\u{1f600} \\ud83d \\u12")]
    #[case(r#"\"\\\n\x\"#, "\"\\\n\\x\\")]
    #[case("plain", "plain")]
    #[case("", "")]
    fn escapes_are_read_as_far_as_they_say_something(#[case] text: &str, #[case] said: &str) {
        assert_eq!(read(text), said);
    }
}
