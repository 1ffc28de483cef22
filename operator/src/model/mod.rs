//! A ModelDeployment becomes an ingress before a provider, or engines behind ingresses with weights
//! on a volume. Rooms: fetch, validate, groups, build, apply, status.

mod ahead;
mod apply;
mod build;
mod certify;
mod fetch;
mod groups;
mod jobs;
mod kserve;
mod ledger;
mod prefetch;
mod rollout;
mod scale;
mod schedule;
mod status;
mod validate;
mod weights;

use std::{sync::Arc, time::Duration};

use aios_crds::ModelDeployment;
use aios_proto::{
    config::{Owner, pack},
    control::ItemKind,
};
use jiff::Timestamp;
use kube::{Api, ResourceExt, runtime::controller::Action};

use self::validate::Backend;
use crate::{
    context::{Context, next_look},
    control::{Account, Audience, Broken, Key, Kind},
    error::{Error, Result},
    invalid,
    pool::{self, GpuClass},
    spending::Spending,
    triggers::Guarded,
};

/// Brings a model to its spec.
pub async fn reconcile(
    object: Arc<Guarded<ModelDeployment>>,
    context: Arc<Context>,
) -> Result<Action> {
    let model = match &object.0 {
        Ok(model) if model.metadata.deletion_timestamp.is_some() => {
            let again = pool::leave(&context, model).await?;
            return Ok(again.map_or_else(Action::await_change, Action::requeue));
        }
        Ok(model) => model,
        Err(unreadable) => return invalid::tell(&context, Kind::Model, unreadable).await,
    };
    let (observed, error) = Box::pin(pass(model, &context)).await;
    let namespace = model.namespace().unwrap_or_default();
    let status = status::status(model, &observed, error.as_ref(), Timestamp::now());
    let api = Api::namespaced(context.applier.client(), &namespace);
    let due = context.statuses.write(&api, model, &status).await?;
    match error {
        Some(error) => Err(error),
        None => Ok(next_look([due, observed.look_again(Timestamp::now())])),
    }
}

/// Everything before the status. What was seen is returned also when a stage failed.
async fn pass(model: &ModelDeployment, context: &Context) -> (status::Observed, Option<Error>) {
    let (namespace, name) = (model.namespace().unwrap_or_default(), model.name_any());
    let key = Key::new(Kind::Model, &name);
    let uid = model.uid().unwrap_or_default();
    let mut valid = match validate::validate(model) {
        Ok(valid) => valid,
        Err(diagnostics) => {
            let was_good = model
                .status
                .as_ref()
                .is_some_and(|status| status.summary.is_some());
            let broken = Broken {
                uid: &uid,
                was_good,
                selector: None,
            };
            context
                .hub
                .change(|index| index.keep(&namespace, &key, broken));
            let renewed = certify::renew(&namespace, &name, context).await;
            return (status::Observed::Invalid(diagnostics), renewed.err());
        }
    };
    let owner = Owner {
        name,
        uid,
        generation: model.metadata.generation.unwrap_or_default(),
    };
    let class = valid
        .gpu_class()
        .map(|class| context.gpu_classes.find(class))
        .transpose();
    if let Ok(Some(class)) = class {
        valid.placement = pool::placement(class, &namespace);
    }
    // Calls go where the status said before, so that none goes where nobody could say why.
    let on_trial = matches!(&valid.backend, Backend::Own(own) if own.rollout.is_some());
    let wanted = on_trial
        .then(|| build::revision(&context.settings, &valid))
        .flatten();
    valid.config.next = rollout::next(model, wanted.as_deref());
    match pack(ItemKind::Model, owner, &valid.config) {
        Ok(item) => context
            .hub
            .change(|index| index.apply(&namespace, Kind::Model, item)),
        Err(error) => return (status::Observed::Unknown, Some(error.into())),
    }
    let class = match class {
        Ok(class) => class,
        Err(message) => {
            let renewed = certify::renew(&namespace, &model.name_any(), context).await;
            return (status::Observed::NoGpuClass(message), renewed.err());
        }
    };
    let scaled = scale::scaled(model, valid.schedules(), context, Timestamp::now());
    if let (Some(scaled), Backend::Own(own)) = (&scaled, &mut valid.backend) {
        own.replicas = scaled.desired.unsigned_abs();
    }
    let before = before(model, wanted.as_deref());
    let mut applied = match Box::pin(bring((model, before), &valid, class, context)).await {
        Ok(applied) => applied,
        Err(error) => return (status::Observed::Unknown, Some(error)),
    };
    applied.enforcement = context
        .hub
        .read(|index| index.enforcement(&namespace, &key, Audience::Ingresses, Timestamp::now()));
    applied.hold_for = Duration::from_millis(valid.config.hold_ms);
    applied.scaled = scaled;
    if let Some(budget) = &model.spec.budget {
        let account = Account::new(&namespace, Kind::Model, &model.name_any());
        match context.book(&account).await {
            Ok(book) => applied.spending = Spending::of(budget, &book, Timestamp::now()),
            Err(error) => return (status::Observed::Unknown, Some(error)),
        }
    }
    (status::Observed::Applied(Box::new(applied)), None)
}

fn before<'a>(model: &'a ModelDeployment, wanted: Option<&'a str>) -> fetch::Before<'a> {
    let status = model.status.as_ref();
    fetch::Before {
        wanted,
        start: status.and_then(|status| status.cold_starts.first()),
        rollout: status.and_then(|status| status.rollout.as_deref()),
    }
}

async fn bring(
    (model, before): (&ModelDeployment, fetch::Before<'_>),
    valid: &validate::Model,
    class: Option<&GpuClass>,
    context: &Context,
) -> Result<status::Applied> {
    let pool = match class {
        Some(class) => pool::bring(context, model, class).await?,
        None => None,
    };
    let found = fetch::fetch(valid, before, context).await?;
    let reached = found.groups.iter().filter_map(groups::Group::address);
    let reached = reached.collect();
    context
        .hub
        .change(|index| index.reached(&valid.namespace, &valid.name, reached));
    let paper = certify::paper(valid, context).await?;
    let desired = build::build(&context.settings, valid, &found, paper.issued.as_ref());
    let mut applied = Box::pin(apply::apply(context, valid, &found, desired)).await?;
    applied.renewal = Some(paper.left);
    certify::note(valid, &paper, context);
    if let (Some(rollout), Backend::Own(own)) = (&found.rollout, &valid.backend) {
        applied.rolled = rollout::decide(own, rollout, &found.groups, found.at);
    }
    let headroom = pool::keep(context, &valid.namespace, class).await?;
    if let Some(class) = class {
        let trial = found.rollout.as_ref();
        let (on_trial, loaded) = trial.map_or((0, true), |trial| trial.on_trial(&found.groups));
        let wanted = valid.groups() + on_trial;
        let is_settled = loaded && applied.standing.is_settled(valid.groups());
        let name = (valid.namespace.as_str(), valid.name.as_str());
        let (mut fact, again) =
            pool::look(context, name, class, pool.as_ref(), (wanted, is_settled)).await?;
        if let Some(headroom) = headroom {
            fact.message = format!("{}; {headroom}", fact.message);
        }
        (applied.nodes, applied.nodes_again) = (Some(fact), again);
    }
    let left = if pool.is_some() {
        pool::tidy(context, &valid.namespace).await?
    } else {
        pool::leave(context, model).await?
    };
    applied.nodes_again = [applied.nodes_again, left].into_iter().flatten().min();
    Ok(applied)
}
