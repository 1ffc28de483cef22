//! One document as the summary and the report need it.

use std::collections::{BTreeMap, BTreeSet};

use aios_policy::{Part, Verdict};
use anyhow::{Context, Result};
use kubectl_aios::client::DocumentView;
use serde::Deserialize;
use serde_json::{Map, Value};

/// A document at its end, or where it stands.
#[derive(Clone, Debug, Default)]
pub struct Record {
    pub id: String,
    /// Key of the customer's record.
    pub customer: String,
    pub status: String,
    pub reason: Option<String>,
    pub detail: Option<String>,
    pub origin: Option<String>,
    pub language: Option<String>,
    pub parts: Vec<Part>,
    pub verdict: Option<Verdict>,
    /// Every rule that found something, in any version.
    pub rules: BTreeSet<String>,
    /// Rules that refused the text as it stands.
    pub blocked_by: Vec<String>,
    pub decisions: Vec<Decided>,
    pub slots: BTreeMap<String, Words>,
    pub passages: Vec<Passage>,
    pub revisions: u32,
    /// How it read when it first waited for a person.
    pub drafted: Option<Draft>,
}

/// A version that waited for a person.
#[derive(Clone, Debug)]
pub struct Draft {
    pub parts: Vec<Part>,
    pub verdict: Option<Verdict>,
}

/// One person's decision.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Decided {
    pub by: String,
    pub kind: String,
    pub digest: String,
}

/// Who wrote a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Words {
    Model { deployment: String, digest: String },
    Safe { reason: String },
}

/// A text that was retrieved for it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Passage {
    pub id: String,
    pub digest: String,
}

/// Members of a document beyond those that the client names.
#[derive(Default, Deserialize)]
#[serde(default)]
struct More {
    item: Option<String>,
    detail: Option<String>,
    origin: Option<String>,
    language: Option<String>,
    verdicts: Vec<Judged>,
    decisions: Vec<Decided>,
    slots: Map<String, Value>,
    passages: Option<Vec<Passage>>,
    revisions: u32,
}

#[derive(Deserialize)]
struct Judged {
    verdict: Verdict,
}

impl Record {
    /// Reads what the gateway says of a document.
    pub fn read(view: DocumentView, drafted: Option<Draft>) -> Result<Self> {
        let more: More = serde_json::from_value(Value::Object(view.more))
            .with_context(|| format!("document {}", view.id))?;
        let of_now = view.verdict.iter();
        let verdicts = more
            .verdicts
            .iter()
            .map(|judged| &judged.verdict)
            .chain(of_now);
        Ok(Self {
            rules: verdicts.flat_map(rules).collect(),
            blocked_by: view.verdict.as_ref().map(blocking).unwrap_or_default(),
            id: view.id,
            customer: more.item.unwrap_or_default(),
            status: view.status,
            reason: view.reason,
            detail: more.detail,
            origin: more.origin,
            language: more.language,
            parts: view.parts,
            verdict: view.verdict,
            decisions: more.decisions,
            slots: more
                .slots
                .iter()
                .filter_map(|(n, s)| Some((n.clone(), words(s)?)))
                .collect(),
            passages: more.passages.unwrap_or_default(),
            revisions: more.revisions,
            drafted,
        })
    }

    pub fn is_published(&self) -> bool {
        self.status == "Published"
    }

    pub fn is_refused(&self) -> bool {
        self.status == "Refused"
    }

    /// It needs a person.
    pub fn is_waiting(&self) -> bool {
        matches!(self.status.as_str(), "Review" | "Parked")
    }

    /// Policy handed it to a person, or refused it.
    pub fn was_stopped(&self) -> bool {
        self.is_refused() || self.is_waiting() || !self.decisions.is_empty()
    }

    /// Some part holds the words.
    pub fn says(&self, words: &str) -> bool {
        self.parts.iter().any(|part| part.text.contains(words))
    }
}

/// Names of the rules that found something or could not run.
pub fn rules(verdict: &Verdict) -> impl Iterator<Item = String> {
    let found = verdict.findings.iter().map(|finding| finding.rule.clone());
    found.chain(verdict.errors.iter().map(|error| error.rule.clone()))
}

fn blocking(verdict: &Verdict) -> Vec<String> {
    let found = verdict.findings.iter();
    let blocks = found.filter(|f| f.action == aios_crds::policy_set::Action::Block);
    blocks.map(|finding| finding.rule.clone()).collect()
}

fn words(slot: &Value) -> Option<Words> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let origin = slot.pointer("/Filled/origin")?;
    if let Some(model) = origin.get("model") {
        let (deployment, digest) = (text(model.get("deployment")?), text(model.get("digest")?));
        return Some(Words::Model { deployment, digest });
    }
    Some(Words::Safe {
        reason: text(origin.pointer("/safe/reason")?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_published_document_is_read_with_its_provenance() {
        let view = json!({
            "id": "d1", "status": "Published", "item": "C0001", "origin": "Model",
            "language": "en", "digest": "sha256:00", "revisions": 2, "reason": null,
            "detail": null, "verdict": null, "verdicts": [],
            "parts": [{"name": "text", "kind": "Plain", "text": "We"}],
            "slots": {"opening": {"Filled": {"text": "We", "finished": true,
                "origin": {"model": {"deployment": "smollm", "digest": "sha256:b1"}}}}},
            "passages": [{"id": "compliance/a#0", "digest": "sha256:0", "start": 0, "end": 1, "text": "x"}],
            "decisions": [{"by": "u", "kind": "Approved", "digest": "sha256:00", "timeMs": 1}],
        });
        let record = Record::read(serde_json::from_value(view).unwrap(), None).unwrap();
        assert_eq!((record.customer.as_str(), record.revisions), ("C0001", 2));
        let words = Words::Model {
            deployment: "smollm".into(),
            digest: "sha256:b1".into(),
        };
        assert_eq!(record.slots.get("opening"), Some(&words));
        assert!(record.was_stopped() && record.is_published() && record.says("We"));
    }

    #[test]
    fn a_safe_wording_keeps_its_reason() {
        let slot = json!({"Filled": {"origin": {"safe": {"reason": "SafeWriter"}}}});
        assert_eq!(
            words(&slot),
            Some(Words::Safe {
                reason: "SafeWriter".into()
            })
        );
        assert_eq!(words(&json!({"Open": {}})), None);
    }
}
