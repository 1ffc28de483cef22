//! Lines of letters and marks that words and sentences treat as they do ASCII.

use super::super::walk::is_plain;

/// Stands for a letter without case, of a word with its neighbours.
pub(super) const JOINED: u8 = 0x80;
/// Stands for a letter without case that is a word of its own: Han, hiragana, Thai.
pub(super) const ALONE: u8 = 0x81;

/// Arabic's decimal separator, a digit to the rules and to nobody else.
const DECIMAL: char = '\u{66b}';

/// Writes one byte for every character, which the rules treat alike; marks on letters are left out. False
/// where some character has none.
pub(super) fn alike(line: &str, out: &mut Vec<u8>) -> bool {
    out.clear();
    for c in line.chars() {
        let before = out.last().copied().unwrap_or_default();
        match stand_in(c) {
            Some(byte) => out.push(byte),
            None if is_mark(c) && is_letter(before) => {}
            None if c == DECIMAL && before.is_ascii_digit() => {}
            None => return false,
        }
    }
    true
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || !byte.is_ascii()
}

fn stand_in(c: char) -> Option<u8> {
    if let Ok(byte) = u8::try_from(c)
        && byte.is_ascii()
    {
        return Some(byte);
    }
    match c {
        '\u{e01}'..='\u{e30}' | '\u{3041}'..='\u{3096}' | '\u{4e00}'..='\u{9fff}' => Some(ALONE),
        // Hebrew joins over more marks, katakana over no letters.
        '\u{5d0}'..='\u{5ea}' | '\u{30a1}'..='\u{30fa}' => None,
        '\u{c0}'..='\u{586}' if is_plain(c) => Some(if c.is_lowercase() { b'a' } else { b'A' }),
        _ if is_plain(c) => Some(JOINED),
        '\u{660}'..='\u{669}' | '\u{6f0}'..='\u{6f9}' | '\u{966}'..='\u{96f}' => Some(b'1'),
        '\u{201c}'..='\u{201f}' | '«' | '»' => Some(b'('),
        '\u{2018}' | '\u{2019}' => Some(b'\''),
        '\u{2013}' | '\u{2014}' | '\u{3001}' => Some(b'-'),
        '\u{60c}' | '\u{ff0c}' => Some(b','),
        '\u{ff1a}' => Some(b':'),
        '\u{61f}' | '\u{964}' | '\u{3002}' => Some(b'!'),
        '\u{66a}' | '\u{2010}' | '\u{2011}' | '\u{20ac}' => Some(b'*'),
        '\u{a0}' => Some(b' '),
        _ => None,
    }
}

/// Marks that belong to the letter in front of them.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c),
        0x300..=0x36f | 0x64b..=0x65f | 0x670 | 0x900..=0x903 | 0x93a..=0x93c | 0x93e..=0x94d
        | 0xe31 | 0xe34..=0xe3a | 0xe47..=0xe4e)
}

#[cfg(test)]
mod tests {
    use unicode_segmentation::UnicodeSegmentation;

    use super::{
        super::{count, sentences, words},
        alike, is_mark, stand_in,
    };

    fn by_unicode(text: &str) -> (u32, u32) {
        let readable = |sentence: &&str| sentence.chars().any(char::is_alphanumeric);
        (
            count(text.unicode_words()),
            count(text.unicode_sentences().filter(readable)),
        )
    }

    /// Places in which the rules tell characters apart.
    const PLACES: [&str; 14] = [
        "a{}b", "1{}2", "a.{}b", "A{}.B", "a. {} b", "a. {}B", "!{}A", "! {}", "{}.A", "{}:a",
        "{},1", "_{}", "{}{}", "a.{}) A",
    ];
    /// Beside one another.
    const NUMBERS: [&str; 3] = ["٢٫٥ я", "1٫a.٢٫2", "٢٫. я"];

    #[test]
    fn every_stand_in_counts_as_what_it_stands_for() {
        let mut lines: Vec<_> = NUMBERS.map(str::to_owned).into();
        for c in ('\u{80}'..=char::MAX).filter(|c| stand_in(*c).is_some() || is_mark(*c)) {
            // Thousands of them are alike.
            let code = u32::from(c);
            if (0x4e10..0x9ff0).contains(&code) || (0xac10..0xd790).contains(&code) {
                continue;
            }
            for place in PLACES {
                let line = place.replace("{}", &c.to_string());
                let carried = format!("я{c}");
                lines.push(if is_mark(c) {
                    line.replace(c, &carried)
                } else {
                    line
                });
            }
        }
        for line in lines {
            assert!(alike(&line, &mut Vec::new()), "{line:?}");
            let counted = (words(&line), sentences(&line));
            assert_eq!(counted, by_unicode(&line), "{line:?}");
        }
    }
}
