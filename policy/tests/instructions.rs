//! Instructions that judging takes, counted by Valgrind while this very program runs under it: whatever loop
//! takes them, in our code or beneath it, they count.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::Path,
    process::Command,
    sync::Arc,
};

use aios_crds::policy_set::Review;
use aios_policy::{
    Check, CompiledPolicy, Document, Inputs, Others, PolicyStack, Step, VerdictAction,
};
use aios_policy_testset::{
    profile,
    traps::{self, Trap},
};
use common::{document, policy};
use serde_json::{Value, json};

/// Names the part that the program under Valgrind judges.
const COUNTED: &str = "AIOS_COUNTED";
/// Bytes of a text, and of the longer one: that takes as many times the instructions as it is longer, and a tenth
/// at most.
const SIZES: [usize; 2] = [2 << 10, 16 << 10];
/// The same where a bound must be reached first.
const BOUNDED: [usize; 2] = [8 << 10, 16 << 10];
/// Ceilings of the profile, unoptimized: what was counted when they were set, and a little room.
const MOST_ASCII: usize = 4_500_000;
const MOST_MIXED: usize = 9_000_000;

/// By what, beside what.
struct Scene {
    stack: PolicyStack,
    others: Others,
    variables: Value,
    labels: BTreeMap<String, String>,
    passage: String,
}

impl Scene {
    fn new(policy: Arc<CompiledPolicy>) -> Self {
        let neighbour = json!({"customer": {"street": "Hauptstrasse 12"}});
        Self {
            others: Others::of(&[neighbour], &policy.identifiers()),
            stack: PolicyStack::new(vec![policy]),
            variables: json!({"customer": {"street": "Am Platz 3"}}),
            labels: profile::labels(),
            passage: "we never share".to_owned(),
        }
    }

    fn of_trap(trap: &Trap) -> Self {
        let mut rule: Value = serde_json::from_str(trap.check).unwrap();
        rule["name"] = json!("r");
        rule["action"] = json!(trap.action);
        Self::new(policy("p", &json!([rule])))
    }

    /// Where inputs are read, the trap stands in them.
    fn with_input(self, trap: &Trap, text: &str) -> Self {
        if !trap.check.contains("\"injection\"") {
            return self;
        }
        Self {
            variables: json!({"customer": {"note": text}}),
            passage: text.to_owned(),
            ..self
        }
    }
}

/// Valgrind counts what happens in here, by the name of this function.
#[inline(never)]
fn judged(scene: &Scene, document: &Document) -> Option<VerdictAction> {
    let inputs = Inputs {
        variables: &scene.variables,
        labels: &scene.labels,
        language: "en",
        passages: &[&scene.passage],
        template: &[],
        step: Step::Final,
    };
    let evaluation = scene.stack.evaluate_among(document, &inputs, &scene.others);
    Some(evaluation.ok()?.verdict.action)
}

/// As pages those that are markup, as plain text all.
fn traps(part: &str) -> impl Iterator<Item = &'static Trap> {
    let all = traps::TRAPS.iter();
    all.filter(move |trap| part == "text" || trap.text(1 << 10).contains('<'))
}

fn sizes(trap: &Trap) -> [usize; 2] {
    if trap.bounded { BOUNDED } else { SIZES }
}

/// Judges each trap, short and long, in a part of that name.
fn judge_traps(part: &str) {
    for trap in traps(part) {
        for size in sizes(trap) {
            let text = trap.text(size);
            let scene = Scene::of_trap(trap).with_input(trap, &text);
            assert!(judged(&scene, &document(&[(part, &text)])).is_some());
        }
    }
}

fn judge_profile() {
    let rules = profile::rules(profile::TERMS).unwrap();
    let policy = CompiledPolicy::compile("p", &rules, &Review::default()).unwrap();
    let scene = Scene {
        variables: profile::variables(),
        ..Scene::new(Arc::new(policy))
    };
    for email in [profile::ASCII, profile::MIXED] {
        let document = document(&[("subject", email.subject), ("text", email.text)]);
        assert_eq!(judged(&scene, &document), Some(VerdictAction::Pass));
    }
}

#[test]
#[ignore = "the others run it, under Valgrind"]
fn judges() {
    match env::var(COUNTED).as_deref() {
        Ok("profile") => judge_profile(),
        Ok(part) => judge_traps(part),
        Err(_) => {}
    }
}

/// Instructions of each call of `judged`, in order.
fn counts(what: &str) -> Vec<usize> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("instructions-{what}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-line=no", "--collect-atstart=no"])
        .args([
            "--toggle-collect=instructions::judged",
            "--dump-after=instructions::judged",
        ])
        .arg(format!(
            "--callgrind-out-file={}",
            folder.join("out").display()
        ))
        .arg(env::current_exe().unwrap())
        .args(["--ignored", "--exact", "judges", "--test-threads=1"])
        .env(COUNTED, what)
        .output()
        .expect("Valgrind counts the instructions: `make setup` installs it");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let written =
        (1..).map_while(|call| fs::read_to_string(folder.join(format!("out.{call}"))).ok());
    let counts = written.map(|written| {
        let total = written
            .lines()
            .find_map(|line| line.strip_prefix("totals: "));
        total.unwrap().parse().unwrap()
    });
    let counts = counts.collect();
    fs::remove_dir_all(folder).unwrap();
    counts
}

/// Whether the longer text takes more than it is longer.
fn is_too_costly(trap: &Trap, [less, more]: &[usize; 2]) -> bool {
    let [short, long] = sizes(trap);
    more * 10 > less * 11 * long / short
}

fn traps_cost_in_line(part: &str) {
    let counts = counts(part);
    let pairs = counts.as_chunks::<2>().0;
    assert_eq!(counts.len(), 2 * traps(part).count());
    let costly = traps(part)
        .zip(pairs)
        .filter(|(trap, counts)| is_too_costly(trap, counts));
    let costly: Vec<_> = costly.map(|(trap, counts)| (trap.name, counts)).collect();
    assert!(costly.is_empty(), "{costly:?}");
}

#[test]
fn a_longer_text_takes_instructions_in_line_with_its_size() {
    traps_cost_in_line("text");
}

#[test]
fn a_longer_page_takes_instructions_in_line_with_its_size() {
    traps_cost_in_line("html");
}

#[test]
fn the_profile_takes_no_more_instructions_than_it_did() {
    let counts = counts("profile");
    assert_eq!(counts.len(), 2);
    assert!(
        counts[0] <= MOST_ASCII && counts[1] <= MOST_MIXED,
        "{counts:?}"
    );
}

#[test]
fn every_check_has_texts_that_would_trap_it() {
    let kinds = traps::TRAPS.iter().flat_map(|trap| {
        let rule: Value = serde_json::from_str(trap.check).unwrap();
        rule.as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    });
    let kinds: BTreeSet<_> = kinds.collect();
    let all: BTreeSet<_> = Check::ALL
        .iter()
        .map(|check| check.as_str().to_owned())
        .collect();
    assert_eq!(kinds, all);
}
