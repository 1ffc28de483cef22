//! Normal forms: letters and digits in small letters without accents, whatever stands between them.
//! A text has one for each stretch of up to eight words, so that a value is found however it is spaced.

use std::{collections::BTreeSet, ops::Range};

use crate::{view::ascii_digit, work::spend};

/// Words of the longest value; of more, the first ones identify.
const WORDS: usize = 8;
/// Words of the longest name of a person.
const NAMES: usize = 4;
/// Pieces of the longest value, where a script has no spaces.
const PIECES: usize = 32;
/// Letters and digits of the longest value.
const LONGEST: usize = 64;
/// Characters between the words of one value, as in `+49 (0) 171`.
const GAP: usize = 3;
/// Significant digits of a telephone number.
const TELEPHONE: std::ops::RangeInclusive<usize> = 8..=12;
/// In front of a telephone number: no normal form holds it.
const TELEPHONE_MARK: &str = "tel:";

/// A text in pieces that can be joined.
#[derive(Debug, Default)]
pub(super) struct Keys {
    /// All letters and digits.
    normal: String,
    pieces: Vec<Piece>,
}

/// A word, or a character of a script without spaces.
#[derive(Clone, Debug)]
struct Piece {
    /// Bytes of the text.
    source: Range<usize>,
    /// Bytes of the normal form.
    normal: Range<usize>,
    /// What stands in front of it may belong to the same value.
    joined: bool,
    spaced: bool,
    /// `+` stands in front of it.
    plus: bool,
}

impl Keys {
    /// Reads a text without accents and in small letters.
    pub(super) fn read(text: &str) -> Self {
        let mut keys = Self::default();
        spend(text.len());
        let mut gap = 0;
        let mut before = None;
        for (at, c) in text.char_indices() {
            if !c.is_alphanumeric() {
                gap += 1;
                before = Some(c);
                continue;
            }
            let end = at + c.len_utf8();
            let spaced = !has_no_spaces(c);
            let start = keys.normal.len();
            keys.normal.push(ascii_digit(c).unwrap_or(c));
            let normal = start..keys.normal.len();
            match keys.pieces.last_mut() {
                Some(word) if gap == 0 && spaced && word.spaced => {
                    word.source.end = end;
                    word.normal.end = normal.end;
                }
                last => {
                    let joined = last.is_some() && gap <= GAP;
                    keys.pieces.push(Piece {
                        source: at..end,
                        normal,
                        joined,
                        spaced,
                        plus: before == Some('+'),
                    });
                }
            }
            gap = 0;
            before = None;
        }
        keys
    }

    /// A name with the family's in front of the others, and behind them: `Miller, Ann` is `Ann Miller`.
    fn turned(&self) -> Vec<String> {
        let of = |piece: &Piece| self.normal.get(piece.normal.clone()).unwrap_or_default();
        let name = |piece: &Piece| piece.spaced && of(piece).chars().all(char::is_alphabetic);
        if !(2..=NAMES).contains(&self.pieces.len()) || !self.pieces.iter().all(name) {
            return Vec::new();
        }
        let mut words: Vec<&str> = self.pieces.iter().map(of).collect();
        words.rotate_left(1);
        let first_last = words.concat();
        words.rotate_right(2);
        vec![first_last, words.concat()]
    }

    /// Tells every normal form of at least that length, and where it stands.
    pub(super) fn each(&self, least: u32, mut tell: impl FnMut(Range<usize>, &str)) {
        for first in 0..self.pieces.len() {
            self.begun_at(first, least, &mut tell);
        }
    }

    fn begun_at(&self, first: usize, least: u32, tell: &mut impl FnMut(Range<usize>, &str)) {
        let pieces = self.pieces.get(first..).unwrap_or_default();
        let Some(begin) = pieces.first() else {
            return;
        };
        let (mut words, mut length) = (0, Length::default());
        for (index, piece) in pieces.iter().take(PIECES).enumerate() {
            words += usize::from(piece.spaced);
            spend(1);
            if (index > 0 && !piece.joined) || words > WORDS {
                return;
            }
            let own = self.normal.get(piece.normal.clone()).unwrap_or_default();
            // A word is read to its end only where it can be one of a value.
            length.add(own.chars().take(LONGEST + 1));
            if length.characters > LONGEST {
                return;
            }
            let normal = begin.normal.start..piece.normal.end;
            spend(normal.len());
            let normal = self.normal.get(normal).unwrap_or_default();
            if length.distinct < least {
                continue;
            }
            let source = begin.source.start..piece.source.end;
            if let Some(digits) = telephone(normal, begin.plus) {
                tell(source.clone(), &format!("{TELEPHONE_MARK}{digits}"));
            }
            tell(source, normal);
        }
    }
}

/// Adds the normal forms of a value that stands alone.
pub(super) fn of_value(value: &str, least: u32, out: &mut BTreeSet<String>) {
    let keys = Keys::read(value);
    let (mut end, mut longest) = (0, Vec::new());
    keys.begun_at(0, least, &mut |source, key| {
        if source.end > end {
            end = source.end;
            longest.clear();
        }
        longest.push(key.to_owned());
    });
    if !longest.is_empty() {
        out.extend(keys.turned());
    }
    out.extend(longest);
}

/// How much a normal form says.
#[derive(Debug, Default)]
struct Length {
    characters: usize,
    /// Repeated ones once, those that are a syllable or a word as three.
    distinct: u32,
    last: Option<char>,
}

impl Length {
    fn add(&mut self, characters: impl Iterator<Item = char>) {
        for c in characters {
            self.characters += 1;
            if self.last != Some(c) {
                self.distinct += if is_syllable(c) { 3 } else { 1 };
            }
            self.last = Some(c);
        }
    }
}

/// The significant digits of a telephone number, the same with the prefix of its country and with a zero.
fn telephone(normal: &str, plus: bool) -> Option<&str> {
    if normal.len() > 17 || !normal.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let international = if plus {
        Some(normal)
    } else {
        normal.strip_prefix("00")
    };
    let national = match international {
        Some(digits) => digits.get(country_digits(digits)..)?,
        None => normal.strip_prefix('0')?,
    };
    let national = national.trim_start_matches('0');
    TELEPHONE.contains(&national.len()).then_some(national)
}

/// Digits of the country's code (ITU-T E.164, assigned codes).
fn country_digits(digits: &str) -> usize {
    match digits.as_bytes() {
        [b'1' | b'7', ..] => 1,
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => 2,
        _ => 3,
    }
}

/// Scripts of which words are not told apart by spaces; Korean writes particles at its names.
fn has_no_spaces(c: char) -> bool {
    is_syllable(c) || matches!(u32::from(c), 0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff)
}

/// Han, kana and hangul.
fn is_syllable(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7a3
        | 0x2_0000..=0x3_ffff)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rstest::rstest;

    use super::{Keys, LONGEST, PIECES, of_value};
    use crate::view::unaccented;

    /// What of a text is the value.
    fn found(value: &str, text: &str) -> Vec<String> {
        let mut values = BTreeSet::new();
        of_value(unaccented(value).as_str(), 6, &mut values);
        let text = unaccented(text);
        let mut found: Vec<std::ops::Range<usize>> = Vec::new();
        Keys::read(text.as_str()).each(6, |range, key| {
            let inside = found.last().is_some_and(|last| range.end <= last.end);
            if values.contains(key) && !inside {
                found.push(range);
            }
        });
        let cut = found
            .into_iter()
            .map(|range| text.as_str()[range].to_owned());
        cut.collect()
    }

    #[rstest]
    #[case(
        "DE89370400440532013000",
        "to DE89 3704 0044 0532 0130 00.",
        "de89 3704 0044 0532 0130 00"
    )]
    #[case("NL-3391-22", "account nl 3391.22, thanks", "nl 3391.22")]
    #[case("Zoë Müller", "Ask ZOE MU\u{308}LLER's team", "zoe muller")]
    #[case("Miller, Ann", "Dear Ann Miller,", "ann miller")]
    #[case("Ann Miller", "Miller, Ann: paid", "miller, ann")]
    #[case("Ann Mary Miller", "MILLER, Ann Mary", "miller, ann mary")]
    #[case("Miller, Ann Mary", "Dear Ann Mary Miller", "ann mary miller")]
    #[case(
        "jane.doe@mail.example",
        "mailto:Jane.Doe@mail.example?x",
        "jane.doe@mail.example"
    )]
    #[case("+49 171 7654321", "call 0171/765 43 21 today", "0171/765 43 21")]
    #[case("0171 7654321", "call +49 (0) 171 7654321 today", "49 (0) 171 7654321")]
    #[case("44712093", "رقم ٤٤٧١٢٠٩٣ هنا", "٤٤٧١٢٠٩٣")]
    #[case("王小明", "尊敬的王小明先生", "王小明")]
    #[case("สมชาย ใจดี", "เรียนคุณสมชายใจดีครับ", "สมชายใจดี")]
    #[case("김철수", "김철수님께", "김철수")]
    fn a_value_is_found_however_it_is_written(
        #[case] value: &str,
        #[case] text: &str,
        #[case] expected: &str,
    ) {
        assert_eq!(found(value, text), [expected]);
    }

    #[rstest]
    #[case::longer("447120", "order 44712093")]
    #[case::inner("447120", "order 9447120")]
    #[case::too_short("4711", "order 4711")]
    #[case::says_little("0000000", "no 0000000")]
    #[case::far_apart("447120", "447 and the rest is 120")]
    #[case::other("Ann Miller", "Ann and Bob Miller")]
    #[case::mixed_up("Ann Mary Miller", "Mary Ann Miller")]
    fn what_is_another_value_is_not_found(#[case] value: &str, #[case] text: &str) {
        assert_eq!(found(value, text), Vec::<String>::new());
    }

    #[test]
    fn a_long_text_has_as_many_forms_as_it_has_words_times_a_bound() {
        for text in [
            "ab12 ".repeat(2000),
            "王小明".repeat(2000),
            "x".repeat(100_000),
            "1 ".repeat(10_000),
        ] {
            let keys = Keys::read(&text);
            let (mut forms, mut bytes) = (0, 0);
            keys.each(1, |_, key| {
                forms += 1;
                bytes += key.len();
            });
            assert!(forms <= 2 * PIECES * keys.pieces.len());
            assert!(bytes <= forms * 4 * (LONGEST + 1));
        }
    }
}
