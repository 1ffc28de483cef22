//! Commands that ask a cluster, as processes, against a labelled fake of the API server on loopback.
//! It knows one pipeline and answers what these commands ask; port forwarding needs a real one.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, process::Command};

const NS: &str = "/apis/aios.dev/v1alpha1/namespaces/bank";

#[derive(Default)]
struct Seen {
    created: Vec<Value>,
    looks: usize,
}

type Shared = Arc<Mutex<Seen>>;

fn pipeline() -> Value {
    let template = |name: &str| json!({"name": name, "template": {"inline": "Hi"}});
    json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "WritingPipeline",
        "metadata": {"name": "savings", "namespace": "bank"},
        "spec": {
            "content": {"kind": "Email", "skeletons":
                [{"language": "en", "parts": [template("subject"), template("text")]}]},
            "context": [{"name": "customer", "upload": {"pointer": "customerId", "key": "id"}}],
            "models": {"draft": {"routes": [{"model": "small"}]}},
        },
        "status": {
            "observedGeneration": 1,
            "documents": {"accepted": 5, "published": 2, "refused": 1, "waiting": 1},
            "conditions": [{"type": "Ready", "status": "False", "reason": "ModelsNotReady",
                "message": "ModelDeployment small is not ready",
                "lastTransitionTime": "2026-01-01T00:00:00Z"}],
        },
    })
}

fn missing() -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
        "message": "not found", "reason": "NotFound", "code": 404});
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

fn list(items: &[Value]) -> Json<Value> {
    Json(json!({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}))
}

async fn named(Path(name): Path<String>) -> Response {
    if name == "savings" {
        Json(pipeline()).into_response()
    } else {
        missing()
    }
}

/// The run is under way at the first look and finished at the second.
async fn run(State(seen): State<Shared>, Path(name): Path<String>) -> Json<Value> {
    let mut seen = seen.lock().unwrap();
    seen.looks += 1;
    let done = seen.looks > 1;
    let condition = |kind: &str| {
        json!({"type": kind, "status": if done { "True" } else { "False" },
        "reason": "Completed", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    };
    Json(json!({
        "apiVersion": "aios.dev/v1alpha1", "kind": "WritingRun", "metadata": {"name": name},
        "spec": {"pipelineRef": {"name": "savings"}, "input": {"upload": {"context": "customer"}}},
        "status": {"items": {"accepted": 3, "drafted": 3, "published": 2, "refused": 1, "waiting": 0},
            "conditions": [condition("Finished"), condition("Succeeded")]},
    }))
}

async fn start() -> (tempfile::TempDir, Shared) {
    let seen = Shared::default();
    let app = Router::new()
        .route("/version", get(async || {
            let unknown = "x";
            Json(json!({"major": "1", "minor": "34", "gitVersion": "v1.34.0", "gitCommit": unknown,
                "gitTreeState": unknown, "buildDate": unknown, "goVersion": unknown,
                "compiler": unknown, "platform": unknown}))
        }))
        .route(&format!("{NS}/writingpipelines"), get(async || list(&[pipeline()])))
        .route(&format!("{NS}/writingpipelines/{{name}}"), get(named))
        .route(&format!("{NS}/writingruns"), get(async || list(&[])).post(
            async |State(seen): State<Shared>, Json(body): Json<Value>| {
                seen.lock().unwrap().created.push(body.clone());
                (StatusCode::CREATED, Json(body))
            },
        ))
        .route(&format!("{NS}/writingruns/{{name}}"), get(run))
        .route("/apis/authentication.k8s.io/v1/selfsubjectreviews", post(
            async |Json(mut body): Json<Value>| {
                body["status"] = json!({"userInfo": {"username": "ann"}});
                (StatusCode::CREATED, Json(body))
            },
        ))
        .route("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", post(
            async |Json(mut body): Json<Value>| {
                let resource = body["spec"]["resourceAttributes"]["resource"].clone();
                body["status"] = json!({"allowed": resource != "services"});
                (StatusCode::CREATED, Json(body))
            },
        ))
        .fallback(async |uri: Uri| {
            // A kind of which there is none; a single object of it is missing.
            let plural = uri.path().rsplit('/').next().unwrap_or_default();
            if ["modeldeployments", "policysets", "clusterpolicysets", "deployments"].contains(&plural) {
                return list(&[]).into_response();
            }
            missing()
        })
        .with_state(Arc::clone(&seen));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": {"server": format!("http://{address}")}}],
        "users": [{"name": "fake", "user": {}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake", "namespace": "bank"}}],
    });
    std::fs::write(folder.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
    (folder, seen)
}

async fn aios(folder: &tempfile::TempDir, arguments: &[&str]) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kubectl-aios"))
        .args(arguments)
        .env("KUBECONFIG", folder.path().join("kubeconfig"))
        .env_remove("AIOS_TOKEN")
        .env_remove("AIOS_SERVICE_ACCOUNT")
        .current_dir(folder.path())
        .output()
        .await
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn status_counts_and_says_why_an_object_is_not_well() {
    let (folder, _) = start().await;
    let (well, said) = aios(&folder, &["status"]).await;
    assert!(well, "{said}");
    assert!(
        said.contains("writingpipeline/savings   False   ModelsNotReady"),
        "{said}"
    );
    assert!(
        said.contains("5 accepted = 2 published + 1 refused + 1 waiting + 1 under way"),
        "{said}"
    );
    assert!(
        said.contains("ModelDeployment small is not ready"),
        "{said}"
    );
}

#[tokio::test]
async fn a_run_is_created_and_followed_to_its_end() {
    let (folder, seen) = start().await;
    let arguments = [
        "run",
        "--pipeline",
        "savings",
        "--over",
        "customer",
        "--name",
        "monday",
        "--wait",
    ];
    let (well, said) = aios(&folder, &arguments).await;
    assert!(well, "{said}");
    assert!(
        said.contains("3 accepted = 2 published + 1 refused + 0 waiting"),
        "{said}"
    );
    let created = seen.lock().unwrap().created.clone();
    assert_eq!(created[0]["metadata"]["name"], "monday");
    assert_eq!(created[0]["spec"]["author"], "ann");
    assert_eq!(
        created[0]["spec"]["input"],
        json!({"upload": {"context": "customer"}})
    );
}

#[tokio::test]
async fn a_run_that_does_not_fit_is_refused_before_anything_happens() {
    let (folder, seen) = start().await;
    std::fs::write(folder.path().join("good.ndjson"), "{\"id\": 1}\n").unwrap();
    std::fs::write(folder.path().join("bad.ndjson"), "{\"id\": 1}\n17\n").unwrap();
    let cases: [(&[&str], &str); 7] = [
        (
            &["--pipeline", "saving", "--over", "customer"],
            "has no WritingPipeline saving",
        ),
        (&["--pipeline", "savings"], "pass --upload CONTEXT=FILE"),
        (
            &["--pipeline", "savings", "--over", "client"],
            "use one of its spec.context: customer",
        ),
        (
            &["--pipeline", "savings", "--upload", "client=good.ndjson"],
            "it has customer",
        ),
        (
            &["--pipeline", "savings", "--upload", "customer=bad.ndjson"],
            "line 2: write one JSON object",
        ),
        (
            &["--pipeline", "savings", "--pointers", "good.ndjson"],
            "customerId",
        ),
        (
            &["--pipeline", "savings", "--upload", "customer=good.ndjson"],
            "--as-service-account",
        ),
    ];
    for (arguments, says) in cases {
        let (well, said) = aios(&folder, &[&["run"], arguments].concat()).await;
        assert!(!well && said.contains(says), "{arguments:?}: {said}");
    }
    assert!(seen.lock().unwrap().created.is_empty());
}

#[tokio::test]
async fn doctor_names_what_fails_with_a_remedy_and_goes_on() {
    let (folder, _) = start().await;
    let (well, said) = aios(&folder, &["doctor"]).await;
    assert!(!well, "{said}");
    for words in [
        "ok    cluster: Kubernetes v1.34.0",
        "FAIL  crd writingpipelines.aios.dev: is missing",
        "remedy: helm install aios-crds",
        "FAIL  operator: none in namespace aios-system",
        "FAIL  CA: no ConfigMap aios-ca",
        "FAIL  you may get services",
        "remedy: ask for a Role with `get` on services",
        "ok    you may create pods/portforward",
        "FAIL  objects: writingpipeline/savings ModelsNotReady",
    ] {
        assert!(said.contains(words), "{words}\n{said}");
    }
}

#[tokio::test]
async fn a_namespace_without_a_gateway_says_so() {
    let (folder, _) = start().await;
    let arguments = [
        "review",
        "list",
        "-p",
        "savings",
        "--as-service-account",
        "editor",
    ];
    let (well, said) = aios(&folder, &arguments).await;
    assert!(!well && said.contains("no ConfigMap aios-ca"), "{said}");
    assert!(said.contains("kubectl aios doctor"), "{said}");
}

#[tokio::test]
async fn without_a_cluster_the_remedy_is_named() {
    let (folder, _) = start().await;
    let (well, said) = aios(&folder, &["status", "--context", "other"]).await;
    assert!(
        !well && said.contains("kubectl config get-contexts"),
        "{said}"
    );
}
