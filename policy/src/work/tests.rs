//! Texts that make a check look at the same bytes again, had it no bound.

use std::{collections::BTreeMap, sync::Arc};

use aios_crds::policy_set::{Review, Rule};
use rstest::rstest;
use serde_json::{Value, json};

use super::counted;
use crate::{CompiledPolicy, Document, Inputs, Part, PartName};

const SIZES: [usize; 4] = [8 << 10, 16 << 10, 32 << 10, 64 << 10];

fn policy(check: &Value) -> Arc<CompiledPolicy> {
    let mut rule = check.clone();
    rule["name"] = json!("r");
    rule["action"] = json!("Warn");
    let rules: Vec<Rule> = serde_json::from_value(json!([rule])).unwrap();
    Arc::new(CompiledPolicy::compile("p", &rules, &Review::default()).unwrap())
}

/// Work on the trap over and over, as a plain part and as a page.
fn work(policy: &Arc<CompiledPolicy>, trap: &str, size: usize) -> [usize; 2] {
    let text = trap.repeat(size / trap.len());
    ["text", "html"].map(|name| {
        let name: PartName = name.parse().unwrap();
        let part = Part {
            kind: name.kind(),
            name,
            text: text.clone(),
        };
        let document = Document::new(vec![part]).unwrap();
        let variables = json!({});
        let inputs = Inputs {
            variables: &variables,
            labels: &BTreeMap::new(),
            language: "en",
            passages: &["we never share"],
            template: &[],
            step: crate::Step::Final,
        };
        counted(|| drop(policy.evaluate(&document, &inputs)))
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
fn twice_the_text_is_twice_the_work(#[case] check: &str, #[case] trap: &str) {
    let policy = policy(&serde_json::from_str(check).unwrap());
    let works = SIZES.map(|size| work(&policy, trap, size));
    for pair in works.windows(2) {
        for (less, more) in pair[0].iter().zip(pair[1]) {
            // A tenth more than twice, and what does not grow with the text.
            assert!(more * 10 <= less * 22 + 40_000, "{trap:?}: {works:?}");
        }
    }
}
