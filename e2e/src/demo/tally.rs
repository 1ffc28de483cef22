//! Counts documents by where they ended and who wrote them.

use std::collections::BTreeMap;

use super::record::{Record, Words};

/// Documents by where they stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub accepted: usize,
    pub published: usize,
    /// By reason, and for policy by rule.
    pub refused: BTreeMap<String, usize>,
    /// For a person.
    pub waiting: usize,
    /// Still being written or sent.
    pub under_way: usize,
}

/// Published documents by who wrote their words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    pub model: usize,
    pub edited: usize,
    pub template: usize,
    /// Documents with the safe wording, by why it stands there.
    pub why_template: BTreeMap<String, usize>,
}

impl Tally {
    pub fn of(records: &[Record]) -> Self {
        let mut tally = Self {
            accepted: records.len(),
            ..Self::default()
        };
        for record in records {
            if record.is_published() {
                tally.published += 1;
            } else if record.is_refused() {
                *tally.refused.entry(refusal(record)).or_default() += 1;
            } else if record.is_waiting() {
                tally.waiting += 1;
            } else {
                tally.under_way += 1;
            }
        }
        tally
    }

    pub fn refused_in_all(&self) -> usize {
        self.refused.values().sum()
    }

    /// Every accepted document is published, refused or waits.
    pub fn adds_up(&self) -> bool {
        self.accepted == self.published + self.refused_in_all() + self.waiting
    }
}

impl Origins {
    pub fn of(records: &[Record]) -> Self {
        let mut origins = Self::default();
        for record in records.iter().filter(|record| record.is_published()) {
            match record.origin.as_deref() {
                Some("Model") => origins.model += 1,
                Some("Edited") => origins.edited += 1,
                _ => {
                    origins.template += 1;
                    *origins
                        .why_template
                        .entry(why_template(record))
                        .or_default() += 1;
                }
            }
        }
        origins
    }

    /// Share of a count in what was published.
    pub fn percent(&self, count: usize) -> f64 {
        let all = self.model + self.edited + self.template;
        100.0 * count as f64 / all.max(1) as f64
    }
}

fn refusal(record: &Record) -> String {
    let reason = record.reason.as_deref().unwrap_or("no reason");
    match record.blocked_by.first() {
        Some(rule) if reason == "PolicyBlocked" => format!("{reason}/{rule}"),
        _ => reason.to_owned(),
    }
}

/// The strongest reason of its slots, with the language where that is the reason.
fn why_template(record: &Record) -> String {
    let reasons = record.slots.values().filter_map(|words| match words {
        Words::Safe { reason } => Some(reason.as_str()),
        Words::Model { .. } => None,
    });
    match reasons.max() {
        Some("SafeWriter") => {
            let language = record.language.as_deref().unwrap_or("?");
            format!("no model is trusted with {language}")
        }
        Some("RevisionsExhausted") => "policy refused every version of the model".to_owned(),
        Some("RoutesExhausted") => "no model answered".to_owned(),
        Some("Unusable") => "the answers held no usable sentence".to_owned(),
        Some(other) => other.to_owned(),
        None => "no slot to write".to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn record(customer: &str, status: &str) -> Record {
        Record {
            customer: customer.into(),
            status: status.into(),
            ..Record::default()
        }
    }

    #[test]
    fn every_document_is_counted_once() {
        let blocked = Record {
            reason: Some("PolicyBlocked".into()),
            blocked_by: vec!["marketing-consent".into(), "x".into()],
            ..record("b", "Refused")
        };
        let records = [
            record("a", "Published"),
            blocked,
            record("c", "Parked"),
            record("d", "Review"),
            record("e", "Published"),
        ];
        let tally = Tally::of(&records);
        assert!(tally.adds_up());
        assert_eq!((tally.accepted, tally.published, tally.waiting), (5, 2, 2));
        assert_eq!(
            tally.refused.get("PolicyBlocked/marketing-consent"),
            Some(&1)
        );
        assert!(!Tally::of(&[record("f", "Publishing")]).adds_up());
    }

    #[test]
    fn origins_are_of_published_documents_and_the_template_says_why() {
        let by = |origin: &str| Record {
            origin: Some(origin.into()),
            ..record("a", "Published")
        };
        let mut german = by("Template");
        german.language = Some("de".into());
        german.slots.insert(
            "o".into(),
            Words::Safe {
                reason: "SafeWriter".into(),
            },
        );
        let refused = Record {
            origin: Some("Model".into()),
            ..record("r", "Refused")
        };
        let records = [by("Model"), by("Model"), by("Edited"), german, refused];
        let origins = Origins::of(&records);
        assert_eq!((origins.model, origins.edited, origins.template), (2, 1, 1));
        assert!((origins.percent(origins.model) - 50.0).abs() < 1e-9);
        assert_eq!(
            origins.why_template.get("no model is trusted with de"),
            Some(&1)
        );
    }
}
