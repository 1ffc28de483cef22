//! What a model that judges texts says of a part: its scores against thresholds, or its own flag.

use aios_crds::moderation::Moderation as Spec;

use super::Failure;
use crate::{
    diagnostic::Diagnostic,
    evidence::{Answer, Evidence, FULL_SCORE, Query},
    verdict::RuleErrorReason,
    work::spend,
};

/// Longest name of a category.
const MAX_NAME: usize = 64;

/// Compiled thresholds.
#[derive(Debug)]
pub(crate) struct Moderation {
    model: String,
    /// In millionths, by category; the model's own flag decides where there is none.
    thresholds: Vec<(String, u32)>,
}

impl Moderation {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        if spec.model.is_empty() {
            mistakes.push(Diagnostic::new(
                format!("{path}.model"),
                "no model: name a ModelDeployment whose server judges texts",
            ));
        }
        let mut thresholds = Vec::new();
        for (name, percent) in &spec.categories {
            let path = || format!("{path}.categories");
            let is_name =
                (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
            if !is_name {
                mistakes.push(Diagnostic::new(
                    path(),
                    format!(
                        "`{name}` names no category: write it as the model's answers do, as in \
                         hate/threatening"
                    ),
                ));
            }
            match u32::try_from(*percent) {
                Ok(percent @ 1..=100) => {
                    thresholds.push((name.clone(), percent * (FULL_SCORE / 100)));
                }
                _ => mistakes.push(Diagnostic::new(
                    path(),
                    format!(
                        "{percent} is no threshold of `{name}`: write a percentage of 1 to 100"
                    ),
                )),
            }
        }
        if mistakes.is_empty() {
            Ok(Self {
                model: spec.model.clone(),
                thresholds,
            })
        } else {
            Err(mistakes)
        }
    }

    pub(crate) fn model(&self) -> &str {
        &self.model
    }

    pub(crate) fn query(&self, text: &str) -> Query {
        spend(text.len());
        Query::Moderation {
            model: self.model.clone(),
            text: text.to_owned(),
        }
    }

    /// Categories that a text fails by; the model's own flag is one without a name.
    pub(crate) fn fails(&self, evidence: &Evidence) -> Result<Vec<&str>, Failure> {
        let Answer::Moderation { flagged, scores } = &evidence.answer;
        if self.thresholds.is_empty() {
            return Ok(if *flagged { vec![""] } else { Vec::new() });
        }
        let mut failed = Vec::new();
        for (name, threshold) in &self.thresholds {
            match scores.get(name) {
                Some(score) if score >= threshold => failed.push(name.as_str()),
                Some(_) => {}
                None => {
                    return Err(Failure::new(
                        RuleErrorReason::NoEvidence,
                        format!(
                            "model `{}` gives no score for `{name}`: name categories that it knows",
                            self.model
                        ),
                    ));
                }
            }
        }
        Ok(failed)
    }

    pub(crate) fn message(&self) -> String {
        format!(
            "`{}` objects to what the text says: write it otherwise",
            self.model
        )
    }
}
