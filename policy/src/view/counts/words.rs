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
const LOW_LINE: u8 = 4;
/// Joins letters, digits.
const MID_LETTER: u8 = 8;
const MID_DIGIT: u8 = 16;
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

/// The rules `WB5` to `WB13b` as they are for ASCII and its stand-ins: runs of letters, digits and `_`, joined
/// over one mark between two letters or two digits. A run of `_` alone is no word.
fn ascii(text: &[u8]) -> u32 {
    let mut words: usize = 0;
    let mut before = 0;
    // Whether a word goes on that was counted.
    let mut inside = false;
    for (at, &byte) in text.iter().enumerate() {
        let class = class(byte);
        let named = class & (LETTER | DIGIT) != 0;
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
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | JOINED => LETTER,
        b'0'..=b'9' => DIGIT,
        b'_' => LOW_LINE,
        b'.' | b'\'' => MID_LETTER | MID_DIGIT,
        b':' => MID_LETTER,
        b',' | b';' => MID_DIGIT,
        ALONE => WORD,
        _ => 0,
    }
}
