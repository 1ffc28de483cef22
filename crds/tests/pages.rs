//! The documentation names what the sources have: conditions, metrics, and codes of the API.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use aios_crds::{ConditionType, Reason, page};

/// Rooms whose processes serve `/metrics`.
const ROOMS: [&str; 4] = ["operator", "pipeline", "inference-sidecar", "runtime"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn documentation(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// First argument of every call that names a metric in a room's sources.
fn registered() -> BTreeSet<String> {
    let mut files = Vec::new();
    for room in ROOMS {
        sources(&root().join(room).join("src"), &mut files);
    }
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let registered = text.split("registry.register(").skip(1);
        let collected = text.split("encoder.encode_descriptor(").skip(1);
        for call in registered.chain(collected) {
            let name = call.split('"').nth(1).unwrap();
            names.insert(name.to_owned());
        }
    }
    names
}

#[test]
fn tables_of_conditions_are_those_of_the_code() {
    let text = documentation("conditions.md");
    let fresh = page::with_conditions(&text).unwrap();
    assert!(
        text == fresh,
        "docs/conditions.md has drifted: run `make generate`"
    );
}

#[test]
fn every_condition_and_reason_stands_with_its_kinds() {
    let text = documentation("conditions.md");
    let (_, kinds) = text.split_once("## Which kind carries which").unwrap();
    let (head, _) = text.split_once("<!-- generated").unwrap();
    let words = ConditionType::ALL
        .iter()
        .map(|t| t.as_str())
        .chain(Reason::ALL.iter().map(|r| r.as_str()));
    for word in words {
        let quoted = format!("`{word}`");
        assert!(head.contains(&quoted) || kinds.contains(&quoted), "{word}");
    }
}

#[test]
fn every_metric_is_documented_and_no_other() {
    let text = documentation("metrics.md");
    let documented: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(documented, registered());
}

/// Codes of refusals: the word after the status, wherever the gateway names both.
fn codes() -> BTreeSet<String> {
    let serve = root().join("pipeline/src/serve");
    let mut files = vec![serve.join("problem.rs")];
    sources(&serve.join("api"), &mut files);
    let mut codes = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for after in text.split("StatusCode::").skip(1) {
            let code = after
                .split_once(',')
                .and_then(|(_, rest)| rest.trim_start().strip_prefix('"'))
                .and_then(|rest| rest.split('"').next());
            codes.extend(code.map(str::to_owned));
        }
    }
    codes
}

#[test]
fn every_refusal_of_the_api_is_documented() {
    let text = documentation("api.md");
    let (_, errors) = text.split_once("## Errors").unwrap();
    let codes = codes();
    assert!(codes.len() > 10, "the sources were read: {codes:?}");
    for code in codes {
        assert!(errors.contains(&format!("`{code}`")), "{code}");
    }
}
