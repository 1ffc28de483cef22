//! A WritingPipeline becomes its configuration; the gateway that runs it is the tenant's. Rooms:
//! fetch, validate, offer, start, status.

mod fetch;
mod start;
mod status;
mod validate;

pub use fetch::without_price;

use std::{sync::Arc, time::Duration};

use aios_crds::WritingPipeline;
use jiff::Timestamp;
use kube::{Api, ResourceExt, runtime::controller::Action};

use crate::{
    context::{Context, next_look},
    control::{Broken, Key, Kind},
    error::{Error, Result},
    invalid,
    pipeline::status::Observed,
    triggers::Guarded,
};

/// Until a new pipeline that refers to what does not exist says so.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Offers a pipeline's configuration, and tells how far it is in force.
pub async fn reconcile(
    object: Arc<Guarded<WritingPipeline>>,
    context: Arc<Context>,
) -> Result<Action> {
    let pipeline = match &object.0 {
        Ok(pipeline) if pipeline.metadata.deletion_timestamp.is_some() => {
            return Ok(Action::await_change());
        }
        Ok(pipeline) => pipeline,
        Err(unreadable) => return invalid::tell(&context, Kind::Pipeline, unreadable).await,
    };
    let namespace = pipeline.namespace().unwrap_or_default();
    let (mut observed, mut error) = pass(pipeline, &namespace, &context).await;
    let key = Key::new(Kind::Pipeline, &pipeline.name_any());
    if !context.hub.await_settled(&namespace, &key) {
        // Policies listed at start are still being compiled: too early to tell. The last of them
        // brings us back.
        return error.map_or_else(|| Ok(next_look([])), Err);
    }
    if error.is_none() && !context.board.has(&namespace) {
        // What is known of the gateway in a moment brings us back: one status instead of two.
        return Ok(next_look([]));
    }
    let now = Timestamp::now();
    if validate::is_fresh(pipeline, now) && observed.as_ref().is_some_and(Observed::misses) {
        // What it refers to may come with it, in any order: its arrival brings us back.
        return Ok(Action::requeue(LOOK_AGAIN));
    }
    if let Some(observed) = &mut observed {
        let serves = observed.digest.is_some() || observed.last_good;
        observed.started = start::bring(pipeline, &namespace, &context, serves).await;
    }
    let status = status::status(pipeline, observed.as_ref(), error.as_ref(), now);
    let api = Api::namespaced(context.applier.client(), &namespace);
    let due = context.statuses.write(&api, pipeline, &status).await?;
    if let Some(started) = observed.as_mut().and_then(|seen| seen.started.as_mut()) {
        error = error.or(started.error.take());
    }
    match error {
        Some(error) => Err(error),
        None => Ok(next_look([
            due,
            observed.as_ref().and_then(Observed::look_again),
            observed.and_then(|observed| status::turns(pipeline, &observed, now)),
        ])),
    }
}

async fn pass(
    pipeline: &WritingPipeline,
    namespace: &str,
    context: &Context,
) -> (Option<Observed>, Option<Error>) {
    let key = Key::new(Kind::Pipeline, &pipeline.name_any());
    let found = match fetch::fetch(pipeline, namespace, context).await {
        Ok(found) => found,
        Err(error) => return (None, Some(error)),
    };
    let flaw = match validate::validate(pipeline, &found, Timestamp::now()) {
        Ok(draft) => {
            context
                .hub
                .change(|index| index.apply_pipeline(namespace, draft));
            None
        }
        Err(flaw) => {
            let uid = pipeline.uid().unwrap_or_default();
            let was_good = pipeline
                .status
                .as_ref()
                .is_some_and(|s| s.config_digest.is_some());
            let broken = Broken {
                uid: &uid,
                was_good,
                selector: None,
            };
            context
                .hub
                .change(|index| index.keep(namespace, &key, broken));
            Some(flaw)
        }
    };
    (
        Some(fetch::observe(
            pipeline,
            namespace,
            context,
            (found.book, flaw),
        )),
        None,
    )
}
