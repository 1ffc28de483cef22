//! Sizes of a text as a reader counts them, line by line: a line break ends words, sentences and
//! clusters by Unicode's rules, and lines of ASCII, or of what stands for it, need none of their tables.

mod alike;
mod sentences;
mod words;

use unicode_segmentation::UnicodeSegmentation;

pub(super) use sentences::sentences;
pub(super) use words::words;

use self::alike::alike;
use super::walk::is_plain;
use crate::work::spend;

/// Grapheme clusters.
pub(super) fn characters(text: &str) -> u32 {
    spend(text.len());
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
        spend(1);
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

/// Line by line: `ascii` counts lines of ASCII and the stand-ins of others, `whole` what has none.
fn by_line(text: &str, ascii: fn(&[u8]) -> u32, whole: impl Fn(&str) -> u32) -> u32 {
    let mut buffer = Vec::new();
    sum(text, |line| {
        if line.is_ascii() {
            ascii(line.as_bytes())
        } else if alike(line, &mut buffer) {
            ascii(&buffer)
        } else {
            whole(line)
        }
    })
}

fn sum(text: &str, count: impl FnMut(&str) -> u32) -> u32 {
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
        const ALPHABET: &[u8] = b"aA1.!,:_(' \r\n";
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
            text in "([ -~]|[aA1.!?,:;(\"'\\[\\]{} \t\r\n_]|[é٣。\u{301}\u{85}\u{2029}你👩\u{200d}🇩]|[aЖя银かกנカ٣،。؟“’–\u{a0}\u{301}\u{93e}.,: ]){0,24}",
        ) {
            prop_assert_eq!(by_line(&text), by_unicode(&text));
        }
    }
}
