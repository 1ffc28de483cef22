//! The committed definitions are those that the types give.
#![cfg(feature = "kube")]
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::Path};

/// Largest definition: `kubectl apply` keeps a copy of it in an annotation of at most 256 KiB.
const LARGEST: usize = 200_000;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/aios-crds/templates")
}

#[test]
fn committed_definitions_are_those_of_the_types() {
    for (name, text) in aios_crds::yaml::definitions().unwrap() {
        let committed = fs::read_to_string(folder().join(&name)).unwrap_or_default();
        assert!(committed == text, "{name} has drifted: run `make generate`");
    }
}

#[test]
fn no_definition_is_left_over() {
    let known: BTreeSet<_> = aios_crds::yaml::definitions()
        .unwrap()
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let found: BTreeSet<_> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|kind| kind == "yaml")
        })
        .collect();
    assert_eq!(found, known);
}

#[test]
fn definitions_are_small_enough_for_client_side_apply() {
    for (name, text) in aios_crds::yaml::definitions().unwrap() {
        assert!(text.len() < LARGEST, "{name} has {} bytes", text.len());
    }
}

/// Braces in a description would be read as a template.
#[test]
fn definitions_hold_no_template_but_the_one_that_keeps_them() {
    for (name, text) in aios_crds::yaml::definitions().unwrap() {
        assert_eq!(text.matches("{{").count(), 2, "{name}");
        assert_eq!(text.matches("{{- if .Values.keep }}").count(), 1, "{name}");
    }
}

/// The API server warns of formats it does not know, and takes an explicit null for set.
#[test]
fn definitions_use_only_what_the_api_server_knows() {
    for (name, text) in aios_crds::yaml::definitions().unwrap() {
        for word in ["nullable:", "format: uint", "title:"] {
            assert!(!text.contains(word), "{name}: {word}");
        }
    }
}
