//! The only reads: inputs from the server, policies from the index, the due evaluation's Job and pods.

use aios_crds::rollout::{Evaluation, Rollout, RolloutStatus};
use jiff::Timestamp;
use k8s_openapi::api::{
    batch::v1::Job,
    core::v1::{ConfigMap, Pod},
};
use kube::api::ListParams;

use super::{
    Asking, Found, facts,
    look::{has_ended, look},
    set::{Flaw, Set},
    step::{Due, course, due, known},
};
use crate::{
    context::Context,
    error::Result,
    model::{groups::Group, validate::Model},
    names,
};

/// What there is to know of a model's rollout, of which `active` groups are to take traffic.
pub async fn fetch(
    context: &Context,
    (model, active, rollout): (&Model, usize, &Rollout),
    (groups, now): (&[Group], Timestamp),
    wanted: &str,
    status: Option<&RolloutStatus>,
) -> Result<Found> {
    let state = known(status, wanted, groups);
    let set = set(context, model, &rollout.evaluation).await?;
    let mut asking = None;
    if let (Ok(set), true) = (&set, state.candidate.as_deref() == Some(wanted)) {
        let facts = facts(rollout, wanted, groups, active, now);
        if let Due::Evaluation { target } = due(&state, &facts) {
            let key = set.key(&state.stable, wanted, target);
            let compares = groups.iter().any(|group| group.revision == state.stable);
            asking = Some(ask(context, model, key, compares).await?);
        }
    }
    Ok(Found {
        course: course(&state, wanted, &rollout.steps, active, now),
        wanted: wanted.to_owned(),
        state,
        set,
        due: asking,
    })
}

async fn set(
    context: &Context,
    model: &Model,
    evaluation: &Evaluation,
) -> Result<std::result::Result<Set, Flaw>> {
    let namespace = model.namespace.as_str();
    let name = &evaluation.config_map_ref.name;
    let Some(map) = context.applier.get::<ConfigMap>(namespace, name).await? else {
        let remedy = "create it with an input under each key";
        let what = format!("ConfigMap `{name}` does not exist: {remedy}");
        return Ok(Err(Flaw::Missing(what)));
    };
    let named: Vec<&str> = evaluation
        .policy_refs
        .iter()
        .map(|policy| policy.name.as_str())
        .collect();
    let judges = context.hub.read(|index| index.judges(namespace, &named));
    let policies = match judges {
        Ok(policies) => policies,
        Err(name) if context.stores.policy(namespace, &name).is_none() => {
            let what =
                format!("PolicySet `{name}` does not exist: create it, or correct policyRefs");
            return Ok(Err(Flaw::Missing(what)));
        }
        Err(name) => {
            let what = format!("PolicySet `{name}` does not compile, or not yet");
            return Ok(Err(Flaw::NotYet(what)));
        }
    };
    Ok(Set::new(
        evaluation,
        &map.data.unwrap_or_default(),
        &policies,
    ))
}

async fn ask(context: &Context, model: &Model, key: String, compares: bool) -> Result<Asking> {
    let namespace = model.namespace.as_str();
    let name = names::model_evaluation(&model.name, &key);
    let job = context.applier.get::<Job>(namespace, &name).await?;
    let mut pods: Vec<Pod> = Vec::new();
    if job.as_ref().is_some_and(has_ended) {
        let of_job = format!("batch.kubernetes.io/job-name={name}");
        let which = ListParams::default().labels(&of_job);
        pods = context.applier.list(namespace, &of_job, &which).await?;
    }
    Ok(Asking {
        outcome: look(job.as_ref(), &pods),
        key,
        compares,
        job,
    })
}
