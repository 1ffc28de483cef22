//! An exported bundle verifies; with one byte changed it fails, and names where.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aios_audit::{
    BundleError, BundleWriter, Envelope, Expectations, Fault, Head, Kind, Leaf, Log, LogKey,
    Origin, Part, Provenance, Salt, Statement, commit, sha256, verify_bundle,
};

fn key() -> LogKey {
    LogKey::new("aios.dev/bank", &[7; 32]).unwrap()
}

fn salt(index: usize) -> Salt {
    sha256(&index.to_be_bytes()).0
}

fn envelope(document: &str) -> Envelope {
    let predicate = Provenance {
        tenant: "bank".into(),
        pipeline: "savings".into(),
        origin: Origin::Model,
        template_digest: sha256(b"template"),
        models: Vec::new(),
        retrieved: Vec::new(),
        policies: Vec::new(),
        verdicts: Vec::new(),
        reviews: Vec::new(),
    };
    Envelope::sign(
        &Statement::new(document, sha256(b"text"), predicate),
        &key(),
    )
    .unwrap()
}

fn payload(index: usize, kind: Kind, document: &str) -> Vec<u8> {
    if kind == Kind::Provenance {
        envelope(document).to_json().unwrap()
    } else {
        format!("payload {index}").into_bytes()
    }
}

fn leaves() -> Vec<Leaf> {
    let steps = [
        ("d-1", Kind::Accepted),
        ("d-2", Kind::Accepted),
        ("d-1", Kind::Drafted),
        ("d-2", Kind::Refused),
        ("d-1", Kind::Published),
        ("d-1", Kind::Provenance),
        ("d-2", Kind::Erased),
    ];
    let leaf = |(index, (document, kind)): (usize, (&str, Kind))| Leaf {
        tenant: "bank".into(),
        pipeline: "savings".into(),
        document: document.into(),
        seq: index as u64 + 1,
        kind,
        time_ms: 1_700_000_000_000,
        commitment: commit(&salt(index), &payload(index, kind, document)),
    };
    steps.into_iter().enumerate().map(leaf).collect()
}

/// Everything is opened but the last leaf, as if its salt had been erased.
fn export(leaves: &[Leaf]) -> Vec<u8> {
    let log: Log = leaves.iter().map(Leaf::hash).collect();
    let note = key().sign_checkpoint(log.size(), log.root());
    let mut writer = BundleWriter::new(Vec::new(), &key().verifier(), &note).unwrap();
    for (index, leaf) in leaves.iter().enumerate() {
        writer.leaf(leaf).unwrap();
        if leaf.kind == Kind::Provenance {
            writer
                .envelope(&salt(index), &envelope(&leaf.document))
                .unwrap();
        } else if leaf.kind != Kind::Erased {
            let payload = payload(index, leaf.kind, &leaf.document);
            writer.opening(&salt(index), &payload).unwrap();
        }
    }
    writer.finish().unwrap()
}

fn verify(bundle: &[u8]) -> Result<aios_audit::Report, BundleError> {
    verify_bundle(bundle, &Expectations::default())
}

fn line_of(bundle: &[u8], offset: usize) -> u64 {
    bundle[..offset].split(|b| *b == b'\n').count() as u64
}

/// The leaf and document a line of the untouched bundle belongs to.
fn owner(bundle: &[u8], line: u64) -> (u64, String) {
    let mut owner = (0, String::new());
    for text in std::str::from_utf8(bundle)
        .unwrap()
        .lines()
        .take(usize::try_from(line).unwrap())
    {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        if let Some(leaf) = value.get("leaf") {
            let document = leaf["content"]["document"].as_str().unwrap();
            owner = (leaf["index"].as_u64().unwrap(), document.to_owned());
        }
    }
    owner
}

#[test]
fn an_untouched_bundle_verifies_and_is_counted() {
    let report = verify(&export(&leaves())).unwrap();
    assert_eq!((report.leaves, report.documents), (7, 2));
    assert_eq!((report.openings, report.envelopes), (5, 1));
    assert_eq!(report.kinds[&Kind::Accepted], 2);
    assert_eq!(report.origin, "aios.dev/bank");
}

#[test]
fn an_empty_log_verifies() {
    assert_eq!(verify(&export(&[])).unwrap().leaves, 0);
}

#[test]
fn any_flipped_byte_is_found_where_it_is() {
    let bundle = export(&leaves());
    for offset in 0..bundle.len() {
        let mut damaged = bundle.clone();
        damaged[offset] ^= 1 << (offset % 8);
        let error = verify(&damaged).expect_err(&format!("byte {offset}"));
        let line = line_of(&bundle, offset);
        assert_eq!(error.at.line, line, "byte {offset}: {error}");
        assert!(
            error.at.bytes.contains(&(offset as u64)),
            "byte {offset}: {error}"
        );
        match line {
            1 => assert_eq!(error.at.part, Part::Header, "byte {offset}: {error}"),
            2 => assert_eq!(error.at.part, Part::Checkpoint, "byte {offset}: {error}"),
            _ => {
                let (leaf, document) = owner(&bundle, line);
                assert_eq!(error.at.leaf, Some(leaf), "byte {offset}: {error}");
                // A flip inside the field itself leaves nothing better to name.
                let named = error.at.document.as_deref() == Some(&document);
                let text = String::from_utf8_lossy(&damaged).into_owned();
                let hidden = !text
                    .lines()
                    .nth(usize::try_from(line).unwrap() - 1)
                    .unwrap_or_default()
                    .contains(&format!("\"document\":\"{document}\""));
                assert!(named || hidden, "byte {offset}: {error}");
            }
        }
    }
}

#[test]
fn the_message_names_leaf_document_line_and_byte() {
    let bundle = export(&leaves());
    let text = String::from_utf8(bundle).unwrap();
    let damaged = text.replacen("\"kind\":\"Published\"", "\"kind\":\"Refused\"", 1);
    let message = verify(damaged.as_bytes()).unwrap_err().to_string();
    assert!(
        message.starts_with("leaf 4 (document d-1), line 11, bytes "),
        "{message}"
    );
}

#[test]
fn removed_swapped_and_repeated_lines_are_found() {
    let text = String::from_utf8(export(&leaves())).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let fault = |lines: Vec<&str>| {
        verify((lines.join("\n") + "\n").as_bytes())
            .unwrap_err()
            .what
    };

    let mut without_last = lines.clone();
    without_last.pop();
    assert_eq!(
        fault(without_last),
        Fault::Count {
            signed: 7,
            found: 6
        }
    );

    let mut without_third = lines.clone();
    without_third.remove(2);
    assert!(matches!(fault(without_third), Fault::Order { .. }));

    let mut swapped = lines.clone();
    swapped.swap(3, 5);
    assert_eq!(
        fault(swapped),
        Fault::Index {
            expected: 0,
            found: 1
        }
    );

    let mut repeated = lines.clone();
    repeated.insert(3, lines[3]);
    assert_eq!(fault(repeated), Fault::OpenedTwice);

    assert_eq!(
        fault(lines[1..].to_vec()),
        Fault::Order {
            expected: "the header"
        }
    );
    assert_eq!(verify(b"").unwrap_err().what, Fault::CutOff);
    assert_eq!(
        verify(text.trim_end().as_bytes()).unwrap_err().what,
        Fault::CutOff
    );
}

#[test]
fn a_leaf_replaced_together_with_its_hash_is_found_by_the_root() {
    let honest = leaves();
    let log: Log = honest.iter().map(Leaf::hash).collect();
    let mut forged = honest;
    forged[4].kind = Kind::Refused;
    let note = key().sign_checkpoint(log.size(), log.root());
    let mut writer = BundleWriter::new(Vec::new(), &key().verifier(), &note).unwrap();
    for leaf in &forged {
        writer.leaf(leaf).unwrap();
    }
    let bundle = writer.finish().unwrap();
    assert_eq!(
        verify(&bundle).unwrap_err().what,
        Fault::Root { from: 0, to: 7 }
    );

    let head = |size| Head {
        size,
        root: log.root_at(size).unwrap(),
    };
    let expected = Expectations {
        heads: vec![head(5), head(3)],
        ..Expectations::default()
    };
    let what = verify_bundle(&*bundle, &expected).unwrap_err().what;
    assert_eq!(what, Fault::Witness { from: 3, size: 5 });
}

#[test]
fn a_log_rewritten_and_signed_anew_is_found_by_the_witness() {
    let log: Log = leaves().iter().map(Leaf::hash).collect();
    let heads = vec![Head {
        size: 7,
        root: log.root(),
    }];
    let expected = Expectations {
        heads,
        ..Expectations::default()
    };
    assert_eq!(
        verify_bundle(&*export(&leaves()), &expected).unwrap().heads,
        1
    );

    let mut forged = leaves();
    forged[0].time_ms += 1;
    let what = verify_bundle(&*export(&forged), &expected)
        .unwrap_err()
        .what;
    assert_eq!(what, Fault::Witness { from: 0, size: 7 });

    let what = verify_bundle(&*export(&leaves()[..6]), &expected)
        .unwrap_err()
        .what;
    assert_eq!(what, Fault::Shrunk { seen: 7, found: 6 });
}

#[test]
fn a_bundle_of_another_key_is_refused_when_the_key_is_known() {
    let trusted = LogKey::new("aios.dev/bank", &[8; 32]).unwrap().verifier();
    let expected = Expectations {
        key: Some(trusted),
        ..Expectations::default()
    };
    let what = verify_bundle(&*export(&leaves()), &expected)
        .unwrap_err()
        .what;
    assert!(matches!(what, Fault::OtherKey { .. }));
}

#[test]
fn a_signed_envelope_does_not_open_another_documents_leaf() {
    let mut steps = leaves();
    steps.truncate(1);
    steps[0].kind = Kind::Provenance;
    steps[0].commitment = commit(&salt(0), &envelope("d-9").to_json().unwrap());
    let log: Log = steps.iter().map(Leaf::hash).collect();
    let note = key().sign_checkpoint(1, log.root());
    let mut writer = BundleWriter::new(Vec::new(), &key().verifier(), &note).unwrap();
    writer.leaf(&steps[0]).unwrap();
    writer.envelope(&salt(0), &envelope("d-9")).unwrap();
    let error = verify(&writer.finish().unwrap()).unwrap_err();
    assert_eq!(error.what, Fault::EnvelopeSubject);
}

#[test]
fn steps_of_a_document_must_grow() {
    let mut steps = leaves();
    steps[2].seq = 1;
    let error = verify(&export(&steps)).unwrap_err();
    assert_eq!(
        error.what,
        Fault::Sequence {
            previous: 1,
            found: 1
        }
    );
    assert_eq!(error.at.leaf, Some(2));
}
