//! Whether memory stays as it is while calls go on.

use std::time::Duration;

use serde::Serialize;

use super::Entrant;
use crate::report::{Bound, Target};

/// A minute's worth of noise: arenas, pages of the program that are touched late.
const FLAT_MIB: f64 = 1.0;

/// PSS at equal distances, in kB.
#[derive(Debug, Serialize)]
pub struct Growth {
    pub part: &'static str,
    pub entrant: Entrant,
    pub seconds: u64,
    pub kb: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void: Option<String>,
}

impl Growth {
    /// Calls a second.
    pub const RATE: f64 = 200.0;
    pub const LOOKS: u32 = 6;
    /// Until answers that are kept leave as fast as others come.
    pub const SETTLES: Duration = Duration::from_secs(12);

    pub fn new(entrant: Entrant, lasts: Duration) -> Self {
        Self {
            part: "growth",
            entrant,
            seconds: lasts.as_secs(),
            kb: Vec::new(),
            void: None,
        }
    }

    /// What it came to, against flat.
    pub fn target(&self) -> Target {
        let known = self.kb.first().zip(self.kb.last());
        let mib = known.map(|(first, last)| (*last as f64 - *first as f64) / 1024.0);
        let what = format!(
            "growth of PSS in {} s, MiB, {}",
            self.seconds,
            self.entrant.words()
        );
        let counts = self.void.is_none();
        let bound = Bound::AtMost(FLAT_MIB);
        Target::of(&what, mib.filter(|_| counts), "", None, bound)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Growth;
    use crate::sidecar::Entrant;

    #[test]
    fn memory_that_grows_is_a_miss() {
        let mut growth = Growth::new(Entrant::AiosOn, Duration::from_mins(10));
        growth.kb = vec![10_000, 30_000, 10_500];
        assert_eq!(growth.target().met, Some(true));
        growth.void = Some("status 500".to_owned());
        assert_eq!(growth.target().met, Some(false), "nothing was shown");
        growth.void = None;
        growth.kb.push(12_000);
        assert_eq!(growth.target().met, Some(false));
    }
}
