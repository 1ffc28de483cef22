//! What must hold of any bytes, for the fuzz targets in `policy/fuzz` and for the test of their corpora.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc)]

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use aios_crds::policy_set::{Action, Review, Rule};
use aios_policy::{
    CompiledPolicy, Document, Inputs, Others, Part, PartName, PolicyStack, Pushed, StreamScanner,
    VerdictAction,
};
use serde_json::{Value, json};

static STACK: LazyLock<PolicyStack> = LazyLock::new(|| {
    let rules = json!([
        {"name": "terms", "terms": {"list": ["acme", "große straße", "ete"]}, "action": "Block"},
        {"name": "raw", "terms": {"list": ["IT"], "view": "Raw", "match": "Substring"}, "action": "Redact"},
        {"name": "bare", "terms": {"list": ["ete"], "view": "Unaccented"}, "action": "Redact"},
        {"name": "pattern", "pattern": {"regex": "\\b[A-Z]{2}-[0-9]{3}\\b"}, "action": "Block"},
        {"name": "pii", "pii": {"detect": ["Email", "Phone", "Iban", "Card"]}, "action": "Redact"},
        {"name": "secrets", "secrets": {}, "action": "Block"},
        {"name": "links", "links": {"allow": ["bank.example"], "tracking": "Forbidden",
            "text": "Honest"}, "action": "Block"},
    ]);
    stack(rules)
});

/// The same, and what reads whole texts.
static WHOLE: LazyLock<PolicyStack> = LazyLock::new(|| {
    let rules = json!([
        {"name": "terms", "terms": {"list": ["acme", "große straße"]}, "action": "Redact"},
        {"name": "pii", "pii": {"detect": ["Email", "Phone", "Iban", "Card"]}, "action": "Redact"},
        {"name": "leak", "leak": {"variables": ["customer.name", "customer.phone"]},
            "action": "Redact"},
        {"name": "secrets", "secrets": {}, "action": "Review"},
        {"name": "links", "links": {"allow": ["bank.example"], "text": "Honest"}, "action": "Review"},
        {"name": "require", "require": {"text": "Note"}, "action": "Review"},
        {"name": "disclosure", "disclosure": {"labels": [{"language": "en", "text": "AI"}],
            "mark": {"name": "ai"}}, "action": "Review"},
        {"name": "length", "length": {"minWords": 2, "maxCharacters": 40}, "action": "Review"},
        {"name": "style", "style": {"quotes": "German", "spacing": "Single",
            "exclamations": "Single"}, "action": "Normalize"},
        {"name": "tone", "style": {"capitals": {}, "openings": ["so it"]}, "action": "Review"},
        {"name": "language", "language": {}, "action": "Review"},
        {"name": "facts", "facts": {}, "action": "Review"},
        {"name": "citations", "citations": {"minWords": 1}, "action": "Review"},
        {"name": "cel", "cel": "text.words < 9 && text.sentences < 3 && !parts.text.contains('acme')",
            "action": "Review"},
    ]);
    stack(rules)
});

/// What the texts of the corpus give away.
static OTHERS: LazyLock<Others> = LazyLock::new(|| {
    let other = json!({"customer": {"name": "Jane Weber", "phone": "+49 171 7654321"}});
    Others::of(&[other], &WHOLE.identifiers())
});

fn stack(rules: Value) -> PolicyStack {
    let rules: Vec<Rule> = serde_json::from_value(rules).unwrap();
    let policy = CompiledPolicy::compile("p", &rules, &Review::default()).unwrap();
    PolicyStack::new(vec![Arc::new(policy)])
}

fn with_inputs<T>(run: impl FnOnce(&Inputs<'_>) -> T) -> T {
    let variables = json!({"rate": 2.5, "customer": {"email": "zoe@mail.example"}});
    run(&Inputs {
        variables: &variables,
        labels: &BTreeMap::new(),
        language: "en",
        passages: &["we never share"],
        template: &[],
        step: aios_policy::Step::Final,
    })
}

fn document(parts: &[(&str, &str)]) -> Option<Document> {
    let parts = parts.iter().map(|(name, text)| {
        let name: PartName = name.parse().unwrap();
        Part {
            kind: name.kind(),
            name,
            text: (*text).to_owned(),
        }
    });
    Document::new(parts.collect()).ok()
}

/// Spans can be cut and verdicts repeat, whatever the text, plain and as HTML.
pub fn any_document(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Some(document) = document(&[("text", &text), ("html", &text)]) else {
        return;
    };
    with_inputs(|inputs| {
        let judge = || WHOLE.evaluate_among(&document, inputs, &OTHERS).unwrap();
        let verdict = judge().verdict;
        assert_eq!(verdict, judge().verdict);
        for finding in verdict
            .findings
            .iter()
            .filter(|finding| !finding.after_redaction)
        {
            for span in &finding.spans {
                let text = &document.part(span.part.as_str()).unwrap().text;
                let range = span.start as usize..span.end as usize;
                assert!(text.get(range).is_some(), "{finding:?}");
            }
        }
    });
}

/// However the text arrives, nothing is released that the whole text's verdict blocks or redacts. The
/// first byte says in pieces of how many.
pub fn any_stream(bytes: &[u8]) {
    let Some((step, bytes)) = bytes.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(bytes);
    let Some(document) = document(&[("text", &text)]) else {
        return;
    };
    with_inputs(|inputs| {
        let whole = STACK.evaluate(&document, inputs).verdict;
        let mut scanner = StreamScanner::new(&STACK, "text".parse().unwrap(), inputs);
        let mut blocked = false;
        let mut at = 0;
        while at < text.len() {
            let end = text.ceil_char_boundary((at + usize::from(*step).max(1)).min(text.len()));
            blocked |= matches!(scanner.push(&text[at..end]), Pushed::Blocked(_));
            at = end;
        }
        let released = scanner.released();
        let stops = [Action::Block, Action::Redact];
        let findings = whole
            .findings
            .iter()
            .filter(|finding| !finding.after_redaction);
        for finding in findings.filter(|finding| stops.contains(&finding.action)) {
            for span in &finding.spans {
                assert!(released <= span.start as usize, "{released} of {finding:?}");
            }
        }
        assert!(
            !blocked || whole.action == VerdictAction::Block,
            "{whole:?}"
        );
        let finished = scanner.finish().unwrap();
        let verdict = finished.evaluation.verdict;
        assert!(verdict == whole || verdict.action == VerdictAction::Block);
    });
}

/// Rules compile or are refused.
pub fn any_rules(bytes: &[u8]) {
    if let Ok(rules) = serde_json::from_slice::<Vec<Rule>>(bytes) {
        let _ = CompiledPolicy::compile("p", &rules, &Review::default());
    }
}
