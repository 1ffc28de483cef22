//! Dates of birth: dates behind words that say so. Any other date is anyone's.

use std::ops::Range;

use super::super::{
    boundary::{ends_word, starts_word},
    facts::month,
};

/// Bytes of the longest announcement and date, and of the character behind it.
pub(super) const REACH: usize = 128;
/// Most bytes between the word and the date.
const GAP: usize = 24;

/// Words that announce a date of birth, in lower case.
#[rustfmt::skip]
const WORDS: [&str; 38] = [
    "born on", "born", "date of birth", "birth date", "birthdate", "dob", "d.o.b.",
    "geboren am", "geboren", "geb.", "geburtsdatum", "geburtstag", "né le", "née le", "date de naissance",
    "nacido el", "nacida el", "fecha de nacimiento", "nato il", "nata il", "data di nascita", "geboren op",
    "geboortedatum", "nascido em", "nascida em", "data de nascimento", "data urodzenia", "urodzony",
    "urodzona", "дата рождения", "родился", "родилась", "تاريخ الميلاد", "مواليد", "doğum tarihi", "出生日期",
    "生年月日", "생년월일",
];

/// A day, whatever order and form it is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Day {
    /// Last two digits of the year.
    year: u32,
    /// The smaller and the larger of day and month.
    others: (u32, u32),
}

/// One word or number of a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Number { value: u32, digits: usize },
    Month(u32),
}

pub(super) fn find(text: &str) -> Vec<Range<usize>> {
    let lower = lower(text);
    let lower = lower.as_str();
    let mut found: Vec<Range<usize>> = Vec::new();
    for word in WORDS {
        for (at, _) in lower.match_indices(word) {
            let range = at..at + word.len();
            let whole =
                starts_word(lower, &range) && (word.ends_with('.') || ends_word(lower, &range));
            if let Some((date, _)) = whole.then(|| behind(text, range.end)).flatten() {
                found.push(date);
            }
        }
    }
    found.sort_unstable_by_key(|range| range.start);
    found.dedup();
    found
}

/// Lower case, letter by letter, where that takes as many bytes.
fn lower(text: &str) -> String {
    let letters = text.chars().map(|c| {
        let mut lower = c.to_lowercase();
        lower
            .next()
            .filter(|lower| lower.len_utf8() == c.len_utf8())
            .filter(|_| lower.next().is_none())
            .unwrap_or(c)
    });
    letters.collect()
}

/// The day that a value writes, if it is one.
pub(super) fn day(value: &str) -> Option<Day> {
    behind(value, 0).map(|(_, day)| day)
}

/// The first date that begins within reach.
fn behind(text: &str, from: usize) -> Option<(Range<usize>, Day)> {
    let until = text.ceil_char_boundary((from + GAP).min(text.len()));
    let near = text.get(from..until)?;
    let starts = near.char_indices().filter(|(offset, c)| {
        let before = near
            .get(..*offset)
            .and_then(|before| before.chars().next_back());
        c.is_alphanumeric() && !before.is_some_and(char::is_alphanumeric)
    });
    let mut dates = starts.filter_map(|(offset, _)| {
        let start = from + offset;
        date(text, start).map(|(end, day)| (start..end, day))
    });
    dates.next()
}

/// A date that begins here: where it ends, and which day it is.
fn date(text: &str, start: usize) -> Option<(usize, Day)> {
    let (first, at) = token(text, start)?;
    let (second, at) = token(text, gap(text, at)?)?;
    let (third, end) = token(text, gap(text, at)?)?;
    let day = match (first, second, third) {
        (
            Token::Number {
                value: year,
                digits: 4,
            },
            Token::Number { value: a, .. },
            Token::Number { value: b, .. },
        )
        | (
            Token::Number { value: a, .. },
            Token::Number { value: b, .. },
            Token::Number {
                value: year,
                digits: 2 | 4,
            },
        )
        | (
            Token::Number { value: a, .. },
            Token::Month(b),
            Token::Number {
                value: year,
                digits: 2 | 4,
            },
        )
        | (
            Token::Month(b),
            Token::Number { value: a, .. },
            Token::Number {
                value: year,
                digits: 4,
            },
        ) => {
            let others = (a.min(b), a.max(b));
            Day {
                year: year % 100,
                others,
            }
        }
        _ => return None,
    };
    let (least, most) = day.others;
    ((1..=12).contains(&least) && (1..=31).contains(&most)).then_some((end, day))
}

fn token(text: &str, start: usize) -> Option<(Token, usize)> {
    let rest = text.get(start..)?;
    let len = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    if len == 0 {
        let len = rest
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(rest.len());
        let month = month(&rest.get(..len)?.to_lowercase())?;
        return Some((Token::Month(month), start + len));
    }
    let value = rest.get(..len)?.parse().ok()?;
    let behind = rest.get(len..)?;
    let ordinal = ["st", "nd", "rd", "th", "er"].iter().find(|suffix| {
        behind.get(..2) == Some(**suffix)
            && !behind
                .get(2..)
                .is_some_and(|b| b.starts_with(char::is_alphanumeric))
    });
    let end = start + len + ordinal.map_or(0, |suffix| suffix.len());
    (len <= 4).then_some((Token::Number { value, digits: len }, end))
}

/// Goes past what stands between the parts of a date.
fn gap(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let words = ["de ", "of ", "del "];
    let trimmed = rest.trim_start_matches(|c: char| {
        matches!(c, ' ' | '.' | ',' | '/' | '-' | '年' | '月' | '년' | '월')
    });
    let passed = rest.len() - trimmed.len();
    let word = words.iter().find(|word| trimmed.starts_with(**word));
    ((1..=6).contains(&passed)).then(|| at + passed + word.map_or(0, |word| word.len()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{day, find};

    #[rstest]
    #[case("Jane, born on 3 May 1980, lives here.", &["3 May 1980"])]
    #[case("DOB: 05/03/1980.", &["05/03/1980"])]
    #[case("geb. 03.05.80 in Ulm", &["03.05.80"])]
    #[case("Geburtsdatum: 3. Mai 1980", &["3. Mai 1980"])]
    #[case("née le 1er mai 1980", &["1er mai 1980"])]
    #[case("nacida el 3 de mayo de 1980", &["3 de mayo de 1980"])]
    #[case("Date of birth May 3rd, 1980", &["May 3rd, 1980"])]
    #[case("出生日期：1980年5月3日", &["1980年5月3"])]
    #[case("تاريخ الميلاد: 03-05-1980", &["03-05-1980"])]
    #[case("On 03.05.1980 we opened. A star is born in 2026.", &[])]
    #[case("born 1980", &[])]
    #[case("newborn on 3 May 1980", &[])]
    #[case("geboren am 45.13.1980", &[])]
    fn only_dates_that_are_said_to_be_of_birth_count(
        #[case] text: &str,
        #[case] expected: &[&str],
    ) {
        let found: Vec<_> = find(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn one_day_is_equal_however_it_is_written() {
        let days: Vec<_> = ["1980-05-03", "3 May 1980", "03.05.80", "05/03/1980"]
            .map(day)
            .into();
        assert!(
            days.iter().all(|day| day.is_some() && *day == days[0]),
            "{days:?}"
        );
        assert_ne!(day("4 May 1980"), days[0]);
        assert_eq!(day("Zoë"), None);
    }
}
