//! Reads written numbers: grouped, with either decimal mark, scaled, with percent or currency.

use std::ops::Range;

use super::{
    super::{char_after, char_before},
    unit::{self, Unit},
};

/// A number as it stands in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) range: Range<usize>,
    /// Everything it can mean, as plain decimals: digits, a point, no zeros at either end.
    pub(crate) readings: Vec<String>,
    pub(crate) unit: Unit,
    /// True when it is part of a date or a time.
    pub(crate) in_date: bool,
}

/// Digits and the marks between them.
#[derive(Debug)]
struct Token<'a> {
    start: usize,
    groups: Vec<&'a str>,
    marks: Vec<char>,
}

/// Every number of a compatibility text, in order; list enumerators and digits inside names, as in
/// `B2B`, are none.
pub(crate) fn read(text: &str) -> Vec<Number> {
    let mut numbers = Vec::new();
    let mut at = 0;
    while let Some(token) = token(text, at) {
        at = token.end();
        if !is_enumerator(text, &token) && !is_in_name(text, &token) {
            numbers.extend(token.numbers(text));
        }
    }
    numbers
}

fn token(text: &str, from: usize) -> Option<Token<'_>> {
    let start = from + text.get(from..)?.find(|c: char| c.is_ascii_digit())?;
    let mut token = Token {
        start,
        groups: Vec::new(),
        marks: Vec::new(),
    };
    let mut at = start;
    loop {
        let rest = text.get(at..)?;
        let len = rest.bytes().take_while(u8::is_ascii_digit).count();
        token.groups.push(rest.get(..len)?);
        at += len;
        let Some(mark) = char_after(text, at) else {
            break;
        };
        let next = text.get(at + mark.len_utf8()..)?;
        let digits = next.bytes().take_while(u8::is_ascii_digit).count();
        let joins = match mark {
            '.' | ',' | '/' | ':' | '-' | '\u{66b}' | '\u{66c}' => digits > 0,
            ' ' | '\'' => digits == 3 && token.may_group(mark),
            _ => false,
        };
        if !joins {
            break;
        }
        token.marks.push(mark);
        at += mark.len_utf8();
    }
    Some(token)
}

impl Token<'_> {
    /// Spaces and apostrophes only group thousands.
    fn may_group(&self, mark: char) -> bool {
        self.marks.iter().all(|m| *m == mark)
            && self.groups.first().is_some_and(|group| group.len() <= 3)
    }

    fn end(&self) -> usize {
        let digits: usize = self.groups.iter().map(|group| group.len()).sum();
        self.start + digits + self.marks.iter().map(|mark| mark.len_utf8()).sum::<usize>()
    }

    /// One number, or the parts of a date, a time, a range or a version.
    fn numbers(&self, text: &str) -> Vec<Number> {
        let range = self.start..self.end();
        let readings = self.readings();
        if !readings.is_empty() {
            let unit = unit::around(text, &range);
            let scaled = unit::scale(text, range.end).map(|zeros| {
                readings
                    .iter()
                    .map(|reading| shift_left(reading, zeros))
                    .collect::<Vec<_>>()
            });
            let readings = readings
                .into_iter()
                .chain(scaled.into_iter().flatten())
                .collect();
            return vec![Number {
                range,
                readings,
                unit,
                in_date: false,
            }];
        }
        let in_date = self.is_date() || self.marks.contains(&':');
        let mut at = self.start;
        let marks = self.marks.iter().map(|mark| mark.len_utf8()).chain([0]);
        let mut numbers = Vec::new();
        for (group, mark) in self.groups.iter().zip(marks) {
            let range = at..at + group.len();
            at = range.end + mark;
            let unit = if in_date {
                Unit::None
            } else {
                unit::around(text, &range)
            };
            numbers.push(Number {
                range,
                readings: vec![trim(group, "")],
                unit,
                in_date,
            });
        }
        numbers
    }

    fn is_date(&self) -> bool {
        let sizes: Vec<_> = self.groups.iter().map(|group| group.len()).collect();
        let one_mark = matches!(
            self.marks.as_slice(),
            ['.', '.'] | ['/', '/'] | ['-', '-', ..]
        );
        one_mark
            && matches!(
                sizes.as_slice(),
                [1..=2, 1..=2, 2 | 4] | [4, 1..=2, 1..=2, ..]
            )
    }

    /// What the token means as one number; nothing when it is no single number.
    fn readings(&self) -> Vec<String> {
        if self.is_date() {
            return Vec::new();
        }
        let whole = || self.groups.concat();
        match self.marks.as_slice() {
            [] => vec![trim(&whole(), "")],
            [' ' | '\'' | '\u{66c}', ..] if self.same_marks() => vec![trim(&whole(), "")],
            ['\u{66b}'] => vec![self.decimal()],
            ['.' | ','] => {
                let [before, after] = self.groups.as_slice() else {
                    return Vec::new();
                };
                // `1.234` is 1234 to some and 1.234 to others; kept apart from `1.2340`.
                if after.len() == 3 && before.len() <= 3 && *before != "0" {
                    vec![trim(&whole(), ""), format!("{}.{after}", trim(before, ""))]
                } else {
                    vec![self.decimal()]
                }
            }
            ['.' | ',', ..] if self.same_marks() && self.grouped(self.groups.len()) => {
                vec![trim(&whole(), "")]
            }
            [rest @ .., last @ ('.' | ',' | '\u{66b}')]
                if !rest.is_empty()
                    && rest.iter().all(|m| m != last && Some(m) == rest.first())
                    && matches!(rest.first(), Some('.' | ',' | ' ' | '\'' | '\u{66c}'))
                    && self.grouped(self.groups.len() - 1) =>
            {
                vec![self.decimal()]
            }
            _ => Vec::new(),
        }
    }

    fn same_marks(&self) -> bool {
        self.marks
            .iter()
            .all(|mark| Some(mark) == self.marks.first())
    }

    /// The first groups are thousands: three digits each, or two as India writes lakhs.
    fn grouped(&self, groups: usize) -> bool {
        let taken = self.groups.get(..groups).unwrap_or_default();
        let [first, middle @ .., last] = taken else {
            return false;
        };
        first.len() <= 3
            && last.len() == 3
            && (middle.iter().all(|g| g.len() == 3) || middle.iter().all(|g| g.len() == 2))
    }

    /// The last group as the fraction.
    fn decimal(&self) -> String {
        let Some((fraction, whole)) = self.groups.split_last() else {
            return String::new();
        };
        trim(&whole.concat(), fraction)
    }
}

/// A decimal without zeros at either end.
pub(super) fn trim(whole: &str, fraction: &str) -> String {
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        fraction => format!("{whole}.{fraction}"),
    }
}

/// Times ten to the power of `places`.
pub(super) fn shift_left(decimal: &str, places: usize) -> String {
    let (whole, fraction) = decimal.split_once('.').unwrap_or((decimal, ""));
    let padded = format!("{fraction:0<places$}");
    let (moved, rest) = padded.split_at_checked(places).unwrap_or((&padded, ""));
    trim(&format!("{whole}{moved}"), rest)
}

/// `1.` or `2)` at the start of a line.
fn is_enumerator(text: &str, token: &Token<'_>) -> bool {
    let [group] = token.groups.as_slice() else {
        return false;
    };
    let line = text.get(..token.start).unwrap_or_default();
    let starts_line =
        line.trim_end_matches(' ').is_empty() || line.trim_end_matches(' ').ends_with('\n');
    let after = text.get(token.end()..).unwrap_or_default();
    group.len() <= 2 && starts_line && (after.starts_with(". ") || after.starts_with(") "))
}

/// One or two digits behind a letter, unless the letters are a currency.
fn is_in_name(text: &str, token: &Token<'_>) -> bool {
    let behind_letter = char_before(text, token.start).is_some_and(char::is_alphabetic);
    let short = token.groups.len() == 1 && token.groups.iter().all(|group| group.len() <= 2);
    behind_letter && short && unit::around(text, &(token.start..token.end())) == Unit::None
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{read, shift_left};

    #[rstest]
    #[case("100,000", &["100000", "100.000"])]
    #[case("1.234,56", &["1234.56"])]
    #[case("1,234.50", &["1234.5"])]
    #[case("1 234 567,8", &["1234567.8"])]
    #[case("1'234.00", &["1234"])]
    #[case("12,34,567", &["1234567"])]
    #[case("0.125", &["0.125"])]
    #[case("007", &["7"])]
    #[case("0", &["0"])]
    fn one_number_has_all_its_readings(#[case] text: &str, #[case] readings: &[&str]) {
        let numbers = read(text);
        assert_eq!(numbers.len(), 1, "{numbers:?}");
        assert_eq!(numbers[0].readings, readings);
    }

    #[rstest]
    #[case("05.11.2026", &["5", "11", "2026"])]
    #[case("18:30", &["18", "30"])]
    #[case("1.2.3", &["1", "2", "3"])]
    #[case("24/7", &["24", "7"])]
    #[case("2026 100", &["2026", "100"])]
    #[case("3 - 5", &["3", "5"])]
    fn compounds_are_read_part_by_part(#[case] text: &str, #[case] parts: &[&str]) {
        let read: Vec<_> = read(text)
            .into_iter()
            .map(|number| number.readings.concat())
            .collect();
        assert_eq!(read, parts);
    }

    #[rstest]
    #[case("1.5", 6, "1500000")]
    #[case("0.04", 2, "4")]
    #[case("12", 3, "12000")]
    #[case("1.2345", 2, "123.45")]
    fn shifting_moves_the_point(#[case] from: &str, #[case] places: usize, #[case] to: &str) {
        assert_eq!(shift_left(from, places), to);
    }
}
