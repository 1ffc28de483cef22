//! What the pipelines and models of a namespace share: trust, keys, and one gateway made by the
//! first pipeline and owned by all. Same five rooms; its status goes to the pipelines.

mod apply;
mod board;
mod build;
mod fetch;
mod stagger;
mod store;
mod validate;

pub use board::{Board, Gateway};
pub use build::tls_secret;
pub use stagger::Rolling;
pub use validate::paper;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::OwnerReference};
use kube::{ResourceExt, runtime::controller::Action};

use self::{
    fetch::Found,
    stagger::{Images, Live},
};
use crate::{
    context::Context, error::Result, rounds::ROUND, settings::Settings, triggers::NamespaceMeta,
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

/// What pods of a namespace trust, with the claim that this operator serves it; `None` while nothing there
/// has pods.
pub fn claim(namespace: &str, context: &Context) -> Option<ConfigMap> {
    let owners = owners(namespace, context);
    let authority = context.authority.get();
    (!owners.is_empty())
        .then(|| build::trust(namespace, &owners, authority.bundle(), &context.share))
}

/// Writes what data planes start with while the operator is away. Nothing incomplete is ever written.
pub async fn offer(namespace: Arc<NamespaceMeta>, context: Arc<Context>) -> Result<Action> {
    let name = namespace.name_any();
    let offered = context.hub.read(|index| index.bootstrap(&name));
    let owners = owners(&name, &context);
    let is_going = namespace.metadata.deletion_timestamp.is_some();
    if let (Some(offered), false, false) = (offered, is_going, owners.is_empty())
        && let Some(bootstrap) = build::bootstrap::config_map(&name, &owners, &offered)
    {
        context.applier.apply(&name, &bootstrap).await?;
    }
    Ok(Action::await_change())
}

/// Pipelines and models of a namespace: what they share goes with the last of them.
fn owners(namespace: &str, context: &Context) -> Vec<OwnerReference> {
    let pipelines = context.stores.pipelines(namespace);
    let models = context.stores.models(namespace);
    let owners = validate::owners(&pipelines).chain(validate::owners(&models));
    owners.collect()
}

async fn bring(namespace: &str, context: &Context) -> Result<(Gateway, Action)> {
    let found = fetch::fetch(namespace, context).await?;
    let Some(tenant) = validate::validate(namespace, &found) else {
        return Ok((Gateway::default(), Action::await_change()));
    };
    let papers = validate::papers(&tenant, &found, &context.authority.get(), Timestamp::now())?;
    let (rolling, now) = (&context.rolling, Timestamp::now());
    let kept = kept_images(namespace, &found, (&context.settings, rolling), now);
    let settings = kept.as_ref().unwrap_or(&context.settings);
    let desired = build::build((settings, &context.share), &tenant, &papers, &found);
    let gateway = apply::apply(context, &tenant, desired).await?;
    let ask_again = kept.is_some().then_some(stagger::ASK_AGAIN);
    let due = [papers.look_again, ask_again].into_iter().flatten().min();
    Ok((gateway, Action::requeue(due.unwrap_or(ROUND).min(ROUND))))
}

/// Settings with the images that the gateway has, while too many others restart.
fn kept_images(
    namespace: &str,
    found: &Found,
    (settings, rolling): (&Settings, &Rolling),
    now: Timestamp,
) -> Option<Settings> {
    let live = Live::of(found)?;
    let most = (settings.gateway_restarts_at_once.into(), now);
    let keeps = rolling.keeps(namespace, &live, &Images::of(settings), most);
    keeps.then(|| live.images().kept_in(settings))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::{Found, Rolling, kept_images};
    use crate::testing::settings;

    /// A gateway with PostgreSQL whose pods run images of this tag, all of them ready.
    fn gateway(tag: u8) -> Found {
        let pod = json!({
            "initContainers": [{"name": "egress", "image": format!("sidecar:{tag}")}],
            "containers": [{"name": "gateway", "image": format!("pipeline:{tag}")}],
        });
        let deployment = json!({
            "metadata": {"name": "aios-gateway", "generation": 4},
            "spec": {"replicas": 2, "selector": {}, "template": {"spec": pod}},
            "status": {"observedGeneration": 4, "replicas": 2, "updatedReplicas": 2,
                "readyReplicas": 2},
        });
        Found {
            replicas: Some(serde_json::from_value(deployment).unwrap()),
            ..Found::default()
        }
    }

    #[test]
    fn after_an_upgrade_gateways_beyond_the_bound_keep_their_images_and_all_other_settings_are_new()
    {
        let mut new = settings();
        new.gateway_restarts_at_once = 1;
        new.image_pipeline = "pipeline:2".into();
        new.image_sidecar = "sidecar:2".into();
        new.gateway_storage_size = "7Gi".into();
        let (rolling, start) = (Rolling::default(), Timestamp::UNIX_EPOCH);
        let kept = |namespace, found: &Found, second| {
            let now = start + SignedDuration::from_secs(second);
            let kept = kept_images(namespace, found, (&new, &rolling), now)?;
            assert_eq!(kept.gateway_storage_size, "7Gi");
            Some((kept.image_pipeline, kept.image_sidecar))
        };
        let old = Some(("pipeline:1".to_owned(), "sidecar:1".to_owned()));
        assert_eq!(kept("new", &Found::default(), 0), None, "there is none yet");
        assert_eq!(kept("a", &gateway(1), 0), None, "the first restarts");
        assert_eq!(kept("b", &gateway(1), 1), old);
        assert_eq!(kept("c", &gateway(1), 1), old);
        assert_eq!(kept("a", &gateway(2), 2), None, "it has come up");
        assert_eq!(kept("b", &gateway(1), 3), None);
        assert_eq!(kept("c", &gateway(1), 4), old);
    }
}
