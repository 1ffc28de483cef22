//! Sizes of a text as a reader counts them, line by line: a line break ends words, sentences and
//! clusters by Unicode's rules, and lines of ASCII need none of their tables.

use unicode_segmentation::UnicodeSegmentation;

use super::walk::is_plain;

/// Words by Unicode's rules (UAX #29).
pub(super) fn words(text: &str) -> u32 {
    sum(text, |line| count(line.unicode_words()))
}

/// Grapheme clusters.
pub(super) fn characters(text: &str) -> u32 {
    sum(text, |line| {
        if line.is_ascii() {
            // The one cluster of two ASCII characters.
            narrowed(line.len() - usize::from(line.ends_with("\r\n")))
        } else {
            clusters(line)
        }
    })
}

/// Plain letters and printable ASCII are clusters of their own, but for the last before something else.
fn clusters(line: &str) -> u32 {
    let mut clusters: u32 = 0;
    let mut rest = line;
    while !rest.is_empty() {
        let mut plain = 0;
        let mut last = 0;
        let other = rest.char_indices().find(|&(at, c)| {
            let goes_on = c.is_ascii_graphic() || c == ' ' || is_plain(c);
            if goes_on {
                plain += 1;
                last = at;
            }
            !goes_on
        });
        if other.is_none() {
            return clusters.saturating_add(plain);
        }
        clusters = clusters.saturating_add(plain.max(1));
        let tail = rest.get(last..).unwrap_or_default();
        let cluster = tail.graphemes(true).next().map_or(tail.len(), str::len);
        rest = tail.get(cluster..).unwrap_or_default();
    }
    clusters
}

/// Sentences by Unicode's rules (UAX #29) that hold a letter or digit.
pub(super) fn sentences(text: &str) -> u32 {
    let readable = |sentence: &&str| sentence.chars().any(char::is_alphanumeric);
    sum(text, |line| {
        if line.is_ascii() {
            ascii_sentences(line.as_bytes())
        } else {
            count(line.unicode_sentences().filter(readable))
        }
    })
}

fn sum(text: &str, count: impl Fn(&str) -> u32) -> u32 {
    text.split_inclusive('\n')
        .map(count)
        .fold(0, u32::saturating_add)
}

/// Not `Iterator::count`: the size hint of sentences underflows on an empty text.
fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    items.fold(0, |sum, _| sum.saturating_add(1))
}

fn narrowed(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The rules SB4 to SB11 as they are for ASCII.
fn ascii_sentences(line: &[u8]) -> u32 {
    let mut sentences = 0;
    let mut readable = false;
    let mut at = 0;
    while let Some(&byte) = line.get(at) {
        readable |= byte.is_ascii_alphanumeric();
        let end = match byte {
            b'.' | b'!' | b'?' => sentence_end(line, at),
            b'\r' => Some(at + 1),
            _ => None,
        };
        if end.is_some() {
            sentences += u32::from(readable);
            readable = false;
        }
        at = end.unwrap_or(at + 1);
    }
    sentences + u32::from(readable)
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
    let decides = |byte: &&u8| byte.is_ascii_alphabetic() || ends(**byte);
    let goes_on = rest(next)
        .iter()
        .find(decides)
        .is_some_and(u8::is_ascii_lowercase);
    (!(full_stop && goes_on)).then_some(next)
}

fn closes(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'(' | b')' | b'[' | b']' | b'{' | b'}')
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c)
}

fn ends(byte: u8) -> bool {
    matches!(byte, b'.' | b'!' | b'?' | b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use unicode_segmentation::UnicodeSegmentation;

    use super::{characters, count, sentences, words};

    fn by_unicode(text: &str) -> (u32, u32, u32) {
        let readable = |sentence: &&str| sentence.chars().any(char::is_alphanumeric);
        (
            count(text.unicode_words()),
            count(text.graphemes(true)),
            count(text.unicode_sentences().filter(readable)),
        )
    }

    fn by_line(text: &str) -> (u32, u32, u32) {
        (words(text), characters(text), sentences(text))
    }

    #[test]
    fn short_texts_of_ascii_count_as_by_unicode() {
        const ALPHABET: &[u8] = b"aA1.!,;(\"' \r\n";
        let mut texts = vec![String::new()];
        for _ in 0..4 {
            let longer = texts.iter().flat_map(|text| {
                ALPHABET
                    .iter()
                    .map(move |&byte| format!("{text}{}", char::from(byte)))
            });
            texts = longer.collect();
            for text in &texts {
                assert_eq!(by_line(text), by_unicode(text), "{text:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_counts_as_by_unicode(
            text in "([ -~]|[aA1.!?,:;(\"'\\[\\]{} \t\r\n_]|[é٣。\u{301}\u{85}\u{2029}你👩\u{200d}🇩]){0,24}",
        ) {
            prop_assert_eq!(by_line(&text), by_unicode(&text));
        }
    }
}
