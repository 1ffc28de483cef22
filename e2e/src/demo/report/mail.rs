//! One document: its text with what was found, what a person changed, and where it came from.

use aios_policy::{Part, Verdict};

use super::diff::diff;
use super::html::{block, escape, row};
use super::marked::marked;
use crate::demo::campaign::Campaign;
use crate::demo::record::{Record, Words};

pub fn section(record: &Record, campaign: &Campaign) -> String {
    let first = record
        .drafted
        .as_ref()
        .map(|draft| (&draft.parts, draft.verdict.as_ref()));
    let (parts, verdict) = first.unwrap_or((&record.parts, record.verdict.as_ref()));
    let changes = record
        .drafted
        .as_ref()
        .map(|draft| diff(&draft.parts, &record.parts));
    format!(
        "<details id=\"{id}\"><summary>{title}</summary>\n<table>{facts}</table>\n{findings}{texts}{changes}</details>\n",
        id = escape(&record.id),
        title = title(record, campaign),
        facts = facts(record),
        findings = findings(verdict),
        texts = texts(parts, verdict),
        changes = changes.unwrap_or_default(),
    )
}

fn title(record: &Record, campaign: &Campaign) -> String {
    let plant = campaign
        .plant_of(&record.customer)
        .map_or("", |_| " · planted");
    let reason = record
        .reason
        .as_ref()
        .map(|reason| format!(" · {reason}"))
        .unwrap_or_default();
    let origin = record.origin.as_deref().unwrap_or("no text");
    let (customer, status) = (&record.customer, &record.status);
    escape(&format!("{customer} · {status}{reason} · {origin}{plant}"))
}

fn facts(record: &Record) -> String {
    let mut rows = row(&["document", &record.id]);
    let mut add = |what: &str, said: &str| rows.push_str(&row(&[what, said]));
    if let Some(detail) = &record.detail {
        add("detail", detail);
    }
    if let Some(language) = &record.language {
        add("language", language);
    }
    for (slot, words) in &record.slots {
        let by = match words {
            Words::Model { deployment, digest } => format!("model {deployment}, {digest}"),
            Words::Safe { reason } => format!("safe wording ({reason})"),
        };
        add(&format!("slot {slot}"), &by);
    }
    for passage in &record.passages {
        add("retrieved", &format!("{}, {}", passage.id, passage.digest));
    }
    if record.revisions > 0 {
        add("sent back to the model", &record.revisions.to_string());
    }
    for decision in &record.decisions {
        let said = format!("by {} on {}", decision.by, decision.digest);
        add(&decision.kind, &said);
    }
    for policy in record
        .verdict
        .iter()
        .flat_map(|verdict| verdict.policies.iter())
    {
        add("policy", &format!("{}, {}", policy.name, policy.digest));
    }
    let rules: Vec<&str> = record.rules.iter().map(String::as_str).collect();
    if !rules.is_empty() {
        add(
            "rules that found something in any version",
            &rules.join(", "),
        );
    }
    rows
}

fn findings(verdict: Option<&Verdict>) -> String {
    let found = verdict
        .into_iter()
        .flat_map(|verdict| verdict.findings.iter());
    let rows: String = found
        .map(|f| row(&[&f.rule, &format!("{:?}", f.action), &f.message]))
        .collect();
    if rows.is_empty() {
        rows
    } else {
        format!("<table class=\"found\">{rows}</table>\n")
    }
}

fn texts(parts: &[Part], verdict: Option<&Verdict>) -> String {
    let part = |part: &Part| {
        format!(
            "<h4>{}</h4>\n{}",
            escape(part.name.as_str()),
            block(&marked(part, verdict))
        )
    };
    parts.iter().map(part).collect()
}
