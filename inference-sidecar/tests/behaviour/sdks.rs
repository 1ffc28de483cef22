//! The providers' own SDKs for Python run unchanged against an egress and ingresses, before simulated models of
//! both dialects.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use aios_inference_sidecar::{
    client::Client,
    config::Live,
    ingress::{self, Admission, Ingress},
    metrics::Metrics,
    snapshot::Scope,
};
use aios_proto::control::{ItemKind, Snapshot};
use aios_runtime::serve::Peer;
use aios_simulator::{Listen, Served, model, start};
use axum::Extension;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::world::{self, World, init, item, serve, with};

/// Stand-ins for models, an ingress before each, and an egress before those.
struct Models {
    world: World,
    failing: Served,
    _others: [Served; 2],
}

impl Models {
    async fn start() -> Self {
        init();
        let (writer, failing, breaking) = (simulator().await, simulator().await, simulator().await);
        fault(&failing, json!({"kind": "ServerError"})).await;
        fault(&breaking, json!({"kind": "Cut", "afterTokens": 2})).await;
        let models = vec![
            deployment("gpt", &writer, "OpenAI").await,
            deployment("claude", &writer, "Anthropic").await,
            deployment("failing", &failing, "OpenAI").await,
            deployment("breaking", &breaking, "OpenAI").await,
        ];
        Self {
            world: World::start(models, json!([{"model": "gpt"}])).await,
            failing,
            _others: [writer, breaking],
        }
    }

    /// Calls that reached the model that fails.
    async fn calls_in_vain(&self) -> u64 {
        let url = format!("{}/simulator/calls", self.failing.url());
        let log: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        log["counts"]["received"].as_u64().unwrap()
    }
}

async fn simulator() -> Served {
    let app = model::router(model::Settings::default()).unwrap();
    start(app, &Listen::loopback(), &CancellationToken::new())
        .await
        .unwrap()
}

async fn fault(simulator: &Served, fault: Value) {
    let url = format!("{}/simulator/faults", simulator.url());
    let rules = json!([{ "fault": fault }]);
    let set = reqwest::Client::new().post(url).json(&rules).send().await;
    assert!(set.unwrap().status().is_success());
}

/// A model with its ingress, which takes every caller for one of its namespace.
async fn deployment(name: &str, simulator: &Served, dialect: &str) -> Value {
    let model = with(
        world::model(name, &simulator.url()),
        "upstream.dialect",
        json!(dialect),
    );
    let patient = json!({"timeout": "60s", "firstTokenTimeout": "60s", "retries": 0});
    let model = with(model, "resilience", patient);
    let limits = json!({"contextTokens": 4096, "maxOutputTokens": 512, "maxInFlight": 16});
    let model = with(model, "limits", limits);
    let metrics = Arc::new(Metrics::new(&mut Registry::default()));
    let scope = Scope::Ingress {
        model: name.to_owned(),
        engine: None,
    };
    let live = Live::new(scope, None, metrics.clone());
    let items = vec![item(ItemKind::Model, name, &model)];
    live.apply(&Snapshot { sequence: 1, items });
    let ingress = Ingress {
        namespace: "acme".to_owned(),
        model: name.to_owned(),
        live,
        client: Client::new(None, Duration::from_secs(2)).unwrap(),
        key: None,
        bed: None,
        admission: Admission::new(metrics.clone()),
        admission_wait: Duration::from_mins(1),
        metrics,
    };
    let peer = Peer {
        addr: ([127, 0, 0, 1], 0).into(),
        uris: vec!["spiffe://aios/ns/acme".to_owned()],
    };
    let app = ingress::router(Arc::new(ingress)).layer(Extension(peer));
    with(model, "endpoint", json!(serve(app).await))
}

/// Runs a script of folder `sdks` against the egress.
async fn run(script: &'static str, base: &str) {
    let base = base.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut python = Command::new("python3");
        python
            .arg(folder().join(script))
            .arg(base)
            .env("PYTHONPATH", packages())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1");
        said(python)
    });
    let (ran, said) = ran.await.unwrap();
    assert!(ran.status.success(), "{said}");
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdks")
}

/// The SDKs for this machine's Python, fetched once and kept with the project's other tools.
fn packages() -> PathBuf {
    let requirements = folder().join("requirements.txt");
    let digest = hex::encode(Sha256::digest(fs::read(&requirements).unwrap()));
    let mut python = Command::new("python3");
    python.args([
        "-c",
        "import sys; print('%d.%d' % sys.version_info[:2], end='')",
    ]);
    let (_, version) = said(python);
    let tools = cache().join("tools");
    let path = tools.join(format!("python-sdks-{version}-{}", &digest[..16]));
    if path.is_dir() {
        return path;
    }
    fs::create_dir_all(&tools).unwrap();
    let unfinished = tempfile::tempdir_in(&tools).unwrap();
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps"])
        .args(["--disable-pip-version-check", "--only-binary", ":all:"])
        .args(["--require-hashes", "-r"])
        .arg(&requirements)
        .arg("--target")
        .arg(unfinished.path());
    let (installed, said) = said(pip);
    assert!(installed.status.success(), "{said}");
    // Another test may have been faster.
    if fs::rename(unfinished.keep(), &path).is_err() {
        assert!(path.is_dir(), "{}", path.display());
    }
    path
}

fn cache() -> PathBuf {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    let below = |name, rest: &str| variable(name).map(|path| PathBuf::from(path).join(rest));
    below("AIOS_CACHE", "")
        .or_else(|| below("XDG_CACHE_HOME", "aios"))
        .or_else(|| below("HOME", ".cache/aios"))
        .unwrap()
}

fn said(mut command: Command) -> (Output, String) {
    let output = command
        .stdin(Stdio::null())
        .output()
        .expect("python3 with pip is needed: install python3-pip");
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output, said)
}

#[tokio::test]
async fn openais_sdk_runs_unchanged() {
    let models = Models::start().await;
    run("openai_sdk.py", &models.world.base).await;
    assert_eq!(models.calls_in_vain().await, 1, "the SDK tried again");
}

#[tokio::test]
async fn anthropics_sdk_runs_unchanged() {
    let models = Models::start().await;
    run("anthropic_sdk.py", &models.world.base).await;
    assert_eq!(models.calls_in_vain().await, 1, "the SDK tried again");
}
