//! The rules that judge calls, compiled once, and which of them judge a call together.

use std::{cmp::Reverse, fmt::Write as _, sync::Arc};

use aios_crds::{
    data_bounds::DataBounds,
    policy_set::{CallSide, Rule},
};
use aios_policy::{Bounds, CompiledPolicy, PolicyStack, revisions_within};
use aios_proto::{
    canonical,
    config::{PolicyConfig, PolicyScope},
};

use crate::money::Fund;

/// A PolicySet or ClusterPolicySet, as far as it judges calls.
#[derive(Debug)]
pub struct Policy {
    pub name: String,
    pub scope: PolicyScope,
    /// Of its control item.
    pub digest: String,
    /// By which revisions all its rules judge, those of documents with them.
    pub revisions: String,
    /// Which models may be told texts; all may in dry run.
    data: DataBounds,
    /// What the calls that it binds may come to together; nothing bounds them in dry run.
    pub fund: Option<Arc<Fund>>,
    prompt: Option<Arc<CompiledPolicy>>,
    answer: Option<Arc<CompiledPolicy>>,
}

/// What judges a call: the platform's rules first.
#[derive(Debug)]
pub struct Guard {
    /// None where no rule judges prompts.
    pub prompt: Option<PolicyStack>,
    /// None where no rule judges answers.
    pub answer: Option<PolicyStack>,
    /// Of the policies that judge, with their revisions.
    pub digest: String,
}

impl Policy {
    /// Compiles the rules that judge calls.
    ///
    /// # Errors
    /// Every mistake in them.
    pub fn new(config: PolicyConfig, digest: String) -> Result<Self, String> {
        let side = |side| compiled(&config, side);
        let quotas = config.quotas.as_ref().filter(|_| !config.dry_run);
        let budget = quotas.and_then(|quotas| quotas.budget.clone());
        Ok(Self {
            fund: budget.map(|budget| Fund::of_policy(config.scope, &config.name, budget)),
            prompt: side(CallSide::Prompt)?,
            answer: side(CallSide::Answer)?,
            revisions: revisions_within(aios_policy::revisions(&config.rules), &config.data),
            data: if config.dry_run {
                DataBounds::default()
            } else {
                config.data
            },
            name: config.name,
            scope: config.scope,
            digest,
        })
    }

    /// What policies say together of the models that calls may go to.
    pub fn bounds<'a>(policies: impl Iterator<Item = &'a Self>) -> Bounds {
        Bounds::new(policies.map(|policy| (policy.name.clone(), policy.data.clone())))
    }

    /// What calls are paid from that these policies bind: the platform pays last.
    pub fn funds<'a>(policies: impl Iterator<Item = &'a Self>) -> Vec<Arc<Fund>> {
        let funds = policies.filter_map(|policy| Some((policy.scope, policy.fund.clone()?)));
        let mut funds: Vec<_> = funds.collect();
        funds.sort_by_key(|(scope, _)| Reverse(*scope));
        funds.into_iter().map(|(_, fund)| fund).collect()
    }

    fn judges_calls(&self) -> bool {
        self.prompt.is_some() || self.answer.is_some()
    }
}

impl Guard {
    /// What policies say of calls together; none where no rule of theirs judges calls.
    pub fn of<'a>(policies: impl Iterator<Item = &'a Policy>) -> Option<Arc<Self>> {
        let mut judging: Vec<_> = policies.filter(|policy| policy.judges_calls()).collect();
        if judging.is_empty() {
            return None;
        }
        judging.sort_by_key(|policy| policy.scope);
        let mut named = String::new();
        for policy in &judging {
            // Writing to a text does not fail.
            let _ = writeln!(
                named,
                "{:?} {} {} {}",
                policy.scope, policy.name, policy.digest, policy.revisions
            );
        }
        let stack = |side: fn(&Policy) -> Option<&Arc<CompiledPolicy>>| {
            let policies: Vec<_> = judging.iter().copied().filter_map(side).cloned().collect();
            (!policies.is_empty()).then(|| PolicyStack::new(policies))
        };
        Some(Arc::new(Self {
            prompt: stack(|policy| policy.prompt.as_ref()),
            answer: stack(|policy| policy.answer.as_ref()),
            digest: canonical::digest(named.as_bytes()),
        }))
    }
}

fn compiled(config: &PolicyConfig, side: CallSide) -> Result<Option<Arc<CompiledPolicy>>, String> {
    let rules: &[Rule] = &config.rules;
    let compiled =
        CompiledPolicy::for_calls(&config.qualified_name(), rules, side).map_err(|mistakes| {
            let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            lines.join("; ")
        })?;
    Ok(compiled.map(|policy| Arc::new(policy.into_dry_run_if(config.dry_run))))
}
