//! `audit verify` as a process: what it prints and how it ends.
#![allow(clippy::unwrap_used)]

use std::{path::Path, process::Command};

use aios_audit::{BundleWriter, Kind, Leaf, Log, LogKey, commit, sha256};

fn bundle() -> (Vec<u8>, Log) {
    let key = LogKey::new("aios.dev/bank", &[7; 32]).unwrap();
    let steps = [Kind::Accepted, Kind::Drafted, Kind::Published];
    let leaves: Vec<_> = steps
        .into_iter()
        .zip(1_u8..)
        .map(|(kind, seq)| Leaf {
            tenant: "bank".into(),
            pipeline: "savings".into(),
            document: "d-1".into(),
            seq: seq.into(),
            kind,
            time_ms: 1,
            commitment: commit(&sha256(&[seq]).0, &[seq]),
        })
        .collect();
    let log: Log = leaves.iter().map(Leaf::hash).collect();
    let note = key.sign_checkpoint(log.size(), log.root());
    let mut writer = BundleWriter::new(Vec::new(), &key.verifier(), &note).unwrap();
    for (leaf, seq) in leaves.iter().zip(1_u8..) {
        writer.leaf(leaf).unwrap();
        writer.opening(&sha256(&[seq]).0, &[seq]).unwrap();
    }
    (writer.finish().unwrap(), log)
}

fn verify(file: &Path, more: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-aios"))
        .args(["audit", "verify"])
        .arg(file)
        .args(more)
        .env_remove("KUBECONFIG")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[test]
fn an_untouched_file_verifies_and_one_flipped_byte_is_found_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.ndjson");
    let (bytes, log) = bundle();
    std::fs::write(&file, &bytes).unwrap();
    let (well, said) = verify(&file, &[]);
    assert!(
        well && said.starts_with("audit verified offline: 3 leaves"),
        "{said}"
    );

    let root = log.root().to_string();
    let (well, said) = verify(&file, &["--witness-size", "3", "--witness-root", &root]);
    assert!(well && said.contains("witnessed  1"), "{said}");
    let other = "0".repeat(64);
    let (well, said) = verify(&file, &["--witness-size", "3", "--witness-root", &other]);
    assert!(
        !well && said.contains("the witness saw another root"),
        "{said}"
    );

    let mut flipped = bytes;
    let at = String::from_utf8(flipped.clone())
        .unwrap()
        .find("Drafted")
        .unwrap();
    flipped[at] ^= 1;
    std::fs::write(&file, flipped).unwrap();
    let (well, said) = verify(&file, &[]);
    assert!(!well, "{said}");
    assert!(
        said.contains("NOT verified") && said.contains("leaf 1 (document d-1), line 5"),
        "{said}"
    );
}

#[test]
fn bad_arguments_say_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bundle.ndjson");
    std::fs::write(&file, bundle().0).unwrap();
    for (arguments, says) in [
        (&["--witness-size", "3"][..], "--witness-root"),
        (
            &["--witness-size", "3", "--witness-root", "zz"][..],
            "64 lowercase hex digits",
        ),
        (&["--key", "k"][..], "name+keyid+key"),
    ] {
        let (well, said) = verify(&file, arguments);
        assert!(!well && said.contains(says), "{said}");
    }
    let (well, said) = verify(&folder.path().join("none"), &[]);
    assert!(!well && said.contains("cannot open"), "{said}");
}
