//! Batches of calls: whatever is changed, moved or left out is found, by the auditor of a bundle too.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aios_audit::{
    BundleWriter, CallBatch, CallChains, CallRecord, CallToken, CallsError, CallsReport,
    Expectations, Fault, Hash, Kind, Leaf, Log, LogKey, Scribe, commit, sha256, verify_bundle,
};

fn token(number: u8) -> CallToken {
    CallToken::new([number; 16])
}

fn record(number: u8) -> CallRecord<'static> {
    let token = token(number);
    let mut told = token.told();
    told.more(b"Dear ");
    told.more(b"reader");
    CallRecord {
        call: token.call(),
        time_ms: 1_700_000_000_000,
        pipeline: "savings".into(),
        step: "draft".into(),
        document: Some("d-1".into()),
        model: Some("writer".into()),
        model_digest: None,
        route: Some(0),
        variant: None,
        policies: "sha256:00".into(),
        judged: None,
        cache: None,
        outcome: "ok".into(),
        input_tokens: 12,
        output_tokens: 3,
        exact: true,
        cost: Some("0.000051 USD".into()),
        request: token.commit(b"{}"),
        answer: told.commitment(),
    }
}

#[test]
fn a_record_of_before_rules_read_calls_stays_as_it_was_signed() {
    let written = serde_json::to_value(record(1)).unwrap();
    assert!(written.get("judged").is_none());
    let read: CallRecord<'_> = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(read).unwrap(), written);
}

/// Batches of two calls each.
fn batches(seed: u8, count: u8) -> Vec<CallBatch> {
    let mut scribe = Scribe::new(&[seed; 32]).unwrap();
    let two = |batch: u8| vec![record(seed + 2 * batch), record(seed + 2 * batch + 1)];
    (0..count)
        .map(|batch| scribe.sign(two(batch), u64::from(batch)).unwrap())
        .collect()
}

fn json(batch: &CallBatch) -> Vec<u8> {
    serde_json::to_vec(batch).unwrap()
}

fn leaf(batch: &CallBatch, index: u8) -> Leaf {
    Leaf {
        tenant: "bank".into(),
        pipeline: String::new(),
        document: Leaf::of_calls(&batch.head.process),
        seq: batch.head.sequence,
        kind: Kind::Calls,
        time_ms: 5,
        commitment: commit(&sha256(&[index]).0, &json(batch)),
    }
}

fn follow<'a>(batches: impl IntoIterator<Item = &'a CallBatch>) -> Result<CallsReport, CallsError> {
    let mut chains = CallChains::default();
    for batch in batches {
        chains.batch(&leaf(batch, 0), &json(batch))?;
    }
    Ok(chains.report())
}

#[test]
fn batches_of_several_processes_are_followed_side_by_side() {
    let (one, other) = (batches(1, 3), batches(100, 2));
    let report = follow([&one[0], &other[0], &one[1], &one[2], &other[1]]).unwrap();
    let expected = CallsReport {
        processes: 2,
        batches: 5,
        records: 10,
        ..CallsReport::default()
    };
    assert_eq!(report, expected);
}

#[test]
fn an_answer_is_proven_to_whoever_has_its_token_and_its_bytes() {
    let record = record(7);
    let held: CallToken = token(7).to_string().parse().unwrap();
    assert_eq!(held.call(), record.call);
    assert_eq!(held.commit(b"Dear reader"), record.answer);
    assert_ne!(held.commit(b"Dear Reader"), record.answer);
    assert_ne!(token(8).commit(b"Dear reader"), record.answer);
}

#[test]
fn whatever_is_changed_in_a_batch_is_found() {
    let batch = batches(1, 1).remove(0);
    let text = String::from_utf8(json(&batch)).unwrap();
    for (from, to) in [
        ("0.000051 USD", "0.000050 USD"),
        ("\"outputTokens\":3", "\"outputTokens\":2"),
        ("\"exact\":true", "\"exact\":false"),
        ("\"writer\"", "\"writes\""),
        ("\"document\":\"d-1\"", "\"document\":\"d-2\""),
        (",\"document\":\"d-1\"", ""),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let error = CallBatch::verify(changed.as_bytes()).unwrap_err();
        assert_eq!(error, CallsError::Root, "{from}");
    }
    let moved = CallBatch {
        records: batch.records.iter().rev().cloned().collect(),
        ..batch.clone()
    };
    assert_eq!(CallBatch::verify(&json(&moved)), Err(CallsError::Root));
    let fewer = CallBatch {
        records: batch.records[1..].to_vec(),
        ..batch.clone()
    };
    assert!(matches!(
        CallBatch::verify(&json(&fewer)),
        Err(CallsError::Count { .. })
    ));
    let mut later = batch.clone();
    later.head.time_ms += 1;
    assert!(matches!(
        CallBatch::verify(&json(&later)),
        Err(CallsError::Signature(_))
    ));
    let of_another = CallBatch {
        key: batches(2, 1)[0].key.clone(),
        ..batch
    };
    assert!(matches!(
        CallBatch::verify(&json(&of_another)),
        Err(CallsError::OtherKey { .. })
    ));
    assert!(matches!(
        CallBatch::verify(b"{}"),
        Err(CallsError::Unreadable(_))
    ));
}

#[test]
fn a_batch_that_is_left_out_shows_as_a_gap_and_one_that_is_moved_is_refused() {
    let all = batches(1, 4);
    assert_eq!(follow([&all[0], &all[2], &all[3]]).unwrap().missing, 1);
    assert_eq!(follow([&all[2], &all[3]]).unwrap().missing, 2);
    for row in [[&all[0], &all[2], &all[1]], [&all[0], &all[1], &all[1]]] {
        assert!(matches!(follow(row), Err(CallsError::Order { .. })));
    }
}

#[test]
fn a_batch_that_was_lost_before_it_was_signed_shows_as_a_gap() {
    let mut scribe = Scribe::new(&[1; 32]).unwrap();
    scribe.skip();
    let second = scribe.sign(vec![record(1)], 9).unwrap();
    scribe.skip();
    let fourth = scribe.sign(vec![record(2)], 9).unwrap();
    assert_eq!(follow([&second, &fourth]).unwrap().missing, 2);
}

#[test]
fn a_second_row_under_the_same_key_does_not_follow_the_first() {
    let all = batches(1, 2);
    let mut scribe = Scribe::new(&[1; 32]).unwrap();
    scribe.sign(vec![record(50)], 9).unwrap();
    let other = scribe.sign(vec![record(51)], 9).unwrap();
    assert!(matches!(
        follow([&all[0], &other]),
        Err(CallsError::Previous { sequence: 1, .. })
    ));
}

#[test]
fn a_batch_stands_in_the_leaf_of_its_process_and_sequence() {
    let batch = batches(1, 1).remove(0);
    for wrong in [
        Leaf {
            seq: 1,
            ..leaf(&batch, 0)
        },
        Leaf {
            document: Leaf::of_calls("another"),
            ..leaf(&batch, 0)
        },
    ] {
        let error = CallChains::default().batch(&wrong, &json(&batch));
        assert_eq!(error, Err(CallsError::OtherLeaf));
    }
}

/// What a document's leaf says of its words.
fn drafted(number: u8) -> (Leaf, Vec<u8>) {
    let payload = format!(
        r#"{{"slot":"hook","usage":{{"call":"{}"}}}}"#,
        token(number)
    );
    let leaf = Leaf {
        tenant: "bank".into(),
        pipeline: "savings".into(),
        document: format!("d-{number}"),
        seq: 0,
        kind: Kind::Drafted,
        time_ms: 5,
        commitment: commit(&sha256(&[number]).0, payload.as_bytes()),
    };
    (leaf, payload.into_bytes())
}

fn bundle(leaves: &[(Leaf, Hash, Vec<u8>)]) -> Vec<u8> {
    let key = LogKey::new("aios.dev/bank", &[7; 32]).unwrap();
    let log: Log = leaves.iter().map(|(leaf, ..)| leaf.hash()).collect();
    let note = key.sign_checkpoint(log.size(), log.root());
    let mut writer = BundleWriter::new(Vec::new(), &key.verifier(), &note).unwrap();
    for (leaf, salt, payload) in leaves {
        writer.leaf(leaf).unwrap();
        writer.opening(&salt.0, payload).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn an_auditor_is_told_of_calls_that_documents_name_and_no_batch_records() {
    let of_batch = |batch: &CallBatch, index| {
        let leaf = leaf(batch, index);
        (leaf, sha256(&[index]), json(batch))
    };
    let of_document = |number| {
        let (leaf, payload) = drafted(number);
        (leaf, sha256(&[number]), payload)
    };
    let all = batches(1, 2);
    let leaves = vec![
        of_document(1),
        of_batch(&all[0], 200),
        of_document(4),
        of_batch(&all[1], 201),
        of_document(9),
    ];
    let report = verify_bundle(bundle(&leaves).as_slice(), &Expectations::default()).unwrap();
    let expected = CallsReport {
        processes: 1,
        batches: 2,
        records: 4,
        missing: 0,
        named: 3,
        unrecorded: 1,
    };
    assert_eq!(report.calls, expected);
    assert_eq!(report.documents, 3);

    let without: Vec<_> = [0, 2, 3].map(|index| leaves[index].clone()).into();
    let report = verify_bundle(bundle(&without).as_slice(), &Expectations::default()).unwrap();
    assert_eq!((report.calls.missing, report.calls.unrecorded), (1, 1));
}

#[test]
fn a_log_that_was_signed_over_a_forged_batch_is_not_verified() {
    let mut batch = batches(1, 1).remove(0);
    batch.records[0].cost = Some("0 USD".into());
    let leaves = [(leaf(&batch, 1), sha256(&[1]), json(&batch))];
    let error = verify_bundle(bundle(&leaves).as_slice(), &Expectations::default()).unwrap_err();
    assert_eq!(error.what, Fault::Calls(CallsError::Root));
    assert_eq!(error.at.leaf, Some(0));
}
