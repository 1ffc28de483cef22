//! How well the rules of the test set find its faults, on what was open and on what was held out.

use std::{collections::BTreeMap, sync::Arc};

use aios_policy::{CompiledPolicy, Inputs, PolicyStack, VerdictAction};
use aios_policy_testset::{
    business::{self, Case, Fault},
    score::{Score, Share},
};
use anyhow::Result;
use serde::Serialize;

use super::contender::{compile, document};
use crate::report::{Bound, Target};

/// Asked for where a rule is exact: wording that must occur, and data with a checksum.
const EXACT: f64 = 0.98;

/// Of one fault, in one half of the test set.
#[derive(Debug, Serialize)]
pub struct Quality {
    fault: &'static str,
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
        let exact = ["notice", "personal-data"].contains(&self.fault);
        let bound = if exact {
            Bound::AtLeast(EXACT)
        } else {
            Bound::Shown
        };
        let of = |what: &str, figure: &Figure| {
            let held_out = if self.held_out { ", held out" } else { "" };
            let [low, high] = figure.interval;
            let measure = format!("{what} of {}{held_out} ({low} to {high})", self.fault);
            Target::new(&measure, figure.value, "", 0.0, bound)
        };
        [of("precision", &self.precision), of("recall", &self.recall)]
    }
}

/// Every fault that a rule looks for.
pub fn measure() -> Result<Vec<Quality>> {
    let policy = Arc::new(compile("business", &business::rules()?)?);
    let mut measured = Vec::new();
    for held_out in [false, true] {
        let mut scores: BTreeMap<Fault, Score> = BTreeMap::new();
        for case in business::cases(held_out)? {
            let fired = fired(&policy, &case)?;
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
        let looked_for = |fault: &Fault| {
            let explained = policy.explain();
            explained
                .iter()
                .any(|rule| rule.name.starts_with(fault.name()))
        };
        let scores = scores.into_iter().filter(|(fault, _)| looked_for(fault));
        measured.extend(scores.map(|(fault, score)| Quality {
            fault: fault.name(),
            held_out,
            texts: score.found + score.missed,
            clean_texts: score.false_alarms + score.quiet,
            precision: score.precision().into(),
            recall: score.recall().into(),
        }));
    }
    Ok(measured)
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
    let verdict = policy.evaluate(&document, &inputs).verdict;
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
