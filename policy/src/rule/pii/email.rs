//! E-mail addresses (RFC 5321 dot-atoms, RFC 6531 letters), with at least one dot in the domain.

use std::ops::Range;

use crate::work::spend;

/// Characters of an address; none of them separates words in prose but dot, hyphen and quote.
pub(super) fn in_address(c: char) -> bool {
    c == '@' || in_local(c)
}

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    text.match_indices('@')
        .filter_map(|(at, _)| around(text, at))
        .collect()
}

fn around(text: &str, at: usize) -> Option<Range<usize>> {
    let before = text.get(..at)?;
    let after = text.get(at + 1..)?;
    let run = before.get(before.trim_end_matches(in_local).len()..)?;
    let local = run.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '_');
    let domain = after.get(..after.find(|c| !in_domain(c)).unwrap_or(after.len()))?;
    spend(run.len() + domain.len());
    let domain = domain.trim_end_matches(['.', '-']);
    let top = domain
        .rsplit_once('.')
        .filter(|(rest, _)| !rest.is_empty())?
        .1;
    let is_domain = domain.split('.').all(|label| !label.is_empty())
        && top.chars().nth(1).is_some()
        && top.chars().any(char::is_alphabetic);
    (is_domain && !local.is_empty()).then(|| at - local.len()..at + 1 + domain.len())
}

fn in_local(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(
            c,
            '.' | '_' | '%' | '+' | '-' | '\'' | '!' | '#' | '$' | '*'
        )
        || unicode_normalization::char::is_combining_mark(c)
}

fn in_domain(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '.' | '-')
        || unicode_normalization::char::is_combining_mark(c)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::find;

    #[rstest]
    #[case("a@b.de", &["a@b.de"])]
    #[case("(first.last+tag@sub.mail.example).", &["first.last+tag@sub.mail.example"])]
    #[case("'jane@mail.example'", &["jane@mail.example"])]
    #[case("用户@例子.中国", &["用户@例子.中国"])]
    #[case("o'neil@mail.example", &["o'neil@mail.example"])]
    #[case("a@b@c.example", &["b@c.example"])]
    #[case("@handle and 5 @ 3.50 and x@localhost and a@.de a@b..de a@1.2", &[])]
    fn addresses_are_told_from_handles_and_prices(#[case] text: &str, #[case] expected: &[&str]) {
        let found: Vec<_> = find(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, expected);
    }
}
