//! A field that no code reads is not in the CRD: `coverage.tsv` names, for every path of every spec,
//! the test that shows its behaviour, and those tests exist.
#![cfg(feature = "kube")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use aios_crds::yaml;
use serde_json::Value;

/// `Kind spec.path` of every leaf: a property without properties of its own.
fn schema_paths() -> BTreeSet<String> {
    let mut paths = BTreeSet::new();
    for crd in yaml::all() {
        let kind = crd.spec.names.kind.clone();
        let crd = serde_json::to_value(crd).unwrap();
        let schema = crd
            .pointer("/spec/versions/0/schema/openAPIV3Schema/properties/spec")
            .unwrap();
        collect(schema, &format!("{kind} spec"), &mut paths);
    }
    paths
}

fn collect(schema: &Value, path: &str, paths: &mut BTreeSet<String>) {
    if let Some(items) = schema.get("items") {
        return collect(items, &format!("{path}[]"), paths);
    }
    match schema.get("properties").and_then(Value::as_object) {
        Some(properties) => {
            for (name, schema) in properties {
                collect(schema, &format!("{path}.{name}"), paths);
            }
        }
        None => {
            paths.insert(path.to_owned());
        }
    }
}

fn listed() -> BTreeMap<String, String> {
    include_str!("coverage.tsv")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once('\t').expect("path, tab, room::test"))
        .map(|(path, test)| (path.to_owned(), test.to_owned()))
        .collect()
}

/// Every `fn` that stands in a room's sources.
fn functions(room: &str) -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .join(room);
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        for line in fs::read_to_string(file).unwrap().lines() {
            let line = line.trim_start();
            if let Some(rest) = line
                .strip_prefix("fn ")
                .or_else(|| line.strip_prefix("async fn "))
            {
                names.insert(rest.split(['(', '<']).next().unwrap().to_owned());
            }
        }
    }
    names
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn every_schema_path_names_the_test_that_covers_it() {
    let listed: BTreeSet<_> = listed().into_keys().collect();
    let paths = schema_paths();
    let missing: Vec<_> = paths.difference(&listed).collect();
    let stale: Vec<_> = listed.difference(&paths).collect();
    assert!(
        missing.is_empty(),
        "add to coverage.tsv with a test:\n{missing:#?}"
    );
    assert!(stale.is_empty(), "remove from coverage.tsv:\n{stale:#?}");
}

#[test]
fn every_covering_test_exists() {
    let mut rooms: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut absent = Vec::new();
    for (path, test) in listed() {
        let (room, name) = test.split_once("::").expect("room::test");
        let known = rooms
            .entry(room.to_owned())
            .or_insert_with(|| functions(room));
        if !known.contains(name) {
            absent.push(format!("{path}: {test}"));
        }
    }
    assert!(
        absent.is_empty(),
        "these tests do not exist:\n{}",
        absent.join("\n")
    );
}

#[test]
fn no_definition_passes_200_kilobytes() {
    for (name, text) in yaml::definitions().unwrap() {
        assert!(text.len() < 200_000, "{name} has {} bytes", text.len());
    }
}
