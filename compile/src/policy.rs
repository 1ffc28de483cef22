//! Compiles a PolicySet or ClusterPolicySet: the rules themselves are judged by the policy room.

use std::sync::Arc;

use aios_crds::{
    ClusterPolicySetSpec, PolicySetSpec,
    data_bounds::DataBounds,
    policy_set::{Quotas, Review, Rule},
    policy_test::PolicyTest,
};
use aios_policy::{CompiledPolicy, PolicyTests, revisions_within};
use aios_proto::config::{PolicyConfig, PolicyScope};

use crate::{Diagnostic, Place, Resolved, checks, lists::written_out};

/// Longest name of a policy, as for every object.
const MAX_NAME: usize = 63;

/// What both kinds of policies say.
#[derive(Clone, Copy, Debug)]
pub struct PolicySource<'a> {
    pub rules: &'a [Rule],
    pub review: &'a Review,
    pub quotas: Option<&'a Quotas>,
    pub dry_run: bool,
    pub data: &'a DataBounds,
    pub tests: &'a [PolicyTest],
}

/// A policy for data planes, and the same ready to judge, with its own tests.
#[derive(Debug)]
pub struct Policy {
    pub config: PolicyConfig,
    pub compiled: Arc<CompiledPolicy>,
    pub tests: PolicyTests,
}

/// Compiles a policy. `resolved` holds the ConfigMaps that its lists stand in.
///
/// # Errors
/// Every mistake found, in the order of the spec.
pub fn policy<'a>(
    name: &str,
    scope: PolicyScope,
    source: impl Into<PolicySource<'a>>,
    resolved: &Resolved,
) -> Result<Policy, Vec<Diagnostic>> {
    let source = source.into();
    let rules = written_out(source.rules, resolved)?;
    let mut found: Vec<_> = checks::object_name("policy", name, MAX_NAME)
        .into_iter()
        .collect();
    let budget = source.quotas.and_then(|quotas| quotas.budget.as_ref());
    found.extend(budget.and_then(|budget| checks::time_zone("spec.quotas.budget", budget)));
    let compiled = CompiledPolicy::compile(&scope.qualified(name), &rules, source.review).and_then(
        |compiled| {
            let tests = PolicyTests::compile(source.tests, &compiled)?;
            Ok((compiled, tests))
        },
    );
    match compiled {
        Ok((compiled, tests)) if found.is_empty() => Ok(Policy {
            config: PolicyConfig {
                name: name.to_owned(),
                scope,
                rules,
                review: source.review.clone(),
                quotas: source.quotas.cloned(),
                dry_run: source.dry_run,
                data: source.data.clone(),
            },
            compiled: Arc::new(compiled.into_dry_run_if(source.dry_run)),
            tests,
        }),
        compiled => {
            found.extend(compiled.err().into_iter().flatten().map(translated));
            found.dedup();
            Err(found)
        }
    }
}

impl PolicySource<'_> {
    /// What it says of the models that texts may go to: nothing in dry run.
    pub fn bounds(&self) -> DataBounds {
        if self.dry_run {
            return DataBounds::default();
        }
        self.data.clone()
    }
}

impl Policy {
    /// By which revisions a data plane judges that enforces it.
    pub fn revisions(&self) -> String {
        revisions_within(self.compiled.revisions(), &self.config.data)
    }
}

impl<'a> From<&'a PolicySetSpec> for PolicySource<'a> {
    fn from(spec: &'a PolicySetSpec) -> Self {
        Self {
            rules: &spec.rules,
            review: &spec.review,
            quotas: spec.quotas.as_ref(),
            dry_run: spec.dry_run,
            data: &spec.data,
            tests: &spec.tests,
        }
    }
}

impl<'a> From<&'a ClusterPolicySetSpec> for PolicySource<'a> {
    fn from(spec: &'a ClusterPolicySetSpec) -> Self {
        Self {
            rules: &spec.rules,
            review: &spec.review,
            quotas: spec.quotas.as_ref(),
            dry_run: spec.dry_run,
            data: &spec.data,
            tests: &spec.tests,
        }
    }
}

/// The policy room says mistake and remedy in one message, joined by a colon.
fn translated(mistake: aios_policy::Diagnostic) -> Diagnostic {
    let place = mistake.line.map(|line| Place {
        line,
        column: mistake.column,
    });
    let (message, remedy) = match mistake.message.rsplit_once(": ") {
        Some((message, remedy)) => (message, remedy),
        None => (mistake.message.as_str(), "correct the field"),
    };
    Diagnostic::new(mistake.path, message, remedy).at(place)
}
