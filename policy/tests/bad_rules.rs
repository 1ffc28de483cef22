//! Rules that don't compile: each mistake names its field and the remedy.
#![allow(clippy::unwrap_used)]

mod common;

use common::mistakes;
use rstest::rstest;
use serde_json::{Value, json};

#[rstest]
#[case::no_check(json!({}), "spec.rules[0]", "exactly one of terms, pattern")]
#[case::two_checks(
    json!({"terms": {"list": ["a"]}, "cel": "true"}), "spec.rules[0]", "exactly one")]
#[case::name(json!({"name": "No Shouting", "cel": "true"}), "spec.rules[0].name", "a-z, 0-9")]
#[case::part(json!({"parts": ["text", "HTML part"], "cel": "true"}),
    "spec.rules[0].parts[1]", "a-z, 0-9")]
#[case::redact(json!({"length": {"maxWords": 3}, "action": "Redact"}),
    "spec.rules[0].action", "leak or secrets")]
#[case::normalize(json!({"length": {"maxWords": 3}, "action": "Normalize"}),
    "spec.rules[0].action", "use style or links")]
#[case::mends_not_all(json!({"style": {"spacing": "Single", "openings": ["Hi"]},
    "action": "Normalize"}), "spec.rules[0].action", "rule of their own")]
#[case::mends_no_numbers(json!({"style": {"numbers": "English"}, "action": "Normalize"}),
    "spec.rules[0].action", "rule of their own")]
#[case::mends_nothing(json!({"links": {"allow": ["a.example"]}, "action": "Normalize"}),
    "spec.rules[0].action", "tracking: Forbidden")]
#[case::no_style(json!({"style": {}}), "spec.rules[0].style", "at least one of")]
#[case::opening(json!({"style": {"openings": ["\u{200b}"]}}),
    "spec.rules[0].style.openings[0]", "remove the entry")]
#[case::no_judge(json!({"moderation": {"model": ""}}), "spec.rules[0].moderation.model",
    "name a ModelDeployment")]
#[case::no_category(json!({"moderation": {"model": "judge", "categories": {"a b": 5}}}),
    "spec.rules[0].moderation.categories", "as in hate/threatening")]
#[case::no_threshold(json!({"moderation": {"model": "judge", "categories": {"hate": 0}}}),
    "spec.rules[0].moderation.categories", "1 to 100")]
#[case::cuts_out_what_a_model_objects_to(json!({"moderation": {"model": "judge"}, "action": "Redact"}),
    "spec.rules[0].action", "pii, leak or secrets")]
#[case::no_disclosure(json!({"disclosure": {}}), "spec.rules[0].disclosure", "at least one of")]
#[case::instructs_nobody(json!({"cel": "true", "instruction": "x", "action": "Review"}),
    "spec.rules[0].instruction", "use action Revise")]
#[case::blank_instruction(json!({"cel": "true", "instruction": " ", "action": "Revise"}),
    "spec.rules[0].instruction", "what the model must do")]
#[case::no_mark_to_keep(json!({"disclosure": {"keep": ["ai", " "]}}),
    "spec.rules[0].disclosure.keep[1]", "as the template's")]
#[case::secret(json!({"secrets": {"allow": [" "]}}), "spec.rules[0].secrets.allow[0]", "remove")]
#[case::calls_of_a_document(json!({"require": {"text": "a"}, "calls": ["Answer"]}),
    "spec.rules[0].calls", "use terms, pattern")]
#[case::calls_wait(json!({"secrets": {}, "calls": ["Answer"], "action": "Review"}),
    "spec.rules[0].calls", "use action Warn, Redact or Block")]
#[case::calls_of_a_record(json!({"pii": {"detect": ["Email"], "allowVariables": ["a"]},
    "calls": ["Prompt"], "action": "Block"}), "spec.rules[0].calls", "leave out parts")]
#[case::calls_with_a_condition(json!({"secrets": {}, "calls": ["Prompt"], "when": "true",
    "action": "Block"}), "spec.rules[0].calls", "leave out parts")]
#[case::empty_term(json!({"terms": {"list": ["a", " \u{200b}"]}}),
    "spec.rules[0].terms.list[1]", "remove the entry")]
#[case::no_terms(json!({"terms": {"list": []}}), "spec.rules[0].terms.list", "at least one")]
#[case::stem(json!({"terms": {"list": ["a"], "stem": "German", "match": "Prefix"}}),
    "spec.rules[0].terms.stem", "match Word or Suffix")]
#[case::endings(json!({"terms": {"list": ["a"], "endings": ["s"], "stem": "German"}}),
    "spec.rules[0].terms.endings", "no stem")]
#[case::ending(json!({"terms": {"list": ["a"], "endings": [" "]}}),
    "spec.rules[0].terms.endings[0]", "remove the entry")]
#[case::unresolved(json!({"terms": {"listRef": {"configMapKeyRef": {"name": "a", "key": "b"}}}}),
    "spec.rules[0].terms.listRef", "add its ConfigMap")]
#[case::regex(json!({"pattern": {"regex": "a(b"}}),
    "spec.rules[0].pattern.regex:1:2", "unclosed group")]
#[case::look_around(json!({"pattern": {"regex": "(?<!un)safe"}}),
    "spec.rules[0].pattern.regex:1:1", "`when`")]
#[case::back_reference(json!({"pattern": {"regex": "(a)\\1"}}),
    "spec.rules[0].pattern.regex:1:4", "alternatives")]
#[case::empty_match(json!({"pattern": {"regex": "x*"}}),
    "spec.rules[0].pattern.regex", "empty text")]
#[case::huge(json!({"pattern": {"regex": "(\\w{90}){90}"}}),
    "spec.rules[0].pattern.regex", "repetition counts")]
#[case::no_pii(json!({"pii": {"detect": []}}), "spec.rules[0].pii.detect", "at least one of")]
#[case::pii_path(json!({"pii": {"detect": ["Email"], "allowVariables": ["customer."]}}),
    "spec.rules[0].pii.allowVariables[0]", "`customer.email`")]
#[case::pii_value(json!({"pii": {"detect": ["Email"], "allow": [""]}}),
    "spec.rules[0].pii.allow[0]", "remove the entry")]
#[case::no_leak(json!({"leak": {"variables": []}}),
    "spec.rules[0].leak.variables", "nothing identifies")]
#[case::leak_path(json!({"leak": {"variables": ["customer.id", "customer..id"]}}),
    "spec.rules[0].leak.variables[1]", "`customer.account`")]
#[case::require(json!({"require": {"text": " \n"}}),
    "spec.rules[0].require.text", "write the sentence")]
#[case::near(json!({"require": {"text": "“…”", "near": true}}), "spec.rules[0].require.text", "leave out near")]
#[case::length(json!({"length": {}}), "spec.rules[0].length", "minWords, maxWords, minSentences")]
#[case::sentences(json!({"length": {"minSentences": 3, "maxSentences": 2}}),
    "spec.rules[0].length.minSentences", "swap them")]
#[case::bounds(json!({"length": {"minCharacters": 9, "maxCharacters": 8}}),
    "spec.rules[0].length.minCharacters", "swap them")]
#[case::facts(json!({"facts": {"allow": ["some"]}}), "spec.rules[0].facts.allow[0]", "write digits")]
#[case::names(json!({"facts": {"names": true, "allow": ["– …"]}}), "spec.rules[0].facts.allow[0]", "remove")]
#[case::schema(json!({"schema": {"jsonSchema": {"pattern": "(?<!a)b"}}}),
    "spec.rules[0].schema.jsonSchema.pattern", "look-around")]
#[case::schema_of_no_end(json!({"schema": {"jsonSchema": {"items": {"$ref": "#"}}}}),
    "spec.rules[0].schema.jsonSchema", "write the levels out")]
#[case::injection(json!({"injection": {"allow": [" "]}}),
    "spec.rules[0].injection.allow[0]", "remove the entry")]
#[case::revised_injection(json!({"injection": {}, "action": "Revise"}),
    "spec.rules[0].action", "set Warn")]
#[case::syntax(json!({"cel": "vars.a ==="}), "spec.rules[0].cel:1:", "write CEL")]
#[case::second_line(json!({"cel": "vars.a == 1\n  && (vars.b == 2"}), "spec.rules[0].cel:2:", "CEL")]
#[case::name_in_cel(json!({"cel": "true && customer.vip"}),
    "spec.rules[0].cel:1:9", "`vars.customer`")]
#[case::function(json!({"cel": "vars.a.reverse() == 'x'"}), "spec.rules[0].cel:1:8", "use one of")]
#[case::clock(json!({"cel": "now() > 1"}), "spec.rules[0].cel:1:1", "use one of")]
#[case::text_field(json!({"cel": "text.lines < 3"}), "spec.rules[0].cel:1:6", "words, characters")]
#[case::no_condition(json!({"cel": "text.words"}), "spec.rules[0].cel", "compare it")]
#[case::cel_regex(json!({"cel": "parts.text.matches('[')"}),
    "spec.rules[0].cel:1:12", "Rust `regex`")]
#[case::when(json!({"cel": "true", "when": "text.words > 1"}),
    "spec.rules[0].when:1:1", "into `cel`")]
fn a_bad_rule_is_named_with_its_remedy(
    #[case] rule: Value,
    #[case] place: &str,
    #[case] remedy: &str,
) {
    let mut full = json!({"name": "r", "action": "Review"});
    full.as_object_mut()
        .unwrap()
        .extend(rule.as_object().unwrap().clone());
    let found: Vec<_> = mistakes(&json!([full]))
        .iter()
        .map(ToString::to_string)
        .collect();
    let named = found
        .iter()
        .any(|said| said.starts_with(place) && said.contains(remedy));
    assert!(named, "{place} … {remedy} not in {found:#?}");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let found = mistakes(&json!([
        {"name": "a", "action": "Review", "cel": "foo == 1 && bar == 2", "when": "1 +"},
        {"name": "a", "action": "Redact", "facts": {}},
        {"name": "b", "action": "Review", "pattern": {"regex": "["}},
    ]));
    let paths: Vec<_> = found.iter().map(|mistake| mistake.path.as_str()).collect();
    for path in [
        "spec.rules[0].cel",
        "spec.rules[0].when",
        "spec.rules[1].name",
        "spec.rules[1].action",
        "spec.rules[2].pattern.regex",
    ] {
        assert!(paths.contains(&path), "{path} not in {paths:?}");
    }
    assert_eq!(
        paths
            .iter()
            .filter(|path| **path == "spec.rules[0].cel")
            .count(),
        2
    );
}

#[test]
fn no_rules_are_refused() {
    assert_eq!(mistakes(&json!([]))[0].path, "spec.rules");
}

#[test]
fn a_path_that_no_record_has_is_allowed() {
    let rules = json!([{"name": "r", "action": "Block",
        "pii": {"detect": ["Email"], "allowVariables": ["nobody.knows.this"]}}]);
    let verdict = common::judge(&rules, "a@b.example", &json!({})).verdict;
    assert_eq!(verdict.action, aios_policy::VerdictAction::Block);
    assert_eq!(verdict.errors, []);
}
