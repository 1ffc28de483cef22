//! Rules that ask somebody outside: what they ask, when, and what follows from the answers.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{collections::BTreeMap, sync::Arc};

use aios_crds::{moderation::TestModeration, policy_set::Action};
use aios_policy::{
    Collected, CompiledPolicy, Document, Evaluation, Evidence, Inputs, Judgement, PolicyStack,
    Query, RuleErrorReason, RuleName, Verdict, VerdictAction,
};
use common::{document, policy};
use serde_json::{Value, json};

const NO_INPUTS: Inputs<'_> = Inputs {
    variables: &Value::Null,
    labels: &BTreeMap::new(),
    language: "en",
    passages: &[],
    template: &[],
    step: aios_policy::Step::Final,
};

fn house(rules: &Value) -> PolicyStack {
    PolicyStack::new(vec![policy("house", rules)])
}

fn asked(stack: &PolicyStack, document: &Document, evidence: &Collected) -> Vec<String> {
    match stack.evaluate_with(document, &NO_INPUTS, evidence) {
        Judgement::Reached(_) => Vec::new(),
        Judgement::Needs(queries) => queries
            .into_iter()
            .map(|Query::Moderation { model, text }| format!("{model}: {text}"))
            .collect(),
    }
}

/// Judges with every model saying the same of every text.
fn judged(stack: &PolicyStack, document: &Document, said: &Value) -> Evaluation {
    let said: Vec<TestModeration> = serde_json::from_value(said.clone()).unwrap();
    let mut evidence = Collected::default();
    match stack.evaluate_with(document, &NO_INPUTS, &evidence) {
        Judgement::Reached(evaluation) => return *evaluation,
        Judgement::Needs(queries) => {
            for query in queries {
                match Evidence::told(&said, &query) {
                    Ok(told) => evidence.add(told),
                    Err(why) => evidence.fail(&query, why),
                }
            }
        }
    }
    match stack.evaluate_with(document, &NO_INPUTS, &evidence) {
        Judgement::Reached(evaluation) => *evaluation,
        Judgement::Needs(queries) => panic!("asks again: {queries:?}"),
    }
}

fn verdict(rules: &Value, text: &str, said: &Value) -> Verdict {
    judged(&house(rules), &document(&[("text", text)]), said).verdict
}

fn hate(percent: i32) -> Value {
    json!([{"model": "judge", "scores": {"hate": percent, "violence": 1}}])
}

fn rules() -> Value {
    json!([{"name": "kind", "action": "Review",
        "moderation": {"model": "judge", "categories": {"hate": 40, "violence": 90}}}])
}

#[test]
fn a_score_at_its_threshold_fails_with_the_whole_part_and_the_category() {
    assert_eq!(
        verdict(&rules(), "Hello", &hate(39)).action,
        VerdictAction::Pass
    );
    let failed = verdict(&rules(), "Hello", &hate(40));
    assert_eq!(failed.action, VerdictAction::Review);
    let [finding] = failed.findings.as_slice() else {
        panic!("{failed:?}")
    };
    assert!(finding.message.ends_with("(hate)"), "{}", finding.message);
    assert_eq!((finding.spans[0].start, finding.spans[0].end), (0, 5));
    assert_eq!(
        (finding.action, finding.after_redaction),
        (Action::Review, false)
    );
    assert_eq!(failed.scanned[0].rules, 1);
}

#[test]
fn without_thresholds_the_models_own_flag_decides() {
    let rules = json!([{"name": "kind", "action": "Block", "moderation": {"model": "judge"}}]);
    let said = |flagged| json!([{"model": "judge", "flagged": flagged, "scores": {"hate": 99}}]);
    assert_eq!(
        verdict(&rules, "Hello", &said(false)).action,
        VerdictAction::Pass
    );
    assert_eq!(
        verdict(&rules, "Hello", &said(true)).action,
        VerdictAction::Block
    );
}

#[test]
fn each_text_is_asked_about_once_by_model_and_only_where_a_rule_reads_it() {
    let stack = house(&json!([
        {"name": "a", "action": "Review", "moderation": {"model": "judge"}},
        {"name": "b", "action": "Warn", "moderation": {"model": "judge", "categories": {"hate": 9}}},
        {"name": "c", "action": "Warn", "parts": ["html"], "moderation": {"model": "other"}},
        {"name": "d", "action": "Warn", "when": "language == 'de'", "moderation": {"model": "none"}},
    ]));
    let letter = document(&[
        ("subject", " Hello "),
        ("html", "<p>Dear  <b>Ada</b></p>"),
        ("text", "Hello"),
        ("preheader", " "),
    ]);
    assert_eq!(
        asked(&stack, &letter, &Collected::default()),
        ["judge: Hello", "judge: Dear Ada", "other: Dear Ada"]
    );
    let dry = policy("dry", &rules());
    let dry = Arc::into_inner(dry).unwrap().into_dry_run_if(true);
    let both: [Arc<CompiledPolicy>; 2] = [policy("house", &rules()), Arc::new(dry)];
    let stack = PolicyStack::new(both.to_vec());
    let text = document(&[("text", "Hello")]);
    assert_eq!(
        asked(&stack, &text, &Collected::default()),
        ["judge: Hello"]
    );
    let said = judged(&stack, &text, &hate(80)).verdict;
    assert_eq!(said.dry_run[0].action, VerdictAction::Review);
}

#[test]
fn what_is_redacted_or_refused_is_shown_to_no_model() {
    let stack = house(&json!([
        {"name": "no-mail", "action": "Redact", "pii": {"detect": ["Email"]}},
        {"name": "no-acme", "action": "Block", "terms": {"list": ["Acme"]}},
        {"name": "kind", "action": "Review", "moderation": {"model": "judge"}},
    ]));
    let mail = document(&[("text", "Ask bob@mail.example")]);
    assert_eq!(
        asked(&stack, &mail, &Collected::default()),
        ["judge: Ask [removed]"]
    );
    let flagged = json!([{"model": "judge", "flagged": true}]);
    let said = judged(&stack, &mail, &flagged).verdict;
    let kind = said.findings.last().unwrap();
    assert!(kind.after_redaction, "{kind:?}");
    assert_eq!((kind.rule.as_str(), kind.spans[0].end), ("kind", 13));
    let refused = document(&[("text", "Acme and bob@mail.example")]);
    let Judgement::Reached(refused) =
        stack.evaluate_with(&refused, &NO_INPUTS, &Collected::default())
    else {
        panic!("asks")
    };
    let [RuleName { policy, rule }] = refused.verdict.unasked.as_slice() else {
        panic!("{refused:?}")
    };
    assert_eq!((policy.as_str(), rule.as_str()), ("house", "kind"));
}

#[test]
fn without_evidence_a_rule_fails_closed_and_says_why() {
    for (said, why) in [
        (json!([]), "`judge` did not judge the text: the test"),
        (
            json!([{"model": "judge", "scores": {"hate": 1}}]),
            "no score for `violence`",
        ),
    ] {
        let failed = verdict(&rules(), "Hello", &said);
        assert_eq!(failed.action, VerdictAction::Block);
        assert_eq!(failed.errors[0].reason, RuleErrorReason::NoEvidence);
        assert!(failed.errors[0].message.contains(why), "{failed:?}");
        assert_eq!(failed.scanned[0].rules, 0);
    }
    let nobody = house(&rules()).evaluate(&document(&[("text", "Hello")]), &NO_INPUTS);
    assert_eq!(nobody.verdict.action, VerdictAction::Block);
    let open = json!([{"name": "kind", "action": "Block", "onError": "Open",
        "moderation": {"model": "judge"}}]);
    let passed = verdict(&open, "Hello", &json!([]));
    assert_eq!(
        (passed.action, passed.errors.len()),
        (VerdictAction::Pass, 1)
    );
}

#[test]
fn a_verdict_names_what_it_rests_on_by_digest() {
    let stack = house(&rules());
    let text = document(&[("text", "Hello")]);
    let of = |percent| judged(&stack, &text, &hate(percent)).verdict;
    let (one, other) = (of(1), of(2));
    assert_eq!(one.evidence.len(), 1);
    assert_eq!(one.evidence[0].query, other.evidence[0].query);
    assert_ne!(one.evidence[0].evidence, other.evidence[0].evidence);
    let query = Query::Moderation {
        model: "judge".into(),
        text: "Hello".into(),
    };
    assert_eq!(one.evidence[0].query, query.digest());
    let json = serde_json::to_string(&one).unwrap();
    assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), one);
    let plain = verdict(
        &json!([{"name": "a", "action": "Warn", "cel": "true"}]),
        "Hello",
        &json!([]),
    );
    assert!(!serde_json::to_string(&plain).unwrap().contains("evidence"));
}
