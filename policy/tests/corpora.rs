//! The corpora of the fuzz targets, and what becomes of them when bytes are changed by a seed.
#![allow(clippy::unwrap_used)]

#[path = "common/checks.rs"]
mod checks;
#[path = "common/fuzz.rs"]
mod fuzz;

use std::{fs, path::Path};

use aios_policy::Check;
use aios_policy_testset::random::Random;

/// Changed copies of each file that are tried beside it.
const COPIES: usize = 60;

fn run(target: &str, holds: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let mut random = Random::new(7);
    for file in files {
        let bytes = fs::read(file).unwrap();
        holds(&bytes);
        for _ in 0..COPIES {
            holds(&changed(&bytes, &mut random));
        }
    }
}

/// Some bytes replaced, left out or said again.
fn changed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..random.between(1, 6) {
        let place =
            |random: &mut Random| usize::try_from(random.between(0, out.len() as u64)).unwrap();
        let (at, other) = (place(random), place(random));
        match random.between(0, 2) {
            0 if at < out.len() => out[at] = u8::try_from(random.between(0, 255)).unwrap(),
            1 => drop(out.drain(at.min(other)..at.max(other).min(at.min(other) + 16))),
            _ => {
                let again = out[at.min(other)..at.max(other).min(at.min(other) + 16)].to_vec();
                out.splice(at..at, again);
            }
        }
    }
    out
}

#[test]
fn documents() {
    run("document", fuzz::any_document);
}

#[test]
fn streams() {
    run("stream", fuzz::any_stream);
}

#[test]
fn rules() {
    run("rules", fuzz::any_rules);
}

#[test]
fn every_check_has_a_fuzz_target() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/Cargo.toml");
    let manifest = fs::read_to_string(manifest).unwrap();
    for check in Check::ALL {
        let target = format!(
            "name = \"{}\"\npath = \"fuzz_targets/check.rs\"",
            check.as_str()
        );
        assert!(manifest.contains(&target), "{check:?}");
    }
}

#[test]
fn texts_under_every_check() {
    for check in Check::ALL {
        run(check.as_str(), |bytes| {
            checks::any_check(check.as_str(), bytes);
        });
    }
}
