//! What stands where something was removed: each kind of part stays what it is, and what goes on has been
//! judged as it goes on.
#![allow(clippy::unwrap_used)]

mod common;

use aios_policy::{Evaluation, RuleErrorReason, VerdictAction};
use common::{document, judge_all, policy};
use rstest::rstest;
use serde_json::{Value, json};

fn personal_data() -> Value {
    json!({"name": "pii", "pii": {"detect": ["Email", "Card"]}, "action": "Redact"})
}

fn judged(rules: &Value, part: &str, text: &str) -> Evaluation {
    let document = document(&[(part, text)]);
    judge_all(&[policy("p", rules)], &document, &json!({}))
}

fn text(evaluation: &Evaluation) -> &str {
    &evaluation.redacted.as_ref().unwrap().parts()[0].text
}

#[rstest]
#[case::plain("text", "Ask jane@mail.example.", "Ask [removed].")]
#[case::plain_with_signs("text", "<jane@mail.example> & co", "<[removed]> & co")]
#[case::words("html", "<p>Ask jane@mail.example.</p>", "<p>Ask [removed].</p>")]
#[case::across_tags("html", "<p>j<b>ane</b>@mail.example</p>", "<p>[removed]<b></b></p>")]
#[case::entities(
    "html",
    "<p>jane&#64;mail.example &amp; co</p>",
    "<p>[removed] &amp; co</p>"
)]
#[case::attribute(
    "html",
    "<a href=\"mailto:jane@mail.example?subject=Hi&amp;body=x\">x</a>",
    "<a href=\"mailto:[removed]?subject=Hi&amp;body=x\">x</a>"
)]
#[case::bare_attribute("html", "<a title=jane@mail.example>x</a>", "<a title=[removed]>x</a>")]
#[case::comment("html", "a<!-- jane@mail.example -->b", "a<!-- [removed] -->b")]
fn a_marker_needs_no_escape_wherever_it_stands(
    #[case] part: &str,
    #[case] original: &str,
    #[case] expected: &str,
) {
    let rules = json!([personal_data()]);
    let evaluation = judged(&rules, part, original);
    assert_eq!(text(&evaluation), expected);
    assert_eq!(evaluation.verdict.action, VerdictAction::Redact);
    let again = judged(&rules, part, text(&evaluation));
    assert_eq!(again.verdict.action, VerdictAction::Pass);
}

/// A part of JSON, as a pipeline's own.
fn data() -> Value {
    let schema = json!({"type": "object", "required": ["contact"],
        "properties": {"contact": {"type": "string"}, "card": {"type": "integer"},
            "cards": {"items": {"type": "string"}}}});
    json!([personal_data(),
        {"name": "shape", "schema": {"jsonSchema": schema}, "parts": ["data"], "action": "Block"}])
}

#[test]
fn json_stays_json_where_a_string_is_redacted() {
    let original = json!({"contact": "jane@mail.example or \"joe@mail.example\"",
        "cards": ["4111 1111 1111 1111", "none"], "jane@mail.example": 1});
    let evaluation = judged(&data(), "data", &original.to_string());
    assert_eq!(evaluation.verdict.action, VerdictAction::Redact);
    assert_eq!(
        serde_json::from_str::<Value>(text(&evaluation)).unwrap(),
        json!({"contact": "[removed] or \"[removed]\"", "cards": ["[removed]", "none"],
            "[removed]": 1})
    );
}

#[test]
fn escapes_of_json_hide_nothing_and_stay_where_nothing_is_redacted() {
    let original = r#"{"to": "jane\u0040mail.example", "na\u006de": "Zo\u00eb\n\"Z\"", "j\u0040k.example": 1,
        "card": 4111111111111111, "text": "Hi\njoe@mail.example"}"#;
    let evaluation = judged(&json!([personal_data()]), "text", original);
    let expected = r#"{"to": "[removed]", "na\u006de": "Zo\u00eb\n\"Z\"", "[removed]": 1,
        "card": "[removed]", "text": "Hi\n[removed]"}"#;
    assert_eq!(text(&evaluation), expected);
    let spans = &evaluation.verdict.findings[0].spans;
    let cut = |span: &aios_policy::Span| &original[span.start as usize..span.end as usize];
    assert_eq!(cut(&spans[0]), r"jane\u0040mail.example");
    let unfinished = original.trim_end_matches('}');
    let as_written = judged(&json!([personal_data()]), "text", unfinished);
    assert_eq!(
        cut(&as_written.verdict.findings[0].spans[0]),
        "4111111111111111"
    );
}

#[test]
fn json_that_a_redaction_breaks_does_not_go_on() {
    let original = json!({"contact": "none", "card": 4_111_111_111_111_111_u64});
    let verdict = judged(&data(), "data", &original.to_string()).verdict;
    let fired: Vec<_> = verdict
        .findings
        .iter()
        .map(|found| (found.rule.as_str(), found.after_redaction))
        .collect();
    assert_eq!(fired, [("pii", false), ("shape", true)]);
    assert_eq!(verdict.action, VerdictAction::Block);
}

/// Each match but the first is made by the redaction of the one before.
fn chain(length: usize) -> (Value, String) {
    let rule = |place: usize| {
        let regex = match place {
            1 => "\\(1\\)".to_owned(),
            _ => format!("\\({place}\\) ?\\[removed\\]"),
        };
        json!({"name": format!("r{place}"), "pattern": {"regex": regex}, "action": "Redact"})
    };
    let numbers = (1..=length).rev().map(|place| format!("({place})"));
    let text: Vec<_> = numbers.collect();
    let rules: Vec<_> = (1..=length).map(rule).collect();
    (Value::Array(rules), text.join(" "))
}

#[rstest]
#[case::plain("text", "See ", ", please.")]
#[case::page("html", "<p>", "</p>")]
#[case::json("data", "{\"note\": \"", "\"}")]
fn what_a_redaction_makes_is_redacted_too_a_bounded_number_of_times(
    #[case] part: &str,
    #[case] open: &str,
    #[case] close: &str,
) {
    let (rules, links) = chain(4);
    let evaluation = judged(&rules, part, &format!("{open}{links}{close}"));
    assert_eq!(text(&evaluation), format!("{open}[removed]{close}"));
    assert_eq!(evaluation.verdict.action, VerdictAction::Redact);
    assert_eq!(evaluation.verdict.errors, []);

    let (rules, links) = chain(5);
    let evaluation = judged(&rules, part, &format!("{open}{links}{close}"));
    let errors = evaluation.verdict.errors;
    assert_eq!(errors[0].reason, RuleErrorReason::UnstableRedaction);
    assert_eq!(evaluation.verdict.action, VerdictAction::Block);
    assert_eq!(evaluation.redacted, None);
}
