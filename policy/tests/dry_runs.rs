//! What policies in dry run report, and whom sampling chooses.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use aios_crds::PolicySetSpec;
use aios_policy::{CompiledPolicy, Evaluation, PolicyStack, VerdictAction};
use common::{document, judge_all, policy, reviewed};
use serde_json::{Value, json};

fn blocking(word: &str) -> Value {
    json!([{"name": "no-word", "action": "Block", "terms": {"list": [word]}}])
}

fn dry(name: &str, rules: &Value) -> Arc<CompiledPolicy> {
    let spec: PolicySetSpec = serde_json::from_value(json!({"rules": rules})).unwrap();
    let compiled = CompiledPolicy::compile(name, &spec.rules, &spec.review).unwrap();
    Arc::new(compiled.into_dry_run_if(true))
}

fn judged(stack: &[Arc<CompiledPolicy>], text: &str) -> Evaluation {
    judge_all(stack, &document(&[("text", text)]), &json!({}))
}

#[test]
fn a_policy_in_dry_run_reports_what_it_would_do_and_decides_nothing() {
    let enforced = policy("house", &blocking("maybe"));
    let trial = dry("trial", &blocking("Acme"));
    let stack = [enforced.clone(), trial.clone()];
    let verdict = judged(&stack, "Unlike Acme").verdict;
    assert_eq!(verdict.action, VerdictAction::Pass);
    assert!(verdict.findings.is_empty() && verdict.passes());
    assert_eq!(verdict.policies, [enforced.reference()]);
    let [would] = verdict.dry_run.as_slice() else {
        panic!("{verdict:?}");
    };
    assert_eq!(would.policy, trial.reference());
    assert_eq!(would.action, VerdictAction::Block);
    assert_eq!(would.findings[0].rule, "no-word");
    let verdict = judged(&stack, "maybe").verdict;
    assert_eq!(verdict.action, VerdictAction::Block);
    assert_eq!(verdict.dry_run[0].action, VerdictAction::Pass);
}

#[test]
fn a_policy_in_dry_run_neither_redacts_nor_asks_a_person() {
    let rules = json!([{"name": "mail", "action": "Redact", "pii": {"detect": ["Email"]}}]);
    let evaluation = judged(&[dry("trial", &rules)], "Ask a@b.example");
    assert_eq!(evaluation.redacted, None);
    assert_eq!(evaluation.verdict.dry_run[0].action, VerdictAction::Redact);
    let spec = json!({"rules": blocking("x"), "review": {"when": "Always", "due": "1h"}});
    let spec: PolicySetSpec = serde_json::from_value(spec).unwrap();
    let always = CompiledPolicy::compile("a", &spec.rules, &spec.review).unwrap();
    let verdict = judged(&[Arc::new(always.into_dry_run_if(true))], "fine").verdict;
    assert_eq!(
        (verdict.action, verdict.review_due),
        (VerdictAction::Pass, None)
    );
    assert_eq!(verdict.dry_run[0].action, VerdictAction::Review);
}

#[test]
fn a_dry_run_has_a_digest_of_its_own() {
    let enforced = policy("house", &blocking("Acme"));
    assert_ne!(dry("house", &blocking("Acme")).digest(), enforced.digest());
    assert!(!enforced.is_dry_run() && dry("house", &blocking("Acme")).is_dry_run());
}

#[test]
fn sampling_chooses_the_wanted_part_of_what_passes_by_its_text_alone() {
    let stack = |percent: u32, due: &str| {
        let review = json!({"samplePercent": percent, "due": due});
        [reviewed("house", &blocking("Acme"), &review)]
    };
    let of = |percent: u32| {
        let stack = stack(percent, "8h");
        let texts = (0..1000).map(|n| judged(&stack, &format!("Letter {n}")).verdict);
        texts
            .map(|one| (one.action, one.sampled))
            .collect::<Vec<_>>()
    };
    let twenty = of(20);
    assert_eq!(twenty, of(20));
    let chosen = |all: &[(VerdictAction, bool)]| all.iter().filter(|one| one.1).count();
    assert!(
        (150..=250).contains(&chosen(&twenty)),
        "{}",
        chosen(&twenty)
    );
    assert!(twenty.iter().all(|(action, sampled)| {
        *action
            == if *sampled {
                VerdictAction::Review
            } else {
                VerdictAction::Pass
            }
    }));
    assert_eq!((chosen(&of(0)), chosen(&of(100))), (0, 1000));
    // Whoever is chosen at a few percent is chosen at more.
    let five = of(5);
    assert!(five.iter().zip(&twenty).all(|(few, more)| more.1 || !few.1));
    let verdict = judged(&stack(100, "8h"), "fine").verdict;
    assert_eq!(verdict.review_due.unwrap().to_string(), "8h");
    let verdict = judged(&stack(100, "8h"), "Acme").verdict;
    assert_eq!(
        (verdict.action, verdict.sampled),
        (VerdictAction::Block, false)
    );
}

#[test]
fn a_policys_own_verdict_samples_nothing() {
    let all = reviewed("house", &blocking("Acme"), &json!({"samplePercent": 100}));
    let inputs = aios_policy::Inputs {
        variables: &json!({}),
        labels: &std::collections::BTreeMap::new(),
        language: "",
        passages: &[],
        template: &[],
        step: aios_policy::Step::Final,
    };
    let verdict = all
        .evaluate(&document(&[("text", "fine")]), &inputs)
        .verdict;
    assert_eq!(verdict.action, VerdictAction::Pass);
    let stack = PolicyStack::new(vec![all]);
    let verdict = stack
        .evaluate(&document(&[("text", "fine")]), &inputs)
        .verdict;
    assert_eq!(verdict.action, VerdictAction::Review);
}

#[test]
fn a_percentage_is_one() {
    let spec = json!({"rules": blocking("x"), "review": {"samplePercent": 101}});
    let spec: PolicySetSpec = serde_json::from_value(spec).unwrap();
    let found = CompiledPolicy::compile("p", &spec.rules, &spec.review).unwrap_err();
    assert_eq!(found[0].path, "spec.review.samplePercent");
}
