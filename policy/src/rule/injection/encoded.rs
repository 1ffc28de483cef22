//! Runs of base64 (RFC 4648) or hex digits: too long ones, and shorter ones that hold orders.

use std::ops::Range;

use base64::{
    Engine,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::super::Ranges;
use crate::work::spend;

/// Characters of the shortest run that could hold an order.
const SHORTEST: usize = 16;
/// Characters of a line that the next one continues.
const LINE: usize = 48;
/// Most characters that are decoded.
const LONGEST: usize = 1 << 16;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, LENIENT);
const URL: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, LENIENT);

/// Bytes of runs with `most` characters or more, or whose decoded text `speaks` to the model.
pub(super) fn find(text: &str, most: usize, speaks: impl Fn(&str) -> bool) -> Ranges {
    let mut found = Ranges::new();
    for range in runs(text) {
        let run = text.get(range.clone()).unwrap_or_default();
        spend(run.len());
        let digits: String = run.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        if digits.len() < SHORTEST {
            continue;
        }
        let too_long = digits.len() >= most && mixes(&digits);
        if too_long || decoded(&digits).iter().any(|inner| speaks(inner)) {
            found.push(range);
        }
    }
    found
}

/// Runs of digits, over line breaks behind full lines.
fn runs(text: &str) -> Ranges {
    spend(text.len());
    let mut runs = Ranges::new();
    let mut run: Option<Range<usize>> = None;
    let mut line = 0;
    let mut at = 0;
    for piece in text.split_inclusive(|c: char| !is_digit(c)) {
        let digits = piece.trim_end_matches(|c: char| !is_digit(c));
        if !digits.is_empty() {
            let end = at + digits.len();
            run = Some(run.map_or(at, |run| run.start)..end);
            line = digits.len();
        }
        at += piece.len();
        let goes_on = line >= LINE && matches!(piece.get(digits.len()..), Some("\n" | "\r"));
        if digits.len() < piece.len() && !goes_on {
            runs.extend(run.take());
            line = 0;
        }
    }
    runs.extend(run);
    runs
}

fn is_digit(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '-' | '_' | '=')
}

/// What words and paths are not: letters of both cases and digits, or hex digits only.
fn mixes(digits: &str) -> bool {
    let has = |is: fn(&u8) -> bool| digits.as_bytes().iter().any(is);
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    has(u8::is_ascii_digit) && (hex || (has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase)))
}

/// Texts that the digits can stand for.
fn decoded(digits: &str) -> Vec<String> {
    if digits.len() > LONGEST {
        return Vec::new();
    }
    let forms = [
        hex::decode(digits).ok(),
        PLAIN.decode(digits).ok(),
        URL.decode(digits).ok(),
    ];
    let texts = forms.into_iter().flatten().map(String::from_utf8);
    texts.filter_map(Result::ok).collect()
}
