//! The lines at the end, and which of their promises are broken. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::campaign::Campaign;
use super::collect::Posts;
use super::desk::Desk;
use super::plants::Caught;
use super::proof::Proof;
use super::record::Record;
use super::settings::Reviewer;
use super::stats::Stats;
use super::tally::{Origins, Tally};
use crate::progress::seconds;

/// Least share of published documents that a model must have written, percent.
const BY_MODEL: f64 = 80.0;

/// All that was gathered.
pub struct Facts<'a> {
    pub campaign: &'a Campaign,
    pub records: &'a [Record],
    pub desk: &'a Desk,
    pub stats: &'a Stats,
    pub posts: Posts,
    pub proof: &'a Proof,
    pub took: Duration,
}

pub struct Summary {
    pub lines: Vec<String>,
    /// Promises that do not hold; empty after a good demo.
    pub failures: Vec<String>,
    pub caught: Caught,
}

pub fn of(facts: &Facts) -> Summary {
    let tally = Tally::of(facts.records);
    let origins = Origins::of(facts.records);
    let caught = Caught::of(facts.campaign, facts.records);
    let mut lines = counts(&tally, &origins);
    lines.extend(catches(&caught));
    lines.push(reviews(facts.desk, facts.records));
    let (posts, published) = (facts.posts.posts, tally.published);
    lines.push(format!(
        "POSTs received {posts}, documents published {published}"
    ));
    lines.extend(facts.stats.lines());
    lines.extend(proven(facts.proof));
    lines.push(format!("took {}", seconds(facts.took)));
    let failures = failures(facts, &tally, &origins, &caught);
    Summary {
        lines,
        failures,
        caught,
    }
}

fn counts(tally: &Tally, origins: &Origins) -> Vec<String> {
    let mut lines = vec![format!(
        "{} accepted = {} published + {} refused + {} waiting",
        tally.accepted,
        tally.published,
        tally.refused_in_all(),
        tally.waiting
    )];
    if !tally.refused.is_empty() {
        lines.push(format!("  refused: {}", listed(&tally.refused)));
    }
    let share = |what: &str, n: usize| format!("{what} {n} ({:.1} %)", origins.percent(n));
    lines.push(format!(
        "published by origin: {}, {}, {}",
        share("model", origins.model),
        share("edited by a person", origins.edited),
        share("template", origins.template)
    ));
    if !origins.why_template.is_empty() {
        lines.push(format!("  template: {}", listed(&origins.why_template)));
    }
    lines
}

fn catches(caught: &Caught) -> Vec<String> {
    let (planted, missed) = (caught.outcomes.len(), caught.missed().count());
    let mut lines = vec![format!(
        "planted {planted}, caught {}, missed {missed}; clean mails stopped {}",
        planted - missed,
        caught.clean_stopped.len()
    )];
    lines.extend(caught.missed().map(|(plant, why)| {
        format!(
            "  missed {} of {} ({}): {why}",
            plant.id, plant.customer_id, plant.what
        )
    }));
    lines.extend(
        caught
            .clean_stopped
            .iter()
            .map(|(who, why)| format!("  stopped {who}: {why}")),
    );
    lines
}

fn reviews(desk: &Desk, records: &[Record]) -> String {
    let by = match desk.reviewer {
        Reviewer::Scripted => "scripted",
        Reviewer::Me => "by you",
    };
    let decisions = |kind: &str| {
        let all = records.iter().flat_map(|record| record.decisions.iter());
        all.filter(|decision| decision.kind == kind).count()
    };
    let waited = records
        .iter()
        .filter(|r| r.is_waiting() || !r.decisions.is_empty())
        .count();
    format!(
        "reviews ({by}): {waited} documents waited; {} approvals, {} edits, {} rejections",
        decisions("Approved"),
        decisions("Edited"),
        decisions("Rejected")
    )
}

fn proven(proof: &Proof) -> Vec<String> {
    let witnessed = match &proof.witnessed {
        Ok(leaves) => format!("the operator witnessed the first {leaves}"),
        Err(why) => format!("NOT witnessed: {why}"),
    };
    let first = match &proof.verified {
        Ok(report) => format!(
            "audit verified offline: {} leaves ({witnessed})",
            report.leaves
        ),
        Err(why) => format!("audit NOT verified: {why} ({witnessed})"),
    };
    let tampered = &proof.tampered;
    vec![
        first,
        format!("after byte {} is flipped: {}", tampered.byte, tampered.said),
    ]
}

fn failures(facts: &Facts, tally: &Tally, origins: &Origins, caught: &Caught) -> Vec<String> {
    let wanted = facts.campaign.customers.len();
    let posts = facts.posts;
    let published = u64::try_from(tally.published).unwrap_or(u64::MAX);
    let missed = caught.missed().count();
    let share = origins.percent(origins.model);
    let checks = [
        (
            tally.accepted == wanted,
            format!("{} documents for {wanted} records", tally.accepted),
        ),
        (
            tally.adds_up(),
            format!("{} documents are still under way", tally.under_way),
        ),
        (
            tally.waiting == 0,
            format!("{} documents wait for a person", tally.waiting),
        ),
        (
            share >= BY_MODEL,
            format!("{share:.1} % are model-written, of {BY_MODEL} %"),
        ),
        (
            missed == 0,
            format!("{missed} planted mistakes were missed"),
        ),
        (
            posts.posts == published && posts.documents == published,
            format!(
                "{} POSTs with {} documents arrived for {published} published",
                posts.posts, posts.documents
            ),
        ),
        (
            facts.proof.verified.is_ok(),
            "the log does not verify".to_owned(),
        ),
        (
            facts.proof.witnessed.is_ok(),
            "the operator witnesses no head of the log".to_owned(),
        ),
        (
            facts.proof.tampered.located,
            "a flipped byte was not found where it was flipped".to_owned(),
        ),
    ];
    checks
        .into_iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, said)| said)
        .collect()
}

fn listed(counts: &BTreeMap<String, usize>) -> String {
    let each: Vec<String> = counts
        .iter()
        .map(|(what, count)| format!("{what} {count}"))
        .collect();
    each.join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::campaign::{Expect, Expected};
    use super::super::plants::tests::plant;
    use super::super::proof::Tampered;
    use super::super::tally::tests::record;
    use super::*;

    pub fn campaign(customers: &[&str]) -> Campaign {
        Campaign {
            records: String::new(),
            customers: customers.iter().map(ToString::to_string).collect(),
            plants: vec![plant("b", "no-guarantees", Expect::Refused)],
            expected: Expected::default(),
            manifests: Vec::new(),
            run: String::new(),
            run_name: "run".into(),
            pipeline: "p".into(),
            context: "customer".into(),
            final_model: None,
        }
    }

    fn proof(located: bool) -> Proof {
        Proof {
            verified: Err("cut".into()),
            witnessed: Ok(3),
            tampered: Tampered {
                byte: 7,
                said: "leaf 2".into(),
                located,
            },
        }
    }

    fn summary(records: &[Record], posts: Posts) -> Summary {
        let desk = Desk {
            reviewer: Reviewer::Scripted,
            drafts: BTreeMap::new(),
        };
        of(&Facts {
            campaign: &campaign(&["a", "b"]),
            records,
            desk: &desk,
            stats: &Stats::default(),
            posts,
            proof: &proof(true),
            took: Duration::from_secs(61),
        })
    }

    fn good() -> Vec<Record> {
        let written = Record {
            origin: Some("Model".into()),
            ..record("a", "Published")
        };
        let caught = Record {
            reason: Some("PolicyBlocked".into()),
            blocked_by: vec!["no-guarantees".into()],
            rules: ["no-guarantees".to_owned()].into(),
            ..record("b", "Refused")
        };
        vec![written, caught]
    }

    #[test]
    fn the_lines_say_what_became_of_every_document() {
        let summary = summary(
            &good(),
            Posts {
                posts: 1,
                documents: 1,
            },
        );
        let text = summary.lines.join("\n");
        for line in [
            "2 accepted = 1 published + 1 refused + 0 waiting",
            "  refused: PolicyBlocked/no-guarantees 1",
            "published by origin: model 1 (100.0 %), edited by a person 0 (0.0 %), template 0 (0.0 %)",
            "planted 1, caught 1, missed 0; clean mails stopped 0",
            "reviews (scripted): 0 documents waited",
            "POSTs received 1, documents published 1",
            "after byte 7 is flipped: leaf 2",
        ] {
            assert!(text.contains(line), "{line} is not in:\n{text}");
        }
        assert_eq!(summary.failures, ["the log does not verify"]);
    }

    #[test]
    fn each_broken_promise_is_named() {
        let waiting = Record {
            origin: Some("Template".into()),
            ..record("a", "Review")
        };
        let records = vec![waiting, record("b", "Published")];
        let failures = summary(
            &records,
            Posts {
                posts: 2,
                documents: 1,
            },
        )
        .failures
        .join("\n");
        for said in [
            "1 documents wait",
            "0.0 % are model",
            "1 planted",
            "2 POSTs with 1",
        ] {
            assert!(failures.contains(said), "{said} is not in:\n{failures}");
        }
    }
}
