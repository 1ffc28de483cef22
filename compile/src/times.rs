//! The times that a cron expression names in a time zone, parsed once.

use std::{ops::RangeInclusive, time::Duration};

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, tz::TimeZone};

use crate::{Diagnostic, diagnostic::Place};

/// Of an expression without seconds and years.
const FIELDS: usize = 5;

/// An expression that compiles, and its zone.
#[derive(Clone, Debug)]
pub struct Times {
    cron: Cron,
    zone: TimeZone,
}

impl Times {
    /// `cron` and `zone` are each a path and what stands there.
    pub(crate) fn parse(
        cron: (&str, &str),
        zone: (&str, Option<&str>),
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut found = Vec::new();
        let (at, text) = cron;
        let cron = parser().parse(text).map_err(|error| {
            let (offset, why) = misfit(text).unwrap_or_else(|| (0, error.to_string()));
            let wrong = Diagnostic::new(
                at,
                format!("`{text}` is no cron expression: {why}"),
                "write minute, hour, day of month, month and day of week, as in `0 9 * * MON-FRI`",
            );
            found.push(wrong.at(Some(Place::of_offset(text, offset))));
        });
        let name = zone.1.unwrap_or("UTC");
        let zone = TimeZone::get(name).map_err(|_| {
            found.push(Diagnostic::new(
                zone.0,
                format!("there is no time zone `{name}`"),
                "name one of the IANA database, as in Europe/Berlin, or leave it out for UTC",
            ));
        });
        let (Ok(cron), Ok(zone)) = (cron, zone) else {
            return Err(found);
        };
        let times = Self { cron, zone };
        if times.next(Timestamp::UNIX_EPOCH).is_none() {
            return Err(vec![Diagnostic::new(
                at,
                format!("`{text}` names a day that never comes"),
                "name a day that its months have",
            )]);
        }
        Ok(times)
    }

    /// The first time after another; none when none comes.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&after, false).ok()?;
        Some(next.timestamp())
    }

    /// The last time after one and not after another. It walks from time to time: they should not be
    /// further apart than a day or so.
    pub fn last(&self, after: Timestamp, until: Timestamp) -> Option<Timestamp> {
        let mut last = None;
        while let Some(next) = self.next(last.unwrap_or(after))
            && next <= until
        {
            last = Some(next);
        }
        last
    }
}

/// Says so of a span out of bounds.
pub(crate) fn out_of(
    at: &str,
    span: aios_crds::Duration,
    within: &RangeInclusive<Duration>,
    bounds: &str,
) -> Option<Diagnostic> {
    (!within.contains(&span.get())).then(|| {
        Diagnostic::new(
            at,
            format!("{span} is not from {bounds}"),
            format!("name a span from {bounds}"),
        )
    })
}

fn parser() -> CronParser {
    CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build()
}

/// Where an expression goes wrong, in bytes, and why: each field is tried alone.
fn misfit(text: &str) -> Option<(usize, String)> {
    let fields: Vec<(usize, &str)> = fields(text).collect();
    if fields.len() != FIELDS {
        let (begin, _) = fields.get(FIELDS).copied().unwrap_or((text.len(), ""));
        return Some((begin, format!("it has {} fields and not 5", fields.len())));
    }
    fields
        .iter()
        .enumerate()
        .find_map(|(index, (begin, field))| {
            let mut alone = ["*"; FIELDS];
            *alone.get_mut(index)? = field;
            let error = parser().parse(&alone.join(" ")).err()?;
            Some((*begin, error.to_string()))
        })
}

/// Words with the offsets at which they begin.
fn fields(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut rest = (0, text);
    std::iter::from_fn(move || {
        let (at, text) = rest;
        let begin = text.find(|c: char| !c.is_whitespace())?;
        let word = text.get(begin..)?;
        let end = word.find(char::is_whitespace).unwrap_or(word.len());
        rest = (at + begin + end, word.get(end..)?);
        Some((at + begin, word.get(..end)?))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::Timestamp;

    use super::{Times, misfit};

    fn times(cron: &str, zone: &str) -> Times {
        Times::parse(("cron", cron), ("zone", Some(zone))).unwrap()
    }

    fn at(time: &str) -> Timestamp {
        time.parse().unwrap()
    }

    #[test]
    fn the_field_that_is_wrong_is_found_by_its_column() {
        let place = |text: &str| {
            let found = Times::parse(("cron", text), ("zone", None)).unwrap_err();
            (found[0].line, found[0].column)
        };
        assert_eq!(place("61 9 * * *"), (Some(1), Some(1)));
        assert_eq!(place("0  25 * * *"), (Some(1), Some(4)));
        assert_eq!(place("0 9 * * MONDAYS"), (Some(1), Some(9)));
        assert_eq!(place("0 9 * *"), (Some(1), Some(8)));
        assert_eq!(place("0 0 9 * * *"), (Some(1), Some(11)));
        assert_eq!(misfit("0 9 * * MON-FRI"), None);
    }

    #[test]
    fn the_last_of_several_times_that_passed_is_found() {
        let hourly = times("0 * * * *", "UTC");
        let last = |after, until| hourly.last(at(after), at(until)).map(|at| at.to_string());
        let found = last("2026-01-09T06:30:00Z", "2026-01-09T09:10:00Z");
        assert_eq!(found.as_deref(), Some("2026-01-09T09:00:00Z"));
        let sharp = last("2026-01-09T08:00:00Z", "2026-01-09T09:00:00Z");
        assert_eq!(sharp.as_deref(), Some("2026-01-09T09:00:00Z"));
        assert_eq!(last("2026-01-09T09:00:00Z", "2026-01-09T09:59:59Z"), None);
        assert_eq!(last("2026-01-09T09:30:00Z", "2026-01-09T09:10:00Z"), None);
    }

    #[test]
    fn every_quarter_of_an_hour_that_comes_twice_counts_twice() {
        // From 5:00 UTC on it is 1:00 in New York, and from 6:00 UTC on once more.
        let quarters = times("*/15 * * * *", "America/New_York");
        let mut passed = vec![at("2026-11-01T04:59:00Z")];
        while passed.len() < 10 {
            passed.push(quarters.next(*passed.last().unwrap()).unwrap());
        }
        let spans = passed.windows(2).skip(1);
        let minutes: Vec<_> = spans
            .map(|pair| (pair[1] - pair[0]).get_seconds() / 60)
            .collect();
        let total = passed[9].duration_since(passed[1]);
        assert_eq!(total.as_mins(), 120, "{minutes:?}");
    }
}
