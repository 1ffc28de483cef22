//! Documents: what they refuse, and what their digest binds.
#![allow(clippy::unwrap_used)]

mod common;

use aios_policy::{Document, DocumentError, Part, PartKind};
use common::document;
use rstest::rstest;
use serde_json::json;

#[test]
fn the_digest_is_pinned() {
    let document = document(&[("subject", "Hello Zoë"), ("html", "<p>x</p>")]);
    assert_eq!(
        document.digest().to_string(),
        "sha256:35effd7c3935cdea98c283ed4005ab830a30ec6254e458e88c3e72a16721070b"
    );
}

#[rstest]
#[case(&[("subject", "ab"), ("text", "c")])]
#[case(&[("text", "c"), ("subject", "a")])]
#[case(&[("subject", "a"), ("text", "c"), ("footer", "")])]
#[case(&[("subject", "a"), ("footer", "c")])]
#[case(&[("subject", "a\u{200b}"), ("text", "c")])]
#[case(&[("subjecta", ""), ("text", "c")])]
fn every_change_changes_the_digest(#[case] parts: &[(&str, &str)]) {
    let original = document(&[("subject", "a"), ("text", "c")]);
    assert_ne!(document(parts).digest(), original.digest());
}

#[test]
fn the_kind_is_part_of_the_digest() {
    let of = |kind| {
        let part = Part {
            name: "html".parse().unwrap(),
            kind,
            text: "x".to_owned(),
        };
        Document::new(vec![part]).unwrap().digest()
    };
    assert_ne!(of(PartKind::Plain), of(PartKind::Html));
}

#[test]
fn json_round_trips_and_bad_parts_are_refused() {
    let original = document(&[("subject", "a"), ("html", "<b>c</b>")]);
    let json = serde_json::to_value(&original).unwrap();
    assert_eq!(
        json["parts"][1],
        json!({"name": "html", "kind": "Html", "text": "<b>c</b>"})
    );
    assert_eq!(serde_json::from_value::<Document>(json).unwrap(), original);
    for (parts, says) in [
        (
            json!([{"name": "Sub ject", "kind": "Plain", "text": ""}]),
            "part name",
        ),
        (json!([{"name": "a", "kind": "Pdf", "text": ""}]), "Plain"),
        (
            json!([{"name": "a", "kind": "Plain", "text": "", "x": 1}]),
            "unknown field",
        ),
        (
            json!([{"name": "a", "kind": "Plain", "text": ""},
            {"name": "a", "kind": "Plain", "text": ""}]),
            "its own name",
        ),
    ] {
        let error = serde_json::from_value::<Document>(json!({"parts": parts})).unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn what_is_too_large_is_refused() {
    let part = |name: String, len| Part {
        name: name.parse().unwrap(),
        kind: PartKind::Plain,
        text: "x".repeat(len),
    };
    let many = (0..65).map(|index| part(format!("p{index}"), 0)).collect();
    assert_eq!(Document::new(many), Err(DocumentError::TooManyParts(65)));
    let long = vec![part("a".to_owned(), (4 << 20) + 1)];
    assert!(matches!(
        Document::new(long),
        Err(DocumentError::TooLong(_))
    ));
}

#[test]
fn debug_output_holds_no_text() {
    let said = format!("{:?}", document(&[("subject", "Zoë")]));
    assert!(said.contains("subject") && !said.contains("Zoë"), "{said}");
}
