//! Texts that make a check look at the same bytes again, had it no bound.

use std::{collections::BTreeMap, sync::Arc};

use aios_crds::policy_set::{Review, Rule};
use rstest::rstest;
use serde_json::{Value, json};

use super::counted;
use crate::{
    Check, CompiledPolicy, Document, Inputs, Others, Part, PartName, PolicyStack, rule::Checker,
};

mod profile;
mod streams;

const SIZES: [usize; 4] = [8 << 10, 16 << 10, 32 << 10, 64 << 10];

fn policy(check: &Value, action: &str) -> Arc<CompiledPolicy> {
    let mut rule = check.clone();
    rule["name"] = json!("r");
    rule["action"] = json!(action);
    compiled(&json!([rule]))
}

fn compiled(rules: &Value) -> Arc<CompiledPolicy> {
    let rules: Vec<Rule> = serde_json::from_value(rules.clone()).unwrap();
    Arc::new(CompiledPolicy::compile("p", &rules, &Review::default()).unwrap())
}

/// Work on the trap over and over, as a plain part and as a page.
fn work(policy: &Arc<CompiledPolicy>, trap: &str, size: usize) -> [usize; 2] {
    let text = trap.repeat(size / trap.len());
    let stack = PolicyStack::new(vec![policy.clone()]);
    let neighbour = json!({"customer": {"street": "Hauptstrasse 12"}});
    let others = Others::of(&[neighbour], &policy.identifiers());
    let reads_inputs = matches!(policy.rules[0].checker, Checker::Injection(_));
    let variables = if reads_inputs {
        json!({"customer": {"note": text}})
    } else {
        json!({"customer": {"street": "Am Platz 3"}})
    };
    let passage = if reads_inputs {
        &text
    } else {
        "we never share"
    };
    ["text", "html"].map(|name| {
        let name: PartName = name.parse().unwrap();
        let part = Part {
            kind: name.kind(),
            name,
            text: text.clone(),
        };
        let document = Document::new(vec![part]).unwrap();
        let inputs = Inputs {
            variables: &variables,
            labels: &BTreeMap::new(),
            language: "en",
            passages: &[passage],
            template: &[],
            step: crate::Step::Final,
        };
        counted(|| drop(stack.evaluate_among(&document, &inputs, &others)))
    })
}

const TERMS: &str = r#"{"terms": {"list": ["acme", "cmea", "e"], "match": "Substring"}}"#;
const RAW: &str = r#"{"terms": {"list": ["a", "acme"], "view": "Raw", "match": "Substring"}}"#;
const PATTERN: &str = r#"{"pattern": {"regex": "a.{0,40}x|1|[\\x{1f1e6}-\\x{1f1ff}]|\\x{302}"}}"#;
const FAR: &str = r#"{"pattern": {"regex": "a[^x]*x|[ab]"}}"#;
const PII: &str = r#"{"pii": {"detect": ["Email", "Phone", "Iban", "Card", "BirthDate", "Address",
    "NationalId"]}}"#;
const SECRETS: &str = r#"{"secrets": {}}"#;
const LINKS: &str =
    r#"{"links": {"allow": ["bank.example"], "tracking": "Forbidden", "text": "Honest"}}"#;
const STYLE: &str = r#"{"style": {"quotes": "English", "spacing": "Single", "exclamations": "Single",
    "capitals": {}, "openings": ["so it"]}}"#;
const NEAR: &str = r#"{"require": {"text": "a a a b", "near": true}}"#;
const NUMBERS: &str = r#"{"style": {"numbers": "German"}}"#;
const FACTS: &str = r#"{"facts": {}}"#;
const NAMES: &str = r#"{"facts": {"names": true, "allow": ["Ada B"]}}"#;
const CITATIONS: &str = r#"{"citations": {"minWords": 1}}"#;
const STEMS: &str = r#"{"terms": {"list": ["bank", "sichere Rendite"], "stem": "German"}}"#;
const SUFFIX: &str = r#"{"terms": {"list": ["bank", "nk"], "match": "Suffix"}}"#;
const ENDINGS: &str = r#"{"terms": {"list": ["acme", "a"], "endings": ["s", "ss"]}}"#;
const UNACCENTED: &str =
    r#"{"terms": {"list": ["e", "ee"], "view": "Unaccented", "match": "Substring"}}"#;
const REQUIRE: &str = r#"{"require": {"text": "note note note that"}}"#;
const DISCLOSURE: &str = r#"{"disclosure": {"labels": [{"language": "en", "text": "written with AI"}],
    "mark": {"name": "ai", "content": "yes"}}}"#;
const LENGTH: &str = r#"{"length": {"minWords": 1, "maxCharacters": 40}}"#;
const LANGUAGE: &str = r#"{"language": {}}"#;
const SCHEMA: &str = r#"{"schema": {"jsonSchema": {"items": {"type": "object"}}}}"#;
const INJECTION: &str = r#"{"injection": {}}"#;
const LEAK: &str = r#"{"leak": {"variables": ["customer.street"]}}"#;
const MODERATION: &str = r#"{"moderation": {"model": "judge"}}"#;
const SIZES_OF_TEXT: &str = r#"{"cel": "text.words + text.sentences + text.characters > 1"}"#;

#[rstest]
#[case::nested(TERMS, "acme")]
#[case::letters(RAW, "a")]
#[case::accents(RAW, "a\u{301}\u{301}")]
#[case::flags(PATTERN, "\u{1f1e9}\u{1f1ea}")]
#[case::one_letter_under_all_accents(
    PATTERN,
    "\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}\u{302}"
)]
#[case::ahead(PATTERN, "a1")]
#[case::far_ahead(FAR, "a")]
#[case::far_ahead_of_another(FAR, "acccccccccccccccccccb")]
#[case::addresses(PII, "a@")]
#[case::dots(PII, "a.")]
#[case::numbers_beside_addresses(PII, "a@b.de 0171 1234567 ")]
#[case::groups(PII, "1 111 ")]
#[case::ibans(PII, "DE89 ")]
#[case::births(PII, "born on 3 ")]
#[case::homes(PII, "12 Rue de ")]
#[case::announced(SECRETS, "token:")]
#[case::announced_in_a_row(SECRETS, "secrettoken ")]
#[case::signs(SECRETS, "password=")]
#[case::shapes(SECRETS, "xoxb-")]
#[case::dotted_shapes(SECRETS, "SG.")]
#[case::shapes_and_dots(SECRETS, "-eyJ.")]
#[case::keys(SECRETS, "-----BEGIN ")]
#[case::private_keys(SECRETS, "-----BEGIN PRIVATE KEY-----")]
#[case::passwords(SECRETS, "a://b:c@")]
#[case::schemes(LINKS, "://")]
#[case::parameters(LINKS, "https://a.example/?utm_id=1&")]
#[case::anchors(LINKS, "<a href='x'>www.")]
#[case::spaces(STYLE, " ,")]
#[case::long_spaces(STYLE, "  ")]
#[case::capitals(STYLE, "AB-")]
#[case::quotes(STYLE, "\"a ")]
#[case::wording(NEAR, "a ")]
#[case::wording_of_letters(NEAR, "银\u{301}a. ")]
#[case::numbers(NUMBERS, "1.111")]
#[case::numbers_with_units(NUMBERS, "1.1 % ")]
#[case::grouped(FACTS, " 111")]
#[case::versions(FACTS, "1.1")]
#[case::letters_before_numbers(FACTS, "euro1")]
#[case::names(NAMES, "Ada ")]
#[case::particles(NAMES, "Ada von ")]
#[case::hyphens(NAMES, "Ada-")]
#[case::apostrophes(NAMES, "A'")]
#[case::initials(NAMES, "A. ")]
#[case::quoted(CITATIONS, "“a ")]
#[case::ends(SIZES_OF_TEXT, "a. (")]
#[case::ends_in_a_row(SIZES_OF_TEXT, "1.")]
#[case::brackets(SIZES_OF_TEXT, "é. ((")]
#[case::unknown_brackets(SIZES_OF_TEXT, "『(")]
#[case::markup(SIZES_OF_TEXT, "<!--")]
#[case::open_tags(SIZES_OF_TEXT, "<a b='")]
#[case::scripts(SIZES_OF_TEXT, "<title></")]
#[case::stems(STEMS, "banken ")]
#[case::stems_of_one_word(STEMS, "bank-")]
#[case::stems_without_gaps(STEMS, "aa")]
#[case::compounds(SUFFIX, "bank")]
#[case::endings(ENDINGS, "acmess ")]
#[case::bare_letters(UNACCENTED, "e\u{301}\u{301}")]
#[case::wordings(REQUIRE, "note ")]
#[case::wordings_of_one_letter(REQUIRE, "nn")]
#[case::spaces_between_wordings(REQUIRE, "\u{a0}\u{200b}")]
#[case::labels(DISCLOSURE, "written with ")]
#[case::metas(DISCLOSURE, "<meta name=ai content=no>")]
#[case::sizes(LENGTH, "a. ")]
#[case::sizes_of_marks(LENGTH, "e\u{301}\u{1f1e9}")]
#[case::paragraphs(LANGUAGE, "nous sommes dans la maison\n")]
#[case::one_paragraph(LANGUAGE, "nous sommes dans la maison ")]
#[case::scripts_in_turn(LANGUAGE, "a\u{43e}")]
#[case::no_json(SCHEMA, "[")]
#[case::open_strings(SCHEMA, "\"a\\")]
#[case::values(SCHEMA, "{\"a\": 1} ")]
#[case::orders(INJECTION, "ignore ")]
#[case::denied_orders(INJECTION, "do not forget   ")]
#[case::orders_in_disguise(INJECTION, "ign\u{43e}re previous ")]
#[case::roles(INJECTION, "   ### system:")]
#[case::speakers(INJECTION, "system: you are not\n")]
#[case::marks_of_turns(INJECTION, "<|im_start|>")]
#[case::shapeless(INJECTION, "a\u{200b}b\u{2060}")]
#[case::hiding_tags(INJECTION, "<b style='opacity:0")]
#[case::hidden_tags(INJECTION, "<b style='opacity:0000'>")]
#[case::encoded(INJECTION, "aWdub3JlIHByZXZpb3Vz")]
#[case::encoded_lines(
    INJECTION,
    "aWdub3JlIHByZXZpb3VzIGluc3RydWN0aW9ucwaWdub3JlIHByZXZpb3Vz\n"
)]
#[case::images(INJECTION, "![a](http://b?c=")]
#[case::sources(
    INJECTION,
    "src=//b.example/of/many/names/that/end/nowhere/and/go/on/?c=d&"
)]
#[case::spaced_sources(INJECTION, "src  =  ")]
#[case::leaks(LEAK, "Hauptstrasse 12 ")]
#[case::letters_of_leaks(LEAK, "h ")]
#[case::leaks_without_spaces(LEAK, "\u{94f6}\u{884c}")]
#[case::leaks_in_attributes(LEAK, "<a title='Hauptstrasse 12'>")]
#[case::judged(MODERATION, "a ")]
#[case::judged_markup(MODERATION, "<b>\u{a0}")]
fn twice_the_text_is_twice_the_work(#[case] check: &str, #[case] trap: &str) {
    let policy = policy(&serde_json::from_str(check).unwrap(), "Warn");
    grows_in_line(&SIZES.map(|size| work(&policy, trap, size)), trap);
}

/// Parts long enough that no rule finds more than it may replace.
#[rstest]
#[case::terms(
    TERMS,
    "acme and as many other words behind it as keep matches apart, so no"
)]
#[case::data(
    PII,
    "a@b.de and as many other words behind it as keep one from the next one. "
)]
#[case::tags(
    TERMS,
    "<b>ac</b>me and as many words behind it as keep matches apart, so no"
)]
fn twice_the_text_to_redact_is_twice_the_work(#[case] check: &str, #[case] unit: &str) {
    let mut check: Value = serde_json::from_str(check).unwrap();
    if let Some(terms) = check.get_mut("terms") {
        terms["list"] = json!(["acme", "no [removed]"]);
    }
    let policy = policy(&check, "Redact");
    grows_in_line(&SIZES.map(|size| work(&policy, unit, size)), unit);
}

fn grows_in_line(works: &[[usize; 2]], trap: &str) {
    for pair in works.windows(2) {
        for (less, more) in pair[0].iter().zip(pair[1]) {
            // A tenth more than twice, and what does not grow with the text.
            assert!(more * 10 <= less * 22 + 40_000, "{trap:?}: {works:?}");
        }
    }
}

/// JSON of growing size: what repeats stands between brackets.
#[rstest]
#[case::items("[", "{\"a\": \"\\u0061\"}, ", "1]")]
#[case::misfits("[", "1, ", "1]")]
#[case::keys("{", "\"a\": 1, ", "\"b\": 2}")]
#[case::spaces("[", "     ", "1]")]
fn twice_the_json_is_twice_the_work(#[case] open: &str, #[case] item: &str, #[case] close: &str) {
    let policy = policy(&serde_json::from_str(SCHEMA).unwrap(), "Warn");
    let works = SIZES.map(|size| {
        let text = format!("{open}{}{close}", item.repeat(size / item.len()));
        work(&policy, &text, text.len())
    });
    grows_in_line(&works, item);
}

#[test]
fn every_check_has_texts_that_would_trap_it() {
    let of_check = [
        ("TERMS", TERMS),
        ("PATTERN", PATTERN),
        ("PII", PII),
        ("LEAK", LEAK),
        ("SECRETS", SECRETS),
        ("LINKS", LINKS),
        ("REQUIRE", REQUIRE),
        ("DISCLOSURE", DISCLOSURE),
        ("LENGTH", LENGTH),
        ("STYLE", STYLE),
        ("LANGUAGE", LANGUAGE),
        ("FACTS", FACTS),
        ("CITATIONS", CITATIONS),
        ("SCHEMA", SCHEMA),
        ("INJECTION", INJECTION),
        ("MODERATION", MODERATION),
        ("SIZES_OF_TEXT", SIZES_OF_TEXT),
    ];
    let checks: Vec<_> = of_check
        .iter()
        .map(|(_, rule)| policy(&serde_json::from_str(rule).unwrap(), "Warn"))
        .map(|policy| policy.rules[0].checker.kind())
        .collect();
    assert_eq!(checks, Check::ALL);
    let cases = include_str!("tests.rs");
    for (name, _) in of_check {
        let traps = cases.matches(&format!("({name}, \"")).count();
        assert!(traps > 0, "{name}: {traps}");
    }
}
