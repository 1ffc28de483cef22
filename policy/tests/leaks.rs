//! Values of other people of a batch: asked for, found however they are written, never told.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{collections::BTreeMap, sync::Arc};

use aios_policy::{
    Asked, Collected, CompiledPolicy, Evaluation, Inputs, Judgement, Others, PolicyStack,
    RuleErrorReason, VerdictAction,
};
use allocation_counter::measure;
use common::{document, mistakes, policy};
use rstest::rstest;
use serde_json::{Value, json};

fn rules(action: &str) -> Value {
    json!([{"name": "others", "leak": {"variables": ["customer.name", "customer.account"]},
        "action": action}])
}

fn addressee() -> Value {
    json!({"customer": {"name": "Zoe Miller", "account": "NL-3391-22"}})
}

/// Two who share a name, and one alone.
fn batch() -> Vec<Value> {
    vec![
        json!({"customer": {"name": "Jonas Weber", "account": "NL-7720-41"}}),
        json!({"customer": {"name": "Jonas Weber", "account": "NL-7720-42"}}),
        json!({"customer": {"name": "Mia Rossi", "account": ["IT 5510 93", "IT 5510 94"]}}),
    ]
}

fn with_inputs<T>(template: &[&str], look: impl FnOnce(&Inputs<'_>) -> T) -> T {
    let variables = addressee();
    look(&Inputs {
        variables: &variables,
        labels: &BTreeMap::new(),
        language: "en",
        passages: &["Our adviser is Mia Rossi."],
        template,
        step: aios_policy::Step::Final,
    })
}

fn judge(policy: &Arc<CompiledPolicy>, text: &str, template: &[&str]) -> Evaluation {
    let others = Others::of(&batch(), &policy.identifiers());
    with_inputs(template, |inputs| {
        policy.evaluate_among(&document(&[("text", text)]), inputs, &others)
    })
}

#[rstest]
#[case::account("We moved nl 7720.41 for you.", VerdictAction::Block)]
#[case::name("As ROSSI, MIA told us.", VerdictAction::Block)]
#[case::one_of_several("It is on IT551094 now.", VerdictAction::Block)]
#[case::own("Zoe Miller, your account NL-3391-22 is open.", VerdictAction::Pass)]
#[case::of_two("As Jonas Weber told us.", VerdictAction::Pass)]
#[case::nobodys("Account NL-9999-99 is not known.", VerdictAction::Pass)]
fn what_belongs_to_exactly_one_other_is_found(#[case] text: &str, #[case] action: VerdictAction) {
    let verdict = judge(&policy("p", &rules("Block")), text, &[]).verdict;
    assert_eq!(
        (verdict.action, verdict.errors.as_slice()),
        (action, &[][..]),
        "{text}"
    );
}

#[test]
fn ones_own_name_may_stand_in_any_order_and_case_though_another_bears_it() {
    let policy = policy("p", &rules("Block"));
    let namesakes = [json!({"customer": {"name": "Zoe Miller"}})];
    let others = Others::of(&namesakes, &policy.identifiers());
    let action = |text: &str| {
        let text = document(&[("text", text)]);
        with_inputs(&[], |inputs| {
            policy.evaluate_among(&text, inputs, &others).verdict.action
        })
    };
    for text in ["Zoe Miller", "Miller, Zoe", "MILLER ZOË", "miller/zoe"] {
        assert_eq!(action(text), VerdictAction::Pass, "{text}");
    }
}

#[test]
fn what_the_template_says_may_stand() {
    let policy = policy("p", &rules("Block"));
    let text = "Your adviser is Mia Rossi.";
    let template = ["Your adviser is Mia  Rossi. {{ slots.opening }}"];
    assert_eq!(
        judge(&policy, text, &template).verdict.action,
        VerdictAction::Pass
    );
    assert_eq!(
        judge(&policy, text, &[]).verdict.action,
        VerdictAction::Block
    );
}

#[test]
fn a_verdict_has_the_place_and_not_the_value() {
    let evaluation = judge(
        &policy("p", &rules("Redact")),
        "Ask Mia Rossi, please.",
        &[],
    );
    let span = &evaluation.verdict.findings[0].spans[0];
    assert_eq!((span.start, span.end), (4, 13));
    let said = serde_json::to_string(&evaluation.verdict).unwrap();
    assert!(!said.to_lowercase().contains("rossi"), "{said}");
    let redacted = evaluation.redacted.unwrap();
    assert_eq!(redacted.parts()[0].text, "Ask [removed], please.");
}

#[test]
fn attributes_of_a_page_are_read_too() {
    let policy = policy("p", &rules("Block"));
    let others = Others::of(&batch(), &policy.identifiers());
    let page = document(&[("html", "<a href='https://bank.example/NL-7720-41'>here</a>")]);
    let verdict = with_inputs(&[], |inputs| {
        policy.evaluate_among(&page, inputs, &others).verdict
    });
    assert_eq!(verdict.action, VerdictAction::Block);
}

#[test]
fn where_no_batch_is_known_the_rule_cannot_run() {
    let policy = policy("p", &rules("Warn"));
    let text = document(&[("text", "Nothing of anybody.")]);
    let verdict = with_inputs(&[], |inputs| policy.evaluate(&text, inputs).verdict);
    assert_eq!(verdict.action, VerdictAction::Block);
    assert_eq!(verdict.errors[0].reason, RuleErrorReason::Unavailable);
}

#[test]
fn variables_that_no_record_can_have_are_an_error_and_absent_fields_are_not() {
    let rule = |path: &str| json!([{"name": "r", "leak": {"variables": [path]}, "action": "Warn"}]);
    let errors = |path: &str| {
        judge(&policy("p", &rule(path)), "Hello.", &[])
            .verdict
            .errors
    };
    assert_eq!(errors("client.name")[0].reason, RuleErrorReason::Missing);
    assert_eq!(errors("customer.phone"), []);
}

#[test]
fn a_stack_asks_for_what_a_text_says_and_for_nothing_twice() {
    let house = policy("house", &rules("Redact"));
    let again = policy("again", &rules("Review"));
    let stack = PolicyStack::new(vec![house, again]);
    assert_eq!(stack.identifiers().len(), 1, "both look up the same");
    let text = document(&[("text", "Ask Mia Rossi, please.")]);
    let mut others = Others::default();
    let mut questions: Vec<Asked> = Vec::new();
    let evaluation = with_inputs(&[], |inputs| {
        loop {
            match stack.evaluate_among(&text, inputs, &others) {
                Ok(evaluation) => return evaluation,
                Err(asked) => {
                    let id = stack.identifiers()[0].id().to_owned();
                    let theirs = Asked::from([(id, ["miarossi".to_owned()].into())]);
                    questions.push(asked.clone());
                    others.learn(asked, &theirs);
                }
            }
        }
    });
    assert_eq!(evaluation.verdict.action, VerdictAction::Review);
    let asked: Vec<_> = questions
        .iter()
        .flat_map(|asked| asked.values().flatten())
        .collect();
    assert!(asked.iter().any(|value| *value == "miarossi"), "{asked:?}");
    assert!(asked.iter().all(|value| !value.contains(' ')), "{asked:?}");
    let mut distinct = asked.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), asked.len(), "{asked:?}");
    assert!(
        questions.len() <= 2,
        "the redacted text is asked about once"
    );
}

#[test]
fn a_text_that_is_refused_for_anothers_value_is_shown_to_no_model() {
    let mut all = json!([{"name": "kind", "action": "Review",
        "moderation": {"model": "judge", "categories": {"hate": 40}}}]);
    all.as_array_mut()
        .unwrap()
        .extend(rules("Block").as_array().unwrap().clone());
    let stack = PolicyStack::new(vec![policy("p", &all)]);
    let none = Collected::default();
    let judge = |text: &str| {
        let text = document(&[("text", text)]);
        with_inputs(&[], |inputs| {
            let asked = stack.judge_among(&text, inputs, &none, &Others::default());
            assert!(asked.is_err(), "the records are asked first");
            let others = Others::of(&batch(), &stack.identifiers());
            stack.judge_among(&text, inputs, &none, &others).unwrap()
        })
    };
    let Judgement::Reached(refused) = judge("As Mia Rossi told us.") else {
        panic!("a model is asked")
    };
    assert_eq!(refused.verdict.action, VerdictAction::Block);
    assert_eq!(refused.verdict.unasked[0].rule, "kind");
    let Judgement::Needs(queries) = judge("Dear Zoe Miller.") else {
        panic!("no model is asked")
    };
    assert_eq!(queries.len(), 1);
}

#[test]
fn equal_variables_are_looked_up_under_one_name_in_any_order() {
    let id = |variables: Value, least: u32| {
        let rules = json!([{"name": "r", "action": "Warn",
            "leak": {"variables": variables, "minLength": least}}]);
        policy("p", &rules).identifiers()[0].id().to_owned()
    };
    assert_eq!(id(json!(["a.b", "c"]), 6), id(json!(["c", "a.b"]), 6));
    assert_ne!(id(json!(["a.b", "c"]), 6), id(json!(["a.b"]), 6));
    assert_ne!(id(json!(["a.b"]), 6), id(json!(["a.b"]), 7));
    let none = json!([{"name": "r", "leak": {"variables": []}, "action": "Warn"}]);
    assert_eq!(mistakes(&none)[0].path, "spec.rules[0].leak.variables");
}

#[test]
fn a_text_of_eight_times_the_size_takes_eight_times_the_memory() {
    let policy = policy("p", &rules("Warn"));
    let others = Others::of(&batch(), &policy.identifiers());
    for trap in [
        "1 ",
        "0171/",
        "ab12 ",
        "mia rossi ",
        "王小明",
        "x",
        "a\u{301}-",
    ] {
        let bytes = |size: usize| {
            let text = trap.repeat(size / trap.len());
            let documents = [document(&[("text", &text)]), document(&[("html", &text)])];
            with_inputs(&[], |inputs| {
                let judge = || {
                    documents
                        .each_ref()
                        .map(|one| policy.evaluate_among(one, inputs, &others))
                };
                measure(|| drop(judge())).bytes_total
            })
        };
        let (short, long) = (bytes(1 << 13), bytes(1 << 16));
        assert!(
            long <= 12 * short,
            "{trap:?} takes {short}, then {long} bytes"
        );
    }
}
