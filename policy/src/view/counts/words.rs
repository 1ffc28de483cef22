//! Words by Unicode's rules.

use unicode_segmentation::UnicodeSegmentation;

use super::{
    alike::{ALONE, JOINED},
    by_line, count, narrowed,
};
use crate::work::spend;

/// What a byte is to the rules.
const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const NAMED: u8 = LETTER | DIGIT;
const LOW_LINE: u8 = 4;
/// Joins letters, digits.
const MID_LETTER: u8 = LETTER * JOINS;
const MID_DIGIT: u8 = DIGIT * JOINS;
const JOINS: u8 = 8;
/// A word of its own.
const WORD: u8 = 32;

/// Words by Unicode's rules (UAX #29).
pub(in super::super) fn words(text: &str) -> u32 {
    spend(text.len());
    if text.is_ascii() {
        return ascii(text.as_bytes());
    }
    by_line(text, ascii, |line| count(line.unicode_words()))
}

/// Bytes that are counted without a branch, which compilers turn into a few instructions.
const BLOCK: usize = 32;

/// The rules `WB5` to `WB13b` as they are for ASCII and its stand-ins: runs of letters, digits and `_`, joined
/// over one mark between two letters or two digits. A run of `_` alone is no word.
fn ascii(text: &[u8]) -> u32 {
    if memchr::memchr(b'_', text).is_some() {
        return one_by_one(text);
    }
    // Without `_` two bytes in front of a byte tell whether a word begins there.
    let mut words = 0;
    let mut classes = [0; BLOCK + 2];
    for block in text.chunks(BLOCK) {
        classes.copy_within(BLOCK.., 0);
        let behind = classes.get_mut(2..).unwrap_or_default();
        behind.fill(0);
        for (class, byte) in behind.iter_mut().zip(block) {
            *class = self::class(*byte);
        }
        words += begun(&classes);
    }
    narrowed(words)
}

/// Words that begin behind the first two bytes.
fn begun(classes: &[u8; BLOCK + 2]) -> usize {
    let (_, now) = classes.split_at(2);
    let before = classes.iter().zip(classes.iter().skip(1));
    let begins = now.iter().zip(before).map(|(now, (earlier, before))| {
        // The bits of a mark are those of what it joins.
        let joins = earlier & now & (before / JOINS);
        let inside = (before & NAMED) | joins;
        u8::from(now & NAMED != 0) & u8::from(inside == 0) | u8::from(*now == WORD)
    });
    usize::from(begins.sum::<u8>())
}

fn one_by_one(text: &[u8]) -> u32 {
    let mut words: usize = 0;
    let mut before = 0;
    // Whether a word goes on that was counted.
    let mut inside = false;
    for (at, &byte) in text.iter().enumerate() {
        let class = class(byte);
        let named = class & NAMED != 0;
        let new = (named && !inside) || class == WORD;
        words += usize::from(new);
        inside = named || (class == LOW_LINE && inside);
        if class & (MID_LETTER | MID_DIGIT) != 0 {
            let behind = text.get(at + 1).map_or(0, |byte| self::class(*byte));
            let joins = |side: u8, mid: u8| before == side && behind == side && class & mid != 0;
            inside = joins(LETTER, MID_LETTER) || joins(DIGIT, MID_DIGIT);
        }
        before = class;
    }
    narrowed(words)
}

fn class(byte: u8) -> u8 {
    let when = |holds: bool, class: u8| if holds { class } else { 0 };
    when(byte.is_ascii_alphabetic() || byte == JOINED, LETTER)
        | when(byte.is_ascii_digit(), DIGIT)
        | when(byte == b'_', LOW_LINE)
        | when(matches!(byte, b'.' | b'\'' | b':'), MID_LETTER)
        | when(matches!(byte, b'.' | b'\'' | b',' | b';'), MID_DIGIT)
        | when(byte == ALONE, WORD)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ascii, one_by_one};

    proptest! {
        #[test]
        fn blocks_are_counted_as_bytes_are(text in "([a1.:,; '\u{1}\u{2}]|[a-z]{2,9} ){0,60}") {
            // For letters without case, which are no UTF-8 by themselves.
            let stand_in = |byte| if byte < 3 { byte + 0x7f } else { byte };
            let text: Vec<u8> = text.bytes().map(stand_in).collect();
            prop_assert_eq!(ascii(&text), one_by_one(&text));
        }
    }
}
