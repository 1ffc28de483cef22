//! Three ways to make texts comparable, by grapheme cluster, so that a span never cuts a letter
//! from its accents. Terms and texts go through the same function, hence both sides agree.

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;

use super::mapped::{Builder, Mapped};

/// For terms: NFKC, lower case, `ß` as `ss`, plain quotes and hyphens, invisible characters left
/// out, each run of white space one space.
pub(crate) fn folded(text: &str) -> Mapped<'static> {
    walk(text, &Folded)
}

/// For data with a shape: NFKC, digits of all scripts as ASCII, plain hyphens, invisible characters
/// left out, white space either a space or a line break.
pub(crate) fn compat(text: &str) -> Mapped<'static> {
    walk(text, &Compat)
}

/// For wording: NFC, invisible characters left out, each run of white space one space, trimmed.
pub(crate) fn spaced(text: &str) -> String {
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

/// Characters without width that scripts have no use for: zero width space, word joiner, byte order
/// mark, soft hyphen, and the invisible operators.
fn is_ignorable(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}' | '\u{2060}'..='\u{2064}' | '\u{feff}' | '\u{180e}'
    )
}

trait Fold {
    /// Runs of white space become one space.
    const COLLAPSE: bool;
    fn ascii(&self, byte: u8) -> u8;
    fn cluster(&self, cluster: &str, out: &mut String);
}

struct Folded;
struct Compat;

impl Fold for Folded {
    const COLLAPSE: bool = true;

    fn ascii(&self, byte: u8) -> u8 {
        byte.to_ascii_lowercase()
    }

    fn cluster(&self, cluster: &str, out: &mut String) {
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
        out.extend(dotless.flatten().filter(|&c| !is_ignorable(c)).nfkc());
    }
}

impl Fold for Compat {
    const COLLAPSE: bool = false;

    fn ascii(&self, byte: u8) -> u8 {
        match byte {
            b'\r' | 0x0b | 0x0c => b'\n',
            b'\t' => b' ',
            other => other,
        }
    }

    fn cluster(&self, cluster: &str, out: &mut String) {
        out.extend(
            cluster
                .nfkc()
                .filter(|&c| !is_ignorable(c))
                .map(|c| match c {
                    '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => '\n',
                    c if c.is_whitespace() && c != '\n' => ' ',
                    c => ascii_digit(c).unwrap_or_else(|| plain_mark(c)),
                }),
        );
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
fn ascii_digit(c: char) -> Option<char> {
    const ZEROS: [u32; 12] = [
        0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xe50, 0xed0, 0x1040,
    ];
    let code = u32::from(c);
    let digit = ZEROS
        .iter()
        .find_map(|zero| code.checked_sub(*zero).filter(|d| *d < 10))?;
    char::from_digit(digit, 10)
}

fn walk(text: &str, fold: &impl Fold) -> Mapped<'static> {
    let mut out = Builder::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        at = ascii_run(text, at, fold, &mut out);
        at = clusters(text, at, fold, &mut out);
    }
    out.finish()
}

/// Folds ASCII up to the last character before something else, which may carry its accents.
fn ascii_run<F: Fold>(text: &str, from: usize, fold: &F, out: &mut Builder) -> usize {
    let rest = text.get(from..).unwrap_or_default().as_bytes();
    let mut len = rest
        .iter()
        .position(|byte| !byte.is_ascii())
        .unwrap_or(rest.len());
    if len < rest.len() {
        len = len.saturating_sub(1);
    }
    for (at, &byte) in (from..).zip(rest.iter().take(len)) {
        if F::COLLAPSE && (byte.is_ascii_whitespace() || byte == 0x0b) {
            space(at, at + 1, out);
        } else {
            let folded = char::from(fold.ascii(byte));
            out.linear(at, folded.encode_utf8(&mut [0; 4]));
        }
    }
    from + len
}

/// Folds cluster by cluster up to where plain ASCII resumes.
fn clusters<F: Fold>(text: &str, from: usize, fold: &F, out: &mut Builder) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let mut buffer = String::new();
    for (offset, cluster) in rest.grapheme_indices(true) {
        let (start, end) = (from + offset, from + offset + cluster.len());
        let next_is_ascii = text.as_bytes().get(end).is_none_or(u8::is_ascii);
        if offset > 0 && cluster.is_ascii() && next_is_ascii {
            return start;
        }
        buffer.clear();
        fold.cluster(cluster, &mut buffer);
        if F::COLLAPSE && !buffer.is_empty() && buffer.chars().all(char::is_whitespace) {
            space(start, end, out);
        } else if buffer.len() == cluster.len() && is_one(cluster) && is_one(&buffer) {
            out.linear(start, &buffer);
        } else {
            out.atom(start..end, &buffer);
        }
    }
    text.len()
}

fn is_one(text: &str) -> bool {
    text.chars().nth(1).is_none()
}

fn space(start: usize, end: usize, out: &mut Builder) {
    if out.ends_with(' ') {
        out.widen_space(end);
    } else {
        out.linear(start, " ");
        if end > start + 1 {
            out.widen_space(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::{compat, folded, spaced};

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
    fn folding_ignores_case_and_forms(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(folded(text).as_str(), expected);
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

    proptest! {
        #[test]
        fn every_range_maps_to_character_boundaries(text in "[a-cİßﬁ é\u{301}\u{200b}\u{a0}👨‍👩‍👧\r\n٣]{0,24}") {
            for view in [folded(&text), compat(&text)] {
                let mut before = 0;
                for (at, c) in view.as_str().char_indices() {
                    let source = view.source(at..at + c.len_utf8());
                    prop_assert!(text.get(source.clone()).is_some());
                    prop_assert!(source.start >= before && !source.is_empty());
                    before = source.start;
                }
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
