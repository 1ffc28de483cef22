//! What a document gets for an answer.
#![allow(clippy::unwrap_used)]

mod common;

use aios_policy::{ENGINE_REVISION, RuleErrorReason, Verdict, VerdictAction};
use common::{document, judge, judge_all, policy, reviewed};
use rstest::rstest;
use serde_json::{Value, json};

fn campaign() -> Value {
    json!([
        {"name": "consent", "cel": "vars.customer.consent == true", "action": "Block",
            "message": "the customer did not agree to mail"},
        {"name": "no-competitors", "terms": {"list": ["Nordbank", "Acme"]}, "action": "Review"},
        {"name": "no-guarantees", "pattern": {"regex": "(?i)\\bguarantee[ds]?\\b"},
            "action": "Block"},
        {"name": "no-pii", "pii": {"detect": ["Email", "Phone", "Iban", "Card"],
            "allowVariables": ["customer.email"]}, "action": "Redact"},
        {"name": "deposit-notice", "parts": ["text"],
            "require": {"text": "Deposits are protected up to 100,000 EUR"},
            "when": "labels.segment == 'savings'", "action": "Revise"},
        {"name": "short", "length": {"maxWords": 40}, "parts": ["text"], "action": "Revise"},
        {"name": "numbers", "facts": {"allow": ["100,000 EUR"]}, "action": "Block"},
        {"name": "calm", "terms": {"list": ["!!!"], "match": "Substring"}, "action": "Warn"},
    ])
}

const NOTICE: &str = "Deposits are protected up to 100,000 EUR.";

fn customer() -> Value {
    json!({"customer": {"consent": true, "email": "zoe@mail.example", "seat": 12}})
}

#[rstest]
#[case("Dear Zoë, your seat is 12. Write to zoe@mail.example.", VerdictAction::Pass, &[])]
#[case("See you!!!", VerdictAction::Warn, &["calm"])]
#[case("Ask jane@mail.example.", VerdictAction::Redact, &["no-pii"])]
#[case("Leave NORDBANK today", VerdictAction::Review, &["no-competitors"])]
#[case("Guaranteed profit from Nordbank", VerdictAction::Block, &["no-competitors", "no-guarantees"])]
#[case("Earn 7 % now", VerdictAction::Block, &["numbers"])]
fn the_strictest_rule_decides(
    #[case] text: &str,
    #[case] action: VerdictAction,
    #[case] rules: &[&str],
) {
    let verdict = judge(&campaign(), &format!("{text} {NOTICE}"), &customer()).verdict;
    let fired: Vec<_> = verdict
        .findings
        .iter()
        .map(|finding| finding.rule.as_str())
        .collect();
    assert_eq!((verdict.action, fired.as_slice()), (action, rules));
    assert_eq!(verdict.errors, []);
    assert_eq!(verdict.engine, ENGINE_REVISION);
}

#[test]
fn a_missing_notice_asks_for_a_revision_in_words() {
    let verdict = judge(&campaign(), "Dear Zoë", &customer()).verdict;
    assert_eq!(verdict.action, VerdictAction::Revise);
    assert!(verdict.wants_revision());
    assert!(
        verdict.findings[0]
            .message
            .contains("must contain: Deposits are protected")
    );
    assert_eq!(verdict.findings[0].spans, []);
}

#[test]
fn spans_are_bytes_of_the_part_that_was_read() {
    let document = document(&[
        ("subject", "Für Nordbank-Kunden"),
        ("html", "<p>Z&euml; von <b>Nord</b>bank</p>"),
        ("text", NOTICE),
    ]);
    let verdict = judge_all(&[policy("p", &campaign())], &document, &customer()).verdict;
    let found: Vec<_> = verdict.findings[0]
        .spans
        .iter()
        .map(|span| {
            let text = &document.part(span.part.as_str()).unwrap().text;
            &text[span.start as usize..span.end as usize]
        })
        .collect();
    assert_eq!(found, ["Nordbank", "Nord</b>bank"]);
}

#[test]
fn a_failed_condition_has_its_message_and_no_span() {
    let variables = json!({"customer": {"consent": false}});
    let verdict = judge(&campaign(), NOTICE, &variables).verdict;
    assert_eq!(verdict.action, VerdictAction::Block);
    assert_eq!(
        verdict.findings[0].message,
        "the customer did not agree to mail"
    );
}

#[rstest]
#[case("Closed", VerdictAction::Block)]
#[case("Review", VerdictAction::Review)]
#[case("Open", VerdictAction::Pass)]
fn a_rule_that_cannot_run_follows_its_on_error(
    #[case] on_error: &str,
    #[case] action: VerdictAction,
) {
    for field in ["when", "cel"] {
        let mut rule = json!({"name": "r", "action": "Warn", "onError": on_error});
        rule[field] = json!("vars.customer.segment == 'x'");
        if field == "when" {
            rule["terms"] = json!({"list": ["x"]});
        }
        let verdict = judge(&json!([rule]), "text", &customer()).verdict;
        assert_eq!(verdict.action, action, "{field}");
        assert_eq!(verdict.errors[0].reason, RuleErrorReason::Missing);
        assert!(verdict.errors[0].message.contains("vars.customer.segment"));
    }
}

#[test]
fn a_rule_applies_only_where_its_condition_holds() {
    let rules = json!([{"name": "r", "when": "language == 'de'", "action": "Block",
        "terms": {"list": ["text"]}}]);
    assert_eq!(
        judge(&rules, "text", &json!({})).verdict.action,
        VerdictAction::Pass
    );
}

#[test]
fn a_rule_reads_only_its_parts() {
    let rules = json!([{"name": "r", "parts": ["subject"], "action": "Block",
        "terms": {"list": ["acme"]}}]);
    let action = |subject, text| {
        let document = document(&[("subject", subject), ("text", text)]);
        judge_all(&[policy("p", &rules)], &document, &json!({}))
            .verdict
            .action
    };
    assert_eq!(action("hello", "acme"), VerdictAction::Pass);
    assert_eq!(action("acme", "hello"), VerdictAction::Block);
}

#[test]
fn wording_may_stand_in_any_of_the_parts_and_is_missed_when_none_exists() {
    let rules = json!([{"name": "r", "parts": ["html", "footer"], "action": "Block",
        "require": {"text": "Bank of Somewhere"}}]);
    let action = |parts: &[(&str, &str)]| {
        judge_all(&[policy("p", &rules)], &document(parts), &json!({}))
            .verdict
            .action
    };
    let html = ("html", "<i>Bank\nof</i> Somewhere");
    assert_eq!(action(&[html, ("footer", "")]), VerdictAction::Pass);
    assert_eq!(
        action(&[("text", "Bank of Somewhere")]),
        VerdictAction::Block
    );
}

#[test]
fn redaction_leaves_nothing_to_find_and_binds_to_the_new_text() {
    let text = format!("Ask jane@mail.example or joe@mail.example. {NOTICE}");
    let evaluation = judge(&campaign(), &text, &customer());
    let redacted = evaluation.redacted.unwrap();
    assert_eq!(
        redacted.parts()[0].text,
        format!("Ask [removed] or [removed]. {NOTICE}")
    );
    assert_eq!(evaluation.verdict.redacted, Some(redacted.digest()));
    assert_ne!(evaluation.verdict.document, redacted.digest());
    assert!(evaluation.verdict.passes());
    let again = judge(&campaign(), &redacted.parts()[0].text, &customer()).verdict;
    assert_eq!(again.action, VerdictAction::Pass);
}

#[test]
fn what_redaction_breaks_counts() {
    let rules = json!([
        {"name": "secret", "terms": {"list": ["protected"]}, "action": "Redact"},
        {"name": "notice", "require": {"text": "Deposits are protected"}, "action": "Review"},
    ]);
    let evaluation = judge(&rules, NOTICE, &json!({}));
    let finding = &evaluation.verdict.findings[1];
    assert_eq!(
        (finding.rule.as_str(), finding.after_redaction),
        ("notice", true)
    );
    assert_eq!(evaluation.verdict.action, VerdictAction::Review);
    assert!(
        evaluation.redacted.is_some(),
        "a person decides about the redacted text"
    );
}

#[test]
fn redaction_that_never_settles_blocks() {
    let rules = json!([{"name": "r", "terms": {"list": ["removed"]}, "action": "Redact"}]);
    let evaluation = judge(&rules, "removed", &json!({}));
    assert_eq!(evaluation.verdict.action, VerdictAction::Block);
    assert_eq!(
        evaluation.verdict.errors[0].reason,
        RuleErrorReason::UnstableRedaction
    );
    assert_eq!(evaluation.redacted, None);
}

#[test]
fn more_matches_than_can_be_replaced_block_and_others_are_cut() {
    let text = "acme ".repeat(1500);
    let rule = |action| json!([{"name": "r", "terms": {"list": ["acme"]}, "action": action}]);
    let verdict = judge(&rule("Redact"), &text, &json!({})).verdict;
    assert_eq!(verdict.action, VerdictAction::Block);
    assert_eq!(verdict.errors[0].reason, RuleErrorReason::TooManyMatches);
    let verdict = judge(&rule("Warn"), &text, &json!({})).verdict;
    assert_eq!(
        (verdict.action, verdict.findings[0].spans.len()),
        (VerdictAction::Warn, 1000)
    );
}

#[test]
fn policies_add_up_in_order_and_none_weakens_another() {
    let rule =
        |name: &str, action| json!([{"name": name, "terms": {"list": ["acme"]}, "action": action}]);
    let stack = [
        policy("platform", &rule("a", "Block")),
        policy("team", &rule("a", "Warn")),
    ];
    let verdict = judge_all(&stack, &document(&[("text", "acme")]), &json!({})).verdict;
    assert_eq!(verdict.action, VerdictAction::Block);
    let by: Vec<_> = verdict
        .findings
        .iter()
        .map(|finding| finding.policy.as_str())
        .collect();
    assert_eq!(by, ["platform", "team"]);
    let asked: Vec<_> = verdict
        .policies
        .iter()
        .map(|policy| policy.digest)
        .collect();
    assert_eq!(asked, [stack[0].digest(), stack[1].digest()]);
}

#[test]
fn a_condition_knows_what_the_rules_before_it_in_its_policy_found() {
    let term = |name: &str, word: &str, action: &str| json!({"name": name, "terms": {"list": [word]}, "action": action});
    let cel = |name: &str, cel: &str| json!({"name": name, "cel": cel, "action": "Review"});
    let own = policy(
        "own",
        &json!([
            term("a", "acme", "Redact"),
            cel("own-alone", "findings.map(f, f.rule) in [[], ['a']]"),
            cel("none-often", "findings.all(f, f.count < 2)"),
            cel("behind", "findings.exists(f, f.rule == 'none-often')"),
            term("b", "other", "Warn"),
        ]),
    );
    let stack = [policy("platform", &json!([term("p", "acme", "Warn")])), own];
    let fired = |text: &str| {
        let verdict = judge_all(&stack, &document(&[("text", text)]), &json!({})).verdict;
        let fired = verdict.findings.into_iter().map(|found| found.rule);
        fired.collect::<Vec<_>>()
    };
    assert_eq!(fired("acme and others"), ["p", "a", "behind"]);
    assert_eq!(
        fired("acme acme other"),
        ["p", "a", "none-often", "b", "behind"]
    );
}

#[test]
fn always_reviewed_means_at_least_review_within_the_shortest_time() {
    let rules =
        |action: &str| json!([{"name": "r", "terms": {"list": ["acme"]}, "action": action}]);
    let always = reviewed(
        "a",
        &rules("Revise"),
        &json!({"when": "Always", "due": "24h"}),
    );
    let flagged = reviewed("b", &rules("Warn"), &json!({"due": "8h"}));
    let stack = [always, flagged];
    let verdict = judge_all(&stack, &document(&[("text", "fine")]), &json!({})).verdict;
    assert_eq!(verdict.action, VerdictAction::Review);
    assert_eq!(verdict.review_due.unwrap().to_string(), "8h");
    assert!(verdict.always_reviewed && !verdict.wants_revision());
    let verdict = judge_all(&stack, &document(&[("text", "acme")]), &json!({})).verdict;
    assert_eq!(verdict.action, VerdictAction::Review);
    assert!(
        verdict.wants_revision(),
        "a revision may be tried before a person is asked"
    );
}

#[test]
fn what_can_be_mended_is_mended_and_judged_again() {
    let rules = json!([
        {"name": "typography", "style": {"quotes": "English", "exclamations": "Single"},
            "action": "Normalize"},
        {"name": "no-trackers", "links": {"tracking": "Forbidden"}, "action": "Normalize"},
        {"name": "no-mail", "pii": {"detect": ["Email"]}, "action": "Redact"},
    ]);
    let text = "\"Yes\"!! https://bank.example/?utm_id=1&a=2";
    let evaluation = judge(&rules, text, &json!({}));
    assert_eq!(evaluation.verdict.action, VerdictAction::Normalize);
    assert!(evaluation.verdict.passes());
    let mended = evaluation.redacted.unwrap();
    assert_eq!(
        mended.parts()[0].text,
        "\u{201c}Yes\u{201d}! https://bank.example/?a=2"
    );
    assert_eq!(evaluation.verdict.redacted, Some(mended.digest()));
    let html =
        "<p>&quot;Yes&quot;!<b>!</b></p><a href=\"/x?gclid=1&amp;a=&#50;\">x</a> jane@a.example";
    let evaluation = judge_all(
        &[policy("p", &rules)],
        &document(&[("html", html)]),
        &json!({}),
    );
    assert_eq!(evaluation.verdict.action, VerdictAction::Redact);
    assert_eq!(
        evaluation.redacted.unwrap().parts()[0].text,
        "<p>\u{201c}Yes\u{201d}!<b></b></p><a href=\"/x?a=&#50;\">x</a> [removed]"
    );
}

#[test]
fn a_verdict_says_what_was_read_and_by_what() {
    let rules = json!([
        {"name": "a", "terms": {"list": ["acme"]}, "action": "Warn"},
        {"name": "b", "terms": {"list": ["acme"]}, "parts": ["text"], "action": "Warn"},
        {"name": "c", "facts": {}, "parts": ["text"], "when": "language == 'fr'", "action": "Warn"},
        {"name": "d", "cel": "vars.missing", "parts": ["text"], "action": "Warn"},
    ]);
    let document = document(&[("subject", "Zoë"), ("text", "acme")]);
    let policy = policy("p", &rules);
    let verdict = judge_all(std::slice::from_ref(&policy), &document, &json!({})).verdict;
    let scanned: Vec<_> = verdict
        .scanned
        .iter()
        .map(|scanned| (scanned.part.as_str(), scanned.bytes, scanned.rules))
        .collect();
    assert_eq!(scanned, [("subject", 4, 1), ("text", 4, 2)]);
    assert_eq!(verdict.policies[0].engine, policy.engine());
    assert!(
        policy.engine().starts_with("cel.1 facts."),
        "{}",
        policy.engine()
    );
}

#[test]
fn rules_are_explained_with_what_they_hold_back() {
    let rules = json!([
        {"name": "a", "terms": {"list": ["acme"]}, "action": "Block"},
        {"name": "b", "pattern": {"regex": "x+"}, "action": "Block"},
        {"name": "c", "length": {"maxWords": 3}, "parts": ["text"], "action": "Revise",
            "when": "language == 'en'"},
    ]);
    let explained = policy("p", &rules).explain();
    let classes: Vec<_> = explained.iter().map(|rule| rule.class.as_str()).collect();
    assert_eq!(classes, ["Windowed", "WholeText", "Monotone"]);
    assert!(explained[2].conditional && explained[2].parts[0].as_str() == "text");
}

#[test]
fn verdicts_are_stable_and_hold_no_text() {
    let text = format!("Zwölfender jane@mail.example Nordbank {NOTICE}");
    let verdict = judge(&campaign(), &text, &customer()).verdict;
    let json = serde_json::to_string(&verdict).unwrap();
    assert_eq!(
        json,
        serde_json::to_string(&judge(&campaign(), &text, &customer()).verdict).unwrap()
    );
    assert_eq!(serde_json::from_str::<Verdict>(&json).unwrap(), verdict);
    for word in ["Zwölfender", "jane", "zoe@"] {
        assert!(!json.contains(word), "{word}: {json}");
    }
}

#[test]
fn no_policy_passes_everything() {
    let verdict = judge_all(&[], &document(&[("text", "x")]), &json!({})).verdict;
    assert_eq!(verdict.action, VerdictAction::Pass);
    assert_eq!(verdict.policies, []);
}
