//! Reads written numbers: grouped, with either decimal mark, scaled, with percent or currency.

use std::{borrow::Cow, ops::Range};

use super::{
    super::{char_after, char_before},
    unit::{self, Unit},
};
use crate::work::spend;

/// A number as it stands in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Number<'a> {
    pub(crate) range: Range<usize>,
    pub(crate) readings: Readings<'a>,
    pub(crate) unit: Unit,
    /// True when it is part of a date or a time.
    pub(crate) in_date: bool,
}

impl Number<'_> {
    /// Whether it counts money or percent.
    pub(crate) fn has_unit(&self) -> bool {
        matches!(self.unit, Unit::Percent | Unit::Money)
    }
}

/// Everything a number can mean, as plain decimals: digits, a point, no zeros at either end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Readings<'a>([Option<Cow<'a, str>>; 4]);

/// Digits and the marks between them; one token is read into the room of the last.
#[derive(Debug, Default)]
struct Token<'a> {
    start: usize,
    groups: Vec<&'a str>,
    marks: Vec<char>,
    /// Runs of digits that this and the tokens before it took.
    taken: usize,
    /// All marks are the same.
    uniform: bool,
}

/// Every number of a compatibility text, in order; list enumerators and digits inside names, as in
/// `B2B`, are none. `digits` are all runs of digits in the text.
pub(crate) fn read<'a>(text: &'a str, digits: &[Range<usize>]) -> Vec<Number<'a>> {
    let mut numbers = Vec::new();
    let mut token = Token::default();
    while token.read_next(text, digits).is_some() {
        if !is_enumerator(text, &token) && !is_in_name(text, &token) {
            token.add_numbers(text, &mut numbers);
        }
    }
    numbers
}

impl<'a> Token<'a> {
    /// Reads the token behind this one.
    fn read_next(&mut self, text: &'a str, digits: &[Range<usize>]) -> Option<()> {
        let mut rest = digits.get(self.taken..)?.iter();
        self.groups.clear();
        self.marks.clear();
        self.uniform = true;
        // A mark that joins stands right in front of digits.
        let mut group = rest.next()?;
        self.start = group.start;
        loop {
            self.taken += 1;
            spend(1);
            self.groups.push(text.get(group.clone())?);
            let Some(mark) = self.mark(text, group.end) else {
                return Some(());
            };
            self.uniform &= self.marks.last().is_none_or(|last| *last == mark);
            self.marks.push(mark);
            group = rest.next()?;
        }
    }

    /// The mark at a byte, where it joins digits to this token.
    fn mark(&self, text: &str, at: usize) -> Option<char> {
        let mark = char_after(text, at)?;
        let next = text.get(at + mark.len_utf8()..)?;
        let joins = match mark {
            '.' | ',' | '/' | ':' | '-' | '\u{66b}' | '\u{66c}' => {
                next.starts_with(|c: char| c.is_ascii_digit())
            }
            ' ' | '\'' => {
                let digits = next.bytes().take(4).take_while(u8::is_ascii_digit);
                digits.count() == 3 && self.may_group(mark)
            }
            _ => false,
        };
        joins.then_some(mark)
    }

    /// Spaces and apostrophes only group thousands.
    fn may_group(&self, mark: char) -> bool {
        self.uniform
            && self.marks.last().is_none_or(|last| *last == mark)
            && self.groups.first().is_some_and(|group| group.len() <= 3)
    }

    fn end(&self) -> usize {
        let digits: usize = self.groups.iter().map(|group| group.len()).sum();
        self.start + digits + self.marks.iter().map(|mark| mark.len_utf8()).sum::<usize>()
    }

    /// One number, or the parts of a date, a time, a range or a version.
    fn add_numbers(&self, text: &str, numbers: &mut Vec<Number<'a>>) {
        let range = self.start..self.end();
        let mut readings = self.readings();
        if !readings.is_empty() {
            let unit = unit::around(text, &range);
            if let Some(zeros) = unit::scale(text, range.end) {
                readings.add_scaled(zeros);
            }
            numbers.push(Number {
                range,
                readings,
                unit,
                in_date: false,
            });
            return;
        }
        let in_date = self.is_date() || self.marks.contains(&':');
        let mut at = self.start;
        let marks = self.marks.iter().map(|mark| mark.len_utf8()).chain([0]);
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
                readings: Readings::one(trim_whole(group).into()),
                unit,
                in_date,
            });
        }
    }

    fn is_date(&self) -> bool {
        if self.groups.len() < 3 {
            return false;
        }
        let one_mark = matches!(
            self.marks.as_slice(),
            ['.', '.'] | ['/', '/'] | ['-', '-', ..]
        );
        one_mark
            && match self.groups.as_slice() {
                [one, two, three] => matches!(
                    (one.len(), two.len(), three.len()),
                    (1..=2, 1..=2, 2 | 4) | (4, 1..=2, 1..=2)
                ),
                [one, two, three, ..] => {
                    matches!((one.len(), two.len(), three.len()), (4, 1..=2, 1..=2))
                }
                _ => false,
            }
    }

    /// What the token means as one number; nothing when it is no single number.
    fn readings(&self) -> Readings<'a> {
        if self.is_date() {
            return Readings::default();
        }
        match self.marks.as_slice() {
            [] | [' ' | '\'' | '\u{66c}', ..] if self.uniform => Readings::one(self.whole()),
            ['\u{66b}'] => Readings::one(self.decimal()),
            ['.' | ','] => {
                let [before, after] = self.groups.as_slice() else {
                    return Readings::default();
                };
                // `1.234` is 1234 to some and 1.234 to others; kept apart from `1.2340`.
                if after.len() == 3 && before.len() <= 3 && *before != "0" {
                    let decimal = format!("{}.{after}", trim_whole(before));
                    Readings([Some(self.whole()), Some(decimal.into()), None, None])
                } else {
                    Readings::one(self.decimal())
                }
            }
            ['.' | ',', ..] if self.uniform && self.grouped(self.groups.len()) => {
                Readings::one(self.whole())
            }
            [rest @ .., last @ ('.' | ',' | '\u{66b}')]
                if !rest.is_empty()
                    && rest.iter().all(|m| m != last && Some(m) == rest.first())
                    && matches!(rest.first(), Some('.' | ',' | ' ' | '\'' | '\u{66c}'))
                    && self.grouped(self.groups.len() - 1) =>
            {
                Readings::one(self.decimal())
            }
            _ => Readings::default(),
        }
    }

    /// All digits as an integer.
    fn whole(&self) -> Cow<'a, str> {
        match self.groups.as_slice() {
            [one] => trim_whole(one).into(),
            groups => trim(&groups.concat(), "").into(),
        }
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
    fn decimal(&self) -> Cow<'a, str> {
        let Some((fraction, whole)) = self.groups.split_last() else {
            return Cow::default();
        };
        match whole {
            [one] => trim(one, fraction).into(),
            groups => trim(&groups.concat(), fraction).into(),
        }
    }
}

impl<'a> Readings<'a> {
    fn one(reading: Cow<'a, str>) -> Self {
        Self([Some(reading), None, None, None])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flatten().map(AsRef::as_ref)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Adds each times ten to the power of `zeros`.
    fn add_scaled(&mut self, zeros: usize) {
        let [one, two, ..] = &self.0;
        let scaled = |reading: &Option<Cow<'_, str>>| {
            reading
                .as_ref()
                .map(|reading| shift_left(reading, zeros).into())
        };
        let (third, fourth) = (scaled(one), scaled(two));
        let [.., three, four] = &mut self.0;
        (*three, *four) = (third, fourth);
    }
}

/// An integer without zeros in front.
fn trim_whole(whole: &str) -> &str {
    match whole.trim_start_matches('0') {
        "" => whole.get(..1).unwrap_or("0"),
        digits => digits,
    }
}

/// A decimal without zeros at either end.
pub(super) fn trim(whole: &str, fraction: &str) -> String {
    let whole = trim_whole(whole);
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
    let after = text.get(token.end()..).unwrap_or_default();
    if group.len() > 2 || !(after.starts_with(". ") || after.starts_with(") ")) {
        return false;
    }
    let line = text.get(..token.start).unwrap_or_default();
    let line = line.trim_end_matches(' ');
    line.is_empty() || line.ends_with('\n')
}

/// One or two digits behind a letter, unless the letters are a currency.
fn is_in_name(text: &str, token: &Token<'_>) -> bool {
    let behind_letter = char_before(text, token.start).is_some_and(char::is_alphabetic);
    let short = token.groups.len() == 1 && token.groups.iter().all(|group| group.len() <= 2);
    let unit = || unit::around(text, &(token.start..token.end()));
    behind_letter && short && matches!(unit(), Unit::None | Unit::Time(_))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Number, shift_left};
    use crate::bytes::digit_runs;

    fn read(text: &str) -> Vec<Number<'_>> {
        super::read(text, &digit_runs(text))
    }

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
        assert_eq!(numbers[0].readings.iter().collect::<Vec<_>>(), readings);
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
            .map(|number| number.readings.iter().collect::<String>())
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
