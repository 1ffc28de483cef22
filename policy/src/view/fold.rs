//! Three ways to make texts comparable, by grapheme cluster, so that a span never cuts a letter
//! from its accents. Terms and texts go through the same function, hence both sides agree.

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfkc_quick};

use super::{
    mapped::Mapped,
    walk::{Fold, walk},
};
use crate::{bytes::position, work::spend};

/// For terms: NFKC, lower case, `ß` as `ss`, plain quotes and hyphens, invisible characters left
/// out, each run of white space one space.
pub(crate) fn folded(text: &str) -> Mapped<'static> {
    walk(text, &Folded)
}

/// For terms whose accents don't count: as folded, with the marks of Latin, Greek, Cyrillic, Hebrew and
/// Arabic left out, and letters such as `ø` and `ł` as their plain ones.
pub(crate) fn unaccented(text: &str) -> Mapped<'static> {
    walk(text, &Unaccented)
}

/// For data with a shape: NFKC, digits of all scripts as ASCII, plain hyphens, invisible characters
/// left out, white space either a space or a line break.
pub(crate) fn compat(text: &str) -> Mapped<'_> {
    other_compat(text).unwrap_or_else(|| Mapped::identity(text))
}

/// The same; `None` for ASCII that is its own compatibility text.
pub(super) fn other_compat(text: &str) -> Option<Mapped<'static>> {
    let changes = |byte: u8| !byte.is_ascii() || matches!(byte, b'\t' | 0x0b..=b'\r');
    position(text.as_bytes(), changes).map(|_| walk(text, &Compat))
}

/// For wording: NFC, invisible characters left out, each run of white space one space, trimmed.
pub(crate) fn spaced(text: &str) -> String {
    spend(text.len());
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let at = out.len();
        if at > 0 {
            out.push(' ');
        }
        let start = out.len();
        out.extend(word.nfc().filter(|&c| !is_ignorable(c)));
        if out.len() == start {
            out.truncate(at);
        }
    }
    out
}

/// Characters without width that no script needs to be read: zero width space, word joiner, byte
/// order mark, soft hyphen, grapheme joiner, invisible operators, marks of direction, selectors of a
/// variant, tags.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
            | '\u{e0100}'..='\u{e01ef}'
    )
}

/// Zero width non-joiner and joiner: letters of Persian words and of Indian scripts stand apart or
/// together by them, and emoji are built with them; between other letters they only hide a word.
fn has_idle_joiners(cluster: &str) -> bool {
    cluster.contains(is_joiner)
        && cluster
            .chars()
            .next()
            .is_some_and(|base| is_joiner(base) || (base.is_alphanumeric() && !uses_joiners(base)))
}

fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Arabic, Syriac and their neighbours, the scripts of India and Sri Lanka, Tibetan, Myanmar, Khmer
/// and Mongolian.
fn uses_joiners(c: char) -> bool {
    matches!(u32::from(c),
        0x0600..=0x0dff | 0x0f00..=0x109f | 0x1780..=0x18af | 0xa840..=0xa8ff | 0xfb50..=0xfdff
        | 0xfe70..=0xfefc | 0x11000..=0x11fff | 0x1e900..=0x1e95f)
}

struct Folded;
struct Unaccented;
struct Compat;

impl Fold for Folded {
    const COLLAPSE: bool = true;

    fn ascii(&self, text: &mut str) {
        text.make_ascii_lowercase();
    }

    fn letter(&self, c: char) -> Option<char> {
        match c {
            'ß' | 'İ' | 'ı' => None,
            'ς' => Some('σ'),
            'à'..='ÿ' | 'ά'..='ώ' | 'а'..='џ' | '\u{590}'.. => Some(c),
            _ => c.to_lowercase().next(),
        }
    }

    fn cluster(&self, cluster: &str, out: &mut String) {
        if !is_normal(cluster) {
            fold_fully(cluster, out);
        } else if cluster.chars().all(is_folded) {
            out.push_str(cluster);
        } else if let Some(c) = alone(cluster).filter(|c| plain_mark(*c) != *c) {
            out.push(plain_mark(c));
        } else {
            fold_fully(cluster, out);
        }
    }
}

/// True where NFKC changes nothing, and some texts are not told of.
fn is_normal(cluster: &str) -> bool {
    is_nfkc_quick(cluster.chars()) == IsNormalized::Yes
}

fn alone(cluster: &str) -> Option<char> {
    let mut chars = cluster.chars();
    chars.next().filter(|_| chars.next().is_none())
}

/// True for what folding leaves as it is, beside anything.
fn is_folded(c: char) -> bool {
    let mut lower = c.to_lowercase();
    let is_lower = lower.next() == Some(c) && lower.next().is_none();
    is_lower
        && plain_mark(c) == c
        && !is_ignorable(c)
        && !is_joiner(c)
        && !matches!(c, 'ß' | 'ς' | 'ı' | '\u{307}')
}

fn fold_fully(cluster: &str, out: &mut String) {
    let idle = has_idle_joiners(cluster);
    let lower = cluster.nfkc().flat_map(char::to_lowercase).flat_map(|c| {
        let (first, second) = match c {
            'ß' => ('s', Some('s')),
            'ς' => ('σ', None),
            'ı' => ('i', None),
            other => (plain_mark(other), None),
        };
        std::iter::once(first).chain(second)
    });
    // `İ` lowers to `i` and a dot above that no term writes.
    let dotless = lower.scan(' ', |before, c| {
        let kept = (c != '\u{307}' || *before != 'i').then_some(c);
        *before = c;
        Some(kept)
    });
    let dropped = |c: &char| is_ignorable(*c) || (idle && is_joiner(*c));
    out.extend(dotless.flatten().filter(|c| !dropped(c)).nfkc());
}

impl Fold for Unaccented {
    const COLLAPSE: bool = true;

    fn ascii(&self, text: &mut str) {
        Folded.ascii(text);
    }

    /// Kana, Han and Hangul: all others can lose something.
    fn letter(&self, c: char) -> Option<char> {
        (c >= '\u{3041}').then_some(c)
    }

    fn cluster(&self, cluster: &str, out: &mut String) {
        let mut folded = String::with_capacity(cluster.len());
        Folded.cluster(cluster, &mut folded);
        let plain = folded.nfd().filter(|c| !is_accent(*c)).flat_map(|c| {
            let (first, second) = plain_letter(c);
            std::iter::once(first).chain(second)
        });
        out.extend(plain.nfc());
    }
}

/// Marks over, in and under letters that people leave out: Latin, Greek and Cyrillic accents, Hebrew
/// points, Arabic vowels, hamza and tatweel. Vowels of Indian and other scripts are letters to them.
fn is_accent(c: char) -> bool {
    matches!(u32::from(c),
        0x0300..=0x036f | 0x0591..=0x05bd | 0x05bf | 0x05c1 | 0x05c2 | 0x05c4 | 0x05c5 | 0x05c7
        | 0x0610..=0x061a | 0x0640 | 0x064b..=0x065f | 0x0670 | 0x06d6..=0x06dc
        | 0x06df..=0x06e4 | 0x06e7 | 0x06e8 | 0x06ea..=0x06ed | 0x1ab0..=0x1aff | 0x1dc0..=0x1dff
        | 0x20d0..=0x20f0)
}

/// Letters with a stroke or joined from two, which decompose into nothing.
fn plain_letter(c: char) -> (char, Option<char>) {
    match c {
        'ø' => ('o', None),
        'đ' | 'ð' => ('d', None),
        'ł' => ('l', None),
        'ħ' => ('h', None),
        'ŧ' => ('t', None),
        'þ' => ('t', Some('h')),
        'æ' => ('a', Some('e')),
        'œ' => ('o', Some('e')),
        other => (other, None),
    }
}

impl Fold for Compat {
    const COLLAPSE: bool = false;

    fn ascii(&self, _: &mut str) {}

    fn letter(&self, c: char) -> Option<char> {
        Some(c)
    }

    fn cluster(&self, cluster: &str, out: &mut String) {
        if is_normal(cluster) {
            out.extend(cluster.chars().filter_map(made_compatible));
        } else {
            out.extend(cluster.nfkc().filter_map(made_compatible));
        }
    }
}

/// What stands for a character of NFKC; `None` for what is left out.
fn made_compatible(c: char) -> Option<char> {
    match c {
        c if is_ignorable(c) => None,
        '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => Some('\n'),
        c if c.is_whitespace() && c != '\n' => Some(' '),
        c => Some(ascii_digit(c).unwrap_or_else(|| plain_mark(c))),
    }
}

/// Typographic quotes and hyphens as a keyboard writes them.
fn plain_mark(c: char) -> char {
    match c {
        '\u{2018}' | '\u{2019}' | '\u{201b}' | '\u{2032}' | '\u{2bc}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201f}' | '\u{2033}' => '"',
        '\u{2010}'..='\u{2012}' | '\u{2212}' => '-',
        other => other,
    }
}

/// Decimal digits of the scripts that business mail is written in (Unicode category Nd).
pub(crate) fn ascii_digit(c: char) -> Option<char> {
    const ZEROS: [u32; 12] = [
        0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xe50, 0xed0, 0x1040,
    ];
    let code = u32::from(c);
    let digit = ZEROS
        .iter()
        .find_map(|zero| code.checked_sub(*zero).filter(|d| *d < 10))?;
    char::from_digit(digit, 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{
        super::walk::tests::{letters_fold_as_their_clusters, slowly},
        Compat, Folded, Unaccented, compat, fold_fully, folded, made_compatible, spaced,
        unaccented,
    };
    use crate::view::walk::Fold;

    /// Whether clusters give what they give without a shortcut.
    fn shortcuts_hold(cluster: &str) -> bool {
        use unicode_normalization::UnicodeNormalization;
        let (mut quick, mut full) = (String::new(), String::new());
        Folded.cluster(cluster, &mut quick);
        fold_fully(cluster, &mut full);
        let mut compatible = String::new();
        Compat.cluster(cluster, &mut compatible);
        let expected: String = cluster.nfkc().filter_map(made_compatible).collect();
        quick == full && compatible == expected
    }

    #[test]
    fn every_character_is_folded_as_without_shortcuts() {
        // Han and Hangul are alike.
        let alike = |c: &char| matches!(u32::from(*c), 0x3500..=0x9f00 | 0xad00..=0xd700);
        for c in ('\0'..='\u{1ffff}').filter(|c| !alike(c)) {
            assert!(shortcuts_hold(&c.to_string()), "{c:?}");
            // Marks and what they stand on.
            for base in ['a', 'ज'] {
                assert!(shortcuts_hold(&format!("{base}{c}")), "{base}{c:?}");
            }
        }
    }

    #[rstest]
    #[case("Acme  GmbH", "acme gmbh")]
    #[case("STRASSE Straße", "strasse strasse")]
    #[case("İSTANBUL ısı", "istanbul isi")]
    #[case("ΟΔΟΣ οδός", "οδοσ οδόσ")]
    #[case("ＡＣＭＥ™", "acmetm")]
    #[case("cafe\u{301} CAFÉ", "café café")]
    #[case("don\u{2019}t e\u{2011}mail", "don't e-mail")]
    #[case("Ac\u{200b}me\u{ad}", "acme")]
    #[case("a\u{a0}\n b", "a b")]
    #[case("ﬁrst", "first")]
    #[case("مرحبا بكم", "مرحبا بكم")]
    #[case::joiner_between_latin_letters("Ac\u{200c}m\u{200d}e", "acme")]
    #[case::direction_and_variants("A\u{202e}c\u{fe0f}m\u{2066}e", "acme")]
    #[case::persian_stands_apart("می\u{200c}خواهم", "می\u{200c}خواهم")]
    #[case::conjunct("क्\u{200d}ष", "क्\u{200d}ष")]
    #[case::family("👨\u{200d}👩", "👨\u{200d}👩")]
    fn folding_ignores_case_and_forms(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(folded(text).as_str(), expected);
    }

    #[rstest]
    #[case("CAFÉ Ñandú Ångström", "cafe nandu angstrom")]
    #[case("Łódź Sønderjylland Œuvre", "lodz sonderjylland oeuvre")]
    #[case("Αθήνα ёлка", "αθηνα елка")]
    #[case("مُحَمَّد أحمد", "محمد احمد")]
    #[case("한국 हिन्दी ภาษาไทย が", "한국 हिन्दी ภาษาไทย が")]
    fn accents_go_and_letters_stay(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(unaccented(text).as_str(), expected);
    }

    #[rstest]
    #[case("Tel ٠٣٠ ۱۲", "Tel 030 12")]
    #[case("a＠b.example", "a@b.example")]
    #[case("1\u{a0}000\t5\r\n6", "1 000 5\n6")]
    #[case("−5 ％", "-5 %")]
    fn compatibility_keeps_case_and_lines(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(compat(text).as_str().replace("\n\n", "\n"), expected);
    }

    #[test]
    fn spacing_composes_collapses_and_trims() {
        assert_eq!(
            spaced("  Zoe\u{301}\u{a0}\n und\u{200b} \u{200b} ich "),
            "Zoé und ich"
        );
    }

    #[rstest]
    #[case("xx Ac\u{200b}me yy", "acme", "Ac\u{200b}me")]
    #[case("xx Straße yy", "strasse", "Straße")]
    #[case("xx İzmir yy", "izmir", "İzmir")]
    #[case("xx a   b yy", "a b", "a   b")]
    #[case("e\u{301} acme", "acme", "acme")]
    fn spans_lead_back_to_the_original(#[case] text: &str, #[case] find: &str, #[case] got: &str) {
        let view = folded(text);
        let at = view.as_str().find(find).unwrap();
        let source = view.source(at..at + find.len());
        assert_eq!(&text[source], got);
    }

    #[test]
    fn plain_letters_are_folded_as_their_clusters_are() {
        letters_fold_as_their_clusters(&Folded);
        letters_fold_as_their_clusters(&Unaccented);
        letters_fold_as_their_clusters(&Compat);
    }

    proptest! {
        #[test]
        fn clusters_are_folded_as_without_shortcuts(
            text in "(\\PC|[aiızAİßς“‑\u{301}\u{307}\u{327}\u{93c}\u{93f}\u{94d}\u{200d}\u{ad}जक२٣]){0,12}",
        ) {
            for cluster in unicode_segmentation::UnicodeSegmentation::graphemes(&*text, true) {
                prop_assert!(shortcuts_hold(cluster), "{:?}", cluster);
            }
        }

        #[test]
        fn stretches_are_folded_as_their_clusters_are(
            text in "(\\PC|[a-zA-ZäßÉжЖΣςمकのー银가\u{301}\u{200d}\u{200c}\u{a0}\u{93f} \t\n]){0,24}",
        ) {
            let letters = |text: &str| text.split_whitespace().collect::<String>();
            for (walked, slow) in [
                (folded(&text), slowly(&text, &Folded)),
                (unaccented(&text), slowly(&text, &Unaccented)),
                (compat(&text), slowly(&text, &Compat)),
            ] {
                prop_assert_eq!(letters(walked.as_str()), letters(&slow));
            }
        }

        #[test]
        fn every_range_maps_to_character_boundaries(text in "[a-cİßﬁ é\u{301}\u{200b}\u{a0}👨‍👩‍👧\r\n٣]{0,24}") {
            for view in [folded(&text), unaccented(&text), compat(&text)] {
                let mut before = 0..0;
                for (at, c) in view.as_str().char_indices() {
                    let source = view.source(at..at + c.len_utf8());
                    prop_assert!(text.get(source.clone()).is_some() && !source.is_empty());
                    prop_assert!(source.start >= before.start && source.end >= before.end);
                    before = source;
                }
            }
        }

        #[test]
        fn what_stands_later_stands_later_in_the_original(
            text in "[a-cİßﬁ é\u{301}\u{200b}\u{a0}👨‍👩‍👧\r\n٣]{1,24}",
            ends in prop::array::uniform4(any::<prop::sample::Index>()),
        ) {
            for view in [folded(&text), unaccented(&text), compat(&text)] {
                let places: Vec<_> = view.as_str().char_indices().map(|(at, _)| at).collect();
                if places.is_empty() {
                    continue;
                }
                let [a, b, c, d] = ends.map(|end| places[end.index(places.len())]);
                let range = |one: usize, other: usize| {
                    let last = one.max(other);
                    let end = last + view.as_str()[last..].chars().next().unwrap().len_utf8();
                    one.min(other)..end
                };
                let (one, other) = (range(a, b), range(c, d));
                let (of_one, of_other) = (view.source(one.clone()), view.source(other.clone()));
                prop_assert!(one.start > other.start || of_one.start <= of_other.start);
                prop_assert!(one.end > other.end || of_one.end <= of_other.end);
            }
        }

        #[test]
        fn folding_twice_changes_nothing(text in "\\PC{0,40}") {
            let once = folded(&text);
            let twice = folded(once.as_str());
            prop_assert_eq!(once.as_str(), twice.as_str());
        }
    }
}
