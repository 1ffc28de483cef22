//! Objects that cannot be read at all, as when a newer CRD than this operator's is installed.

use aios_crds::{ConditionType, Conditions, GROUP, Reason, VERSION};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    core::{ApiResource, DynamicObject, GroupVersionKind, error_boundary::InvalidObject},
    runtime::controller::Action,
};
use serde_json::json;

use crate::{
    conditions::{Fact, summarize, write},
    context::Context,
    control::{Broken, Key, Kind},
    error::{Error, Result, Verb},
    names::FIELD_MANAGER,
};

/// Says so in the object's status; what was compiled of it stays in force.
pub async fn tell(context: &Context, kind: Kind, object: &InvalidObject) -> Result<Action> {
    let meta = &object.metadata;
    let namespace = meta.namespace.clone().unwrap_or_default();
    let name = meta.name.clone().unwrap_or_default();
    let uid = meta.uid.clone().unwrap_or_default();
    // Whether an earlier version was good cannot be read either: nothing may be dropped.
    let everywhere = std::collections::BTreeMap::new();
    let selector = (kind == Kind::ClusterPolicy).then_some(&everywhere);
    let broken = Broken {
        uid: &uid,
        was_good: kind != Kind::Run,
        selector,
    };
    context
        .hub
        .change(|index| index.keep(&namespace, &Key::new(kind, &name), broken));
    let (client, fact) = (context.applier.client(), unreadable(kind, object));
    say(client, (kind, meta), fact, |_| true, Timestamp::now()).await?;
    Ok(Action::await_change())
}

fn unreadable(kind: Kind, object: &InvalidObject) -> Fact {
    let error = without_values(&object.error);
    let message = format!("this operator cannot read the object: {error}");
    Fact::no(fact_of(kind), Reason::InvalidSpec, message)
}

/// Writes what differs from the conditions that stand, if `is_due` by the generation that was observed:
/// a bad object costs no write a look.
pub async fn say(
    client: Client,
    (kind, meta): (Kind, &ObjectMeta),
    fact: Fact,
    is_due: impl Fn(Option<i64>) -> bool,
    now: Timestamp,
) -> Result<()> {
    let name = meta.name.clone().unwrap_or_default();
    let generation = meta.generation.unwrap_or_default();
    let facts = summarize(vec![fact]);
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, kind.as_str()));
    let api: Api<DynamicObject> = match &meta.namespace {
        Some(namespace) => Api::namespaced_with(client, namespace, &resource),
        None => Api::all_with(client, &resource),
    };
    let failed = |verb| {
        let name = name.clone();
        move |error| Error::api(verb, kind.as_str(), &name, error)
    };
    let Some(live) = api.get_opt(&name).await.map_err(failed(Verb::Get))? else {
        return Ok(());
    };
    let before = conditions(&live);
    let after = write(facts, &before, generation, now);
    if before == after || !is_due(observed(&live)) {
        return Ok(());
    }
    let patch = json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": {"name": name, "uid": meta.uid},
        "status": {"observedGeneration": generation, "conditions": after},
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch_status(&name, &params, &Patch::Apply(&patch))
        .await
        .map(drop)
        .map_err(failed(Verb::Status))
}

fn observed(object: &DynamicObject) -> Option<i64> {
    object.data.pointer("/status/observedGeneration")?.as_i64()
}

fn conditions(object: &DynamicObject) -> Conditions {
    object
        .data
        .pointer("/status/conditions")
        .and_then(|found| serde_json::from_value(found.clone()).ok())
        .unwrap_or_default()
}

/// A reader's error without the values that it quotes: they may be a text's.
fn without_values(error: &str) -> String {
    let (mut kept, mut quoted, mut escaped) = (String::new(), false, false);
    for letter in error.chars() {
        match letter {
            '"' if !escaped => {
                quoted = !quoted;
                kept.push_str(if quoted { "\"…" } else { "\"" });
            }
            _ if !quoted => kept.push(letter),
            _ => {}
        }
        escaped = quoted && letter == '\\' && !escaped;
    }
    kept
}

/// The condition that tells of a spec that cannot be worked on.
pub const fn fact_of(kind: Kind) -> ConditionType {
    match kind {
        Kind::ClusterPolicy | Kind::Policy => ConditionType::Compiled,
        Kind::Model => ConditionType::EndpointReachable,
        Kind::Pipeline => ConditionType::Serving,
        Kind::Run => ConditionType::Drafted,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{say, unreadable, without_values};
    use crate::{control::Kind, testing::server::Server};
    use aios_crds::PolicySet;
    use http::Method;
    use jiff::Timestamp;
    use kube::core::DeserializeGuard;
    use serde_json::{Value, json};
    use std::sync::Mutex;

    fn bad() -> Value {
        json!({
            "apiVersion": "aios.dev/v1alpha1", "kind": "PolicySet",
            "metadata": {"name": "tone", "namespace": "team", "uid": "u", "generation": 3},
            "spec": {"rules": "Dear Ms \"X\" Y"},
        })
    }

    #[tokio::test]
    async fn an_unreadable_object_is_told_so_once_and_its_text_is_not_quoted() {
        let stored = Mutex::new(bad());
        let server = Server::start(move |request, sent| {
            let mut stored = stored.lock().unwrap();
            if request.method() == Method::PATCH {
                stored["status"] = sent["status"].clone();
            }
            (200, stored.clone())
        });
        let guard: DeserializeGuard<PolicySet> = serde_json::from_value(bad()).unwrap();
        let found = guard.0.unwrap_err();
        let second = |n| Timestamp::from_second(n).unwrap();
        for n in 1..4 {
            let fact = unreadable(Kind::Policy, &found);
            let object = (Kind::Policy, &found.metadata);
            say(server.client.clone(), object, fact, |_| true, second(n))
                .await
                .unwrap();
        }
        let (get, patch) = (Method::GET, Method::PATCH);
        assert_eq!(server.methods(), [&get, &patch, &get, &get]);
        let written = server.requests()[1].body.to_string();
        assert!(written.contains("cannot read the object"), "{written}");
        assert!(!written.contains("Dear"), "{written}");
    }

    #[test]
    fn field_names_stay_in_an_error_and_values_do_not() {
        let error = "invalid type: string \"say \\\"hi\\\" now\", expected `rules` at line 1";
        assert_eq!(
            without_values(error),
            "invalid type: string \"…\", expected `rules` at line 1"
        );
    }
}
