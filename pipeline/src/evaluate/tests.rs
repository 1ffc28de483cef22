#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path};

use aios_crds::rollout::EvaluationInput;
use aios_proto::evaluation::{EvaluationReport, digest};
use aios_simulator::{Listen, Served, model, start};
use serde_json::json;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{Options, judge::Judge, run};

const POLICIES: &str = r#"[{"name": "tone", "scope": "Namespace", "review": {"when": "Always"}, "rules": [
    {"name": "no-promise", "terms": {"list": ["guaranteed"]}, "action": "Block"},
    {"name": "no-mail", "pii": {"detect": ["Email"]}, "action": "Redact"},
    {"name": "known", "facts": {}, "action": "Revise"},
    {"name": "kind", "moderation": {"model": "judge"}, "action": "Block"},
    {"name": "segment", "cel": "text.words < 50", "when": "vars.segment == 'x'", "action": "Review"}]}]"#;

fn input(text: &str) -> EvaluationInput {
    EvaluationInput::parse(text).unwrap()
}

#[test]
fn an_answer_passes_if_it_may_go_on_by_itself() {
    let judge = Judge::new(POLICIES).unwrap();
    let asked =
        input(r#"{"prompt": "Write of the 24 hours.", "variables": {"segment": "y", "rate": 3}}"#);
    let verdict = |answer: &str| judge.verdict(&asked, Ok(answer.to_owned()));
    assert_eq!(
        verdict("Within 24 hours, 3 %."),
        Ok(()),
        "its numbers are known"
    );
    assert_eq!(verdict("Write to a@b.example"), Ok(()), "redacted");
    assert_eq!(
        verdict("Guaranteed!"),
        Err("blocked by rule no-promise".into())
    );
    assert_eq!(
        verdict("Only 99 left."),
        Err("sent back by rule known".into())
    );
    assert_eq!(
        judge.verdict(&asked, Err("gave no answer".into())),
        Err("gave no answer".into())
    );
    let without = judge.verdict(&input("Write."), Ok("A line.".into()));
    assert_eq!(
        without,
        Err("blocked by rule segment".into()),
        "a rule that cannot run"
    );
}

/// A model that says one thing.
async fn saying(text: &str, folder: &Path) -> Served {
    let script = folder.join(format!("{text}.json"));
    let rules = json!([{"regex": ".", "answer": text}]);
    fs::write(&script, rules.to_string()).unwrap();
    let settings = model::Settings {
        script: Some(script),
        ..model::Settings::default()
    };
    let app = model::router(settings).unwrap();
    start(app, &Listen::loopback(), &CancellationToken::new())
        .await
        .unwrap()
}

struct Stage {
    folder: TempDir,
    options: Options,
}

/// Two inputs, asked of a revision on trial and perhaps of a stable one.
fn stage(candidate: &str, stable: Option<&str>) -> Stage {
    let folder = tempfile::tempdir().unwrap();
    let inputs = folder.path().join("inputs");
    fs::create_dir(&inputs).unwrap();
    fs::create_dir(inputs.join("..data")).unwrap();
    let texts = [
        ("refund-de", "Write of a refund."),
        ("welcome", "Write a welcome."),
    ];
    let parsed = texts.map(|(name, text)| (name, input(text)));
    for (name, text) in texts {
        fs::write(inputs.join(name), text).unwrap();
    }
    let options = Options {
        model: "small".into(),
        candidate: candidate.into(),
        stable: stable.map(str::to_owned),
        inputs,
        inputs_digest: digest(parsed.iter().map(|(name, input)| (*name, input))).unwrap(),
        policies: POLICIES.replace("vars.segment == 'x'", "false"),
        timeout_ms: 5000,
        report_file: folder.path().join("report"),
        ca_file: None,
        client_cert_file: None,
        client_key_file: None,
    };
    Stage { folder, options }
}

impl Stage {
    async fn report(&self) -> Result<EvaluationReport, String> {
        let ended = run(self.options.clone(), CancellationToken::new()).await;
        let text = fs::read_to_string(self.folder.path().join("report")).unwrap();
        ended.map_err(|_| text.clone())?;
        Ok(serde_json::from_str(&text).unwrap())
    }
}

#[tokio::test]
async fn an_evaluation_names_the_inputs_that_a_revision_answers_worse() {
    let scripts = tempfile::tempdir().unwrap();
    let served = [
        saying("We look forward to it.", scripts.path()).await,
        saying("Success is guaranteed!", scripts.path()).await,
    ];
    let [good, bad] = served.each_ref().map(Served::url);
    let worse = stage(&bad, Some(&good)).report().await.unwrap();
    assert_eq!((worse.inputs, worse.passed, worse.before), (2, 0, Some(2)));
    assert_eq!(worse.fell[0].input, "refund-de");
    assert_eq!(worse.fell[0].now, "blocked by rule no-promise");
    let better = stage(&good, Some(&bad)).report().await.unwrap();
    assert_eq!((better.passed, better.before), (2, Some(0)));
    let alone = stage(&good, None).report().await.unwrap();
    assert_eq!((alone.passed, alone.before), (2, None));
}

#[tokio::test]
async fn inputs_that_changed_after_they_were_read_are_not_judged() {
    let mut stage = stage("http://127.0.0.1:1", None);
    stage.options.inputs_digest = "sha256:other".into();
    let said = stage.report().await.unwrap_err();
    assert!(said.contains("changed meanwhile"), "{said}");
}
