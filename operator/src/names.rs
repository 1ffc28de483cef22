//! Deterministic names and labels. A name is a contract: other parts dial it or mount it.

use std::collections::BTreeMap;

use aios_compile::MAX_RUN_NAME;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::control::{Account, Kind};

/// Field manager of every server-side apply.
pub const FIELD_MANAGER: &str = "aios-operator";
/// Manager of key material that is created once: apart, so that an apply never takes it back.
pub const KEY_MANAGER: &str = "aios-operator-keys";

/// ConfigMap with the operator's CA certificate, in every tenant namespace.
pub const CA: &str = "aios-ca";
/// Secret with the client certificate of a tenant's data planes.
pub const CLIENT_TLS: &str = "aios-client-tls";
/// ConfigMap with the configuration to start with while the operator is away.
pub const BOOTSTRAP: &str = "aios-config";
/// Secret with a tenant's key-encryption and signing keys.
pub const TENANT_KEYS: &str = "aios-tenant";
/// Every object of a tenant's gateway.
pub const GATEWAY: &str = "aios-gateway";
/// Secret with the gateway's serving certificate.
pub const GATEWAY_TLS: &str = "aios-gateway-tls";
/// Claim of the gateway's only pod.
pub const GATEWAY_DATA: &str = "data-aios-gateway-0";
/// ServiceAccount of run workers.
pub const WORKER: &str = "aios-worker";
/// Container of an engine, in leaders and shards.
pub const ENGINE: &str = "engine";
/// Service of the operator, in its own namespace.
pub const OPERATOR: &str = "aios-operator";
/// Lease of the operator, there: an object of the chart.
pub const LEASE: &str = "aios-operator-leader";

pub const LABEL_NAME: &str = "app.kubernetes.io/name";
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
pub const LABEL_MODEL: &str = "aios.dev/model";
/// The group that a pod or StatefulSet is of: its leader's StatefulSet.
pub const LABEL_GROUP: &str = "aios.dev/group";
/// What a group runs: its pods as they are specified.
pub const LABEL_REVISION: &str = "aios.dev/revision";
pub const LABEL_SLOT: &str = "aios.dev/slot";
/// `true` on the leaders that the standby Service leads to.
pub const LABEL_SPARE: &str = "aios.dev/spare";
pub const LABEL_PIPELINE: &str = "aios.dev/pipeline";
pub const LABEL_RUN: &str = "aios.dev/run";
pub const LABEL_POLICY: &str = "aios.dev/policy";
/// On a WritingRun: the trigger of its pipeline that made it,
pub const LABEL_TRIGGER: &str = "aios.dev/trigger";
/// and the time for which it did.
pub const ANNOTATION_SCHEDULED: &str = "aios.dev/scheduled-for";
/// Kueue's: on a Job, the LocalQueue that it waits in.
pub const LABEL_QUEUE: &str = "kueue.x-k8s.io/queue-name";
/// On NodePools, NodeClaims and nodes: whose they are and of which class.
pub const LABEL_NAMESPACE: &str = "aios.dev/namespace";
pub const LABEL_GPU_CLASS: &str = "aios.dev/gpu-class";
/// Keeps a model until the NodePools that nobody else uses are gone.
pub const FINALIZER: &str = "aios.dev/node-pool";
/// Marks the leader's pod, so that the control Service selects it alone.
pub const LABEL_LEADER: &str = "aios.dev/leader";
/// On ConfigMap `aios-ca`: namespace of the operator that serves the object's namespace,
pub const LABEL_OPERATOR: &str = "aios.dev/operator";
/// and which namespaces that operator selects, as JSON of a LabelSelector.
pub const ANNOTATION_SELECTS: &str = "aios.dev/operator-selects";
/// Digest of what was applied last: tells a field that is no longer wanted from a default.
pub const ANNOTATION_APPLIED: &str = "aios.dev/applied";
/// On a group of several pods: which pods it had when it was whole.
pub const ANNOTATION_MEMBERS: &str = "aios.dev/members";

/// What an object is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// Trust and keys of a namespace.
    Tenant,
    Gateway,
    Worker,
    /// Ingress before a provider.
    Ingress,
    /// Engines that take traffic.
    Engine,
    /// Engines that wait.
    Standby,
    /// Engines of a revision that is on trial.
    Candidate,
    /// Further pods of an engine that one pod cannot hold.
    Shard,
    Prefetch,
    /// Asks a revision that is on trial.
    Evaluation,
}

impl Component {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Ingress => "ingress",
            Self::Engine => "engine",
            Self::Standby => "standby",
            Self::Candidate => "candidate",
            Self::Shard => "shard",
            Self::Prefetch => "prefetch",
            Self::Evaluation => "evaluation",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Tenant,
            Self::Gateway,
            Self::Worker,
            Self::Ingress,
            Self::Engine,
            Self::Standby,
            Self::Candidate,
            Self::Shard,
            Self::Prefetch,
            Self::Evaluation,
        ]
        .into_iter()
        .find(|component| component.as_str() == text)
    }
}

/// Labels of an object: the recommended four.
pub fn labels(component: Component, instance: &str) -> BTreeMap<String, String> {
    [
        (LABEL_NAME, "aios"),
        (LABEL_INSTANCE, instance),
        (LABEL_COMPONENT, component.as_str()),
        (LABEL_MANAGED_BY, FIELD_MANAGER),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect()
}

/// Labels of an object of a model.
pub fn model_labels(component: Component, model: &str) -> BTreeMap<String, String> {
    let mut labels = labels(component, model);
    labels.insert(LABEL_MODEL.into(), model.into());
    labels
}

pub fn model_service(model: &str) -> String {
    format!("{model}-model")
}

/// StatefulSet of a group's leader. Kubernetes appends up to 12 characters in labels of its own.
pub fn model_group(model: &str, revision: &str, slot: u32) -> String {
    format!("{model}-{revision}-{slot}")
}

/// StatefulSet of a group's further pods.
pub fn group_shards(group: &str) -> String {
    format!("{group}w")
}

/// What KServe runs a model by; KServe appends `-predictor` in names of its own.
pub fn model_inference(model: &str) -> String {
    format!("{model}-engine")
}

/// Service that gives shards their names.
pub fn model_shards(model: &str) -> String {
    format!("{model}-shards")
}

pub fn model_tls(model: &str) -> String {
    format!("{model}-model-tls")
}

pub fn model_weights(model: &str) -> String {
    format!("{model}-weights")
}

/// The Job that fetches weights. Another source or digest is another Job, for Jobs are immutable.
pub fn model_prefetch(model: &str, hash: &str) -> String {
    format!("{model}-prefetch-{hash}")
}

/// The Job that asks a revision on trial, and its stable one. Another asking is another Job.
pub fn model_evaluation(model: &str, key: &str) -> String {
    format!("{model}-evaluate-{key}")
}

/// The WritingRun that a trigger makes for a time, to the minute: whoever makes it, there is one.
pub fn triggered_run(pipeline: &str, trigger: &str, time: Timestamp) -> String {
    let minute = time.strftime("%Y%m%d%H%M").to_string();
    let room = MAX_RUN_NAME.saturating_sub(minute.len() + 1);
    let whole = format!("{pipeline}-{trigger}");
    if whole.len() <= room {
        return format!("{whole}-{minute}");
    }
    let mut hash = hex::encode(Sha256::digest(format!("{pipeline}/{trigger}")));
    hash.truncate(6);
    let cut: String = whole.chars().take(room.saturating_sub(7)).collect();
    format!("{}-{hash}-{minute}", cut.trim_end_matches('-'))
}

/// DNS names under which a Service is dialled.
pub fn service_hosts(service: &str, namespace: &str) -> Vec<String> {
    vec![
        format!("{service}.{namespace}.svc"),
        format!("{service}.{namespace}.svc.cluster.local"),
        format!("{service}.{namespace}"),
        service.to_owned(),
    ]
}

/// Identity of a namespace's data planes in client certificates.
pub fn tenant_identity(namespace: &str) -> String {
    format!("spiffe://aios/ns/{namespace}")
}

/// ConfigMap of the operator's namespace that keeps a tenant's last verified tree head.
pub fn witness(namespace: &str) -> String {
    format!("aios-witness-{namespace}")
}

/// ConfigMap that keeps what is granted of a budget. No name of a namespace has a dot.
pub fn budget(account: &Account) -> String {
    let (namespace, name) = (&account.namespace, &account.name);
    match (account.kind, &account.run_uid) {
        (Kind::Run, uid) => format!("aios-budget.{}", uid.as_deref().unwrap_or(name)),
        (Kind::Pipeline, _) => format!("aios-budget.{namespace}.{name}"),
        (Kind::Model, _) => format!("aios-budget-model.{namespace}.{name}"),
        (Kind::Policy, _) => format!("aios-budget-policy.{namespace}.{name}"),
        (Kind::ClusterPolicy, _) => format!("aios-budget-cluster-policy.{namespace}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Component, group_shards, model_evaluation, model_group, model_inference, model_prefetch,
        triggered_run,
    };

    #[test]
    fn names_of_children_fit_a_dns_label() {
        let longest = "m".repeat(aios_compile::MAX_MODEL_NAME);
        assert!(model_prefetch(&longest, "0123456789").len() <= 63);
        assert!(format!("{}-predictor", model_inference(&longest)).len() <= 63);
        assert!(model_evaluation(&longest, "0123456789").len() <= 63);
        let shards = group_shards(&model_group(&longest, "012345", 999));
        assert!(shards.len() + "-0123456789".len() <= 63, "{shards}");
    }

    #[test]
    fn a_run_of_a_trigger_is_named_after_its_minute_and_fits_a_job() {
        let at = |minute: i64| jiff::Timestamp::from_second(1_768_000_000 + 60 * minute);
        let [first, next] = [0, 1].map(|minute| at(minute).unwrap_or_default());
        assert_eq!(
            triggered_run("news", "mornings", first),
            "news-mornings-202601092306"
        );
        let (pipeline, trigger) = ("p".repeat(52), "t".repeat(40));
        let long = triggered_run(&pipeline, &trigger, first);
        assert!(long.len() <= aios_compile::MAX_RUN_NAME, "{long}");
        assert_ne!(long, triggered_run(&pipeline, &trigger, next));
        assert_ne!(long, triggered_run(&pipeline, &"t".repeat(39), first));
    }

    #[test]
    fn components_parse_from_their_label() {
        for component in [
            Component::Gateway,
            Component::Standby,
            Component::Candidate,
            Component::Evaluation,
        ] {
            assert_eq!(Component::parse(component.as_str()), Some(component));
        }
    }
}
