//! Where words begin and end, also in scripts that write no spaces.

use std::ops::Range;

/// The character that ends at a byte.
pub(crate) fn char_before(text: &str, at: usize) -> Option<char> {
    text.get(..at)?.chars().next_back()
}

/// The character that begins at a byte.
pub(crate) fn char_after(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next()
}

/// True where no word goes on across the start of a range.
pub(crate) fn starts_word(text: &str, range: &Range<usize>) -> bool {
    splits(
        char_before(text, range.start),
        char_after(text, range.start),
    )
}

/// True where no word goes on across the end of a range.
pub(crate) fn ends_word(text: &str, range: &Range<usize>) -> bool {
    splits(char_before(text, range.end), char_after(text, range.end))
}

fn splits(left: Option<char>, right: Option<char>) -> bool {
    let (Some(left), Some(right)) = (left, right) else {
        return true;
    };
    !(in_word(left) && in_word(right)) || unspaced(left) || unspaced(right)
}

/// Joiners are inside words: a Persian word with a non-joiner is one word.
pub(crate) fn in_word(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '_' | '\u{200c}' | '\u{200d}')
        || unicode_normalization::char::is_combining_mark(c)
}

/// Scripts without spaces between words: Thai, Lao, Myanmar, Khmer, kana and Han. Every position is
/// a possible boundary there.
fn unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3005..=0x3007
        | 0x3041..=0x30ff | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff
        | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{ends_word, starts_word};

    #[rstest]
    #[case("an acme b", "acme", true, true)]
    #[case("an acmes b", "acme", true, false)]
    #[case("xacme's", "acme", false, true)]
    #[case("acme_x", "acme", true, false)]
    #[case("نحن بنك هنا", "بنك", true, true)]
    #[case("私は銀行です", "銀行", true, true)]
    #[case("ธนาคารไทย", "ธนาคาร", true, true)]
    #[case("à acmé", "acm", true, false)]
    #[case("می\u{200c}خواهم", "می", true, false)]
    #[case("می\u{200c}خواهم", "خواهم", false, true)]
    #[case("Donaudampfschiff", "dampf", false, false)]
    #[case("#1 bank", "#1", true, true)]
    fn words_end_where_a_reader_sees_it(
        #[case] text: &str,
        #[case] word: &str,
        #[case] starts: bool,
        #[case] ends: bool,
    ) {
        let at = text.find(word).unwrap();
        let range = at..at + word.len();
        assert_eq!(
            (starts_word(text, &range), ends_word(text, &range)),
            (starts, ends)
        );
    }
}
