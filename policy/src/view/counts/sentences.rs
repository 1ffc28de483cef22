//! Sentences by Unicode's rules.

use std::{borrow::Cow, collections::BTreeMap};

use unicode_segmentation::UnicodeSegmentation;

use super::{by_line, count};
use crate::{bytes::position, work::spend};

/// Characters in a row, none of them a letter, that are more than a text has.
const LONGEST_STRETCH: usize = 256;

/// Sentences by Unicode's rules (UAX #29) that hold a letter or digit.
pub(in super::super) fn sentences(text: &str) -> u32 {
    let readable = |sentence: &&str| sentence.chars().any(char::is_alphanumeric);
    by_line(text, ascii, |line| {
        let line = shortened(line);
        spend(line.len());
        count(line.unicode_sentences().filter(readable))
    })
}

/// How the rules read a character, as far as runs of it are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Close,
    Space,
    /// As if it were not there.
    Mark,
    Other,
}

/// The line without repetitions of brackets, quotes and spaces, where there are many: the tables' reader
/// looks ahead from each of them anew. A run of them ends a sentence as one does.
fn shortened(line: &str) -> Cow<'_, str> {
    let mut stretch = 0;
    let is_long = line.chars().any(|c| {
        stretch = if c.is_alphabetic() { 0 } else { stretch + 1 };
        stretch > LONGEST_STRETCH
    });
    if !is_long {
        return Cow::Borrowed(line);
    }
    let mut kinds = BTreeMap::new();
    let mut last = Kind::Other;
    let kept = line.chars().filter(|c| {
        let kind = *kinds.entry(*c).or_insert_with(|| kind(*c));
        let repeats = kind == last && matches!(kind, Kind::Close | Kind::Space);
        if kind != Kind::Mark {
            last = kind;
        }
        !repeats
    });
    Cow::Owned(kept.collect())
}

/// Asked of the tables by what becomes of sentences around the character.
fn kind(c: char) -> Kind {
    let joins = |before: &str, after: &str, joined: &str| {
        let text = format!("{before}{c}{after}");
        text.split_sentence_bounds().next() == Some(joined)
    };
    let whole = |before: &str, after: &str| joins(before, after, &format!("{before}{c}{after}"));
    if !joins("!", "1", &format!("!{c}")) || !whole("a", "1") {
        Kind::Other
    } else if joins("! ", "1", "! ") {
        Kind::Close
    } else if whole("!", ")") {
        Kind::Mark
    } else {
        Kind::Space
    }
}

/// The rules SB4 to SB11 as they are for ASCII and for letters without case.
fn ascii(line: &[u8]) -> u32 {
    let mut sentences = 0;
    // Where the sentence begins, or what is known of it ends.
    let (mut from, mut readable) = (0, false);
    let mut at = 0;
    let says = |from: usize, to: usize| {
        let sentence = line.get(from..to).unwrap_or_default();
        sentence
            .iter()
            .any(|byte| is_letter(*byte) || byte.is_ascii_digit())
    };
    let marks = |byte: u8| matches!(byte, b'.' | b'!' | b'?' | b'\r');
    while let Some(rest) = line.get(at..)
        && let Some(offset) = position(rest, marks)
    {
        let mark = at + offset;
        readable = readable || says(from, mark);
        from = mark;
        let end = match line.get(mark) {
            Some(b'\r') => Some(mark + 1),
            _ => sentence_end(line, mark),
        };
        if let Some(end) = end {
            sentences += u32::from(readable);
            (from, readable) = (end, false);
        }
        at = end.unwrap_or(mark + 1);
    }
    sentences + u32::from(readable || says(from, line.len()))
}

/// Where the sentence ends that the mark at a byte ends, if it ends one.
fn sentence_end(line: &[u8], mark: usize) -> Option<usize> {
    let rest = |from: usize| line.get(from..).unwrap_or_default();
    let run = |from: usize, of: fn(u8) -> bool| {
        from + rest(from).iter().take_while(|byte| of(**byte)).count()
    };
    let full_stop = line.get(mark) == Some(&b'.');
    let before = mark.checked_sub(1).and_then(|at| line.get(at));
    if full_stop {
        match line.get(mark + 1) {
            Some(next) if next.is_ascii_digit() => return None,
            Some(next)
                if next.is_ascii_uppercase() && before.is_some_and(u8::is_ascii_alphabetic) =>
            {
                return None;
            }
            _ => {}
        }
    }
    let spaces = run(mark + 1, closes);
    let next = run(spaces, is_space);
    match line.get(next) {
        Some(b',' | b'-' | b':' | b';' | b'.' | b'!' | b'?') => return None,
        Some(b'\r') => return Some(next + 1),
        Some(b'\n') | None => return Some(line.len()),
        _ => {}
    }
    let ahead = rest(next);
    let decides = |byte: &&u8| is_letter(**byte) || ends(**byte);
    let decisive = ahead.iter().position(|byte| decides(&byte));
    spend(decisive.unwrap_or(ahead.len()));
    let decisive = decisive.and_then(|at| ahead.get(at));
    let goes_on = decisive.is_some_and(u8::is_ascii_lowercase);
    (!(full_stop && goes_on)).then_some(next)
}

fn closes(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'(' | b')' | b'[' | b']' | b'{' | b'}')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c)
}

/// Stand-ins are letters without case.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || !byte.is_ascii()
}

fn ends(byte: u8) -> bool {
    matches!(byte, b'.' | b'!' | b'?' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use unicode_segmentation::UnicodeSegmentation;

    use super::{super::count, Kind, kind, sentences};

    #[rstest]
    #[case(&[')', '"', '『', '”'], Kind::Close)]
    #[case(&[' ', '\t', '\u{a0}', '\u{3000}'], Kind::Space)]
    #[case(&['\u{301}', '\u{200d}', '\u{ad}'], Kind::Mark)]
    #[case(&['a', 'Z', '银', '7', '.', '!', '。', ',', '-', '#', '\n', '\r', '\u{85}', '🇩'], Kind::Other)]
    fn tables_tell_what_a_character_is(#[case] chars: &[char], #[case] expected: Kind) {
        for c in chars {
            assert_eq!(kind(*c), expected, "{c:?}");
        }
    }

    #[rstest]
    #[case("é. ", "『(", "a. B")]
    #[case("é.", "』\u{3000}", "A.")]
    #[case("é. ", "『\u{301}", "1. a")]
    #[case("é! ", " \u{a0}", ". ) 。 B")]
    #[case("『. ", ") ", "\u{1c5}. x")]
    fn long_runs_count_as_by_unicode(#[case] before: &str, #[case] run: &str, #[case] after: &str) {
        let readable = |sentence: &&str| sentence.chars().any(char::is_alphanumeric);
        for times in [1, 2, 150, 300] {
            let line = format!("👩{before}{}{after}", run.repeat(times)).repeat(2);
            let expected = count(line.unicode_sentences().filter(readable));
            assert_eq!(sentences(&line), expected, "{times}");
        }
    }
}
