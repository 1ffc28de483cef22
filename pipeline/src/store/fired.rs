//! How often the rules of each policy fired, counted in the transaction that keeps the verdict: exact,
//! whatever dies, and the same for every gateway.

use std::collections::BTreeMap;

use aios_policy::{Finding, PolicyRef, RuleError};

use super::{
    database::{Session, query},
    error::StoreError,
    open::Store,
};
use crate::machine::Event;

/// The rule whose count is that of the texts.
const TEXTS: &str = "";

/// Counts of one policy under one digest of its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fired {
    pub texts: u64,
    /// By rule: texts in which it fired, and texts on which it could not run.
    pub rules: BTreeMap<String, (u64, u64)>,
}

impl Store {
    /// How often the rules of a policy fired, since they are what they are.
    pub async fn fired(&self, policy: &PolicyRef) -> Result<Fired, StoreError> {
        let mut session = self.database.read().await?;
        let rows = query("SELECT rule, fired, failed FROM fired WHERE policy = $1 AND digest = $2")
            .bind(policy.name.clone())
            .bind(policy.digest.to_string())
            .all(&mut session)
            .await?;
        let mut counts = Fired::default();
        for row in rows {
            let (rule, fired): (String, u64) = (row.get(0)?, row.number(1)?);
            if rule == TEXTS {
                counts.texts = fired;
            } else {
                counts.rules.insert(rule, (fired, row.number(2)?));
            }
        }
        Ok(counts)
    }
}

/// One rule of a policy, of which a text was judged.
#[derive(Debug, PartialEq, Eq)]
pub struct Counted {
    policy: String,
    digest: String,
    rule: String,
    fired: bool,
    failed: bool,
}

/// What an event says of policies, those in dry run with the others.
pub fn counts(event: &Event) -> Vec<Counted> {
    let Event::Checked(checked) = event else {
        return Vec::new();
    };
    let verdict = &checked.verdict;
    let enforced = verdict.policies.iter().flat_map(|policy| {
        let findings = verdict.findings.iter();
        let errors = verdict.errors.iter();
        of_policy(
            policy,
            findings.filter(|found| found.policy == policy.name),
            errors.filter(|error| error.policy == policy.name),
        )
    });
    let dry = verdict.dry_run.iter();
    let dry = dry.flat_map(|dry| of_policy(&dry.policy, dry.findings.iter(), dry.errors.iter()));
    enforced.chain(dry).collect()
}

fn of_policy<'a>(
    policy: &PolicyRef,
    findings: impl Iterator<Item = &'a Finding>,
    errors: impl Iterator<Item = &'a RuleError>,
) -> Vec<Counted> {
    let mut rules: BTreeMap<&str, (bool, bool)> = BTreeMap::from([(TEXTS, (true, false))]);
    for found in findings {
        rules.entry(&found.rule).or_default().0 = true;
    }
    for error in errors {
        rules.entry(&error.rule).or_default().1 = true;
    }
    let counted = rules.into_iter().map(|(rule, (fired, failed))| Counted {
        policy: policy.name.clone(),
        digest: policy.digest.to_string(),
        rule: rule.to_owned(),
        fired,
        failed,
    });
    counted.collect()
}

/// Adds them up.
pub async fn record(write: &mut Session, counts: Vec<Counted>) -> Result<(), StoreError> {
    for count in counts {
        query(
            "INSERT INTO fired (policy, digest, rule, fired, failed) VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (policy, digest, rule) DO UPDATE SET
             fired = fired.fired + $4, failed = fired.failed + $5",
        )
        .bind(count.policy)
        .bind(count.digest)
        .bind(count.rule)
        .bind(u64::from(count.fired))
        .bind(u64::from(count.failed))
        .execute(write)
        .await?;
    }
    Ok(())
}
