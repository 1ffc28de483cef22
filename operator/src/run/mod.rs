//! A WritingRun becomes a Job whose workers lease items from the namespace's gateway. Rooms: fetch,
//! validate, build, apply, status.

mod apply;
mod build;
mod deadline;
mod fetch;
mod queue;
mod status;
mod validate;

use std::{sync::Arc, time::Duration};

use aios_compile::references;
use aios_crds::{ConditionType, Reason, WritingRun, WritingRunStatus};
use aios_proto::{
    config::{Owner, pack},
    control::ItemKind,
};
use jiff::Timestamp;
use kube::{Api, ResourceExt, runtime::controller::Action};

use crate::{
    context::{Context, next_look},
    control::{Broken, Key, Kind},
    error::{Error, Result},
    invalid,
    triggers::Guarded,
    watch::valid,
};

/// Offers a run to the gateway, gives it workers once it is accepted, and tells how it goes.
pub async fn reconcile(object: Arc<Guarded<WritingRun>>, context: Arc<Context>) -> Result<Action> {
    let run = match &object.0 {
        Ok(run) if run.metadata.deletion_timestamp.is_some() => return Ok(Action::await_change()),
        Ok(run) => run,
        Err(unreadable) => return invalid::tell(&context, Kind::Run, unreadable).await,
    };
    let namespace = run.namespace().unwrap_or_default();
    let (observed, error) = Box::pin(pass(run, &namespace, &context)).await;
    let now = Timestamp::now();
    let status = status::status(run, observed.as_ref(), error.as_ref(), now);
    let api = Api::namespaced(context.applier.client(), &namespace);
    let due = context.statuses.write(&api, run, &status).await?;
    tell_models(run, &status, &namespace, &context);
    if let Some(error) = error {
        return Err(error);
    }
    let expiry = expiry(run, &status, now);
    if expiry == Some(Duration::ZERO) {
        let uid = run.uid().unwrap_or_default();
        context
            .applier
            .delete::<WritingRun>(&namespace, &run.name_any(), &uid)
            .await?;
        return Ok(Action::await_change());
    }
    let arriving = observed.and_then(|observed| observed.look_again());
    let deadline = deadline::left(run, now);
    Ok(next_look([due, expiry, arriving, deadline]))
}

async fn pass(
    run: &WritingRun,
    namespace: &str,
    context: &Context,
) -> (Option<status::Observed>, Option<Error>) {
    let found = match fetch::fetch(run, namespace, context).await {
        Ok(found) => found,
        Err(error) => return (None, Some(error)),
    };
    let (name, uid) = (run.name_any(), run.uid().unwrap_or_default());
    let now = Timestamp::now();
    let config = match validate::validate(run, found.pipeline.as_ref(), now) {
        Ok(config) => config,
        Err(flaw) => {
            let key = Key::new(Kind::Run, &name);
            let broken = Broken {
                uid: &uid,
                was_good: false,
                selector: None,
            };
            context
                .hub
                .change(|index| index.keep(namespace, &key, broken));
            return (Some(status::Observed::flawed(flaw, found)), None);
        }
    };
    let owner = Owner {
        name,
        uid,
        generation: run.metadata.generation.unwrap_or_default(),
    };
    match pack(ItemKind::Run, owner, &config) {
        Ok(item) => context
            .hub
            .change(|index| index.apply(namespace, Kind::Run, item)),
        Err(error) => return (None, Some(error.into())),
    }
    match bring(run, namespace, context, found, now).await {
        Ok(observed) => (Some(observed), None),
        Err(error) => (None, Some(error)),
    }
}

async fn bring(
    run: &WritingRun,
    namespace: &str,
    context: &Context,
    found: fetch::Found,
    now: Timestamp,
) -> Result<status::Observed> {
    let job = apply::apply(run, namespace, context, &found, now).await?;
    let admitted = match &job {
        Some(job) => queue::look(context, namespace, job).await?,
        None => None,
    };
    Ok(status::Observed::of(found, job, admitted))
}

/// Models of a run with a deadline hear when its drafts are about to come, and when none comes any more:
/// those that sleep wake ahead of the first call.
fn tell_models(run: &WritingRun, status: &WritingRunStatus, namespace: &str, context: &Context) {
    let awaits = |status: &WritingRunStatus| {
        let drafted = status.conditions.get(ConditionType::Drafted);
        let held = drafted.is_some_and(|drafted| drafted.reason == Reason::Suspended.as_str());
        status.items.accepted > status.items.drafted && !held
    };
    if run.spec.deadline.is_none() || run.status.as_ref().is_some_and(awaits) == awaits(status) {
        return;
    }
    let name = &run.spec.pipeline_ref.name;
    let Some(pipeline) = context.stores.pipeline(namespace, name) else {
        return;
    };
    if let Some(pipeline) = valid(&pipeline) {
        for model in references::of_pipeline(&pipeline.spec).models {
            context.triggers.model(namespace, &model);
        }
    }
}

/// Time until a finished run is deleted; zero once it is due.
fn expiry(run: &WritingRun, status: &WritingRunStatus, now: Timestamp) -> Option<Duration> {
    let ttl = u64::try_from(run.spec.ttl_seconds_after_finished?).ok()?;
    let finished = status.completion_time.as_ref()?.0;
    let age = Duration::try_from(now.duration_since(finished)).unwrap_or_default();
    Some(Duration::from_secs(ttl).saturating_sub(age))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use aios_crds::WritingRunStatus;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::expiry;
    use crate::testing::run;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_finished_run_is_due_once_its_time_to_live_is_over() {
        let mut run = run(false);
        let finished = WritingRunStatus {
            completion_time: Some(Time(at(100))),
            ..WritingRunStatus::default()
        };
        assert_eq!(expiry(&run, &finished, at(500)), None, "kept for good");
        run.spec.ttl_seconds_after_finished = Some(60);
        assert_eq!(expiry(&run, &WritingRunStatus::default(), at(500)), None);
        let left = |second| expiry(&run, &finished, at(second));
        assert_eq!(left(110), Some(Duration::from_secs(50)));
        assert_eq!(left(500), Some(Duration::ZERO));
    }
}
