//! How well the rules of the test set find its faults, on what was open and on what was held out.

use std::{collections::BTreeMap, sync::Arc};

use aios_policy::{CompiledPolicy, Inputs, Others, PolicyStack, VerdictAction};
use aios_policy_testset::{
    business::{self, Case, Fault},
    score::{Score, Share},
};
use anyhow::{Result, ensure};
use serde::Serialize;

use super::contender::{compile, document};
use crate::report::{Bound, Target};

/// Asked for where a rule is exact.
const EXACT: f64 = 0.98;
/// Wording that must occur, data with a checksum, and values that are looked up.
const EXACTLY: [Fault; 3] = [Fault::Notice, Fault::PersonalData, Fault::OtherCustomer];

/// Of one fault, in one half of the test set.
#[derive(Debug, Serialize)]
pub struct Quality {
    #[serde(serialize_with = "named")]
    fault: Fault,
    held_out: bool,
    texts: u32,
    clean_texts: u32,
    precision: Figure,
    recall: Figure,
}

#[derive(Debug, Serialize)]
struct Figure {
    value: f64,
    /// 95 %, Wilson.
    interval: [f64; 2],
}

impl From<Share> for Figure {
    fn from(share: Share) -> Self {
        let round = |value: f64| (value * 1000.0).round() / 1000.0;
        Self {
            value: round(share.value),
            interval: [round(share.low), round(share.high)],
        }
    }
}

impl Quality {
    pub fn targets(&self) -> [Target; 2] {
        let bound = if EXACTLY.contains(&self.fault) {
            Bound::AtLeast(EXACT)
        } else {
            Bound::Shown
        };
        let of = |what: &str, figure: &Figure| {
            let held_out = if self.held_out { ", held out" } else { "" };
            let [low, high] = figure.interval;
            let measure = format!(
                "{what} of {}{held_out} ({low} to {high})",
                self.fault.name()
            );
            Target::new(&measure, figure.value, "", 0.0, bound)
        };
        [of("precision", &self.precision), of("recall", &self.recall)]
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn named<S: serde::Serializer>(fault: &Fault, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(fault.name())
}

/// Every fault that a rule looks for.
pub fn measure() -> Result<Vec<Quality>> {
    let mut measured = Vec::new();
    for (held_out, cases) in [(false, business::open()?), (true, business::held_out()?)] {
        let scores = scores(&cases)?.into_iter();
        measured.extend(scores.map(|(fault, score)| Quality {
            fault,
            held_out,
            texts: score.found + score.missed,
            clean_texts: score.false_alarms + score.quiet,
            precision: score.precision().into(),
            recall: score.recall().into(),
        }));
    }
    Ok(measured)
}

/// What the rules find of each fault.
fn scores(cases: &[Case]) -> Result<BTreeMap<Fault, Score>> {
    let policy = Arc::new(compile("business", &business::rules()?)?);
    let mut scores: BTreeMap<Fault, Score> = BTreeMap::new();
    for case in cases {
        let fired = fired(&policy, case)?;
        for fault in Fault::ALL {
            // What a fault brings up beside its own rule is neither right nor wrong.
            if case.fault.is_none_or(|has| has == fault) {
                let found = fired.iter().any(|rule| rule.starts_with(fault.name()));
                scores
                    .entry(fault)
                    .or_default()
                    .add(case.fault.is_some(), found);
            }
        }
    }
    Ok(scores)
}

/// Names of the rules that a text breaks.
fn fired(policy: &Arc<CompiledPolicy>, case: &Case) -> Result<Vec<String>> {
    let document = document(&case.subject, &case.text)?;
    let labels = BTreeMap::new();
    let inputs = Inputs {
        variables: &case.variables,
        labels: &labels,
        language: &case.language,
        passages: &[],
        template: &[],
        step: aios_policy::Step::Final,
    };
    let others = Others::of(&case.others, &policy.identifiers());
    let verdict = policy.evaluate_among(&document, &inputs, &others).verdict;
    ensure!(
        verdict.errors.is_empty(),
        "a rule of the test set cannot run: {:?}",
        verdict.errors
    );
    let rules = verdict
        .findings
        .into_iter()
        .filter(|finding| !finding.after_redaction);
    let mut rules: Vec<_> = rules.map(|finding| finding.rule).collect();
    // What speaks to a model reaches it with what a letter is written from.
    let retrieved = Inputs {
        passages: &[&case.text],
        ..inputs
    };
    if PolicyStack::new(vec![policy.clone()]).screen(&retrieved) != VerdictAction::Pass {
        rules.push(Fault::Injection.name().to_owned());
    }
    Ok(rules)
}

#[cfg(test)]
mod tests {
    use aios_policy_testset::{
        business::{self, Case, Fault},
        score::Score,
    };

    use super::{EXACTLY, scores};

    /// 98 of a hundred, in whole numbers.
    fn enough(right: u32, wrong: u32) -> bool {
        right > 0 && right * 2 >= wrong * 98
    }

    fn of_other_customers(change: impl Fn(&mut Case)) -> Score {
        let cases = business::open().unwrap().into_iter();
        let mut cases: Vec<_> = cases
            .filter(|case| case.fault.is_none_or(|fault| fault == Fault::OtherCustomer))
            .collect();
        cases.iter_mut().for_each(change);
        scores(&cases).unwrap()[&Fault::OtherCustomer]
    }

    #[test]
    fn wording_data_with_checksums_and_values_of_others_are_found_and_hardly_anything_else() {
        // What is held out is for final figures: no test judges it.
        let scores = scores(&business::open().unwrap()).unwrap();
        for fault in EXACTLY {
            let score = scores[&fault];
            assert!(enough(score.found, score.missed), "{fault:?}: {score:?}");
            assert!(
                enough(score.found, score.false_alarms),
                "{fault:?}: {score:?}"
            );
        }
    }

    #[test]
    fn every_fault_has_a_rule_that_looks_for_it() {
        let rules = business::rules().unwrap();
        for fault in Fault::ALL {
            assert!(rules.iter().any(|rule| rule.name.starts_with(fault.name())));
        }
    }

    #[test]
    fn only_a_batch_makes_a_value_another_customers() {
        let among = of_other_customers(|_| ());
        assert!(among.found > 100 && among.missed == 0, "{among:?}");
        let alone = of_other_customers(|case| case.others.clear());
        assert_eq!((alone.found, alone.false_alarms), (0, 0));
    }
}
