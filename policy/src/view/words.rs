//! A text as its words alone, for wording that need not be kept to the letter: folded without accents, and
//! whatever punctuation and space stand between words as one space.

use unicode_normalization::char::is_combining_mark;

use crate::work::spend;

/// The words of an unaccented text, with one space in front of each and behind the last; empty where there
/// are none. Letters of scripts that put no space between words are words of their own.
pub(super) fn words(unaccented: &str) -> String {
    spend(unaccented.len());
    let mut out = String::with_capacity(unaccented.len() + 2);
    let (mut parts, mut was_alone) = (true, false);
    for c in unaccented.chars() {
        if is_between(c) {
            parts = true;
            continue;
        }
        let is_mark = is_combining_mark(c);
        let alone = is_alone(c) || (is_mark && was_alone);
        if parts || (!is_mark && (alone || was_alone)) {
            out.push(' ');
        }
        out.push(c);
        (parts, was_alone) = (false, alone);
    }
    if !out.is_empty() {
        out.push(' ');
    }
    out
}

/// Space and punctuation. What means something by itself, as `%`, `€`, `&` and `+`, is a word.
fn is_between(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '!' | '"' | '\'' | '(' | ')' | ',' | '-' | '.' | '/' | ':' | ';' | '?' | '[' | ']' | '_' | '{' | '}'
                | '¡' | '«' | '·' | '»' | '¿' | '\u{58a}' | '\u{5be}' | '\u{5f3}' | '\u{5f4}' | '\u{60c}'
                | '\u{61b}' | '\u{61f}' | '\u{66b}' | '\u{66c}' | '\u{6d4}' | '\u{964}' | '\u{965}'
                | '\u{2010}'..='\u{2027}' | '\u{2039}' | '\u{203a}' | '\u{3001}'..='\u{3003}'
                | '\u{3008}'..='\u{3011}' | '\u{3014}'..='\u{301f}' | '\u{30fb}'
        )
}

/// Thai, Lao, Myanmar, Khmer, kana and Han, their digits aside.
fn is_alone(c: char) -> bool {
    !c.is_numeric()
        && matches!(u32::from(c),
            0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff | 0x3400..=0x4dbf
            | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{super::unaccented, words};

    #[rstest]
    #[case("", "")]
    #[case(" – … ", "")]
    #[case("So,  it goes!", " so it goes ")]
    #[case("Dépôt\u{a0}garanti «ici»", " depot garanti ici ")]
    #[case("100,000 EUR, 2.5 % & 3+4", " 100 000 eur 2 5 % & 3+4 ")]
    #[case("e-mail email", " e mail email ")]
    #[case("存款，受保护 EUR5", " 存 款 受 保 护 eur5 ")]
    #[case("ไปธนาคารที่ 5", " ไ ป ธ น า ค า ร ที่ 5 ")]
    #[case("जमा सुरक्षित है।", " जमा सुरक्षित है ")]
    fn words_are_told_apart_by_what_stands_between(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(words(unaccented(text).as_str()), expected);
    }
}
