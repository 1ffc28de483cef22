//! Finds rare bytes in long texts: 32 at a time are asked without a branch, which compilers turn into a few
//! instructions; only where one of them answers is each looked at.

use std::ops::Range;

use crate::work::spend;

const BLOCK: usize = 32;

/// The first place whose byte is such.
pub(crate) fn position(bytes: &[u8], is: impl Fn(u8) -> bool) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<BLOCK>();
    let any = |block: &[u8; BLOCK]| block.iter().fold(0, |any, byte| any | u8::from(is(*byte)));
    let block = blocks.iter().position(|block| any(block) != 0);
    let from = block.unwrap_or(blocks.len()) * BLOCK;
    spend(from);
    let rest = bytes.get(from..)?;
    rest.iter()
        .position(|byte| is(*byte))
        .map(|offset| from + offset)
}

/// The first place whose byte and the one behind it are such; 0 stands behind the last.
pub(crate) fn pair_position(bytes: &[u8], is: impl Fn(u8, u8) -> bool) -> Option<usize> {
    let block = |at: usize| bytes.get(at..)?.first_chunk::<BLOCK>();
    let mut from = 0;
    while let (Some(first), Some(second)) = (block(from), block(from + 1)) {
        let pairs = first.iter().zip(second);
        if pairs.fold(0, |any, (one, next)| any | u8::from(is(*one, *next))) != 0 {
            break;
        }
        from += BLOCK;
    }
    spend(from);
    let rest = bytes.get(from..)?;
    let next = rest.iter().skip(1).chain(&[0]);
    let mut pairs = rest.iter().zip(next);
    pairs
        .position(|(one, next)| is(*one, *next))
        .map(|offset| from + offset)
}

/// Lines, with their line breaks, in which some byte and the one behind it are such, in order.
pub(crate) fn lines_with(
    text: &str,
    is: impl Fn(u8, u8) -> bool,
) -> impl Iterator<Item = Range<usize>> {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let found = at + pair_position(bytes.get(at..)?, &is)?;
        let before = memchr::memrchr(b'\n', bytes.get(at..found)?);
        let start = before.map_or(at, |offset| at + offset + 1);
        let behind = memchr::memchr(b'\n', bytes.get(found..)?);
        at = behind.map_or(bytes.len(), |offset| found + offset + 1);
        Some(start..at)
    })
}

/// Every run of ASCII digits, in order.
pub(crate) fn digit_runs(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut runs = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..)
        && let Some(offset) = position(rest, |byte| byte.is_ascii_digit())
    {
        let start = at + offset;
        let digits = bytes.get(start..).unwrap_or_default().iter();
        at = start + digits.take_while(|byte| byte.is_ascii_digit()).count();
        runs.push(start..at);
    }
    runs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{digit_runs, lines_with, pair_position, position};

    proptest! {
        #[test]
        fn the_first_is_found_wherever_it_stands(text in "a{0,70}[ab1 ]{0,4}a{0,70}") {
            let bytes = text.as_bytes();
            prop_assert_eq!(position(bytes, |byte| byte == b'b'), text.find('b'));
            let pair = |one: u8, next: u8| one == b'b' && next == b' ';
            prop_assert_eq!(pair_position(bytes, pair), text.find("b "));
            let at_end = |one: u8, next: u8| one == b'b' && next == 0;
            prop_assert_eq!(pair_position(bytes, at_end), text.ends_with('b').then(|| text.len() - 1));
        }

        #[test]
        fn lines_are_whole(text in "[ab \n]{0,90}") {
            let lines: Vec<_> = lines_with(&text, |one, next| one == b'a' && next == b'b').collect();
            let mut at = 0;
            let expected = text.split_inclusive('\n').filter_map(|line| {
                at += line.len();
                line.contains("ab").then(|| at - line.len()..at)
            });
            prop_assert_eq!(lines, expected.collect::<Vec<_>>());
        }

        #[test]
        fn runs_of_digits_are_whole(text in "[a1é ]{0,80}|[0-9]{0,40}a[0-9]{0,40}") {
            let runs = digit_runs(&text);
            let digits: usize = runs.iter().map(std::ops::Range::len).sum();
            prop_assert_eq!(digits, text.bytes().filter(u8::is_ascii_digit).count());
            prop_assert!(runs.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert!(runs.iter().all(|run| text[run.clone()].bytes().all(|b| b.is_ascii_digit())));
        }
    }
}
