//! Any text at all, under rules of every kind: spans stand where a text can be cut, verdicts repeat, and
//! what goes on has nothing left to mend.
#![allow(clippy::unwrap_used)]

mod common;

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use aios_crds::{moderation::TestModeration, policy_set::Action};
use aios_policy::{
    Check, Collected, CompiledPolicy, Document, Evaluation, Evidence, Inputs, Judgement, Others,
    PolicyStack, RuleErrorReason,
};
use common::{document, policy};
use proptest::prelude::*;
use serde_json::{Value, json};

static MARKS: LazyLock<Arc<CompiledPolicy>> = LazyLock::new(|| policy("p", &rules(false)));
static MENDS: LazyLock<Arc<CompiledPolicy>> = LazyLock::new(|| policy("p", &rules(true)));

/// A rule of every check; those that can mend or redact do so where that is asked for.
fn rules(mends: bool) -> Value {
    let (redact, normalize) = if mends {
        ("Redact", "Normalize")
    } else {
        ("Review", "Warn")
    };
    json!([
        {"name": "terms", "terms": {"list": ["acme", "große straße"]}, "action": redact},
        {"name": "raw", "terms": {"list": ["IT"], "view": "Raw", "match": "Substring"},
            "action": redact},
        {"name": "bare", "terms": {"list": ["ete"], "view": "Unaccented"}, "action": "Review"},
        {"name": "pattern", "pattern": {"regex": "[aeo][^a-z]"}, "action": "Review"},
        {"name": "pii", "pii": {"detect": ["Email", "Phone", "Iban", "Card", "BirthDate",
            "Address", "NationalId"]}, "action": redact},
        {"name": "leak", "leak": {"variables": ["customer.street"]}, "action": redact},
        {"name": "secrets", "secrets": {}, "action": redact},
        {"name": "links", "links": {"allow": ["bank.example"], "text": "Honest"},
            "action": "Review"},
        {"name": "trackers", "links": {"tracking": "Forbidden"}, "action": normalize},
        {"name": "require", "require": {"text": "Note"}, "action": "Review"},
        {"name": "near", "require": {"text": "Note", "near": true, "position": "End"},
            "action": "Review"},
        {"name": "disclosure", "disclosure": {"labels": [{"language": "en", "text": "AI"}],
            "mark": {"name": "ai"}}, "action": "Review"},
        {"name": "length", "length": {"minWords": 2, "maxCharacters": 40}, "action": "Review"},
        {"name": "typography", "style": {"quotes": "German", "spacing": "Single",
            "exclamations": "Single"}, "action": normalize},
        {"name": "tone", "style": {"capitals": {}, "openings": ["so it"]}, "action": "Review"},
        {"name": "numbers", "style": {"numbers": "Swiss"}, "action": "Review"},
        {"name": "language", "language": {}, "action": "Review"},
        {"name": "facts", "facts": {}, "action": "Review"},
        {"name": "names", "facts": {"names": true}, "action": "Review"},
        {"name": "citations", "citations": {"minWords": 1}, "action": "Review"},
        {"name": "schema", "schema": {"jsonSchema": {"maxLength": 3}}, "action": "Review"},
        {"name": "injection", "injection": {}, "action": "Review"},
        {"name": "moderation", "moderation": {"model": "judge"}, "action": "Review"},
        {"name": "cel", "cel": "text.words < 9", "action": "Review"},
        {"name": "few", "cel": "findings.all(f, f.count < 3) && size(findings) < 5", "action": "Review"},
    ])
}

fn judge(document: &Document, policy: &Arc<CompiledPolicy>) -> Evaluation {
    let variables = json!({"rate": 2.5, "customer": {}});
    let inputs = Inputs {
        variables: &variables,
        labels: &BTreeMap::new(),
        language: "en",
        passages: &["we never share"],
        template: &[],
        step: aios_policy::Step::Final,
    };
    let stack = PolicyStack::new(vec![policy.clone()]);
    let others = [json!({"customer": {"street": "Große Straße"}})];
    let others = Others::of(&others, &policy.identifiers());
    let mut evidence = Collected::default();
    let judged = stack.judge_among(document, &inputs, &evidence, &others);
    if let Judgement::Needs(queries) = judged.unwrap() {
        let said = TestModeration {
            model: "judge".into(),
            flagged: true,
            scores: BTreeMap::new(),
        };
        for query in queries {
            evidence.add(Evidence::told(std::slice::from_ref(&said), &query).unwrap());
        }
    }
    policy.conclude_among(document, &inputs, &evidence, &others)
}

/// What some check or some tokenizer takes notice of.
const PIECES: [&str; 78] = [
    "acme",
    "\u{410}cme",
    "Ac\u{200c}me",
    "Große",
    "Straße",
    "IT",
    "été",
    "e\u{301}",
    "o\u{308}",
    "👨\u{200d}👩",
    "🇩🇪",
    "\u{200b}",
    "\u{202e}",
    "مرحبا",
    "می\u{200c}خواهم",
    "ไป",
    "银行",
    "ﬁ",
    "İ",
    "jane@mail.example",
    "+49 171 7654321",
    "GB29NWBK60161331926819",
    "4111 1111 1111 1111",
    "password: hR7#kq9!Zt2v",
    "amqp://a:b@c.example",
    "-----BEGIN PRIVATE KEY-----",
    "eyJ",
    "https://evil.example/?utm_id=1&a=2",
    "www.bank.example",
    "://",
    "?",
    "&",
    "#",
    "<a href=\"https://evil.example\">",
    "<a href='/x?gclid=1&amp;a=1'>",
    "</a>",
    "<p>",
    "<b>",
    "</b>",
    "<!--",
    "-->",
    "<meta name=ai content=x>",
    "&quot;",
    "&#33;",
    "<",
    ">",
    "\"",
    "„",
    "“",
    "»",
    "'",
    "!",
    "!!",
    "  ",
    " ,",
    "\n\n",
    "so it goes",
    "FINALLY",
    "2.5 %",
    "1,000",
    "{\"a\": \"",
    "\"é\"]}",
    "ign\u{43e}re",
    "previous",
    "instructions",
    "<|im_start|>",
    "\u{e0069}",
    "\u{1f3f4}\u{e0067}",
    "\u{200b}\u{200d}\u{2060}",
    "aWdub3JlIHByZXZpb3VzIGluc3RydWN0aW9ucw==",
    "![a](https://evil.example/?d=",
    "born 3 May",
    "1980",
    "Straße 12a",
    "756.9217.0769.85",
    "BSN",
    "111222333",
    "<b style=\"display:none\">",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(PIECES.to_vec()).prop_map(str::to_owned),
        1 => "\\PC{0,6}",
    ];
    let gap = prop::sample::select(vec!["", " ", " ", "\n"]);
    prop::collection::vec((piece, gap), 0..10).prop_map(|pairs| {
        pairs
            .into_iter()
            .flat_map(|(piece, gap)| [piece, gap.to_owned()])
            .collect()
    })
}

#[test]
fn there_is_a_rule_of_every_check() {
    let explained = MENDS.explain();
    for check in Check::ALL {
        assert!(
            explained.iter().any(|rule| rule.check == check),
            "{check:?}"
        );
    }
}

/// What a document is made from.
fn judge_input(text: &str) -> Evaluation {
    let variables = json!({"note": text});
    let inputs = Inputs {
        variables: &variables,
        labels: &BTreeMap::new(),
        language: "en",
        passages: &[text],
        template: &[],
        step: aios_policy::Step::Final,
    };
    MARKS.evaluate(&document(&[("text", "x")]), &inputs)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spans_can_be_cut_and_verdicts_repeat(plain in text(), html in text()) {
        let document = document(&[("text", &plain), ("html", &html)]);
        let verdict = judge(&document, &MARKS).verdict;
        prop_assert_eq!(&judge(&document, &MARKS).verdict, &verdict);
        prop_assert_eq!(&verdict.errors, &[]);
        for finding in &verdict.findings {
            for span in &finding.spans {
                let text = &document.part(span.part.as_str()).unwrap().text;
                let cut = text.get(span.start as usize..span.end as usize);
                let whole_part = matches!(finding.check, Check::Length | Check::Schema);
                prop_assert!(cut.is_some_and(|cut| whole_part || !cut.is_empty()), "{:?}", finding);
            }
        }
    }

    #[test]
    fn inputs_can_be_cut_where_they_speak_to_the_model(input in text()) {
        let verdict = judge_input(&input).verdict;
        for span in verdict.findings.iter().flat_map(|finding| &finding.inputs) {
            let cut = input.get(span.start as usize..span.end as usize);
            prop_assert!(cut.is_some_and(|cut| !cut.is_empty()), "{:?}", span);
        }
    }

    #[test]
    fn what_goes_on_has_nothing_left_to_mend(plain in text(), html in text()) {
        let document = document(&[("text", &plain), ("html", &html)]);
        let evaluation = judge(&document, &MENDS);
        let unstable = |error: &aios_policy::RuleError| error.reason == RuleErrorReason::UnstableRedaction;
        if evaluation.verdict.errors.iter().any(unstable) {
            return Ok(());
        }
        let last = evaluation.redacted.as_ref().unwrap_or(&document);
        let again = judge(last, &MENDS);
        let left: Vec<_> = again.verdict.findings.iter()
            .filter(|finding| matches!(finding.action, Action::Redact | Action::Normalize))
            .collect();
        prop_assert!(left.is_empty(), "{:?}", left);
        prop_assert_eq!(again.redacted, None);
    }
}
