//! A real model in pods: SmolLM2 on llama.cpp, its weights fetched, mounted, and proven.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/engine.rs"]
mod engine;
#[path = "support/scene.rs"]
mod scene;

use aios_crds::{Conditions, ModelDeployment};
use aios_e2e::testing::real_model::{DIGEST, WEIGHTS, model, written_by};
use aios_e2e::testing::{await_condition, install};
use aios_e2e::{Cluster, TestNamespace, eventually};
use anyhow::ensure;
use engine::says;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::conditions::is_job_completed;
use scene::{DEADLINE, Scene};

/// What llama.cpp says of itself, in the words of every engine.
const IN_COMMON: [&str; 2] = [
    "aios_engine_requests_running",
    "aios_engine_requests_waiting",
];

#[tokio::test]
async fn a_real_model_is_ready_with_a_warm_standby_writes_documents_and_tells_its_load() {
    install(&Cluster::shared().await.unwrap()).await.unwrap();
    let scene = Scene::with("smollm", |manifests| {
        written_by(manifests, "smollm", &model("smollm", DIGEST, 1))
    })
    .await;
    let namespace = &scene.namespace;
    let wrong = DIGEST.replace('b', "c");
    namespace.apply(&model("forged", &wrong, 0)).await.unwrap();

    let models = namespace.api::<ModelDeployment>();
    let status = eventually(
        "the model is ready and its standby warm",
        DEADLINE,
        async || {
            let status = models.get("smollm").await?.status.unwrap_or_default();
            let is_true = |kind| is(&status.conditions, kind, "True");
            ensure!(is_true("Ready") && is_true("StandbyWarm"), "{status:?}");
            Ok(Some(status))
        },
    )
    .await
    .unwrap();
    assert!(is(&status.conditions, "WeightsReady", "True"), "{status:?}");
    assert_eq!((status.ready_replicas, status.standby_ready), (1, 1));
    tells_its_cold_start(namespace).await;

    scene
        .upload(&scene::records(3, |_| "saving for a first home"))
        .await;
    scene.run("real", scene::pointers(3)).await;
    let items = scene.finished("real").await;
    assert_eq!(items.accepted, 3);
    let mut written = Vec::new();
    for listed in scene.documents(None).await.unwrap() {
        let document = scene.document(&listed.id).await.unwrap();
        let document = serde_json::to_value(document).unwrap();
        if document["origin"] == "Model" {
            assert!(
                document["slots"].to_string().contains("smollm"),
                "{document:#}"
            );
            written.push(listed.id);
        }
    }
    assert!(
        !written.is_empty(),
        "the model wrote none of three: {items:?}"
    );
    for name in IN_COMMON {
        says(namespace, "smollm", name).await;
    }

    let said = eventually("the forged weights are refused", DEADLINE, async || {
        let status = models.get("forged").await?.status.unwrap_or_default();
        ensure!(
            is(&status.conditions, "WeightsReady", "False"),
            "{status:?}"
        );
        let found = status
            .conditions
            .into_iter()
            .find(|one| one.type_ == "WeightsReady");
        Ok(found.filter(|one| one.reason == "WeightsInvalid"))
    })
    .await
    .unwrap();
    assert!(
        said.message.contains(DIGEST) || said.message.contains("digest"),
        "{}",
        said.message
    );
    let status = models.get("forged").await.unwrap().status.unwrap();
    assert!(is(&status.conditions, "Ready", "False"), "{status:?}");
    assert_eq!(status.ready_replicas, 0);
}

/// Every part of the last start is known, and compared with what is promised.
async fn tells_its_cold_start(namespace: &TestNamespace) {
    let models = namespace.api::<ModelDeployment>();
    let start = eventually("the cold start is told", DEADLINE, async || {
        let status = models.get("smollm").await?.status.unwrap_or_default();
        let start = status.cold_starts.first().cloned();
        Ok(start.filter(|start| start.first_token.is_some()))
    })
    .await
    .unwrap();
    let parts = [start.node, start.image, start.weights, start.engine];
    assert!(parts.iter().all(Option::is_some), "{start:?}");
    for (limit, kept) in [("1s", "False"), ("30m", "True")] {
        let patch = format!(r#"{{"spec": {{"slo": {{"coldStart": "{limit}"}}}}}}"#);
        namespace
            .kubectl(&["patch", "mdep/smollm", "--type=merge", "-p", &patch])
            .await
            .unwrap();
        let status = eventually("the promise is compared", DEADLINE, async || {
            let status = models.get("smollm").await?.status.unwrap_or_default();
            ensure!(is(&status.conditions, "SLOMet", kept), "{status:?}");
            Ok(Some(status))
        })
        .await
        .unwrap();
        assert!(is(&status.conditions, "Ready", "True"), "{status:?}");
        assert_eq!(status.cold_starts.first(), Some(&start), "written once");
    }
}

/// A claim that somebody filled before, and a model that reads it there.
const SEEDED: &str = "
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 512Mi}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: seed}
spec:
  template:
    spec:
      restartPolicy: OnFailure
      securityContext: {runAsNonRoot: true, fsGroup: 65532, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: seed
        image: aios/inference-sidecar:dev
        args:
        - prefetch
        - --file={\"name\":\"model\",\"uri\":\"http://weights:8080/SmolLM2-135M-Instruct.Q4_1.gguf\",\"digest\":\"sha256:DIGEST\",\"path\":\"/models/small/SmolLM2-135M-Instruct.Q4_1.gguf\"}
        volumeMounts: [{name: models, mountPath: /models}]
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
      volumes: [{name: models, persistentVolumeClaim: {claimName: models}}]
";

#[tokio::test]
async fn a_model_on_a_claim_that_was_seeded_before_is_proven_and_served_without_a_download() {
    let cluster = Cluster::shared().await.unwrap();
    install(&cluster).await.unwrap();
    let namespace = TestNamespace::new(&cluster, "seeded").await.unwrap();
    namespace.apply(WEIGHTS).await.unwrap();
    namespace
        .apply(&SEEDED.replace("DIGEST", DIGEST))
        .await
        .unwrap();
    let jobs = namespace.api::<Job>();
    await_condition(&jobs, "seed", DEADLINE, is_job_completed())
        .await
        .unwrap();
    let on_claim = |name: &str, digest: &str| {
        model(name, digest, 0)
            .replace("http://weights:8080/", "pvc://models/small/")
            .replace(
                "      cache: {size: 512Mi}\n",
                "    quantization: {method: GGUF}\n",
            )
    };
    namespace.apply(&on_claim("mounted", DIGEST)).await.unwrap();
    let wrong = DIGEST.replace('b', "c");
    namespace.apply(&on_claim("forged", &wrong)).await.unwrap();

    await_reason(&namespace, "mounted", "Ready", "Ready").await;
    let refused = await_reason(&namespace, "forged", "WeightsReady", "WeightsInvalid").await;
    assert!(refused.message.contains(DIGEST), "{}", refused.message);
}

#[tokio::test]
async fn weights_behind_a_token_are_fetched_once_their_secret_is_there() {
    let cluster = Cluster::shared().await.unwrap();
    install(&cluster).await.unwrap();
    let namespace = TestNamespace::new(&cluster, "token").await.unwrap();
    let guarded = WEIGHTS.replace(
        "        imagePullPolicy: IfNotPresent\n",
        "        imagePullPolicy: IfNotPresent\n        env: [{name: SIMULATOR_BEARER_TOKEN, value: hf_test}]\n",
    );
    assert_ne!(guarded, WEIGHTS);
    namespace.apply(&guarded).await.unwrap();
    let guarded = model("guarded", DIGEST, 0).replace(
        "      cache:",
        "      credentials: {secretKeyRef: {name: hub, key: token}}\n      cache:",
    );
    namespace.apply(&guarded).await.unwrap();
    let missing = await_reason(
        &namespace,
        "guarded",
        "CredentialsReady",
        "CredentialsMissing",
    )
    .await;
    assert!(missing.message.contains("hub"), "{}", missing.message);
    let secret =
        "{apiVersion: v1, kind: Secret, metadata: {name: hub}, stringData: {token: hf_test}}";
    namespace.apply(secret).await.unwrap();
    await_reason(&namespace, "guarded", "WeightsReady", "Ready").await;
}

/// Waits until a condition of a model has a reason.
async fn await_reason(
    namespace: &TestNamespace,
    model: &str,
    kind: &str,
    reason: &str,
) -> Condition {
    let models = namespace.api::<ModelDeployment>();
    let what = format!("{model} says {kind} with {reason}");
    eventually(&what, DEADLINE, async || {
        let status = models.get(model).await?.status.unwrap_or_default();
        let mut conditions = status.conditions.iter();
        let found = conditions.find(|one| one.type_ == kind && one.reason == reason);
        ensure!(found.is_some(), "{status:?}");
        Ok(found)
    })
    .await
    .unwrap()
}

fn is(conditions: &Conditions, kind: &str, status: &str) -> bool {
    conditions
        .iter()
        .any(|one| one.type_ == kind && one.status == status)
}
