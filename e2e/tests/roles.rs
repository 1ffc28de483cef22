//! An operator of named namespaces has Roles in each instead of one role of the cluster: they are enough, and
//! without any part of them it is refused. Against a real API server with the chart's roles, without a node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/chart.rs"]
mod chart;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use aios_crds::{ModelDeployment, WritingPipeline};
use aios_e2e::eventually;
use aios_e2e::testing::control_plane::NAMESPACE as SYSTEM;
use aios_e2e::testing::outside::{self, OPERATOR};
use aios_e2e::testing::{BEGINNING, ControlPlane, Programs, Request, Running, apply_yaml};
use anyhow::{Result, ensure};
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::{Api, Client, Resource};
use serde_json::{Value, json};

const FULL: &str = include_str!("support/full.yaml");
const DEADLINE: Duration = Duration::from_mins(2);
const WHOLE: &str = "whole";

/// A verb on a resource of a group.
type Grant = (String, String, String);

struct Scene {
    plane: ControlPlane,
    client: Client,
}

impl Scene {
    /// The chart's accounts and roles, and the namespaces with one object of each kind. `lacks` says what the
    /// Role in a namespace does not grant.
    async fn open(lacks: &BTreeMap<String, BTreeSet<Grant>>) -> Self {
        let programs = Programs::ensure().await.unwrap();
        let plane = ControlPlane::start(&programs, &[]).await.unwrap();
        let scene = Self {
            client: plane.client().await.unwrap(),
            plane,
        };
        for namespace in lacks.keys().map(String::as_str).chain([SYSTEM]) {
            let home =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            scene.apply(None, &home).await;
        }
        let watched = format!("watchNamespaces={{{}}}", names(lacks));
        let more = [
            "--set",
            &watched,
            "--set",
            "rbac.people=false,rbac.aggregate=false",
        ];
        for mut one in chart::documents(SYSTEM, &more).await.unwrap() {
            let kind = one["kind"].as_str().unwrap_or_default();
            if kind != "ServiceAccount" && !kind.contains("Role") {
                continue;
            }
            let namespace = one["metadata"]["namespace"].as_str().map(str::to_owned);
            let lacks = namespace.as_ref().and_then(|name| lacks.get(name));
            if let (Some(lacks), true) = (lacks, one["rules"].is_array()) {
                take(&mut one["rules"], lacks);
            }
            scene.apply(namespace.as_deref(), &one).await;
        }
        for namespace in lacks.keys() {
            apply_yaml(&scene.client, Some(namespace), FULL)
                .await
                .unwrap();
        }
        scene
    }

    async fn apply(&self, namespace: Option<&str>, object: &Value) {
        apply_yaml(&self.client, namespace, &object.to_string())
            .await
            .unwrap();
    }

    /// What the operator was refused. Nothing but permissions refuses it here.
    fn refused(&self) -> Result<Vec<Request>> {
        let mut refused = self.plane.audit().since(BEGINNING)?;
        refused.retain(|request| request.is_by(SYSTEM, OPERATOR) && request.code == 403);
        Ok(refused)
    }

    async fn is_observed<K>(&self, name: &str, observed: impl Fn(&K) -> Option<i64>) -> Result<()>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + serde::de::DeserializeOwned,
    {
        let object = Api::<K>::namespaced(self.client.clone(), WHOLE)
            .get(name)
            .await?;
        let (seen, generation) = (observed(&object), object.meta().generation);
        ensure!(seen == generation, "{name}: {seen:?} of {generation:?}");
        Ok(())
    }

    /// Waits until the namespace's objects have children and statuses.
    async fn is_served(&self) {
        eventually("the namespace is served", DEADLINE, async || {
            Api::<StatefulSet>::namespaced(self.client.clone(), WHOLE)
                .get("aios-gateway")
                .await?;
            self.is_observed::<ModelDeployment>("hosted", |one| {
                Some(one.status.as_ref()?.observed_generation)
            })
            .await?;
            self.is_observed::<WritingPipeline>("letters", |one| {
                Some(one.status.as_ref()?.observed_generation)
            })
            .await?;
            Ok(Some(()))
        })
        .await
        .unwrap();
    }
}

fn names(lacks: &BTreeMap<String, BTreeSet<Grant>>) -> String {
    lacks.keys().cloned().collect::<Vec<_>>().join(",")
}

/// The rules without some grants, each grant a rule of its own.
fn take(rules: &mut Value, lacks: &BTreeSet<Grant>) {
    let left = granted(rules)
        .into_iter()
        .filter(|grant| !lacks.contains(grant));
    let rule = |(group, resource, verb)| json!({"apiGroups": [group], "resources": [resource], "verbs": [verb]});
    *rules = left.map(rule).collect();
}

fn granted(rules: &Value) -> BTreeSet<Grant> {
    let list = |rule: &Value, key: &str| -> Vec<String> {
        serde_json::from_value(rule[key].clone()).unwrap()
    };
    let mut found = BTreeSet::new();
    for rule in rules.as_array().unwrap() {
        assert!(rule.get("resourceNames").is_none(), "{rule}");
        for group in list(rule, "apiGroups") {
            for resource in list(rule, "resources") {
                let own = |verb| (group.clone(), resource.clone(), verb);
                found.extend(list(rule, "verbs").into_iter().map(own));
            }
        }
    }
    found
}

/// What a request needs. An apply that makes its object, or would have, needs two.
fn needed(request: &Request) -> Vec<Grant> {
    let resource = match request.subresource.as_str() {
        "" => request.resource.clone(),
        subresource => format!("{}/{subresource}", request.resource),
    };
    let is_made = request.verb == "patch" && matches!(request.code, 201 | 403);
    let verbs = [Some(request.verb.as_str()), is_made.then_some("create")];
    let grant = |verb: &str| (request.group.clone(), resource.clone(), verb.to_owned());
    verbs.into_iter().flatten().map(grant).collect()
}

/// Runs an operator whose Roles lack something, and waits until it has asked for all of that in vain.
async fn all_are_missed(program: &Path, lacks: &BTreeMap<String, BTreeSet<Grant>>) {
    let scene = Scene::open(lacks).await;
    let all = names(lacks);
    let setting = ("AIOS_WATCH_NAMESPACES", all.as_str());
    let _running = Running::operator_that_lacks(&scene.plane, program, SYSTEM, setting)
        .await
        .unwrap();
    eventually(
        "what is missing is asked for in vain",
        DEADLINE,
        async || {
            let refused = scene.refused()?;
            let is_missed = |namespace: &str, lacked: &Grant| {
                let of = |request: &Request| {
                    request.namespace == namespace && needed(request).contains(lacked)
                };
                refused.iter().any(of)
            };
            let idle: Vec<_> = lacks
                .iter()
                .flat_map(|(namespace, lacked)| lacked.iter().map(move |one| (namespace, one)))
                .filter(|(namespace, lacked)| !is_missed(namespace, lacked))
                .collect();
            ensure!(idle.is_empty(), "never asked for: {idle:?}");
            Ok(Some(()))
        },
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn roles_in_its_namespaces_are_enough_for_an_operator_and_none_of_their_rules_is_too_much() {
    let program = outside::built_operator().unwrap();
    let all = BTreeMap::from([(WHOLE.to_owned(), BTreeSet::new())]);
    let scene = Scene::open(&all).await;
    let setting = ("AIOS_WATCH_NAMESPACES", WHOLE);
    let running = Running::operator_for(&scene.plane, &program, SYSTEM, setting).await;
    let running = running.unwrap();
    scene.is_served().await;
    running.stop().await.unwrap();
    let refused = scene.refused().unwrap();
    assert!(refused.is_empty(), "{refused:#?}");
    let requests = scene.plane.audit().since(BEGINNING).unwrap();
    let used: BTreeSet<Grant> = requests
        .iter()
        .filter(|request| request.is_by(SYSTEM, OPERATOR) && request.namespace == WHOLE)
        .flat_map(needed)
        .collect();
    let by_verb = |verb: &str| used.iter().filter(|grant| grant.2 == verb).count();
    assert!(
        by_verb("list") >= 15 && by_verb("watch") >= 15 && by_verb("patch") >= 10,
        "{used:#?}"
    );
    drop(scene);

    let is_watched = |grant: &Grant| matches!(grant.2.as_str(), "list" | "watch");
    let (watched, asked): (BTreeSet<_>, BTreeSet<_>) = used.into_iter().partition(is_watched);
    // No pass begins before every list is there.
    let (lists, watches) = watched.into_iter().partition(|grant| grant.2 == "list");
    let unwatched = BTreeMap::from([
        ("no-lists".to_owned(), lists),
        ("no-watches".to_owned(), watches),
    ]);
    all_are_missed(&program, &unwatched).await;
    let each = asked.into_iter().enumerate();
    let one_less = each.map(|(at, grant)| (format!("less-{at}"), BTreeSet::from([grant])));
    all_are_missed(&program, &one_less.collect()).await;
}
