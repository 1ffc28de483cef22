//! Whether an answer may go on by itself. Pure.

use std::{collections::BTreeMap, sync::Arc};

use aios_crds::rollout::EvaluationInput;
use aios_policy::{
    CompiledPolicy, Document, DocumentError, Inputs, InvalidPartName, Others, Part, PartKind,
    PolicyStack, Verdict, VerdictAction,
};
use aios_proto::config::PolicyConfig;
use serde_json::Value;

/// The only part of an answer.
const PART: &str = "text";
/// Rules that a verdict names.
const NAMED: usize = 3;

/// Why answers cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    #[error("the policies cannot be read: {0}")]
    Read(#[from] serde_json::Error),
    #[error("policy {0} does not compile")]
    Compile(String),
    #[error(transparent)]
    Part(#[from] InvalidPartName),
}

/// Policies that are ready to judge.
pub(super) struct Judge {
    policies: PolicyStack,
    part: aios_policy::PartName,
}

impl Judge {
    /// `policies` is a JSON list of policies.
    pub fn new(policies: &str) -> Result<Self, JudgeError> {
        let policies: Vec<PolicyConfig> = serde_json::from_str(policies)?;
        let compiled = policies.into_iter().filter_map(judging).map(|policy| {
            CompiledPolicy::compile(&policy.qualified_name(), &policy.rules, &policy.review)
                .map(|compiled| Arc::new(compiled.into_dry_run_if(policy.dry_run)))
                .map_err(|_| JudgeError::Compile(policy.name))
        });
        Ok(Self {
            policies: PolicyStack::new(compiled.collect::<Result<_, _>>()?),
            part: PART.parse()?,
        })
    }

    /// `Err` says why an answer does not pass, without a word of it.
    pub fn verdict(
        &self,
        input: &EvaluationInput,
        answer: Result<String, String>,
    ) -> Result<(), String> {
        let document = self
            .document(answer?)
            .map_err(|error| format!("gave no document: {error}"))?;
        let variables = Value::Object(input.variables.clone());
        let inputs = Inputs {
            variables: &variables,
            labels: &BTreeMap::new(),
            language: &input.language,
            passages: &[],
            // What it was asked with, it knows.
            template: &[&input.prompt],
            step: aios_policy::Step::Final,
        };
        // Inputs that are written by hand are of no batch.
        let evaluated = self
            .policies
            .evaluate_among(&document, &inputs, &Others::nobody());
        let verdict = evaluated
            .map_err(|_| "cannot be judged without a batch".to_owned())?
            .verdict;
        if verdict.by_rules() <= VerdictAction::Redact {
            return Ok(());
        }
        Err(told(&verdict))
    }

    fn document(&self, text: String) -> Result<Document, DocumentError> {
        Document::new(vec![Part {
            name: self.part.clone(),
            kind: PartKind::Plain,
            text,
        }])
    }
}

/// The rules that ask no model: a judge's mood must not decide between two revisions. None where no rule
/// is left.
fn judging(mut policy: PolicyConfig) -> Option<PolicyConfig> {
    policy.rules.retain(|rule| rule.moderation.is_none());
    (!policy.rules.is_empty()).then_some(policy)
}

/// As in `blocked by rule no-promise`.
fn told(verdict: &Verdict) -> String {
    let action = verdict.by_rules();
    let done = match action {
        VerdictAction::Block => "blocked by",
        VerdictAction::Review => "sent to review by",
        _ => "sent back by",
    };
    let findings = verdict.findings.iter();
    let findings = findings.filter(|found| VerdictAction::from(found.action) == action);
    let errors = verdict.errors.iter();
    let errors = errors.filter(|error| VerdictAction::from(error.on_error) == action);
    let mut rules: Vec<&str> = findings
        .map(|found| found.rule.as_str())
        .chain(errors.map(|error| error.rule.as_str()))
        .collect();
    rules.dedup();
    rules.truncate(NAMED);
    let rule = if rules.len() == 1 { "rule" } else { "rules" };
    format!("{done} {rule} {}", rules.join(", "))
}
