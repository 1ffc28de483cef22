//! Folds a text from left to right: ASCII and plain letters in stretches, all else by grapheme cluster.

use unicode_segmentation::UnicodeSegmentation;

use super::mapped::{Builder, Mapped};
use crate::{
    bytes::{pair_position, position},
    work::spend,
};

/// What becomes of ASCII, of plain letters and of clusters. The first two are shortcuts: what they give is
/// what `cluster` gives.
pub(super) trait Fold {
    /// Runs of white space become one space; else white space is a space or a line break.
    const COLLAPSE: bool;

    /// Printable ASCII and spaces, in place.
    fn ascii(&self, text: &mut str);
    /// A plain letter in as many bytes; `None` where the cluster must be asked.
    fn letter(&self, c: char) -> Option<char>;
    fn cluster(&self, cluster: &str, out: &mut String);
}

pub(super) fn walk(text: &str, fold: &impl Fold) -> Mapped<'static> {
    spend(text.len());
    let mut out = Builder::with_capacity(text.len());
    let mut buffer = String::new();
    let mut at = 0;
    while at < text.len() {
        let end = plain_end(text, at, fold);
        plain(text, at, end, fold, &mut out);
        at = cluster(text, end, fold, &mut buffer, &mut out);
    }
    out.finish()
}

/// Letters that are their own compatibility form and the whole of a cluster, unless a mark follows.
pub(super) fn is_plain(c: char) -> bool {
    matches!(u32::from(c),
        0xc0..=0xd6 | 0xd8..=0xf6 | 0xf8..=0x131 | 0x134..=0x13e | 0x141..=0x148 | 0x14a..=0x17e
        | 0x386 | 0x388..=0x38a | 0x38c | 0x38e..=0x3a1 | 0x3a3..=0x3ce | 0x400..=0x481
        | 0x48a..=0x52f | 0x531..=0x556 | 0x561..=0x586 | 0x5d0..=0x5ea | 0x620..=0x64a
        | 0x671..=0x674 | 0x679..=0x6d3 | 0x904..=0x939 | 0xe01..=0xe30 | 0x3041..=0x3096
        | 0x30a1..=0x30fa | 0x4e00..=0x9fff | 0xac00..=0xd7a3)
}

/// Where the stretch of ASCII and plain letters ends. The last character before something else is not
/// in it: that may be its accent.
fn plain_end(text: &str, from: usize, fold: &impl Fold) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let ascii = ascii_len(rest);
    let mut last = from + ascii.saturating_sub(1);
    for (offset, c) in rest.get(ascii..).unwrap_or_default().char_indices() {
        if !c.is_ascii() && (!is_plain(c) || fold.letter(c).is_none()) {
            return last;
        }
        last = from + ascii + offset;
    }
    text.len()
}

fn plain(text: &str, from: usize, to: usize, fold: &impl Fold, out: &mut Builder) {
    let mut at = from;
    while let Some(rest) = text.get(at..to).filter(|rest| !rest.is_empty()) {
        let ascii = ascii_len(rest);
        let (head, tail) = rest.split_at(ascii);
        ascii_run(head, at, fold, out);
        at += ascii;
        let len = tail.bytes().position(|byte| byte.is_ascii());
        let letters = tail.get(..len.unwrap_or(tail.len())).unwrap_or_default();
        out.letters(at, letters, |c| fold.letter(c).unwrap_or(c));
        at += letters.len();
    }
}

fn ascii_len(text: &str) -> usize {
    position(text.as_bytes(), |byte| !byte.is_ascii()).unwrap_or(text.len())
}

/// Copies up to white space that is to change, and changes that byte by byte.
fn ascii_run<F: Fold>(text: &str, from: usize, fold: &F, out: &mut Builder) {
    let bytes = text.as_bytes();
    let changes = |byte: u8, next: u8| match byte {
        b' ' => F::COLLAPSE && is_space(next),
        b'\n' => F::COLLAPSE,
        b'\t' | b'\r' | 0x0b | 0x0c => true,
        _ => false,
    };
    let mut at = 0;
    while at < text.len() {
        let spaced = F::COLLAPSE && out.ends_with(' ');
        let end = if spaced && bytes.get(at).is_some_and(|&byte| is_space(byte)) {
            at
        } else {
            let rest = bytes.get(at..).unwrap_or_default();
            pair_position(rest, changes).map_or(text.len(), |offset| at + offset)
        };
        out.mapped(from + at, text.get(at..end).unwrap_or_default(), |text| {
            fold.ascii(text);
        });
        at = end;
        while let Some(&byte) = bytes.get(at).filter(|byte| is_space(**byte)) {
            if F::COLLAPSE {
                space(from + at, from + at + 1, out);
            } else {
                out.linear(from + at, line_or_space(byte));
            }
            at += 1;
        }
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn line_or_space(byte: u8) -> &'static str {
    match byte {
        b' ' | b'\t' => " ",
        _ => "\n",
    }
}

/// Folds the cluster that begins here, if any; gives where the next one begins.
fn cluster<F: Fold>(
    text: &str,
    start: usize,
    fold: &F,
    buffer: &mut String,
    out: &mut Builder,
) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let Some(cluster) = rest.graphemes(true).next() else {
        return text.len();
    };
    let end = start + cluster.len();
    buffer.clear();
    fold.cluster(cluster, buffer);
    if F::COLLAPSE && !buffer.is_empty() && buffer.chars().all(char::is_whitespace) {
        space(start, end, out);
    } else if buffer.len() == cluster.len() && is_one(cluster) && is_one(buffer) {
        out.linear(start, buffer);
    } else {
        out.atom(start..end, buffer);
    }
    end
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
pub(super) mod tests {
    use super::{Fold, is_plain};

    /// Folded cluster by cluster, without shortcuts.
    pub(in super::super) fn slowly(text: &str, fold: &impl Fold) -> String {
        use unicode_segmentation::UnicodeSegmentation;
        let mut out = String::new();
        for cluster in text.graphemes(true) {
            fold.cluster(cluster, &mut out);
        }
        out
    }

    /// Every plain letter alone, before ASCII and before another letter.
    pub(in super::super) fn letters_fold_as_their_clusters(fold: &impl Fold) {
        for c in ('\0'..=char::MAX).filter(|&c| is_plain(c)) {
            let Some(letter) = fold.letter(c) else {
                continue;
            };
            assert_eq!(letter.len_utf8(), c.len_utf8(), "{c}");
            assert_eq!(slowly(&c.to_string(), fold), letter.to_string());
            for other in ['a', '1', 'é', 'й', 'क', '가', 'か', '银', 'ن'] {
                let pair = format!("{c}{other}{c}");
                let first = unicode_segmentation::UnicodeSegmentation::graphemes(&*pair, true);
                assert_eq!(first.count(), 3, "{pair}");
            }
        }
    }
}
