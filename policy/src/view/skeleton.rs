//! Words that mix look-alike scripts, read as the Latin letters they look like.
//!
//! Only within a word that mixes scripts (UTS #39, mixed-script detection): a Russian text stays
//! Russian. Single letters are mapped, never sequences, so that `rn` is not `m`.

use super::{
    fold::{folded, unaccented},
    mapped::{Builder, Mapped},
    walk::is_plain,
};
use crate::rule::in_word;

/// The text with look-alikes replaced, before it is folded.
#[derive(Debug)]
pub(crate) struct Skeleton {
    latin: Mapped<'static>,
    pub(crate) folded: Mapped<'static>,
    pub(crate) unaccented: Mapped<'static>,
}

/// Scripts whose letters look like each other's.
const LATIN: u8 = 1;
const GREEK: u8 = 2;
const CYRILLIC: u8 = 4;
const ARMENIAN: u8 = 8;

/// `None` when no word mixes scripts. With `open_end` the last word counts as mixed as soon as it
/// holds a look-alike: more text could mix it.
pub(crate) fn skeleton(text: &str, open_end: bool) -> Option<Skeleton> {
    if text.is_ascii() || !mixes(text, open_end) {
        return None;
    }
    let latin = latin(text, open_end)?;
    Some(Skeleton {
        folded: folded(latin.as_str()),
        unaccented: unaccented(latin.as_str()),
        latin,
    })
}

impl Skeleton {
    /// Bytes of the original for bytes that a folded form leads to.
    pub(crate) fn source(&self, of_latin: std::ops::Range<usize>) -> std::ops::Range<usize> {
        self.latin.source(of_latin)
    }

    /// Byte of the original for the byte of a folded form.
    pub(crate) fn source_start(&self, form: &Mapped<'_>, at: usize, source_len: usize) -> usize {
        let at = form.source_start(at, self.latin.as_str().len());
        self.latin.source_start(at, source_len)
    }
}

/// Whether a word holds letters of two scripts, without looking at anything twice.
fn mixes(text: &str, open_end: bool) -> bool {
    let mut scripts: u8 = 0;
    for c in text.chars() {
        let script = script(c);
        if script == 0 && !is_plain(c) && !in_word(c) {
            scripts = 0;
        }
        scripts |= script;
        if scripts.count_ones() > 1 {
            return true;
        }
    }
    open_end && scripts != 0
}

fn latin(text: &str, open_end: bool) -> Option<Mapped<'static>> {
    let mut out = Builder::with_capacity(text.len());
    let mut mixed = false;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let len = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(len);
        let scripts = word.chars().fold(0, |seen, c| seen | script(c));
        let open = open_end && after.is_empty() && scripts != 0;
        if scripts.count_ones() > 1 || open {
            mixed = true;
            for (offset, c) in word.char_indices() {
                let from = at + offset;
                match look_alike(c) {
                    Some(other) => {
                        out.atom(from..from + c.len_utf8(), other.encode_utf8(&mut [0; 4]));
                    }
                    None => out.linear(from, c.encode_utf8(&mut [0; 4])),
                }
            }
        } else {
            out.linear(at, word);
        }
        at += len;
        let gap = after.find(in_word).unwrap_or(after.len());
        out.linear(at, after.get(..gap).unwrap_or_default());
        at += gap;
    }
    mixed.then(|| out.finish())
}

fn script(c: char) -> u8 {
    if c.is_ascii() {
        return u8::from(c.is_ascii_alphabetic()) * LATIN;
    }
    match u32::from(c) {
        0x41..=0x5a | 0x61..=0x7a | 0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..=0x24f | 0x1e00..=0x1eff => {
            LATIN
        }
        0x370..=0x3ff | 0x1f00..=0x1fff if c.is_alphabetic() => GREEK,
        0x400..=0x481 | 0x48a..=0x52f => CYRILLIC,
        0x531..=0x556 | 0x561..=0x587 => ARMENIAN,
        _ => 0,
    }
}

/// The Latin letter that a letter looks like, of the same case as a reader sees it.
fn look_alike(c: char) -> Option<char> {
    Some(match c {
        'а' | 'А' | 'Α' | 'α' => 'a',
        'В' | 'в' | 'Β' | 'β' | 'ь' | 'Ь' => 'b',
        'с' | 'С' | 'ϲ' | 'Ϲ' => 'c',
        'ԁ' | 'Ԁ' => 'd',
        'е' | 'Е' | 'ё' | 'Ё' | 'Ε' | 'ε' => 'e',
        'ց' => 'g',
        'Н' | 'н' | 'һ' | 'Һ' | 'Η' | 'հ' => 'h',
        'і' | 'І' | 'ї' | 'Ї' | 'ι' | 'Ι' | 'ί' => 'i',
        'ј' | 'Ј' | 'ϳ' => 'j',
        'К' | 'к' | 'Κ' | 'κ' => 'k',
        'ӏ' | 'Ӏ' => 'l',
        'М' | 'м' | 'Μ' => 'm',
        'п' | 'η' | 'Ν' | 'ո' => 'n',
        'о' | 'О' | 'ο' | 'Ο' | 'σ' | 'օ' | 'Օ' => 'o',
        'р' | 'Р' | 'ρ' | 'Ρ' => 'p',
        'ԛ' | 'Ԛ' | 'զ' => 'q',
        'г' => 'r',
        'ѕ' | 'Ѕ' | 'Տ' => 's',
        'Т' | 'т' | 'Τ' | 'τ' => 't',
        'υ' | 'ս' | 'Ս' => 'u',
        'ν' | 'ѵ' | 'Ѵ' => 'v',
        'ԝ' | 'Ԝ' | 'ω' | 'ѡ' => 'w',
        'х' | 'Х' | 'χ' | 'Χ' => 'x',
        'у' | 'У' | 'Υ' | 'γ' | 'ү' | 'Ү' => 'y',
        'Ζ' => 'z',
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::skeleton;

    #[rstest]
    #[case::cyrillic_a("\u{410}cme", Some("acme"))]
    #[case::greek_o("Nordbank Pl\u{3c5}s", Some("nordbank plus"))]
    #[case::one_word_of_many("Привет от \u{410}cme", Some("привет от acme"))]
    #[case::russian("Привет, как дела", None)]
    #[case::side_by_side("Acme и Привет", None)]
    #[case::accents("Zoë Łódź", None)]
    #[case::rn_is_no_m("modern modem", None)]
    #[case::kana_is_no_look_alike("Tシャツ", None)]
    fn only_words_that_mix_scripts_are_read_as_latin(
        #[case] text: &str,
        #[case] expected: Option<&str>,
    ) {
        let read = skeleton(text, false);
        assert_eq!(read.as_ref().map(|s| s.folded.as_str()), expected);
    }

    #[test]
    fn an_open_end_may_still_be_mixed() {
        assert!(skeleton("to \u{410}", false).is_none());
        let open = skeleton("to \u{410}", true).unwrap();
        assert_eq!(open.folded.as_str(), "to a");
        assert_eq!(open.source_start(&open.folded, 3, 5), 3);
    }
}
