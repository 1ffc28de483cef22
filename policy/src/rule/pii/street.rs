//! Streets with the number of a house, as seven languages write them.

use std::ops::Range;

/// Bytes of the longest address.
pub(super) const REACH: usize = 320;
/// Most words of a street's name.
const MOST_WORDS: usize = 4;
/// Bytes of the longest word of one.
const LONGEST_WORD: usize = 36;

/// Ends of street names, in lower case.
const ENDS: [&str; 12] = [
    "straße", "strasse", "str", "weg", "gasse", "allee", "platz", "damm", "ufer", "straat", "laan",
    "gatan",
];
/// Places that are no streets.
const OTHERS: [&str; 6] = [
    "parkplatz",
    "arbeitsplatz",
    "sitzplatz",
    "stellplatz",
    "ausweg",
    "spielplatz",
];
/// Words behind the name of a street, the number in front.
const BEHIND: [&str; 19] = [
    "street",
    "st",
    "road",
    "rd",
    "avenue",
    "ave",
    "lane",
    "ln",
    "drive",
    "boulevard",
    "blvd",
    "court",
    "close",
    "crescent",
    "terrace",
    "square",
    "gardens",
    "grove",
    "mews",
];
/// Words in front of the name of a street.
const BEFORE: [&str; 20] = [
    "rue",
    "avenue",
    "boulevard",
    "chemin",
    "impasse",
    "quai",
    "calle",
    "avenida",
    "paseo",
    "plaza",
    "via",
    "viale",
    "piazza",
    "corso",
    "rua",
    "travessa",
    "praça",
    "ulica",
    "ul",
    "aleja",
];

/// A word and its place.
#[derive(Clone, Copy, Debug)]
struct Word<'t> {
    start: usize,
    text: &'t str,
}

impl Word<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }

    fn is_capital(&self) -> bool {
        self.text.starts_with(char::is_uppercase)
    }

    fn is_one_of(&self, list: &[&str]) -> bool {
        let lower = self.text.to_lowercase();
        list.contains(&lower.as_str())
    }

    /// Up to four digits and perhaps a letter.
    fn is_number(&self) -> bool {
        let letters = self.text.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = self.text.len() - letters.len();
        (1..=4).contains(&digits)
            && letters.len() <= 1
            && letters.bytes().all(|byte| byte.is_ascii_alphabetic())
    }

    /// Named for a street, as `Lindenstraße`.
    fn is_street(&self) -> bool {
        let lower = self.text.to_lowercase();
        let ends = |end: &&str| {
            lower
                .strip_suffix(*end)
                .is_some_and(|name| name.chars().nth(1).is_some())
        };
        self.is_capital() && ENDS.iter().any(ends) && !OTHERS.contains(&lower.as_str())
    }
}

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let words = words(text);
    let mut found: Vec<Range<usize>> = Vec::new();
    for at in 0..words.len() {
        let range = suffixed(text, &words, at)
            .or_else(|| numbered(text, &words, at))
            .or_else(|| prefixed(text, &words, at));
        found.extend(range);
    }
    found
}

/// `Lindenstraße 12a`, `Berliner Str. 5`.
fn suffixed(text: &str, words: &[Word<'_>], at: usize) -> Option<Range<usize>> {
    let (street, number) = (words.get(at)?, words.get(at + 1)?);
    let bare = street.is_one_of(&["straße", "strasse", "str", "allee", "platz", "weg", "ring"]);
    let start = if street.is_street() {
        street.start
    } else {
        let name = words.get(at.checked_sub(1)?)?;
        (bare && street.is_capital() && name.is_capital() && joined(text, name, street))
            .then_some(name.start)?
    };
    (number.is_number() && joined(text, street, number)).then(|| start..number.end())
}

/// `12 High Street`, `221B Baker St`.
fn numbered(text: &str, words: &[Word<'_>], at: usize) -> Option<Range<usize>> {
    let number = words.get(at).filter(|word| word.is_number())?;
    let mut last = number;
    for (place, word) in words.iter().skip(at + 1).take(MOST_WORDS).enumerate() {
        if !word.is_capital() || text.get(last.end()..word.start) != Some(" ") {
            return None;
        }
        if place > 0 && word.is_one_of(&BEHIND) {
            return Some(number.start..word.end());
        }
        last = word;
    }
    None
}

/// `12, rue de la Paix`, `Calle Mayor 5`, `Via Roma, 12`.
fn prefixed(text: &str, words: &[Word<'_>], at: usize) -> Option<Range<usize>> {
    let street = words.get(at).filter(|word| word.is_one_of(&BEFORE))?;
    let name = name(text, words, at);
    let place = name.iter().rposition(Word::is_capital)?;
    let last = name.get(place)?;
    let behind = words.get(at + place + 2);
    let number = behind.filter(|word| word.is_number() && joined(text, last, word));
    // English travels `via London`.
    let named = street.is_capital() || !street.is_one_of(&["via", "corso", "plaza", "quai"]);
    if let Some(number) = number.filter(|_| named) {
        return Some(street.start..number.end());
    }
    let before = words.get(at.checked_sub(1)?)?;
    (before.is_number() && joined(text, before, street)).then(|| before.start..last.end())
}

/// Words behind `rue` that can belong to the street's name.
fn name<'t>(text: &str, words: &[Word<'t>], at: usize) -> Vec<Word<'t>> {
    let mut name = Vec::new();
    let Some(mut last) = words.get(at) else {
        return name;
    };
    for word in words.iter().skip(at + 1).take(MOST_WORDS) {
        let little = word.is_one_of(&[
            "de", "du", "des", "la", "le", "del", "los", "las", "di", "da", "do", "dos", "l", "d",
        ]);
        let beside = matches!(text.get(last.end()..word.start), Some(" " | ". " | "'"));
        if word.is_number() || !(little || word.is_capital()) || !beside {
            break;
        }
        name.push(*word);
        last = word;
    }
    name
}

/// What may stand between two words of an address.
fn joined(text: &str, one: &Word<'_>, other: &Word<'_>) -> bool {
    matches!(
        text.get(one.end()..other.start),
        Some(" " | ", " | ". " | "'" | " n° " | " nr " | " nº ")
    )
}

/// Runs of letters, digits and hyphens, not longer than words are.
fn words(text: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        let inside =
            c.is_alphanumeric() || c == '-' || unicode_normalization::char::is_combining_mark(c);
        if inside {
            start.get_or_insert(at);
        } else if let Some(start) = start.take() {
            let text = text.get(start..at).unwrap_or_default();
            words.push(Word { start, text });
        }
    }
    words.retain(|word| word.text.len() <= LONGEST_WORD);
    words
}

/// Whether one of these values names the address.
pub(super) fn is_known(address: &str, values: &[String]) -> bool {
    let plain = |text: &str| {
        let lower = text.to_lowercase();
        lower
            .replace(['.', ','], " ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    let address = plain(address);
    values.iter().any(|value| plain(value).contains(&address))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{find, is_known};

    #[rstest]
    #[case("Jane lives at Lindenstraße 12a, 10115 Berlin.", &["Lindenstraße 12a"])]
    #[case("Berliner Str. 5, Hauptstr. 7, Am Marktplatz 3", &["Berliner Str. 5", "Hauptstr. 7", "Marktplatz 3"])]
    #[case("Karl-Marx-Allee 103", &["Karl-Marx-Allee 103"])]
    #[case("at 12 High Street or 221B Baker Street", &["12 High Street", "221B Baker Street"])]
    #[case("1600 Pennsylvania Ave", &["1600 Pennsylvania Ave"])]
    #[case("12, rue de la Paix, Paris", &["12, rue de la Paix"])]
    #[case("Calle Mayor 5, Avenida de América, 12", &["Calle Mayor 5", "Avenida de América, 12"])]
    #[case("in Via Roma 12", &["Via Roma 12"])]
    #[case("Kerkstraat 45, Storgatan 7", &["Kerkstraat 45", "Storgatan 7"])]
    #[case("Rua do Ouro 40", &["Rua do Ouro 40"])]
    #[case("ul. Długa 5", &["ul. Długa 5"])]
    #[case("Straße 2026, Parkplatz 12, auf Platz 3, der Weg 5", &[])]
    #[case("We offer 24 hour service via London 12 times a day.", &[])]
    #[case("Join on 5 November at 6:30 pm. 300 Seats. Drive 20 km.", &[])]
    fn streets_with_numbers_are_found(#[case] text: &str, #[case] expected: &[&str]) {
        let found: Vec<_> = find(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_address_is_known_by_its_words() {
        let values = ["Lindenstraße 12a, 10115 Berlin".to_owned()];
        assert!(is_known("lindenstraße 12A", &values));
        assert!(!is_known("Lindenstraße 13", &values));
    }
}
