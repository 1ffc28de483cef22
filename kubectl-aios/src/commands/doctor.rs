//! Asks, in the order in which things depend on each other, whether AIOS can work here.

use aios_crds::{WritingPipeline, yaml};
use anyhow::Result;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        authorization::v1::{
            ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
        },
        coordination::v1::Lease,
        core::v1::ConfigMap,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{ListParams, PostParams},
};

use super::{session::Session, status};
use crate::{
    cli::{Doctor, Global},
    client::Auth,
};

/// What a check found.
enum Found {
    Well(String),
    /// Nothing to look at yet.
    Absent(String),
    Wrong {
        problem: String,
        remedy: String,
    },
}

/// Every check; one that fails does not keep the next from being made, unless nothing could answer.
pub async fn run(arguments: &Doctor, global: &Global) -> Result<bool> {
    let mut well = true;
    let mut say = |name: &str, found: Found| match found {
        Found::Well(words) => println!("ok    {name}: {words}"),
        Found::Absent(words) => println!("none  {name}: {words}"),
        Found::Wrong { problem, remedy } => {
            well = false;
            println!("FAIL  {name}: {problem}\n      remedy: {remedy}");
        }
    };
    let session = match Session::open(global).await {
        Ok(session) => session,
        Err(error) => {
            say(
                "kubeconfig",
                wrong(format!("{error:#}"), "set KUBECONFIG or --context"),
            );
            return Ok(false);
        }
    };
    match session.client.apiserver_version().await {
        Ok(version) => say(
            "cluster",
            Found::Well(format!("Kubernetes {}", version.git_version)),
        ),
        Err(error) => {
            say(
                "cluster",
                wrong(
                    error.to_string(),
                    "start it, or choose another with --context",
                ),
            );
            return Ok(false);
        }
    }
    for (name, found) in definitions(&session).await {
        say(&name, found);
    }
    let home = home(&session, arguments.operator_namespace.as_deref()).await;
    say("operator", operator(&session, &home).await);
    say("operator lease", lease(&session, &home).await);
    let has_pipeline = pipelines(&session).await;
    say("CA", ca(&session, has_pipeline).await);
    say("gateway", gateway(&session, has_pipeline).await);
    for (name, found) in rights(&session).await {
        say(&name, found);
    }
    say("gateway answers", answers(&session, has_pipeline).await);
    say("objects", objects(&session).await);
    Ok(well)
}

fn wrong(problem: impl Into<String>, remedy: impl Into<String>) -> Found {
    Found::Wrong {
        problem: problem.into(),
        remedy: remedy.into(),
    }
}

async fn definitions(session: &Session) -> Vec<(String, Found)> {
    let api = Api::<CustomResourceDefinition>::all(session.client.clone());
    let mut found = Vec::new();
    for expected in yaml::all() {
        let name = expected.name_any();
        let result = match api.get_opt(&name).await {
            Ok(Some(crd)) if established(&crd) => Found::Well("established".into()),
            Ok(Some(_)) => wrong(
                "is not established",
                format!("see kubectl describe crd {name}"),
            ),
            Ok(None) => wrong("is missing", "helm install aios-crds charts/aios-crds"),
            // People of a namespace may often not read definitions.
            Err(error) if forbidden(&error) => Found::Absent("you may not read definitions".into()),
            Err(error) => wrong(error.to_string(), "see kubectl get crds"),
        };
        found.push((format!("crd {name}"), result));
    }
    found
}

fn established(crd: &CustomResourceDefinition) -> bool {
    let conditions = crd
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|one| one.type_ == "Established" && one.status == "True")
}

fn forbidden(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403)
}

/// Namespace of the operator that serves the session's, as ConfigMap `aios-ca` there says.
async fn home(session: &Session, named: Option<&str>) -> String {
    if let Some(named) = named {
        return named.to_owned();
    }
    let maps = Api::<ConfigMap>::namespaced(session.client.clone(), &session.namespace);
    let trust = maps.get_opt("aios-ca").await.ok().flatten();
    let claim = trust.and_then(|map| map.labels().get("aios.dev/operator").cloned());
    claim.unwrap_or_else(|| "aios-system".into())
}

async fn operator(session: &Session, namespace: &str) -> Found {
    let selector = "app.kubernetes.io/name=aios,app.kubernetes.io/component=operator";
    let deployments = Api::<Deployment>::namespaced(session.client.clone(), namespace);
    let list = match deployments
        .list(&ListParams::default().labels(selector))
        .await
    {
        Ok(list) => list.items,
        Err(error) if forbidden(&error) => {
            return Found::Absent(format!("you may not look into {namespace}"));
        }
        Err(error) => return wrong(error.to_string(), "see --operator-namespace"),
    };
    let Some(deployment) = list.first() else {
        return wrong(
            format!("none in namespace {namespace}"),
            "helm install aios charts/aios -n aios-system --create-namespace, or pass \
             --operator-namespace",
        );
    };
    let name = deployment.name_any();
    let status = deployment.status.clone().unwrap_or_default();
    let (ready, wanted) = (
        status.ready_replicas.unwrap_or(0),
        status.replicas.unwrap_or(0),
    );
    if ready > 0 {
        Found::Well(format!("{name} {ready}/{wanted} ready"))
    } else {
        wrong(
            format!("{name} 0/{wanted} ready"),
            format!(
                "see kubectl -n {namespace} describe pods and kubectl -n {namespace} logs deployment/{name}"
            ),
        )
    }
}

async fn lease(session: &Session, namespace: &str) -> Found {
    let leases = Api::<Lease>::namespaced(session.client.clone(), namespace);
    let spec = match leases.get_opt("aios-operator").await {
        Ok(Some(lease)) => lease.spec.unwrap_or_default(),
        Ok(None) => {
            return wrong(
                "no Lease aios-operator",
                "wait for an operator to lead, or see its logs",
            );
        }
        Err(error) if forbidden(&error) => return Found::Absent("you may not read it".into()),
        Err(error) => return wrong(error.to_string(), "see kubectl get leases"),
    };
    let holder = spec.holder_identity.filter(|holder| !holder.is_empty());
    let renewed = spec
        .renew_time
        .map(|time| jiff::Timestamp::now().as_second() - time.0.as_second());
    let length = i64::from(spec.lease_duration_seconds.unwrap_or(15));
    match (holder, renewed) {
        (Some(holder), Some(seconds)) if seconds <= 2 * length => {
            Found::Well(format!("held by {holder}"))
        }
        (Some(holder), _) => wrong(
            format!("{holder} holds it but no longer renews it"),
            "the operator is away; what runs goes on, nothing new is configured: see its pod",
        ),
        (None, _) => wrong("nobody leads", "start the operator, or see its logs"),
    }
}

async fn pipelines(session: &Session) -> bool {
    let api = Api::<WritingPipeline>::namespaced(session.client.clone(), &session.namespace);
    api.list(&ListParams::default().limit(1))
        .await
        .is_ok_and(|list| !list.items.is_empty())
}

const NO_PIPELINE: &str = "made with the namespace's first WritingPipeline";

async fn ca(session: &Session, expected: bool) -> Found {
    let maps = Api::<ConfigMap>::namespaced(session.client.clone(), &session.namespace);
    match maps.get_opt("aios-ca").await {
        Ok(Some(map))
            if map
                .data
                .as_ref()
                .is_some_and(|data| data.contains_key("ca.crt")) =>
        {
            Found::Well("ConfigMap aios-ca".into())
        }
        Ok(Some(_)) => wrong(
            "ConfigMap aios-ca has no ca.crt",
            "delete it: the operator writes it anew",
        ),
        Ok(None) if expected => wrong("no ConfigMap aios-ca", "see the operator and its logs"),
        Ok(None) => Found::Absent(NO_PIPELINE.into()),
        Err(error) => wrong(error.to_string(), "allow yourself `get` on configmaps"),
    }
}

async fn gateway(session: &Session, expected: bool) -> Found {
    let namespace = &session.namespace;
    let several = Api::<Deployment>::namespaced(session.client.clone(), namespace);
    if let Ok(Some(found)) = several.get_opt("aios-gateway").await {
        let wanted = found.spec.and_then(|spec| spec.replicas).unwrap_or(1);
        let ready = found.status.and_then(|status| status.ready_replicas);
        let ready = ready.unwrap_or_default();
        if ready >= wanted {
            return Found::Well(format!("{ready} pods are ready"));
        }
        return wrong(
            format!("{ready} of {wanted} pods are ready"),
            format!(
                "see kubectl -n {namespace} describe deployment aios-gateway, and the logs of its pods"
            ),
        );
    }
    let sets = Api::<StatefulSet>::namespaced(session.client.clone(), namespace);
    match sets.get_opt("aios-gateway").await {
        Ok(Some(set))
            if set
                .status
                .as_ref()
                .is_some_and(|s| s.ready_replicas == Some(1)) =>
        {
            Found::Well("ready".into())
        }
        Ok(Some(_)) => wrong(
            "its pod is not ready",
            format!("see kubectl -n {namespace} describe pod aios-gateway-0 and its logs"),
        ),
        Ok(None) if expected => wrong("none", "see kubectl aios status and the operator's logs"),
        Ok(None) => Found::Absent(NO_PIPELINE.into()),
        Err(error) if forbidden(&error) => Found::Absent("you may not read StatefulSets".into()),
        Err(error) => wrong(error.to_string(), "see kubectl get statefulsets"),
    }
}

/// What this program itself needs.
async fn rights(session: &Session) -> Vec<(String, Found)> {
    let mut needed = vec![
        (
            "get",
            "",
            "configmaps",
            None,
            "trusts the gateway by ConfigMap aios-ca",
        ),
        ("get", "", "services", None, "finds the gateway"),
        ("list", "", "pods", None, "finds the gateway's pod"),
        (
            "create",
            "",
            "pods",
            Some("portforward"),
            "reaches the gateway",
        ),
        ("create", "aios.dev", "writingruns", None, "starts runs"),
        ("list", "aios.dev", "writingpipelines", None, "shows status"),
    ];
    if matches!(session.speaks_as(), Some(Auth::ServiceAccount(_))) {
        let what = "speaks as a ServiceAccount";
        needed.push(("create", "", "serviceaccounts", Some("token"), what));
    }
    let reviews = Api::<SelfSubjectAccessReview>::all(session.client.clone());
    let mut found = Vec::new();
    for (verb, group, resource, subresource, why) in needed {
        let attributes = ResourceAttributes {
            verb: Some(verb.into()),
            group: Some(group.into()),
            resource: Some(resource.into()),
            subresource: subresource.map(str::to_owned),
            namespace: Some(session.namespace.clone()),
            ..ResourceAttributes::default()
        };
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let full = subresource.map_or(resource.to_owned(), |sub| format!("{resource}/{sub}"));
        let result = match reviews.create(&PostParams::default(), &review).await {
            Ok(answer) if answer.status.as_ref().is_some_and(|status| status.allowed) => {
                Found::Well(why.into())
            }
            Ok(_) => wrong(
                format!("not allowed ({why})"),
                format!("ask for a Role with `{verb}` on {full}"),
            ),
            Err(error) => wrong(error.to_string(), "see kubectl auth can-i"),
        };
        found.push((format!("you may {verb} {full}"), result));
    }
    found
}

/// TLS, token and the log, in one question. A refusal for lack of a verb is an answer too.
async fn answers(session: &Session, expected: bool) -> Found {
    if !expected {
        return Found::Absent(NO_PIPELINE.into());
    }
    if session.speaks_as().is_none() {
        return Found::Absent("not asked: pass --as-service-account NAME or --token".into());
    }
    let gateway = match session.gateway().await {
        Ok(gateway) => gateway,
        Err(error) => return wrong(format!("{error:#}"), "mend what fails above first"),
    };
    match gateway.checkpoint().await {
        Ok(_) => Found::Well("TLS, token and log are well".into()),
        Err(error) if error.status() == Some(403) => {
            Found::Well("TLS and token are well; the caller may not audit".into())
        }
        Err(error) => wrong(error.to_string(), "mend what fails above first"),
    }
}

async fn objects(session: &Session) -> Found {
    let rows = match status::rows(session, false).await {
        Ok(rows) => rows,
        Err(error) => return wrong(format!("{error:#}"), "mend what fails above first"),
    };
    let unwell: Vec<_> = rows
        .iter()
        // Waiting for a person is no illness.
        .filter(|row| row.ready == "False" && row.reason != "Waiting" && row.reason != "Running")
        .map(|row| format!("{}/{} {}", row.kind, row.name, row.reason))
        .collect();
    match (rows.len(), unwell.is_empty()) {
        (0, _) => Found::Absent(format!("none in {}", session.namespace)),
        (count, true) => Found::Well(format!("{count} well or under way")),
        _ => wrong(unwell.join(", "), "see kubectl aios status"),
    }
}
