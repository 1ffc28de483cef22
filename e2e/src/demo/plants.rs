//! Whether each planted mistake was caught by the rule that must, and what was stopped without cause.

use super::campaign::{Campaign, Expect, Plant};
use super::record::Record;

/// What became of one planted mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub plant: Plant,
    /// Why it counts as missed; none if it was caught.
    pub missed: Option<String>,
}

/// What became of all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caught {
    pub outcomes: Vec<Outcome>,
    /// Customers whose mail nothing should have stopped, with what did.
    pub clean_stopped: Vec<(String, String)>,
}

impl Caught {
    pub fn of(campaign: &Campaign, records: &[Record]) -> Self {
        let outcomes = campaign.plants.iter().map(|plant| Outcome {
            missed: missed(
                plant,
                records.iter().find(|r| r.customer == plant.customer_id),
            ),
            plant: plant.clone(),
        });
        let clean = records.iter().filter(|record| {
            let customer = &record.customer;
            campaign.plant_of(customer).is_none() && campaign.expected.is_clean(customer)
        });
        let stopped = clean.filter(|record| record.was_stopped());
        Self {
            outcomes: outcomes.collect(),
            clean_stopped: stopped
                .map(|r| (r.customer.clone(), stopped_by(r)))
                .collect(),
        }
    }

    pub fn missed(&self) -> impl Iterator<Item = (&Plant, &str)> {
        self.outcomes
            .iter()
            .filter_map(|o| Some((&o.plant, o.missed.as_deref()?)))
    }
}

fn missed(plant: &Plant, record: Option<&Record>) -> Option<String> {
    let Some(record) = record else {
        return Some("its document is missing".to_owned());
    };
    if !record.rules.contains(&plant.rule) {
        let found: Vec<_> = record.rules.iter().map(String::as_str).collect();
        let others = if found.is_empty() {
            "none did".to_owned()
        } else {
            found.join(", ")
        };
        return Some(format!(
            "rule {} found nothing ({others}; {})",
            plant.rule, record.status
        ));
    }
    let written = plant
        .answer
        .as_deref()
        .is_some_and(|answer| record.says(answer));
    match plant.expect {
        Expect::Refused if !record.is_refused() => Some(format!("{}, not refused", record.status)),
        Expect::Review if !record.is_waiting() && record.decisions.is_empty() => {
            Some(format!("{} without a person", record.status))
        }
        Expect::Review | Expect::Revised if record.is_published() && written => {
            Some("published as planted".to_owned())
        }
        _ => None,
    }
}

fn stopped_by(record: &Record) -> String {
    let verdict = record
        .drafted
        .as_ref()
        .and_then(|d| d.verdict.as_ref())
        .or(record.verdict.as_ref());
    let rules: Vec<String> = verdict
        .map(|v| super::record::rules(v).collect())
        .unwrap_or_default();
    match (rules.is_empty(), &record.reason) {
        (false, _) => rules.join(", "),
        (true, Some(reason)) => reason.clone(),
        (true, None) => record.status.clone(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::record::Decided;
    use super::super::tally::tests::record;
    use super::*;

    pub fn plant(customer: &str, rule: &str, expect: Expect) -> Plant {
        Plant {
            id: "plant-01".into(),
            customer_id: customer.into(),
            rule: rule.into(),
            expect,
            what: "a mistake".into(),
            answer: Some("guaranteed returns".into()),
        }
    }

    fn found(status: &str, rule: &str) -> Record {
        Record {
            rules: [rule.to_owned()].into(),
            ..record("a", status)
        }
    }

    #[test]
    fn only_the_named_rule_catches() {
        let plant = plant("a", "no-guarantees", Expect::Refused);
        assert_eq!(
            missed(&plant, Some(&found("Refused", "no-guarantees"))),
            None
        );
        let other = missed(&plant, Some(&found("Refused", "no-competitors"))).unwrap();
        assert!(
            other.contains("rule no-guarantees found nothing (no-competitors"),
            "{other}"
        );
        assert!(missed(&plant, None).is_some());
    }

    #[test]
    fn what_was_found_must_also_be_stopped() {
        let refused = plant("a", "r", Expect::Refused);
        assert!(missed(&refused, Some(&found("Published", "r"))).is_some());
        let review = plant("a", "r", Expect::Review);
        assert!(missed(&review, Some(&found("Published", "r"))).is_some());
        let decided = Decided {
            by: "u".into(),
            kind: "Edited".into(),
            digest: "d".into(),
        };
        let read = Record {
            decisions: vec![decided],
            ..found("Published", "r")
        };
        assert_eq!(missed(&review, Some(&read)), None);
    }

    #[test]
    fn a_revised_mistake_may_not_stand_in_what_was_published() {
        let plant = plant("a", "r", Expect::Revised);
        assert_eq!(missed(&plant, Some(&found("Published", "r"))), None);
        let part =
            serde_json::json!({"name": "text", "kind": "Plain", "text": "guaranteed returns!"});
        let parts = vec![serde_json::from_value(part).unwrap()];
        let same = Record {
            parts,
            ..found("Published", "r")
        };
        assert_eq!(
            missed(&plant, Some(&same)).as_deref(),
            Some("published as planted")
        );
    }
}
