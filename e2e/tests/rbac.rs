//! What the operator may do: enough, and nothing more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/chart.rs"]
mod chart;
#[path = "support/scene.rs"]
mod scene;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use aios_crds::{ClusterPolicySet, WritingRun};
use aios_e2e::testing::aios::SYSTEM;
use aios_e2e::testing::{BEGINNING, Request};
use aios_e2e::{eventually, files};
use anyhow::{Context, ensure};
use chart::documents;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use scene::{DEADLINE, Scene};
use serde_json::{Value, json};

/// Permissions, and the code that needs them.
const MATRIX: &str = include_str!("rbac.tsv");

/// Where a permission holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// In each namespace that is served.
    Served,
    /// In the whole cluster, also of an operator that serves named namespaces.
    Cluster,
    /// In namespace `default`, of an operator that serves named namespaces.
    Default,
    /// In the operator's own namespace.
    Own,
    /// In the whole cluster, where the platform offers GPU classes.
    Gpu,
}

/// A row of the matrix.
struct Need {
    scope: Scope,
    group: &'static str,
    resource: &'static str,
    /// The only object it is about; any when empty.
    name: &'static str,
    verbs: Vec<&'static str>,
    file: &'static str,
    text: &'static str,
    is_rare: bool,
}

fn matrix() -> Vec<Need> {
    let rows = MATRIX.lines().filter(|line| !line.starts_with('#'));
    rows.skip(1).map(row).collect()
}

fn row(line: &'static str) -> Need {
    let cells: Vec<&str> = line.split('\t').collect();
    let [scope, group, resource, name, verbs, file, text, rare] = cells[..] else {
        panic!("eight columns: {line}");
    };
    Need {
        scope: match scope {
            "Served" => Scope::Served,
            "Cluster" => Scope::Cluster,
            "Default" => Scope::Default,
            "Own" => Scope::Own,
            "Gpu" => Scope::Gpu,
            other => panic!("no scope {other}"),
        },
        group: if group == "core" { "" } else { group },
        resource,
        name: if name == "*" { "" } else { name },
        verbs: verbs.split(' ').collect(),
        file,
        text,
        is_rare: rare != "-",
    }
}

/// One permission: group, resource, names, verb.
type Grant = (String, String, String, String);

fn needed(scopes: &[Scope]) -> BTreeSet<Grant> {
    let own = str::to_owned;
    matrix()
        .iter()
        .filter(|need| scopes.contains(&need.scope))
        .flat_map(|need| need.verbs.iter().map(move |verb| (need, verb)))
        .map(|(need, verb)| {
            (
                own(need.group),
                own(need.resource),
                own(need.name),
                own(verb),
            )
        })
        .collect()
}

/// What the chart grants the operator, by kind, namespace and name of the role.
async fn rendered(values: &[&str]) -> BTreeMap<String, BTreeSet<Grant>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    documents(SYSTEM, values)
        .await
        .unwrap()
        .iter()
        .filter(|one| matches!(one["kind"].as_str(), Some("Role" | "ClusterRole")))
        .map(|role| {
            let meta = &role["metadata"];
            let place = [&role["kind"], &meta["namespace"], &meta["name"]].map(text);
            (place.join("/"), grants(&role["rules"]))
        })
        // What people may do is none of the operator's.
        .filter(|(place, _)| place.contains("aios-operator"))
        .collect()
}

fn grants(rules: &Value) -> BTreeSet<Grant> {
    let mut found = BTreeSet::new();
    let list = |rule: &Value, key: &str| -> Vec<String> {
        let all = rule[key].as_array().cloned().unwrap_or_default();
        all.iter()
            .map(|one| one.as_str().unwrap().to_owned())
            .collect()
    };
    for rule in rules.as_array().unwrap() {
        let names = list(rule, "resourceNames").join(" ");
        for group in list(rule, "apiGroups") {
            for resource in list(rule, "resources") {
                for verb in list(rule, "verbs") {
                    let grant = (group.clone(), resource.clone(), names.clone(), verb);
                    assert!(found.insert(grant.clone()), "granted twice: {grant:?}");
                }
            }
        }
    }
    found
}

#[tokio::test]
async fn an_operator_of_the_whole_cluster_is_granted_what_its_code_needs_and_no_more() {
    let roles = rendered(&[]).await;
    let expected = BTreeMap::from([
        (
            "ClusterRole//aios-operator".to_owned(),
            needed(&[Scope::Served, Scope::Cluster]),
        ),
        (
            format!("Role/{SYSTEM}/aios-operator"),
            needed(&[Scope::Own]),
        ),
    ]);
    assert_eq!(roles, expected);
}

#[tokio::test]
async fn gpu_classes_add_karpenters_kinds_and_no_more() {
    let values = files::repository().join("e2e/values.yaml");
    let roles = rendered(&["-f", values.to_str().unwrap()]).await;
    let expected = needed(&[Scope::Served, Scope::Cluster, Scope::Gpu]);
    assert_eq!(roles["ClusterRole//aios-operator"], expected);
}

#[tokio::test]
async fn an_operator_of_named_namespaces_is_granted_tenants_objects_only_there() {
    let roles = rendered(&["--set", "watchNamespaces={one,two}"]).await;
    let expected = BTreeMap::from([
        (
            format!("ClusterRole//aios-operator-{SYSTEM}"),
            needed(&[Scope::Cluster]),
        ),
        (
            format!("Role/default/aios-operator-{SYSTEM}"),
            needed(&[Scope::Default]),
        ),
        (
            format!("Role/{SYSTEM}/aios-operator"),
            needed(&[Scope::Own]),
        ),
        (
            "Role/one/aios-operator-tenant".to_owned(),
            needed(&[Scope::Served]),
        ),
        (
            "Role/two/aios-operator-tenant".to_owned(),
            needed(&[Scope::Served]),
        ),
    ]);
    assert_eq!(roles, expected);
}

/// Values of a release that shares the cluster.
const SHARE: [&str; 4] = [
    "--set",
    "namespaceSelector.matchLabels.shard=a",
    "--set",
    "rbac.people=false,rbac.aggregate=false",
];

#[tokio::test]
async fn an_operator_of_labelled_namespaces_is_granted_what_one_of_the_whole_cluster_is() {
    let roles = rendered(&SHARE).await;
    let expected = BTreeMap::from([
        (
            format!("ClusterRole//aios-operator-{SYSTEM}"),
            needed(&[Scope::Served, Scope::Cluster]),
        ),
        (
            format!("Role/{SYSTEM}/aios-operator"),
            needed(&[Scope::Own]),
        ),
    ]);
    assert_eq!(roles, expected);
}

#[tokio::test]
async fn releases_that_share_the_cluster_have_no_object_in_common() {
    let names = async |namespace: &str, values: &[&str]| -> BTreeSet<String> {
        let made = documents(namespace, values).await.unwrap();
        let made = made.iter().filter(|one| one["kind"].is_string());
        made.map(|one| {
            let meta = &one["metadata"];
            [&one["kind"], &meta["namespace"], &meta["name"]]
                .map(|part| part.as_str().unwrap_or_default())
                .join("/")
        })
        .collect()
    };
    let (whole, a, b) = (
        names("aios-system", &[]).await,
        names("aios-a", &SHARE).await,
        names("aios-b", &SHARE).await,
    );
    for (one, other) in [(&a, &b), (&whole, &a)] {
        let both: Vec<_> = one.intersection(other).collect();
        assert!(both.is_empty(), "{both:?}");
    }
    assert!(a.contains("ValidatingAdmissionPolicy//aios-operator-aios-a-share"));
}

/// What the chart adds to Kubernetes' own roles of that name.
async fn aggregated(to: &str) -> BTreeSet<Grant> {
    let label = format!("rbac.authorization.k8s.io/aggregate-to-{to}");
    let made = documents(SYSTEM, &["--set", "rbac.aggregate=true"])
        .await
        .unwrap();
    let added = made
        .iter()
        .filter(|one| one["metadata"]["labels"][&label] == "true");
    added.flat_map(|role| grants(&role["rules"])).collect()
}

#[tokio::test]
async fn who_runs_a_namespace_may_write_its_policies_and_none_of_the_platforms() {
    for role in ["view", "edit", "admin"] {
        let granted = aggregated(role).await;
        for (group, resource, _, verb) in &granted {
            assert_eq!(group, "aios.dev", "{role}: {resource}");
            assert!(verb != "*" && !resource.contains('*'), "{role}: {resource}");
            let kind = resource.split('/').next().unwrap_or_default();
            let reads = matches!(verb.as_str(), "get" | "list" | "watch");
            assert!(kind != "clusterpolicysets" || reads, "{role}: {verb}");
        }
        let writes = ["create", "update", "patch", "delete"]
            .into_iter()
            .all(|verb| {
                let own = ["aios.dev", "policysets", "", verb].map(str::to_owned);
                granted.contains(&own.into())
            });
        assert_eq!(writes, role != "view", "{role}");
    }
}

#[tokio::test]
async fn names_and_labels_of_namespaces_together_are_refused_with_the_remedy() {
    let both = [&SHARE[..], &["--set", "watchNamespaces={one}"]].concat();
    let refused = documents(SYSTEM, &both).await.unwrap_err();
    assert!(refused.contains("namespaceSelector, not both"), "{refused}");
    let misspelled = ["--set", "namespaceSelector.matchLabel.shard=a"];
    let refused = documents(SYSTEM, &misspelled).await.unwrap_err();
    assert!(refused.contains("'matchLabel' not allowed"), "{refused}");
}

#[test]
fn each_permission_names_code_that_is_there() {
    for need in matrix() {
        let code = fs::read_to_string(files::repository().join(need.file)).unwrap();
        let (file, text) = (need.file, need.text);
        assert!(code.contains(text), "{file} does not contain {text}");
    }
}

/// A ClusterPolicySet that selects nothing.
const POLICY: &str = "
apiVersion: aios.dev/v1alpha1
kind: ClusterPolicySet
metadata: {name: rbac-matrix}
spec:
  namespaceSelector: {matchLabels: {aios.dev/nobody: here}}
  rules: [{name: short, action: Review, length: {maxWords: 500}}]
";

#[tokio::test]
async fn the_operator_uses_what_it_is_granted_and_lacks_no_permission_anywhere() {
    let scene = Scene::open("rbac").await;
    let cluster = scene.namespace.cluster();
    let log = cluster.audit_log().unwrap();
    cluster
        .kubectl_stdin(&["apply", "-f", "-"], POLICY)
        .await
        .unwrap();
    // Two runs, so that the log's head is kept and kept again; one is deleted when its time is over.
    scene.upload(&scene::records(2, |_| "saving")).await;
    scene.run("first", scene::pointers(1)).await;
    scene.finished("first").await;
    let run: WritingRun = serde_json::from_value(json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "WritingRun", "metadata": {"name": "second"},
        "spec": {"pipelineRef": {"name": "welcome"}, "input": scene::pointers(2),
            "ttlSecondsAfterFinished": 1},
    }))
    .unwrap();
    let runs = scene.namespace.api::<WritingRun>();
    runs.create(&PostParams::default(), &run).await.unwrap();
    eventually("the finished run is deleted", DEADLINE, async || {
        Ok(runs.get_opt("second").await?.is_none().then_some(()))
    })
    .await
    .unwrap();
    let pods = Api::<Pod>::namespaced(cluster.client(), SYSTEM);
    let leader = scene::leader(&scene.namespace).await;
    // Watches are in the log once they end.
    pods.delete(&leader, &DeleteParams::default())
        .await
        .unwrap();

    eventually("every permission was used", DEADLINE, async || {
        let requests = log.since(BEGINNING)?;
        let by_operator: Vec<_> = requests
            .iter()
            .filter(|request| request.is_by(SYSTEM, "aios-operator"))
            .collect();
        // Also of what other tests made it do, since it was installed as it is now.
        let revision = leader.rsplit_once('-').map(|(revision, _)| revision);
        let revision = revision.context("a pod of no ReplicaSet")?;
        let mut refused = log.unpermitted(BEGINNING)?;
        refused.retain(|request| {
            request.is_by(SYSTEM, "aios-operator") && request.pod.starts_with(revision)
        });
        ensure!(refused.is_empty(), "refused: {refused:#?}");
        let needs = matrix();
        let awaited = needs.iter().filter(|need| !need.is_rare);
        let unused: Vec<_> = awaited
            .flat_map(|need| need.verbs.iter().map(move |verb| (need, verb)))
            .filter(|(need, verb)| !by_operator.iter().any(|request| uses(request, need, verb)))
            .map(|(need, verb)| (need.scope, need.resource, verb))
            .collect();
        ensure!(unused.is_empty(), "never used: {unused:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
    let policies = Api::<ClusterPolicySet>::all(cluster.client());
    policies
        .delete("rbac-matrix", &DeleteParams::default())
        .await
        .unwrap();
}

/// Whether a request needed a permission. An apply that made its object needed two.
fn uses(request: &Request, need: &Need, verb: &str) -> bool {
    let resource = match request.subresource.as_str() {
        "" => request.resource.clone(),
        subresource => format!("{}/{subresource}", request.resource),
    };
    let in_scope = match need.scope {
        Scope::Served => request.namespace != SYSTEM,
        Scope::Cluster => request.namespace.is_empty(),
        Scope::Default => request.namespace == "default",
        Scope::Own => request.namespace == SYSTEM,
        Scope::Gpu => true,
    };
    let did = request.verb == verb
        || (verb == "create" && request.verb == "patch" && request.code == 201);
    in_scope
        && did
        && request.code < 300
        && request.group == need.group
        && resource == need.resource
}
