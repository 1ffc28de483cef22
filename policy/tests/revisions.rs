//! One digest never means two behaviours: what each check finds in fixed texts is pinned beside its
//! revision, and so are the versions of Unicode that it reads them by.
#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeMap;

use aios_policy::{Check, Inputs, Others};
use common::{document, policy};
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Texts in which the checks find something, and nearly something.
const PLAIN: [&str; 12] = [
    "Dear Zoë,\n\nI hope this email finds you well. Unlike ACME or \u{410}cme, we don't promise 7 %!!",
    "Große Straße GROSSE STRASSE İstanbul ﬁrst Ａｃｍｅ Ac\u{ad}me Ac\u{200c}me acmes",
    "L'ÉTÉ, l'été, l'ete; cafe\u{301} CAFÉ Łódź",
    "می\u{200c}خواهم من می ไปธนาคารวันนี้ 我去银行了 Тут Acme",
    "jane@mail.example +49 171 7654321 0171/765 43 21 GB29 NWBK 6016 1331 9268 19 4111 1111 1111 1111",
    "password: hR7#kq9!Zt2v amqp://app:letmein@mq.example/x token: see below",
    "https://evil.example/?utm_id=1&a=2, www.bank.example (http://bank.example@evil.example/)",
    "„ja“ «oui» \"yes\" 5\" don't  two  spaces , and so on .",
    "ACT IMMEDIATELY, says UNESCO. 1.234,56 EUR on 05.11.2026 at 18:30, 2,5 %, 100.000",
    "“we never share your data” and „we always share your data“",
    "Nous sommes heureux de vous accueillir dans notre maison et vous pouvez poser des questions.",
    "Written with AI. Deposits are protected up to 100,000\u{a0}EUR.",
];
const PAGE: &str = "<meta name=ai content=true><p>Z&euml;b <b>Ac</b>me &#64;</p><!-- jane@mail.example -->\
    <a href=\"https://evil.example/?gclid=1&amp;b=2\">www.bank.example</a><img src='cid:x' alt='Acme'>";

fn found(rule: &Value) -> String {
    let mut rule = rule.clone();
    rule["name"] = json!("r");
    rule["action"] = json!("Warn");
    let policy = policy("p", &json!([rule]));
    let variables = json!({"rate": 2.5, "customer": {"email": "zoe@mail.example"}});
    let inputs = Inputs {
        variables: &variables,
        labels: &BTreeMap::new(),
        language: "en",
        passages: &["Our promise: we never share your data."],
        template: &["100,000"],
        step: aios_policy::Step::Final,
    };
    let other = json!({"customer": {"mail": "jane@mail.example", "phone": "0171 7654321",
        "street": "grosse strasse", "bank": "银行了"}});
    let others = Others::of(&[other], &policy.identifiers());
    let plain = PLAIN.iter().map(|text| document(&[("text", text)]));
    let mut hash = Sha256::new();
    for document in plain.chain([document(&[("html", PAGE)])]) {
        let verdict = policy.evaluate_among(&document, &inputs, &others).verdict;
        for finding in &verdict.findings {
            let spans = finding.spans.iter().map(|span| (span.start, span.end));
            hash.update(format!("{:?};", spans.collect::<Vec<_>>()));
        }
        hash.update(format!("{}|", verdict.errors.len()));
    }
    hex::encode(&hash.finalize()[..8])
}

#[rstest]
#[case(json!({"terms": {"list": ["acme", "große straße", "می", "银行", "ธนาคาร", "istanbul"]}}),
    Check::Terms, 2, "7423969214fa77f3")]
#[case(json!({"terms": {"list": ["ete", "cafe", "lodz"], "view": "Unaccented"}}), Check::Terms, 2, "b4bab147966b146a")]
#[case(json!({"pattern": {"regex": "(?i)[ae]|acme"}}), Check::Pattern, 3, "f7721a81bf9b036a")]
#[case(json!({"pii": {"detect": ["Email", "Phone", "Iban", "Card"]}}), Check::Pii, 2, "d22cf0a7d6d327c0")]
#[case(json!({"leak": {"variables": ["customer"]}}), Check::Leak, 1, "7d149c549408ad8a")]
#[case(json!({"secrets": {}}), Check::Secrets, 2, "81260c8b0e947ff1")]
#[case(json!({"links": {"allow": ["bank.example"], "tracking": "Forbidden", "text": "Honest"}}),
    Check::Links, 1, "121e7e6fdc667824")]
#[case(json!({"require": {"text": "protected up to 100,000 EUR"}}), Check::Require, 2, "a660fb760c67864e")]
#[case(json!({"require": {"text": "PROTECTED: up to 100.000 eur", "near": true}}), Check::Require, 2, "a660fb760c67864e")]
#[case(json!({"require": {"text": "Written with AI", "position": "Start"}}), Check::Require, 2, "a660fb760c67864e")]
#[case(json!({"require": {"text": "and so on", "near": true, "position": "End"}}), Check::Require, 2, "f42a6c3996ed67ab")]
#[case(json!({"disclosure": {"labels": [{"language": "en", "text": "Written with AI"}],
    "mark": {"name": "ai"}}}), Check::Disclosure, 1, "a660fb760c67864e")]
#[case(json!({"length": {"minWords": 5, "maxCharacters": 80}}), Check::Length, 1, "5dc78c3226851670")]
#[case(json!({"length": {"minSentences": 2, "maxSentences": 2}}), Check::Length, 1, "62a03cb91d3a48c8")]
#[case(json!({"style": {"quotes": "English", "spacing": "Single", "exclamations": "Single",
    "capitals": {}, "openings": ["I hope this"]}}), Check::Style, 1, "9be946164d41dd83")]
#[case(json!({"style": {"numbers": "English"}}), Check::Style, 1, "be1c1358259e422b")]
#[case(json!({"style": {"numbers": "French"}}), Check::Style, 1, "1fc4711208d92795")]
#[case(json!({"language": {}}), Check::Language, 1, "b84e936fc79a9782")]
#[case(json!({"facts": {}}), Check::Facts, 2, "cdc0759888cb3c4d")]
#[case(json!({"facts": {"names": true, "allow": ["100"]}}), Check::Facts, 2, "7125599a095f5be7")]
#[case(json!({"citations": {}}), Check::Citations, 1, "0d8b731ff9915008")]
#[case(json!({"cel": "text.words < 12 && text.sentences < 2"}),
    Check::Cel, 1, "8fe9f48048ccf81c")]
fn another_finding_needs_another_revision(
    #[case] rule: Value,
    #[case] check: Check,
    #[case] revision: u32,
    #[case] digest: &str,
) {
    assert_eq!(
        (check.revision(), found(&rule).as_str()),
        (revision, digest),
        "{check:?} finds something else: raise its revision, and pin both here"
    );
}

#[test]
fn another_unicode_needs_other_revisions() {
    let versions = (
        unicode_normalization::UNICODE_VERSION,
        unicode_segmentation::UNICODE_VERSION,
    );
    assert_eq!(
        versions,
        ((18, 0, 0), (17, 0, 0)),
        "texts are read by other tables: raise the revision of every check, and pin these here"
    );
}

#[test]
fn revisions_are_known_without_compiling() {
    let rules = json!([
        {"name": "a", "secrets": {}, "action": "Block"},
        {"name": "b", "terms": {"list": ["x"]}, "action": "Block"},
        {"name": "c", "cel": "true", "action": "Block"},
    ]);
    let compiled = common::policy("p", &rules).revisions();
    let rules: Vec<_> = serde_json::from_value(rules).unwrap();
    assert_eq!(aios_policy::revisions(&rules), compiled);
}

#[test]
fn rules_that_hold_answers_to_their_end_are_named() {
    let rules = json!([
        {"name": "bounded", "pattern": {"regex": "a{1,9}"}, "action": "Block", "calls": ["Answer"]},
        {"name": "open", "pattern": {"regex": "a.*b"}, "action": "Block", "calls": ["Answer"]},
        {"name": "warns", "pattern": {"regex": "a.*b"}, "action": "Warn", "calls": ["Answer"]},
        {"name": "asked", "pattern": {"regex": "a.*b"}, "action": "Block", "calls": ["Prompt"]},
    ]);
    let rules: Vec<_> = serde_json::from_value(rules).unwrap();
    assert_eq!(aios_policy::holding(&rules), ["open"]);
}
