//! How often the rules of a policy fire, as its status tells it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Texts on which a rule fired. Both numbers are rounded down, as those of the policy's texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleFired {
    /// Its name.
    pub name: String,
    /// Texts on which its check failed.
    #[serde(default)]
    pub fired: i64,
    /// Texts on which it could not run.
    #[serde(default)]
    pub failed: i64,
}

/// A count in few digits, so that a status is written seldom: one below 100, two from there on, rounded
/// down.
pub fn coarse(count: u64) -> u64 {
    let mut unit = 1;
    while count / unit >= 100 {
        unit *= 10;
    }
    if (10..100).contains(&count) {
        unit = 10;
    }
    count / unit * unit
}

#[cfg(test)]
mod tests {
    use super::coarse;

    #[test]
    fn a_count_keeps_its_first_digits() {
        for (count, kept) in [
            (0, 0),
            (9, 9),
            (10, 10),
            (19, 10),
            (99, 90),
            (100, 100),
            (119, 110),
            (99_999, 99_000),
            (u64::MAX, 18_000_000_000_000_000_000),
        ] {
            assert_eq!(coarse(count), kept, "{count}");
            assert_eq!(coarse(kept), kept);
        }
    }
}
