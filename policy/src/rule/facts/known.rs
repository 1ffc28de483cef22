//! Numbers that something vouches for, and for which units.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    number::{self, Number, shift_left, trim},
    unit::{Period, Unit, lower, of_field},
};
use crate::{Inputs, bytes::digit_runs, view::compat};

/// What a known number vouches for, beside numbers without a unit.
#[derive(Clone, Copy, Debug)]
enum Claim {
    /// A value of its own, as a JSON number: everything.
    Value = 1,
    Percent = 2,
    Money = 4,
    /// A number in prose: all but percentages.
    Plain = 8,
    /// Part of a date or a time: nothing else.
    Date = 16,
    Days = 32,
    Weeks = 64,
    Months = 128,
    Years = 256,
}

impl From<Period> for Claim {
    fn from(period: Period) -> Self {
        match period {
            Period::Day => Self::Days,
            Period::Week => Self::Weeks,
            Period::Month => Self::Months,
            Period::Year => Self::Years,
        }
    }
}

/// A set of claims.
#[derive(Clone, Copy, Debug, Default)]
struct Claims(u16);

impl Claims {
    fn add(&mut self, claim: Claim) {
        self.0 |= claim as u16;
    }

    fn has(self, claim: Claim) -> bool {
        self.0 & claim as u16 != 0
    }
}

/// Known numbers by their plain decimal form.
#[derive(Debug, Default)]
pub(crate) struct Known {
    numbers: BTreeMap<String, Claims>,
}

/// Month names of six languages, lower case, sorted.
#[rustfmt::skip]
const MONTHS: [(&str, u32); 84] = [
    ("abril", 4), ("agosto", 8), ("août", 8), ("apr", 4), ("april", 4), ("aprile", 4), ("aug", 8),
    ("august", 8), ("augustus", 8), ("avril", 4), ("dec", 12), ("december", 12), ("dez", 12),
    ("dezember", 12), ("dicembre", 12), ("diciembre", 12), ("décembre", 12), ("enero", 1),
    ("feb", 2), ("febbraio", 2), ("febrero", 2), ("februar", 2), ("februari", 2), ("february", 2),
    ("février", 2), ("gennaio", 1), ("giugno", 6), ("jan", 1), ("januar", 1), ("januari", 1),
    ("january", 1), ("janvier", 1), ("juillet", 7), ("juin", 6), ("jul", 7), ("juli", 7),
    ("julio", 7), ("july", 7), ("jun", 6), ("june", 6), ("juni", 6), ("junio", 6), ("luglio", 7),
    ("maart", 3), ("maggio", 5), ("mai", 5), ("mar", 3), ("march", 3), ("mars", 3), ("marzo", 3),
    ("may", 5), ("mayo", 5), ("mei", 5), ("mär", 3), ("märz", 3), ("nov", 11), ("november", 11),
    ("novembre", 11), ("noviembre", 11), ("oct", 10), ("october", 10), ("octobre", 10),
    ("octubre", 10), ("okt", 10), ("oktober", 10), ("ottobre", 10), ("sep", 9), ("sept", 9),
    ("september", 9), ("septembre", 9), ("septiembre", 9), ("settembre", 9), ("أبريل", 4),
    ("أغسطس", 8), ("أكتوبر", 10), ("ديسمبر", 12), ("سبتمبر", 9), ("فبراير", 2), ("مارس", 3),
    ("مايو", 5), ("نوفمبر", 11), ("يناير", 1), ("يوليو", 7), ("يونيو", 6),
];

/// Number of the month that a word names, in lower case.
pub(crate) fn month(word: &str) -> Option<u32> {
    let found = MONTHS
        .binary_search_by(|(name, _)| (*name).cmp(word))
        .ok()?;
    MONTHS.get(found).map(|(_, month)| *month)
}

impl Known {
    /// Everything that the inputs vouch for.
    pub(crate) fn from_inputs(inputs: &Inputs<'_>) -> Self {
        let mut known = Self::default();
        known.json(inputs.variables, None);
        for text in inputs.passages.iter().chain(inputs.template) {
            known.prose(text);
        }
        known
    }

    /// A value that stands alone: a single bare number vouches for every unit, anything else is
    /// read as prose.
    pub(crate) fn value(&mut self, written: &str) {
        self.bare(written, Claim::Value);
    }

    /// The same, where a single bare number vouches for something else.
    fn bare(&mut self, written: &str, claim: Claim) {
        let text = compat(written);
        let text = text.as_str().trim();
        match number::read(text, &digit_runs(text)).as_slice() {
            [one] if one.range == (0..text.len()) && !one.in_date => {
                one.readings
                    .iter()
                    .for_each(|reading| self.claim(reading, claim));
            }
            _ => self.prose(written),
        }
    }

    pub(crate) fn vouches(&self, number: &Number<'_>) -> bool {
        let direct = number.readings.iter().any(|reading| {
            self.numbers.get(reading).is_some_and(|claims| {
                let any = |of: &[Claim]| of.iter().any(|claim| claims.has(*claim));
                match number.unit {
                    Unit::None => true,
                    Unit::Percent => any(&[Claim::Value, Claim::Percent]),
                    Unit::Money => any(&[Claim::Value, Claim::Money, Claim::Plain]),
                    Unit::Time(period) => any(&[Claim::Value, Claim::Plain, period.into()]),
                }
            })
        });
        direct || self.vouches_as_time(number)
    }

    /// `18.30 Uhr` reads as a decimal: its halves may be known as hour and minute.
    fn vouches_as_time(&self, number: &Number<'_>) -> bool {
        let mut readings = number.readings.iter();
        let (Some(reading), None) = (readings.next(), readings.next()) else {
            return false;
        };
        let Some((hour, minute)) = reading.split_once('.') else {
            return false;
        };
        let is_date = |part: &str| {
            self.numbers
                .get(&trim(part, ""))
                .is_some_and(|claims| claims.has(Claim::Date))
        };
        let minute = format!("{minute:0<2}");
        number.unit == Unit::None && minute.len() == 2 && is_date(hour) && is_date(&minute)
    }

    /// Below a field whose name says what it counts, numbers vouch for that alone.
    fn json(&mut self, value: &Value, counts: Option<Period>) {
        let claim = counts.map_or(Claim::Value, Claim::from);
        match value {
            Value::Number(number) => self.bare(&number.to_string(), claim),
            Value::String(text) => self.bare(text, claim),
            Value::Array(items) => items.iter().for_each(|item| self.json(item, counts)),
            Value::Object(fields) => fields
                .iter()
                .for_each(|(name, field)| self.json(field, of_field(name))),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn prose(&mut self, written: &str) {
        let text = compat(written);
        let text = text.as_str();
        for number in number::read(text, &digit_runs(text)) {
            let claim = match (number.in_date, number.unit) {
                (true, _) => Claim::Date,
                (_, Unit::Percent) => Claim::Percent,
                (_, Unit::Money) => Claim::Money,
                (_, Unit::Time(period)) => period.into(),
                (_, Unit::None) => Claim::Plain,
            };
            number
                .readings
                .iter()
                .for_each(|reading| self.claim(reading, claim));
            if number.in_date {
                self.clock(&number);
            }
        }
        for word in text
            .split(|c: char| !c.is_alphabetic())
            .filter(|word| !word.is_empty())
        {
            if let Some(month) = month(&lower(word)) {
                self.claim(&month.to_string(), Claim::Date);
            }
        }
    }

    /// Hours are also known on the twelve-hour clock, years by their last two digits.
    fn clock(&mut self, number: &Number<'_>) {
        for value in number
            .readings
            .iter()
            .filter_map(|reading| reading.parse::<u32>().ok())
        {
            let other = match value {
                13..=23 => value - 12,
                1900..=2199 => value % 100,
                _ => continue,
            };
            self.claim(&other.to_string(), Claim::Date);
        }
    }

    fn claim(&mut self, reading: &str, claim: Claim) {
        if let Some(claims) = self.numbers.get_mut(reading) {
            claims.add(claim);
        } else {
            let claims = self.numbers.entry(reading.to_owned()).or_default();
            claims.add(claim);
        }
        // A share of 0.04 vouches for 4 %.
        if matches!(claim, Claim::Value) && reading.starts_with("0.") {
            self.numbers
                .entry(shift_left(reading, 2))
                .or_default()
                .add(Claim::Percent);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn months_are_sorted_for_the_search() {
        assert!(super::MONTHS.is_sorted_by(|(a, _), (b, _)| a < b));
    }
}
