//! What the operator is told of how often rules fire: coarse numbers, so that a busy gateway has
//! something new to say a few times in each tenfold, and not with every text.

use aios_crds::coarse;
use aios_proto::control::{PolicyReport, RuleReport};

use crate::{
    enforced::InForce,
    store::{Fired, Store, StoreError},
};

/// Reports of the policies in force, those that judged nothing left out.
pub async fn reports(store: &Store, in_force: &[InForce]) -> Result<Vec<PolicyReport>, StoreError> {
    let mut reports = Vec::new();
    for policy in in_force {
        let counts = store.fired(&policy.judge).await?;
        if counts.texts > 0 {
            reports.push(report(policy, &counts));
        }
    }
    Ok(reports)
}

fn report(policy: &InForce, counts: &Fired) -> PolicyReport {
    let rules = counts.rules.iter();
    let rules = rules.map(|(rule, (fired, failed))| RuleReport {
        rule: rule.clone(),
        fired: coarse(*fired),
        failed: coarse(*failed),
    });
    PolicyReport {
        kind: policy.kind.into(),
        name: policy.name.clone(),
        digest: policy.digest.clone(),
        texts: coarse(counts.texts),
        rules: rules.collect(),
    }
}
