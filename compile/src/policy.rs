//! Compiles a PolicySet or ClusterPolicySet: the rules themselves are judged by the policy room.

use aios_crds::policy_set::{Review, Rule};
use aios_policy::CompiledPolicy;
use aios_proto::config::{PolicyConfig, PolicyScope};

use crate::{Diagnostic, Place, checks};

/// Longest name of a policy, as for every object.
const MAX_NAME: usize = 63;

/// Compiles a policy.
///
/// # Errors
/// Every mistake found, in the order of the spec.
pub fn policy(
    name: &str,
    scope: PolicyScope,
    rules: &[Rule],
    review: &Review,
) -> Result<PolicyConfig, Vec<Diagnostic>> {
    let mut found: Vec<_> = checks::object_name("policy", name, MAX_NAME)
        .into_iter()
        .collect();
    if let Err(mistakes) = CompiledPolicy::compile(name, rules, review) {
        found.extend(mistakes.into_iter().map(translated));
    }
    if !found.is_empty() {
        found.dedup();
        return Err(found);
    }
    Ok(PolicyConfig {
        name: name.to_owned(),
        scope,
        rules: rules.to_vec(),
        review: review.clone(),
    })
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
