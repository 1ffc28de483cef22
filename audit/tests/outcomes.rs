//! Events from outside: who signed them, and what an auditor finds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aios_audit::{
    AuditError, BundleWriter, Expectations, Fault, Happened, Kind, Leaf, Log, LogKey, SenderKey,
    SignedEvent, commit, sha256, verify_bundle,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signer, SigningKey};

const CLICK: &str = r#"{"document":"d-1","name":"click"}"#;

fn signed(body: &str) -> SignedEvent {
    let key = SigningKey::from_bytes(&[7; 32]);
    let signature = key.sign(format!("evt-1.1700000000.{body}").as_bytes());
    SignedEvent {
        id: "evt-1".into(),
        timestamp: 1_700_000_000,
        body: body.into(),
        signature: format!("v1a,{}", STANDARD.encode(signature.to_bytes())),
        key: format!("whpk_{}", STANDARD.encode(key.verifying_key().as_bytes())),
    }
}

#[test]
fn what_was_signed_is_what_happened() {
    let happened = signed(CLICK).verify().unwrap();
    let expected = Happened {
        document: "d-1".into(),
        name: "click".into(),
        value: None,
    };
    assert_eq!(happened, expected);
}

#[test]
fn an_event_that_was_changed_is_not_its_senders() {
    let other = format!(
        "whpk_{}",
        STANDARD.encode(SigningKey::from_bytes(&[8; 32]).verifying_key())
    );
    let changes: [&dyn Fn(&mut SignedEvent); 4] = [
        &|event| event.id = "evt-2".into(),
        &|event| event.timestamp += 1,
        &|event| event.body = event.body.replace("d-1", "d-2"),
        &|event| event.key.clone_from(&other),
    ];
    for change in changes {
        let mut event = signed(CLICK);
        change(&mut event);
        let found = event.verify();
        assert!(
            matches!(found, Err(AuditError::SignatureMismatch(_))),
            "{event:?}"
        );
    }
}

#[test]
fn an_event_of_another_form_is_refused() {
    let mut dotted = signed(CLICK);
    dotted.id = "evt.1".into();
    let mut symmetric = signed(CLICK);
    symmetric.signature = symmetric.signature.replace("v1a,", "v1,");
    let mut keyless = signed(CLICK);
    keyless.key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into();
    let more = signed(r#"{"document":"d-1","name":"click","by":"Anna"}"#);
    for event in [dotted, symmetric, keyless, more] {
        let found = event.verify();
        assert!(
            matches!(found, Err(AuditError::Malformed { .. })),
            "{event:?}"
        );
    }
}

#[test]
fn a_senders_key_is_read_as_it_is_written() {
    let text = signed(CLICK).key;
    assert_eq!(text.parse::<SenderKey>().unwrap().to_string(), text);
}

/// The bundle of a log with this event as the only leaf.
fn bundle(document: &str, event: &SignedEvent) -> Vec<u8> {
    let key = LogKey::new("aios.dev/bank/1", &[1; 32]).unwrap();
    let payload = serde_json::to_vec(&serde_json::json!({"event": event, "by": "shop"})).unwrap();
    let salt = sha256(b"salt").0;
    let leaf = Leaf {
        tenant: "bank".into(),
        pipeline: "mail".into(),
        document: document.into(),
        seq: 0,
        kind: Kind::Outcome,
        time_ms: 5,
        commitment: commit(&salt, &payload),
    };
    let mut log = Log::new();
    log.append(leaf.hash());
    let head = key.sign_checkpoint(log.size(), log.root());
    let mut bundle = BundleWriter::new(Vec::new(), &key.verifier(), &head).unwrap();
    bundle.leaf(&leaf).unwrap();
    bundle.opening(&salt, &payload).unwrap();
    bundle.finish().unwrap()
}

#[test]
fn an_auditor_verifies_the_senders_signature_and_whom_it_is_about() {
    let verify = |document: &str, event: &SignedEvent| {
        let bundle = bundle(document, event);
        verify_bundle(bundle.as_slice(), &Expectations::default()).map_err(|error| error.what)
    };
    let report = verify("d-1", &signed(CLICK)).unwrap();
    assert_eq!(report.kinds[&Kind::Outcome], 1);
    let mut forged = signed(CLICK);
    forged.body = forged.body.replace("click", "buy");
    let found = verify("d-1", &forged);
    assert!(
        matches!(found, Err(Fault::Outcome(AuditError::SignatureMismatch(_)))),
        "{found:?}"
    );
    let found = verify("d-2", &signed(CLICK));
    assert!(matches!(found, Err(Fault::OutcomeSubject)), "{found:?}");
}
