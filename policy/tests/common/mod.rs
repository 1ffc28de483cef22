//! Policies and documents for tests, in few words.
#![allow(dead_code, clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc};

use aios_crds::{PolicySetSpec, policy_set::Review};
use aios_policy::{
    CompiledPolicy, Diagnostic, Document, Evaluation, Inputs, Part, PartName, PolicyStack,
};
use serde_json::{Value, json};

/// A policy from the JSON of its rules.
pub fn policy(name: &str, rules: &Value) -> Arc<CompiledPolicy> {
    reviewed(name, rules, &json!({}))
}

/// A policy from the JSON of its rules and review.
pub fn reviewed(name: &str, rules: &Value, review: &Value) -> Arc<CompiledPolicy> {
    let spec = json!({"rules": rules, "review": review});
    let spec: PolicySetSpec = serde_json::from_value(spec).unwrap();
    Arc::new(CompiledPolicy::compile(name, &spec.rules, &spec.review).unwrap())
}

/// The mistakes of rules that don't compile.
pub fn mistakes(rules: &Value) -> Vec<Diagnostic> {
    let rules: Vec<_> = serde_json::from_value(rules.clone()).unwrap();
    CompiledPolicy::compile("p", &rules, &Review::default()).unwrap_err()
}

/// A document from part names and texts.
pub fn document(parts: &[(&str, &str)]) -> Document {
    let parts = parts.iter().map(|(name, text)| {
        let name: PartName = name.parse().unwrap();
        Part {
            kind: name.kind(),
            name,
            text: (*text).to_owned(),
        }
    });
    Document::new(parts.collect()).unwrap()
}

/// Judges a text part under one list of rules.
pub fn judge(rules: &Value, text: &str, variables: &Value) -> Evaluation {
    judge_all(
        &[policy("p", rules)],
        &document(&[("text", text)]),
        variables,
    )
}

/// Judges a document under several policies.
pub fn judge_all(
    policies: &[Arc<CompiledPolicy>],
    document: &Document,
    variables: &Value,
) -> Evaluation {
    let labels = BTreeMap::from([("segment".to_owned(), "savings".to_owned())]);
    let inputs = Inputs {
        variables,
        labels: &labels,
        language: "en",
        passages: &[],
        template: &[],
        step: aios_policy::Step::Final,
    };
    PolicyStack::new(policies.to_vec()).evaluate(document, &inputs)
}
