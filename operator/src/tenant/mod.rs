//! What the pipelines and models of a namespace share: trust, keys, and one gateway made by the
//! first pipeline and owned by all. Same five rooms; its status goes to the pipelines.

mod apply;
mod board;
mod build;
mod fetch;
mod validate;

pub use board::{Board, Gateway};
pub use build::tls_secret;
pub use validate::paper;

use std::sync::Arc;

use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};

use crate::{
    context::{Context, next_look},
    error::Result,
    triggers::NamespaceMeta,
};

/// Brings a namespace's shared objects to what its pipelines and models need.
pub async fn reconcile(namespace: Arc<NamespaceMeta>, context: Arc<Context>) -> Result<Action> {
    let name = namespace.name_any();
    if namespace.metadata.deletion_timestamp.is_some() {
        return Ok(Action::await_change());
    }
    let result = Box::pin(bring(&name, &context)).await;
    let gateway = match &result {
        Ok((gateway, _)) => gateway.clone(),
        Err(error) => Gateway {
            error: Some(error.to_string()),
            ..context.board.gateway(&name)
        },
    };
    if context.board.post(&name, &gateway) {
        for pipeline in context.stores.pipelines(&name) {
            context.triggers.pipeline(&name, &pipeline.name_any());
        }
    }
    result.map(|(_, action)| action)
}

/// Writes what data planes start with while the operator is away. Nothing incomplete is ever written.
pub async fn offer(namespace: Arc<NamespaceMeta>, context: Arc<Context>) -> Result<Action> {
    let name = namespace.name_any();
    let offered = context.hub.read(|index| index.bootstrap(&name));
    let pipelines = context.stores.pipelines(&name);
    let models = context.stores.models(&name);
    let owners: Vec<_> = validate::owners(&pipelines)
        .chain(validate::owners(&models))
        .collect();
    let is_going = namespace.metadata.deletion_timestamp.is_some();
    if let (Some(offered), false, false) = (offered, is_going, owners.is_empty())
        && let Some(bootstrap) = build::bootstrap::config_map(&name, &owners, &offered)
    {
        context.applier.apply(&name, &bootstrap).await?;
    }
    Ok(Action::await_change())
}

async fn bring(namespace: &str, context: &Context) -> Result<(Gateway, Action)> {
    let found = fetch::fetch(namespace, context).await?;
    let Some(tenant) = validate::validate(namespace, &found) else {
        return Ok((Gateway::default(), Action::await_change()));
    };
    let papers = validate::papers(&tenant, &found, &context.authority, Timestamp::now())?;
    let desired = build::build(&context.settings, &tenant, &papers, &found);
    let gateway = apply::apply(context, &tenant, desired).await?;
    Ok((gateway, next_look([papers.look_again])))
}
