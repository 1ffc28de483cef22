//! Durations as Gateway API writes them (GEP-2257): `1h30m`, `500ms`; no days, no fractions.

use std::{fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A span of time, at millisecond resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration(std::time::Duration);

/// The text is not a GEP-2257 duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a duration: write up to four of h, m, s, ms in that order, as in `1h30m` or `500ms`"
)]
pub struct InvalidDuration(String);

const PATTERN: &str = "^([0-9]{1,5}h)?([0-9]{1,5}m)?([0-9]{1,5}s)?([0-9]{1,5}ms)?$";

impl Duration {
    /// Wraps a span, cut to whole milliseconds.
    pub fn from_millis(millis: u64) -> Self {
        Self(std::time::Duration::from_millis(millis))
    }

    /// The span for timers.
    pub fn get(self) -> std::time::Duration {
        self.0
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidDuration(text.to_owned());
        let mut rest = text;
        let mut millis = 0_u64;
        let mut last_rank = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 || digits > 5 {
                return Err(invalid());
            }
            let (number, tail) = rest.split_at(digits);
            let (unit_len, rank, factor) = if tail.starts_with("ms") {
                (2, 4, 1)
            } else if tail.starts_with('s') {
                (1, 3, 1_000)
            } else if tail.starts_with('m') {
                (1, 2, 60_000)
            } else if tail.starts_with('h') {
                (1, 1, 3_600_000)
            } else {
                return Err(invalid());
            };
            if rank <= last_rank {
                return Err(invalid());
            }
            last_rank = rank;
            millis += number.parse::<u64>().map_err(|_| invalid())? * factor;
            rest = &tail[unit_len..];
        }
        if last_rank == 0 {
            return Err(invalid());
        }
        Ok(Self::from_millis(millis))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (unit, factor) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            let count = rest / factor;
            if count > 0 {
                write!(f, "{count}{unit}")?;
            }
            rest %= factor;
        }
        Ok(())
    }
}

impl TryFrom<String> for Duration {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.to_string()
    }
}

impl JsonSchema for Duration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": PATTERN, "minLength": 2, "maxLength": 24})
    }

    fn inline_schema() -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::Duration;

    #[test]
    fn gep_2257_text_round_trips() {
        for text in ["1h30m", "500ms", "24h", "1s500ms", "0s"] {
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_form_to_use() {
        for text in ["", "1d", "5", "1m1h", "1.5s", "-1s", "s", "123456s"] {
            let error = text.parse::<Duration>().unwrap_err().to_string();
            assert!(error.contains("1h30m"), "{text}: {error}");
        }
    }
}
