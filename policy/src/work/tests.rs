//! Texts that make a check look at the same bytes again, had it no bound.

use std::{collections::BTreeMap, sync::Arc};

use aios_crds::policy_set::{Review, Rule};
use aios_policy_testset::traps::{TRAPS, Trap};
use serde_json::{Value, json};

use super::counted;
use crate::{CompiledPolicy, Document, Inputs, Others, Part, PartName, PolicyStack, rule::Checker};

mod profile;
mod streams;

const SIZES: [usize; 4] = [8 << 10, 16 << 10, 32 << 10, 64 << 10];

fn policy(trap: &Trap) -> Arc<CompiledPolicy> {
    let mut rule: Value = serde_json::from_str(trap.check).unwrap();
    rule["name"] = json!("r");
    rule["action"] = json!(trap.action);
    compiled(&json!([rule]))
}

fn compiled(rules: &Value) -> Arc<CompiledPolicy> {
    let rules: Vec<Rule> = serde_json::from_value(rules.clone()).unwrap();
    Arc::new(CompiledPolicy::compile("p", &rules, &Review::default()).unwrap())
}

/// Work on the trap, as a plain part and as a page.
fn work(policy: &Arc<CompiledPolicy>, trap: &Trap, size: usize) -> [usize; 2] {
    let text = trap.text(size);
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

#[test]
fn twice_the_text_is_twice_the_work() {
    for trap in &TRAPS {
        let policy = policy(trap);
        grows_in_line(&SIZES.map(|size| work(&policy, trap, size)), trap);
    }
}

fn grows_in_line(works: &[[usize; 2]], trap: &Trap) {
    for pair in works.windows(2) {
        for (less, more) in pair[0].iter().zip(pair[1]) {
            // A tenth more than twice, and what does not grow with the text.
            assert!(more * 10 <= less * 22 + 40_000, "{}: {works:?}", trap.name);
        }
    }
}
