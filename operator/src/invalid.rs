//! Objects that cannot be read at all, as when a newer CRD than this operator's is installed.

use aios_crds::{ConditionType, GROUP, Reason, VERSION};
use jiff::Timestamp;
use kube::{
    Api,
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
    let generation = meta.generation.unwrap_or_default();
    let message = format!("this operator cannot read the object: {}", object.error);
    let facts = summarize(vec![Fact::no(fact_of(kind), Reason::InvalidSpec, message)]);
    let status = json!({
        "observedGeneration": generation,
        "conditions": write(facts, &[], generation, Timestamp::now()),
    });
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, VERSION, kind_name(kind)));
    let client = context.applier.client();
    let api: Api<DynamicObject> = if namespace.is_empty() {
        Api::all_with(client, &resource)
    } else {
        Api::namespaced_with(client, &namespace, &resource)
    };
    let patch = json!({
        "apiVersion": resource.api_version, "kind": resource.kind,
        "metadata": {"name": name, "uid": uid}, "status": status,
    });
    api.patch_status(
        &name,
        &PatchParams::apply(FIELD_MANAGER).force(),
        &Patch::Apply(&patch),
    )
    .await
    .map_err(|error| Error::api(Verb::Status, kind_name(kind), &name, error))?;
    Ok(Action::await_change())
}

const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::ClusterPolicy => "ClusterPolicySet",
        Kind::Policy => "PolicySet",
        Kind::Model => "ModelDeployment",
        Kind::Pipeline => "WritingPipeline",
        Kind::Run => "WritingRun",
    }
}

const fn fact_of(kind: Kind) -> ConditionType {
    match kind {
        Kind::ClusterPolicy | Kind::Policy => ConditionType::Compiled,
        Kind::Model => ConditionType::EndpointReachable,
        Kind::Pipeline => ConditionType::Serving,
        Kind::Run => ConditionType::Drafted,
    }
}
