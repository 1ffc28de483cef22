//! Every check has a page in docs/policy whose rules compile, whose good examples pass, and whose bad
//! examples fail by the rules they name, each rule by one of them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
};

use aios_crds::{PolicySetSpec, moderation::TestModeration};
use aios_policy::{
    Check, Collected, CompiledPolicy, Evidence, Inputs, Judgement, Others, PolicyStack,
    VerdictAction,
};
use common::document;
use serde::Deserialize;
use serde_json::Value;

/// What the examples below it are judged with.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Given {
    variables: Value,
    labels: BTreeMap<String, String>,
    language: String,
    passages: Vec<String>,
    template: Vec<String>,
    /// What models say of the texts.
    moderation: Vec<TestModeration>,
    /// Variables of other people's documents.
    others: Vec<Value>,
}

/// A fenced block: the words behind the fence, and what it holds.
struct Block<'a> {
    info: Vec<&'a str>,
    body: String,
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(Block {
            info: info.split(' ').collect(),
            body: body.join("\n"),
        });
    }
    blocks
}

fn page(check: Check) -> String {
    let file = format!("../docs/policy/{}.md", check.as_str());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn the_examples_of_every_check_hold() {
    for check in Check::ALL {
        let text = page(check);
        let blocks = blocks(&text);
        let of = |kind: &str| {
            let found = blocks.iter().find(|block| block.info[1..] == [kind]);
            found.map(|block| block.body.as_str())
        };
        let spec: PolicySetSpec = serde_saphyr::from_str(of("policy").unwrap()).unwrap();
        let policy = CompiledPolicy::compile("page", &spec.rules, &spec.review);
        let policy = Arc::new(policy.unwrap_or_else(|mistakes| panic!("{check:?}: {mistakes:?}")));
        let mut given = Given::default();
        let (mut good, mut broken) = (0, BTreeSet::new());
        for block in &blocks {
            let part = if block.info[0] == "html" {
                "html"
            } else {
                "text"
            };
            let document = document(&[(part, &block.body)]);
            if block.info[1..] == ["inputs"] {
                given = serde_json::from_str(&block.body).unwrap();
                continue;
            }
            let passages: Vec<_> = given.passages.iter().map(String::as_str).collect();
            let template: Vec<_> = given.template.iter().map(String::as_str).collect();
            let inputs = Inputs {
                variables: &given.variables,
                labels: &given.labels,
                language: &given.language,
                passages: &passages,
                template: &template,
                step: aios_policy::Step::Final,
            };
            let (action, fired) = match block.info[1..] {
                ["good" | "bad", ..] => {
                    let stack = PolicyStack::new(vec![policy.clone()]);
                    let mut evidence = Collected::default();
                    if let Judgement::Needs(queries) =
                        stack.evaluate_with(&document, &inputs, &evidence)
                    {
                        for query in queries {
                            evidence.add(Evidence::told(&given.moderation, &query).unwrap());
                        }
                    }
                    let others = Others::of(&given.others, &policy.identifiers());
                    let judged = policy.conclude_among(&document, &inputs, &evidence, &others);
                    let verdict = judged.verdict;
                    assert_eq!(verdict.errors, [], "{check:?}: {}", block.body);
                    let fired = verdict.findings.into_iter().map(|found| found.rule);
                    (verdict.action, fired.collect::<Vec<_>>())
                }
                _ => continue,
            };
            match block.info[1..] {
                ["good"] => {
                    assert_eq!(action, VerdictAction::Pass, "{fired:?}: {}", block.body);
                    good += 1;
                }
                ["bad", ref rules @ ..] if !rules.is_empty() => {
                    assert_eq!(fired, rules, "{}", block.body);
                    broken.extend(fired);
                }
                ref other => panic!("{check:?}: write `good` or `bad RULE…`, not {other:?}"),
            }
        }
        let rules: BTreeSet<_> = spec.rules.into_iter().map(|rule| rule.name).collect();
        assert!(good > 0, "{check:?} needs a good example");
        assert_eq!(broken, rules, "{check:?} needs a bad example of each rule");
        assert!(page_index().contains(&format!("({}.md)", check.as_str())));
    }
}

fn page_index() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy/README.md");
    fs::read_to_string(path).unwrap()
}
