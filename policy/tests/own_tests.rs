//! What a policy's own tests compare, and how they are refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::sync::Arc;

use aios_crds::PolicySetSpec;
use aios_policy::{CompiledPolicy, Difference, PolicyTests, Trial, VerdictAction};
use common::policy;
use serde_json::{Value, json};

fn rules() -> Value {
    json!([
        {"name": "no-acme", "action": "Block", "terms": {"list": ["Acme"]}},
        {"name": "no-mail", "action": "Redact", "pii": {"detect": ["Email"], "allowVariables": ["customer.email"]}},
        {"name": "known", "action": "Review", "when": "has(labels.segment)", "facts": {}},
        {"name": "quoted", "action": "Review", "citations": {"minWords": 2}},
        {"name": "short-subject", "action": "Revise", "parts": ["subject"], "length": {"maxWords": 3}},
        {"name": "adult", "action": "Warn", "when": "language == 'de'", "cel": "vars.age >= 18"},
    ])
}

fn tests(tests: &Value) -> Vec<aios_crds::policy_test::PolicyTest> {
    let spec = json!({"rules": rules(), "tests": tests});
    serde_json::from_value::<PolicySetSpec>(spec).unwrap().tests
}

fn run(all: &Value) -> Vec<Trial> {
    let policy = policy("house", &rules());
    PolicyTests::compile(&tests(all), &policy)
        .unwrap()
        .run(&policy)
}

/// Whatever takes a mark away, another rule that removes words with it.
#[test]
fn a_mark_that_a_redaction_strips_is_missed() {
    let page = "<meta name=ai-origin content='model Acme'><p>Hello</p>";
    let rules = json!([
        {"name": "no-acme", "terms": {"list": ["Acme"]}, "action": "Redact"},
        {"name": "origin", "disclosure": {"keep": ["ai-origin"]}, "action": "Block"},
    ]);
    let policy = policy("house", &rules);
    let parts = json!([{"name": "html", "text": page}]);
    let all = json!([
        {"name": "stripped", "parts": parts, "template": [page],
            "expect": {"action": "Block", "rules": ["no-acme", "origin"]}},
        {"name": "free", "parts": parts, "expect": {"action": "Redact", "rules": ["no-acme"]}},
    ]);
    let trials = PolicyTests::compile(&tests(&all), &policy).unwrap();
    for trial in trials.run(&policy) {
        assert!(trial.passes(), "{}: {:?}", trial.name, trial.differences);
    }
}

fn mistake(all: &Value) -> String {
    let policy = policy("house", &rules());
    let found = PolicyTests::compile(&tests(all), &policy).unwrap_err();
    found[0].to_string()
}

#[test]
fn a_test_gives_a_policy_all_that_a_pipeline_would() {
    let trials = run(&json!([
        {"name": "plain", "text": "Hello", "expect": {"action": "Pass", "rules": []}},
        {"name": "own-address", "text": "Write to a@b.example",
            "variables": {"customer": {"email": "a@b.example"}}, "expect": {"action": "Pass", "rules": []}},
        {"name": "other-address", "text": "Write to c@b.example", "expect": {"action": "Redact", "rules": ["no-mail"]}},
        {"name": "number", "text": "Save 700 EUR", "labels": {"segment": "savings"},
            "expect": {"action": "Review", "rules": ["known"]}},
        {"name": "quotation", "text": "He said “we never sleep”", "passages": ["Indeed, we never sleep."],
            "expect": {"action": "Pass", "rules": []}},
        {"name": "parts", "parts": [{"name": "subject", "text": "One two three four"}, {"name": "text", "text": "Hi"}],
            "expect": {"action": "Revise", "rules": ["short-subject"]}},
        {"name": "language", "text": "Hallo", "language": "de", "variables": {"age": 17},
            "expect": {"action": "Warn", "rules": ["adult"]}},
    ]));
    for trial in &trials {
        assert!(trial.passes(), "{}: {:?}", trial.name, trial.differences);
    }
    assert_eq!(trials.len(), 7);
}

#[test]
fn others_of_a_test_are_whose_data_it_may_not_give_away() {
    let rules =
        json!([{"name": "others", "action": "Block", "leak": {"variables": ["customer.name"]}}]);
    let case = |name: &str, others: Value, rules: &Value| {
        json!({"name": name, "text": "As Mia Rossi told us.", "variables": {"customer": {}},
            "others": others, "expect": {"action": if rules == &json!([]) { "Pass" } else { "Block" }, "rules": rules}})
    };
    let mia = json!({"customer": {"name": "Mia Rossi"}});
    let all = json!([
        case("hers", json!([mia]), &json!(["others"])),
        case("of-two", json!([mia, mia]), &json!([])),
        case("nobodys", json!([]), &json!([])),
    ]);
    let spec = json!({"rules": rules, "tests": all});
    let spec: PolicySetSpec = serde_json::from_value(spec).unwrap();
    let policy = policy("house", &rules);
    let tests = PolicyTests::compile(&spec.tests, &policy).unwrap();
    for trial in tests.run(&policy) {
        assert!(trial.passes(), "{}: {:?}", trial.name, trial.differences);
    }
}

#[test]
fn what_differs_is_told_rule_by_rule() {
    let trials = run(&json!([
        {"name": "acme", "text": "Acme", "expect": {"action": "Review", "rules": ["known"]}},
        {"name": "cannot-run", "text": "Hallo", "language": "de", "expect": {"action": "Pass", "rules": []}},
        {"name": "rules-left-out", "text": "Acme", "expect": {"action": "Block"}},
    ]));
    let action = |expected, found| Difference::Action { expected, found };
    let [acme, cannot_run, left_out] = trials.as_slice() else {
        panic!("{trials:?}");
    };
    assert_eq!(
        acme.differences,
        [
            action(VerdictAction::Review, VerdictAction::Block),
            Difference::Silent {
                rule: "known".into()
            },
            Difference::Fired {
                rule: "no-acme".into(),
                error: None
            },
        ]
    );
    assert_eq!(
        cannot_run.differences[0],
        action(VerdictAction::Pass, VerdictAction::Block)
    );
    let said = cannot_run.differences[1].to_string();
    assert!(said.starts_with("rule adult could not run: "), "{said}");
    assert!(left_out.passes());
}

#[test]
fn tests_that_cannot_be_run_are_refused_with_their_path() {
    let expect = json!({"action": "Pass"});
    let twice = json!({"name": "a", "text": "x", "expect": expect});
    for (tests, begins) in [
        (
            json!([twice, twice]),
            "spec.tests[1].name: `a` names two tests",
        ),
        (
            json!([{"name": "a", "expect": expect}]),
            "spec.tests[0]: a test judges exactly one document",
        ),
        (
            json!([{"name": "a", "text": "x", "parts": [{"name": "text", "text": "y"}], "expect": expect}]),
            "spec.tests[0]: a test judges exactly one document",
        ),
        (
            json!([{"name": "a", "parts": [{"name": "Text", "text": "y"}], "expect": expect}]),
            "spec.tests[0].parts[0].name: `Text` is not a part name",
        ),
        (
            json!([{"name": "a", "text": "x", "expect": {"action": "Pass", "rules": ["nome"]}}]),
            "spec.tests[0].expect.rules[0]: `nome` is no rule of this policy",
        ),
    ] {
        let said = mistake(&tests);
        assert!(said.starts_with(begins), "{said}");
    }
}

#[test]
fn the_example_of_the_page_holds() {
    let page = include_str!("../../docs/policy/tests.md");
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let (manifest, _) = rest.split_once("```").unwrap();
    let manifest: Value = serde_saphyr::from_str(manifest).unwrap();
    let spec: PolicySetSpec = serde_json::from_value(manifest["spec"].clone()).unwrap();
    let policy = CompiledPolicy::compile("page", &spec.rules, &spec.review).unwrap();
    let tests = PolicyTests::compile(&spec.tests, &policy).unwrap();
    let trials = tests.run(&Arc::new(policy));
    assert_eq!(trials.len(), 3);
    for trial in trials {
        assert!(trial.passes(), "{}: {:?}", trial.name, trial.differences);
    }
}

#[test]
fn the_tests_on_the_page_of_moderation_hold() {
    let page = include_str!("../../docs/policy/moderation.md");
    let block = |fence: &str| {
        let (_, rest) = page.split_once(fence).unwrap();
        rest.split_once("```").unwrap().0
    };
    let both = format!("{}{}", block("```yaml policy\n"), block("```yaml\n"));
    let spec: PolicySetSpec = serde_saphyr::from_str(&both).unwrap();
    let policy = CompiledPolicy::compile("page", &spec.rules, &spec.review).unwrap();
    let tests = PolicyTests::compile(&spec.tests, &policy).unwrap();
    let trials = tests.run(&Arc::new(policy));
    assert_eq!(trials.len(), 2);
    for trial in trials {
        assert!(trial.passes(), "{}: {:?}", trial.name, trial.differences);
    }
}

#[test]
fn a_test_says_only_what_a_model_could_say_to_a_rule() {
    let rules = json!([{"name": "a", "action": "Block", "moderation": {"model": "judge"}}]);
    let policy = policy("house", &rules);
    let mistake = |said: Value| {
        let tests =
            json!([{"name": "a", "text": "x", "moderation": [said], "expect": {"action": "Pass"}}]);
        let spec = json!({"rules": rules, "tests": tests});
        let spec: PolicySetSpec = serde_json::from_value(spec).unwrap();
        PolicyTests::compile(&spec.tests, &policy).unwrap_err()[0].to_string()
    };
    let other = mistake(json!({"model": "other"}));
    assert!(
        other.starts_with("spec.tests[0].moderation[0].model: no rule asks `other`"),
        "{other}"
    );
    let score = mistake(json!({"model": "judge", "scores": {"hate": 101}}));
    assert!(
        score.contains("scores: 101 is no score of `hate`"),
        "{score}"
    );
}
