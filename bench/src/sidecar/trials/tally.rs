//! What became of an entrant's trials, counted.

use std::{collections::BTreeMap, io, time::Duration};

use aios_simulator::trial::{Heard, Misspent, Offence, Script, judge};
use serde::Serialize;

use crate::{
    report::{Bound, Target, aligned},
    sidecar::entrant::Entrant,
};

/// How long a call at a model may outlive its caller.
const OUTLIVES_MS: f64 = 100.0;

/// What became of an entrant's trials.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    pub entrant: Option<Entrant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    whole: usize,
    /// Failures that the caller's SDK understands.
    failed: usize,
    /// Of these, where nothing happened that an answer could not survive.
    needless: usize,
    left: usize,
    broken: usize,
    unfinished: usize,
    repeated: usize,
    leaked: usize,
    bypassed: usize,
    endless: usize,
    pub orphaned: usize,
    /// The longest that a call at a model outlived its caller.
    outlived_ms: f64,
    /// None of who has no budgets.
    pub money: Option<Money>,
    /// The first of each, by the number of its script.
    examples: BTreeMap<&'static str, u64>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

/// What was charged.
#[derive(Debug, Default, Serialize)]
pub struct Money {
    /// Trials of which it is known to the token what they came to.
    pub certain: usize,
    misspent: usize,
    overshot: usize,
    /// The first of each, by the number of its script.
    examples: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// There were no trials.
    pub fn none(why: &anyhow::Error) -> Self {
        Self {
            failure: Some(format!("{why:#}")),
            ..Self::default()
        }
    }

    /// None where the answer never ended.
    pub fn note(&mut self, script: &Script, heard: Option<io::Result<Heard>>) {
        let judged = match heard {
            None => {
                self.endless += 1;
                return self.example("endless", script);
            }
            Some(Ok(Heard::Left)) => {
                self.left += 1;
                return;
            }
            Some(Ok(Heard::Answer(answer))) => judge(script, &answer),
            Some(Err(error)) => Err(Offence::Unclean(error.to_string())),
        };
        match judged {
            Ok(got) if got.is_whole => self.whole += 1,
            Ok(_) => {
                self.failed += 1;
                if script.is_harmless() {
                    self.needless += 1;
                    self.example("needless", script);
                }
            }
            Err(offence) => self.add(script, &offence),
        }
    }

    /// So long a call at a model outlived its caller.
    pub fn outlived(&mut self, span: Duration) {
        let millis = (span.as_secs_f64() * 1e4).round() / 10.0;
        self.outlived_ms = self.outlived_ms.max(millis);
    }

    fn add(&mut self, script: &Script, offence: &Offence) {
        let (count, name) = match offence {
            Offence::Unclean(_) => (&mut self.broken, "broken"),
            Offence::Unfinished(_) => (&mut self.unfinished, "unfinished"),
            Offence::Repeated(_) => (&mut self.repeated, "repeated"),
            Offence::Leaked(_) => (&mut self.leaked, "leaked"),
            Offence::Bypassed(_) => (&mut self.bypassed, "bypassed"),
        };
        *count += 1;
        self.example(name, script);
    }

    fn example(&mut self, name: &'static str, script: &Script) {
        self.examples.entry(name).or_insert(script.seed);
    }

    fn is_ours(&self) -> bool {
        self.entrant.is_some_and(Entrant::is_ours)
    }

    /// What may not happen, by name; none where it cannot be asked of the entrant.
    fn offences(&self) -> [(&'static str, Option<usize>); 10] {
        let money = |count: fn(&Money) -> usize| self.money.as_ref().map(count);
        [
            ("broken", Some(self.broken)),
            ("false success", Some(self.unfinished)),
            ("needless failure", Some(self.needless)),
            ("repeated", Some(self.repeated)),
            ("leaked", Some(self.leaked)),
            ("never ended", Some(self.endless)),
            ("orphaned", Some(self.orphaned)),
            ("past policy", self.is_ours().then_some(self.bypassed)),
            ("misspent", money(|money| money.misspent)),
            ("overshot", money(|money| money.overshot)),
        ]
    }

    fn row(&self) -> [String; 15] {
        let who = self.entrant.map_or("", Entrant::words);
        let mut row = [const { String::new() }; 15];
        if let Some(why) = &self.failure {
            row[0] = format!("{who}: {why:.60}");
            return row;
        }
        who.clone_into(&mut row[0]);
        let ends = [self.whole, self.failed, self.left].map(Some);
        let offences = self.offences().map(|(_, count)| count);
        let counts = ends.into_iter().chain(offences);
        for (cell, count) in row.iter_mut().skip(1).zip(counts) {
            *cell = count.map_or_else(|| "-".to_owned(), |count| count.to_string());
        }
        row[14] = format!("{:.1}", self.outlived_ms);
        row
    }
}

impl Money {
    pub fn note(&mut self, script: &Script, wrong: &Misspent) {
        let (count, name) = match wrong {
            Misspent::Overshot { .. } => (&mut self.overshot, "overshot"),
            Misspent::Miscounted { .. } | Misspent::Undercharged { .. } => {
                (&mut self.misspent, "misspent")
            }
        };
        *count += 1;
        self.examples.entry(name).or_insert(script.seed);
    }
}

/// Everybody's.
pub fn rows(tallies: &[Tally]) -> String {
    let names = Tally::default().offences().map(|(name, _)| name);
    let mut head = [const { String::new() }; 15];
    let ends = ["entrant", "whole", "failed cleanly", "caller left"];
    for (cell, name) in head.iter_mut().zip(ends.into_iter().chain(names)) {
        name.clone_into(cell);
    }
    "outlived, ms".clone_into(&mut head[14]);
    let mut rows = vec![head];
    rows.extend(tallies.iter().map(Tally::row));
    aligned(&rows)
}

/// Of ours, none of anything, and no call that long outlives its caller; an entrant that could not be asked has no row.
pub fn targets(tallies: &[Tally]) -> Vec<Target> {
    let ours = tallies
        .iter()
        .filter(|tally| tally.is_ours() && tally.failure.is_none());
    let targets = ours.flat_map(|tally| {
        let who = tally.entrant.map_or("", Entrant::words);
        let target = move |name: &str, ours: f64, most: f64| {
            let measure = format!("{name}, {who}");
            Target::new(&measure, ours, "", 0.0, Bound::AtMost(most))
        };
        let counted = tally.offences().into_iter();
        let counted =
            counted.filter_map(move |(name, count)| Some(target(name, count? as f64, 0.0)));
        counted.chain([target("outlived, ms", tally.outlived_ms, OUTLIVES_MS)])
    });
    targets.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aios_simulator::trial::{Misspent, Offence, Script};

    use super::{Entrant, Money, Tally, rows, targets};

    #[test]
    fn an_offence_of_ours_is_a_miss_and_others_have_no_targets() {
        let script = Script::of(7);
        let mut money = Money::default();
        money.note(
            &script,
            &Misspent::Overshot {
                charged: 2,
                came_to: 3,
            },
        );
        let mut ours = Tally {
            entrant: Some(Entrant::AiosOn),
            money: Some(money),
            ..Tally::default()
        };
        ours.add(&script, &Offence::Bypassed(String::new()));
        ours.outlived(Duration::from_millis(101));
        ours.outlived(Duration::from_millis(7));
        let mut other = Tally {
            entrant: Some(Entrant::Nginx),
            ..Tally::default()
        };
        other.add(&script, &Offence::Repeated(String::new()));
        let tallies = [ours, other];
        let missed: Vec<_> = targets(&tallies)
            .into_iter()
            .filter(|target| target.met != Some(true))
            .map(|target| target.measure)
            .collect();
        assert_eq!(
            missed,
            [
                "past policy, aios, on",
                "overshot, aios, on",
                "outlived, ms, aios, on"
            ]
        );
        assert!(rows(&tallies).contains("overshot"));
    }
}
