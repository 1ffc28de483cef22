//! From a pipeline and what it refers to, to a configuration whose policies are still to be pinned.

use std::time::Duration;

use aios_compile::Diagnostic;
use aios_crds::{WritingPipeline, status::never_observed};
use aios_proto::config::{Owner, PolicyPin, PolicyScope};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use crate::{control::Draft, pipeline::fetch::Found};

/// Objects that are applied together arrive in any order: a reference may be missing this long
/// before it counts as a mistake.
const ARRIVING: Duration = Duration::from_secs(15);

/// And this long before anything is said of it: one status instead of two.
const FRESH: SignedDuration = SignedDuration::from_secs(2);

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    Invalid(Vec<Diagnostic>),
    /// Objects that do not exist, as in "PolicySet `tone`"; `arriving` for how long they may still
    /// come without a mistake having been made.
    Missing {
        objects: Vec<String>,
        arriving: Option<Duration>,
    },
}

pub fn validate(pipeline: &WritingPipeline, found: &Found, now: Timestamp) -> Result<Draft, Flaw> {
    if !found.missing.is_empty() {
        let arriving = arriving(pipeline, now);
        return Err(Flaw::Missing {
            objects: found.missing.clone(),
            arriving,
        });
    }
    let name = pipeline.name_any();
    let policies: Vec<String> = pipeline
        .spec
        .policy_refs
        .iter()
        .map(|policy| policy.name.clone())
        .collect();
    let pin = |name: &String| PolicyPin {
        scope: PolicyScope::Namespace,
        name: name.clone(),
        digest: String::new(),
    };
    let pins = policies.iter().map(pin).collect();
    let mut config = aios_compile::pipeline(&name, &pipeline.spec, &found.resolved, pins)
        .map_err(Flaw::Invalid)?;
    config.policies.clear();
    let owner = Owner {
        name,
        uid: pipeline.uid().unwrap_or_default(),
        generation: pipeline.metadata.generation.unwrap_or_default(),
    };
    Draft::new(owner, &config, policies).map_err(|error| {
        Flaw::Invalid(vec![Diagnostic::new(
            "spec",
            error.to_string(),
            "report this",
        )])
    })
}

/// Whether it has only just come, and nothing was said of it.
pub fn is_fresh(pipeline: &WritingPipeline, now: Timestamp) -> bool {
    let status = pipeline.status.as_ref();
    let is_new = status.is_none_or(|status| status.observed_generation == never_observed());
    let created = pipeline.metadata.creation_timestamp.as_ref();
    is_new && created.is_some_and(|created| now.duration_since(created.0) < FRESH)
}

/// How long the pipeline's references may still arrive.
pub fn arriving(pipeline: &WritingPipeline, now: Timestamp) -> Option<Duration> {
    let created = pipeline.metadata.creation_timestamp.as_ref()?.0;
    let age = Duration::try_from(now.duration_since(created)).unwrap_or_default();
    (age < ARRIVING).then(|| ARRIVING.saturating_sub(age) + Duration::from_secs(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{SignedDuration, Timestamp, is_fresh};
    use crate::testing::pipeline;

    #[test]
    fn a_pipeline_is_fresh_for_a_moment_and_until_something_was_said_of_it() {
        let mut object = pipeline("mail", true, "Retain");
        let created = Timestamp::UNIX_EPOCH;
        object.metadata.creation_timestamp = Some(created.into());
        object.status = None;
        assert!(is_fresh(&object, created + SignedDuration::from_secs(1)));
        assert!(!is_fresh(&object, created + SignedDuration::from_secs(2)));
        object.status.get_or_insert_default().observed_generation = 1;
        assert!(!is_fresh(&object, created));
    }
}
