//! Texts that arrive character by character.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_json::{Value, json};

use super::{super::counted, compiled};
use crate::{Inputs, PolicyStack, StreamScanner};

const SIZES: [usize; 3] = [2 << 10, 4 << 10, 8 << 10];

/// What streams while it is written.
fn rules() -> Value {
    json!([
        {"name": "terms", "terms": {"list": ["acme", "nordbank plus"]}, "action": "Redact"},
        {"name": "stems", "terms": {"list": ["Bank"], "stem": "German"}, "action": "Review"},
        {"name": "pattern", "pattern": {"regex": "\\b[A-Z]{2}-[0-9]{3}\\b"}, "action": "Redact"},
        {"name": "pii", "pii": {"detect": ["Email", "Phone", "Iban", "Card"]}, "action": "Redact"},
        {"name": "secrets", "secrets": {}, "action": "Redact"},
        {"name": "links", "links": {"allow": ["bank.example"]}, "action": "Review"},
    ])
}

fn work(stack: &PolicyStack, trap: &str, size: usize) -> usize {
    let variables = json!({});
    let inputs = Inputs {
        variables: &variables,
        labels: &BTreeMap::new(),
        language: "en",
        passages: &[],
        template: &[],
        step: crate::Step::Final,
    };
    let text = trap.repeat(size / trap.len());
    counted(|| {
        let mut scanner = StreamScanner::new(stack, "text".parse().unwrap(), &inputs);
        let mut buffer = [0; 4];
        for c in text.chars() {
            scanner.push(c.encode_utf8(&mut buffer));
        }
        assert!(scanner.finish().is_ok());
    })
}

#[rstest]
#[case::words("so it goes ")]
#[case::matches("acme and so on, ")]
#[case::nearly_terms("nordbank plu ")]
#[case::no_gap("a")]
#[case::nearly_addresses("a@")]
#[case::nearly_accounts("DE89 3704 ")]
#[case::nearly_numbers("0171 ")]
#[case::announced("password: ")]
#[case::keys("-----BEGIN ")]
#[case::schemes("https://")]
#[case::marks("e\u{301}\u{301} ")]
#[case::flags("\u{1f1e9}\u{1f1ea}")]
#[case::lines("\n")]
fn twice_the_stream_is_twice_the_work(#[case] trap: &str) {
    let stack = PolicyStack::new(vec![compiled(&rules())]);
    let works = SIZES.map(|size| work(&stack, trap, size));
    for pair in works.windows(2) {
        // Looks become rare only in long windows: a text without a place to begin anew takes some more.
        assert!(pair[1] * 10 <= pair[0] * 28 + 40_000, "{trap:?}: {works:?}");
    }
}
