//! What an evaluation takes from the allocator, counted: each text is read once, whatever the number of
//! rules, and a rule that finds nothing takes nothing.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use aios_crds::policy_set::Review;
use aios_policy::{CompiledPolicy, Inputs, VerdictAction};
use aios_policy_testset::profile::{self, Email};
use allocation_counter::measure;
use common::{document, policy};
use serde_json::{Value, json};

/// Ceilings: what was counted when they were set, and a little room.
const MOST_ASCII: u64 = 275;
const MOST_MIXED: u64 = 325;
/// Terms, a pattern, a condition and style.
const MOST_FOUR_RULES: u64 = 4;

/// Allocations of one evaluation, and what it says.
fn counted(
    policy: &Arc<CompiledPolicy>,
    email: Email,
    text: &str,
    variables: &Value,
) -> (u64, VerdictAction) {
    let document = document(&[("subject", email.subject), ("text", text)]);
    let labels = profile::labels();
    let inputs = Inputs {
        variables,
        labels: &labels,
        language: email.language,
        passages: &[],
        template: &[],
        step: aios_policy::Step::Final,
    };
    // Regular expressions make room for themselves the first time.
    policy.evaluate(&document, &inputs);
    let mut action = VerdictAction::Block;
    let taken = measure(|| action = policy.evaluate(&document, &inputs).verdict.action);
    (taken.count_total, action)
}

fn of_profile(terms: usize, email: Email, text: &str) -> u64 {
    let rules = profile::rules(terms).unwrap();
    let policy = CompiledPolicy::compile("p", &rules, &Review::default()).unwrap();
    let (count, action) = counted(&Arc::new(policy), email, text, &profile::variables());
    assert_eq!(action, VerdictAction::Pass, "the profile's {}", email.name);
    count
}

#[test]
fn the_profile_takes_no_more_than_it_did() {
    let counts = [profile::ASCII, profile::MIXED].map(|email| of_profile(1_000, email, email.text));
    assert!(
        counts[0] <= MOST_ASCII && counts[1] <= MOST_MIXED,
        "{counts:?}"
    );
}

#[test]
fn more_terms_take_nothing_more() {
    let email = profile::ASCII;
    assert_eq!(
        of_profile(10, email, email.text),
        of_profile(1_000, email, email.text)
    );
}

#[test]
fn a_rule_that_finds_nothing_takes_nothing() {
    let rules = |count: usize| {
        let rule = |index: usize| {
            [
                json!({"name": format!("t{index}"), "action": "Block",
                    "terms": {"list": [format!("acme{index}")]}}),
                json!({"name": format!("p{index}"), "action": "Block",
                    "pattern": {"regex": format!("acme{index}[a-z]")}}),
                json!({"name": format!("c{index}"), "action": "Block", "when": "language == 'en'",
                    "cel": "text.words < 900 && !parts.text.contains('acme')"}),
                json!({"name": format!("s{index}"), "action": "Block",
                    "style": {"exclamations": "Single", "spacing": "Single", "capitals": {}}}),
            ]
        };
        Value::Array((0..count).flat_map(rule).collect())
    };
    let count = |rules: &Value| {
        let email = profile::ASCII;
        let (count, action) = counted(&policy("p", rules), email, email.text, &json!({}));
        assert_eq!(action, VerdictAction::Pass);
        count
    };
    let (few, many) = (count(&rules(1)), count(&rules(51)));
    let each = (many - few) / 50;
    assert!(each <= MOST_FOUR_RULES, "four rules take {each} more");
}

#[test]
fn a_longer_text_of_prose_takes_hardly_more() {
    let email = profile::ASCII;
    let prose = "This is a letter without any numbers, names or addresses in it.\n";
    let policy = policy(
        "p",
        &json!([
            {"name": "t", "terms": {"list": ["acme"]}, "action": "Block"},
            {"name": "p", "pii": {"detect": ["Email", "Phone", "Iban", "Card"]}, "action": "Block"},
            {"name": "s", "secrets": {}, "action": "Block"},
            {"name": "f", "facts": {}, "action": "Block"},
            {"name": "c", "cel": "text.sentences > 1", "action": "Block"},
        ]),
    );
    let count = |times: usize| counted(&policy, email, &prose.repeat(times), &json!({})).0;
    assert_eq!(count(10), count(1_000));
}

/// Texts that make one check or another look at the same bytes again and again, had it no bound.
const TRAPS: [&str; 14] = [
    "token:",
    "password=",
    "1 111",
    " 111",
    "1.1",
    "0171/",
    "a@",
    "DE89 ",
    "://",
    "-----BEGIN ",
    "“a ",
    "\u{1f1e9}\u{1f1ea}",
    "a\u{301}\u{301}",
    "acme",
];

#[test]
fn traps_take_memory_in_line_with_their_size_and_come_to_an_end() {
    let policy = policy(
        "p",
        &json!([
            {"name": "t", "terms": {"list": ["acme", "cmea", "e"], "match": "Substring"}, "action": "Warn"},
            {"name": "r", "pattern": {"regex": "a.{0,40}x|1"}, "action": "Warn"},
            {"name": "p", "pii": {"detect": ["Email", "Phone", "Iban", "Card"]}, "action": "Warn"},
            {"name": "s", "secrets": {}, "action": "Warn"},
            {"name": "l", "links": {"allow": ["bank.example"], "text": "Honest"}, "action": "Warn"},
            {"name": "f", "facts": {}, "action": "Warn"},
            {"name": "q", "style": {"quotes": "English", "spacing": "Single", "capitals": {}},
                "action": "Warn"},
            {"name": "c", "citations": {"minWords": 1}, "action": "Warn"},
            {"name": "n", "cel": "text.words + text.sentences + text.characters > 1", "action": "Warn"},
        ]),
    );
    let bytes = |text: &str| {
        let documents = [document(&[("text", text)]), document(&[("html", text)])];
        let labels = profile::labels();
        let variables = json!({});
        let inputs = Inputs {
            variables: &variables,
            labels: &labels,
            language: "en",
            passages: &[],
            template: &[],
            step: aios_policy::Step::Final,
        };
        let taken = measure(|| {
            for document in &documents {
                policy.evaluate(document, &inputs);
            }
        });
        taken.bytes_total
    };
    for trap in TRAPS {
        let [short, long] = [1 << 13, 1 << 16].map(|size| bytes(&trap.repeat(size / trap.len())));
        // Eight times the text.
        assert!(
            long <= 12 * short,
            "{trap:?} takes {short}, then {long} bytes"
        );
    }
}
