//! The operator makes what manifests say, once, and takes it back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/objects.rs"]
mod objects;
#[path = "support/scene.rs"]
mod scene;

use std::time::{Duration, Instant};

use aios_crds::{Conditions, ModelDeployment, PolicySet, WritingPipeline, WritingRun};
use aios_e2e::testing::aios::SYSTEM;
use aios_e2e::testing::{AuditLog, Mark, Request, install};
use aios_e2e::{Cluster, TestNamespace, eventually};
use anyhow::{Result, ensure};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, Patch, PatchParams};
use objects::{names, versions};
use scene::{DEADLINE, DOUBTFUL, Scene};
use serde_json::json;

/// How long the operator must be silent to count as idle.
const IDLE: Duration = Duration::from_mins(1);
const ATTEMPTS: u32 = 4;
const SETTLED: Duration = Duration::from_secs(5);

async fn scene(prefix: &str, change: impl Fn(&str) -> String) -> Scene {
    install(&Cluster::shared().await.unwrap()).await.unwrap();
    Scene::with(prefix, change).await
}

/// What the operator wrote into a namespace, but for reviews, which it creates to ask and which
/// are kept nowhere.
fn writes(log: &AuditLog, mark: Mark, namespace: &str) -> Vec<Request> {
    let reviews = [
        "tokenreviews",
        "subjectaccessreviews",
        "localsubjectaccessreviews",
    ];
    let mut found = log.since(mark).unwrap();
    found.retain(|request| {
        request.is_by(SYSTEM, "aios-operator")
            && request.is_write()
            && request.namespace == namespace
            && request.resource != "leases"
            && !reviews.contains(&request.resource.as_str())
    });
    found
}

/// Waits until the operator has written nothing for a while.
async fn settled(log: &AuditLog, namespace: &str) {
    let (mut mark, mut since) = (log.mark().unwrap(), Instant::now());
    eventually("the operator has settled", DEADLINE, async || {
        let written = writes(log, mark, namespace);
        if !written.is_empty() {
            (mark, since) = (log.mark()?, Instant::now());
            anyhow::bail!("it wrote {written:?}");
        }
        Ok((since.elapsed() >= SETTLED).then_some(()))
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn the_same_manifests_again_change_nothing_and_an_idle_operator_writes_nothing() {
    let scene = scene("again", str::to_owned).await;
    let namespace = &scene.namespace;
    scene.upload(&scene::records(3, |_| "saving")).await;
    scene.run("first", scene::pointers(3)).await;
    assert_eq!(scene.finished("first").await.published, 3);
    // Other tests may kill the operator; its successor learns anew what data planes run, and says so.
    for _ in 0..ATTEMPTS {
        let leader = scene::leader(namespace).await;
        let outcome = a_quiet_minute(namespace).await;
        if scene::leader(namespace).await == leader {
            return outcome.unwrap();
        }
    }
    panic!("no operator led for a minute in {ATTEMPTS} attempts");
}

/// Applies the same again and looks for a minute whether anything follows.
async fn a_quiet_minute(namespace: &TestNamespace) -> Result<()> {
    let log = namespace.cluster().audit_log()?;
    settled(&log, namespace.name()).await;
    let (before, mark) = (versions(namespace).await, log.mark()?);
    ensure!(before.len() > 15, "{before:?}");
    namespace.apply(scene::QUICKSTART).await?;
    let begun = Instant::now();
    eventually("a minute has passed", IDLE * 2, async || {
        Ok((begun.elapsed() >= IDLE).then_some(()))
    })
    .await?;
    let written = writes(&log, mark, namespace.name());
    ensure!(written.is_empty(), "the operator wrote {written:#?}");
    let after = versions(namespace).await;
    ensure!(after == before, "{before:#?} became {after:#?}");
    Ok(())
}

#[tokio::test]
async fn deleting_each_kind_leaves_what_retain_names() {
    let left = left_after_deletion("retain", "Retain").await;
    assert_eq!(
        left,
        [
            "persistentvolumeclaim/data-aios-gateway-0",
            "secret/aios-tenant"
        ]
    );
}

#[tokio::test]
async fn deletion_policy_delete_takes_volume_and_keys_too() {
    let left = left_after_deletion("delete", "Delete").await;
    assert_eq!(left, Vec::<String>::new());
}

/// Runs the quickstart, deletes one kind after the other, and returns what the operator left.
async fn left_after_deletion(prefix: &str, policy: &str) -> Vec<String> {
    let says = format!(
        "    - name: receiver\n      webhook: {{url: \"http://webhook-receiver:8080/deliveries\", readBack: true}}\n  deletionPolicy: {policy}\n"
    );
    let scene = scene(prefix, |manifests| {
        let from = "    - name: receiver\n      webhook: {url: \"http://webhook-receiver:8080/deliveries\", readBack: true}\n";
        assert!(manifests.contains(from));
        manifests.replace(from, &says)
    })
    .await;
    let namespace = &scene.namespace;
    scene.upload(&scene::records(1, |_| "saving")).await;
    scene.run("only", scene::pointers(1)).await;
    scene.finished("only").await;
    let now = DeleteParams::default();
    let gone = async |what: &str| {
        eventually(&format!("{what} has gone"), DEADLINE, async || {
            let names = names(namespace).await?;
            let left: Vec<_> = names.iter().filter(|name| name.contains(what)).collect();
            ensure!(left.is_empty(), "{left:?}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    };
    namespace
        .api::<WritingRun>()
        .delete("only", &now)
        .await
        .unwrap();
    gone("job/").await;
    namespace
        .api::<WritingPipeline>()
        .delete("welcome", &now)
        .await
        .unwrap();
    gone("statefulset/").await;
    // The model alone still needs its tenant's trust.
    assert!(
        names(namespace)
            .await
            .unwrap()
            .contains(&"configmap/aios-ca".to_owned())
    );
    namespace
        .api::<PolicySet>()
        .delete("house-rules", &now)
        .await
        .unwrap();
    namespace
        .api::<ModelDeployment>()
        .delete("writer", &now)
        .await
        .unwrap();
    gone("writer-model").await;
    gone("configmap/aios-").await;

    let kept = if policy == "Retain" { 2 } else { 0 };
    eventually("only so much is left", DEADLINE, async || {
        let left = names(namespace).await?;
        ensure!(left.len() <= kept, "{left:?}");
        Ok(Some(left))
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_broken_edit_of_a_policy_keeps_the_last_good_one_in_force() {
    let scene = scene("lastgood", str::to_owned).await;
    let policies = scene.namespace.api::<PolicySet>();
    let good = policies.get("house-rules").await.unwrap();
    let digest = good.status.unwrap().digest.unwrap();

    let mut rules = serde_json::to_value(&good.spec.rules).unwrap();
    let broken = json!({"name": "broken", "action": "Block", "cel": "text.size(\n  >"});
    rules.as_array_mut().unwrap().push(broken);
    let edit = |rules: &serde_json::Value| Patch::Merge(json!({"spec": {"rules": rules}}));
    let as_is = PatchParams::default();
    policies
        .patch("house-rules", &as_is, &edit(&rules))
        .await
        .unwrap();
    let said = eventually("the policy is stalled", DEADLINE, async || {
        let status = policies
            .get("house-rules")
            .await?
            .status
            .unwrap_or_default();
        ensure!(status.digest.as_ref() == Some(&digest), "{status:?}");
        Ok(condition(&status.conditions, "Stalled").filter(|one| one.status == "True"))
    })
    .await
    .unwrap();
    assert_eq!(said.reason, "LastKnownGood");
    assert!(
        said.message.contains("spec.rules[3].cel (line 2, column "),
        "{}",
        said.message
    );

    // Its old rules still decide.
    scene.upload(&scene::records(1, |_| DOUBTFUL)).await;
    scene.run("doubtful", scene::pointers(1)).await;
    assert_eq!(scene.finished("doubtful").await.waiting, 1);
    let status = policies.get("house-rules").await.unwrap().status.unwrap();
    assert_eq!(
        condition(&status.conditions, "Enforced").unwrap().status,
        "True"
    );

    rules[3]["cel"] = json!("size(text) > 0");
    policies
        .patch("house-rules", &as_is, &edit(&rules))
        .await
        .unwrap();
    eventually("the mended policy is enforced", DEADLINE, async || {
        let found = policies.get("house-rules").await?;
        let (generation, status) = (found.metadata.generation, found.status.unwrap_or_default());
        let ready = condition(&status.conditions, "Ready");
        let is_ready =
            ready.is_some_and(|one| one.status == "True" && one.observed_generation == generation);
        ensure!(
            is_ready && status.digest.as_ref() != Some(&digest),
            "{status:?}"
        );
        Ok(Some(()))
    })
    .await
    .unwrap();
}

fn condition(conditions: &Conditions, kind: &str) -> Option<Condition> {
    conditions.iter().find(|one| one.type_ == kind)
}
