//! Checkpoints, keys and envelopes: what verifies, and what is refused.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aios_audit::{
    AuditError, Checkpoint, Envelope, LogKey, Origin, Provenance, Statement, VerifierKey, sha256,
};

fn key() -> LogKey {
    LogKey::new("aios.dev/bank", &[7; 32]).unwrap()
}

fn statement() -> Statement {
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
    Statement::new("d-1", sha256(b"text"), predicate)
}

#[test]
fn signed_checkpoint_has_the_published_shape_and_verifies() {
    let text = key().sign_checkpoint(42, sha256(b""));
    let lines: Vec<_> = text.split('\n').collect();
    assert_eq!(
        lines[..4],
        [
            "aios.dev/bank",
            "42",
            "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
            ""
        ]
    );
    assert!(lines[4].starts_with("\u{2014} aios.dev/bank "));
    assert_eq!((lines[5], lines.len()), ("", 6));
    let checkpoint = Checkpoint::verify(&text, &key().verifier()).unwrap();
    assert_eq!((checkpoint.size, checkpoint.root), (42, sha256(b"")));
}

#[test]
fn checkpoint_of_another_key_or_with_another_size_is_refused() {
    let text = key().sign_checkpoint(42, sha256(b""));
    let other = LogKey::new("aios.dev/bank", &[8; 32]).unwrap().verifier();
    assert!(matches!(
        Checkpoint::verify(&text, &other),
        Err(AuditError::UnknownSigner(_))
    ));
    let forged = text.replacen("42", "43", 1);
    assert!(matches!(
        Checkpoint::verify(&forged, &key().verifier()),
        Err(AuditError::SignatureMismatch(_))
    ));
    assert_eq!(Checkpoint::parse(&forged).unwrap().size, 43);
}

#[test]
fn signatures_of_witnesses_are_passed_over() {
    let text = key().sign_checkpoint(1, sha256(b""));
    let both = format!("{text}\u{2014} witness AAAAAAAA\n");
    assert!(Checkpoint::verify(&both, &key().verifier()).is_ok());
}

#[test]
fn malformed_checkpoints_name_what_is_wrong() {
    let text = key().sign_checkpoint(42, sha256(b""));
    let cases = [
        ("", "blank line"),
        ("a\nb\n\n", "a line each"),
        (&*text.replacen("42", "042", 1), "canonical"),
        (&*text.replacen("42", "many", 1), "size"),
        (&*text.replacen("47DE", "!", 1), "base64"),
        (text.trim_end(), "cut"),
    ];
    for (bad, expected) in cases {
        let error = Checkpoint::parse(bad).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} lacks {expected}");
    }
}

#[test]
fn verifier_key_survives_its_text_form_and_refuses_damage() {
    let verifier = key().verifier();
    let text = verifier.to_string();
    assert_eq!(text.parse::<VerifierKey>().unwrap(), verifier);
    for at in 0..text.len() {
        let mut damaged = text.clone().into_bytes();
        damaged[at] ^= 1;
        let parsed = String::from_utf8(damaged).unwrap().parse::<VerifierKey>();
        assert!(parsed.is_err(), "byte {at}");
    }
}

#[test]
fn log_names_that_would_break_the_note_are_refused() {
    for name in ["", "two words", "a+b", "a\nb", &"x".repeat(201)] {
        assert!(matches!(
            LogKey::new(name, &[0; 32]),
            Err(AuditError::LogName(_))
        ));
    }
}

#[test]
fn secret_seed_is_not_printed() {
    assert_eq!(
        format!("{:?}", key()),
        r#"LogKey { name: "aios.dev/bank", .. }"#
    );
}

#[test]
fn envelope_gives_back_its_statement() {
    let envelope = Envelope::sign(&statement(), &key()).unwrap();
    let read = envelope.verify(&key().verifier()).unwrap();
    assert_eq!(read, statement());
    assert_eq!(read.document(), Some("d-1"));
    assert_eq!(read.document_digest(), Some(sha256(b"text")));
    let json: serde_json::Value = serde_json::from_slice(&read.to_json().unwrap()).unwrap();
    assert_eq!(json["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(json["predicateType"], "https://aios.dev/provenance/v1");
}

#[test]
fn envelope_with_another_payload_type_or_signer_is_refused() {
    let good = Envelope::sign(&statement(), &key()).unwrap();
    let other_type = Envelope {
        payload_type: "text/plain".into(),
        ..good.clone()
    };
    assert!(other_type.verify(&key().verifier()).is_err());
    let other = LogKey::new("aios.dev/bank", &[9; 32]).unwrap();
    assert!(good.verify(&other.verifier()).is_err());
    let mut forged = Envelope::sign(&statement(), &other).unwrap();
    forged.signatures[0]
        .keyid
        .clone_from(&good.signatures[0].keyid);
    assert!(matches!(
        forged.verify(&key().verifier()),
        Err(AuditError::SignatureMismatch(_))
    ));
}
