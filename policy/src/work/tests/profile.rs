//! What the profile costs that speed is promised for: more is a decision, as it is for allocations.

use std::sync::Arc;

use aios_crds::policy_set::Review;
use aios_policy_testset::profile::{self, Email};

use super::super::counted;
use crate::{CompiledPolicy, Document, Inputs, Part, PartName, VerdictAction};

/// Ceilings: what was counted when they were set, and a little room.
const MOST_ASCII: usize = 21_000;
const MOST_MIXED: usize = 15_500;

fn work(email: Email) -> usize {
    let rules = profile::rules(profile::TERMS).unwrap();
    let policy = CompiledPolicy::compile("p", &rules, &Review::default()).unwrap();
    let policy = Arc::new(policy);
    let parts = [("subject", email.subject), ("text", email.text)].map(|(name, text)| {
        let name: PartName = name.parse().unwrap();
        Part {
            kind: name.kind(),
            name,
            text: text.to_owned(),
        }
    });
    let document = Document::new(parts.to_vec()).unwrap();
    let (variables, labels) = (profile::variables(), profile::labels());
    let inputs = Inputs {
        variables: &variables,
        labels: &labels,
        language: email.language,
        passages: &[],
        template: &[],
        step: crate::Step::Final,
    };
    counted(|| {
        let verdict = policy.evaluate(&document, &inputs).verdict;
        assert_eq!(verdict.action, VerdictAction::Pass, "{}", email.name);
    })
}

#[test]
fn the_profile_is_no_more_work_than_it_was() {
    let works = [profile::ASCII, profile::MIXED].map(work);
    assert!(
        works[0] <= MOST_ASCII && works[1] <= MOST_MIXED,
        "{works:?}"
    );
}
