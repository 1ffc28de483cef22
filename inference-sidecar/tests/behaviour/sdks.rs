//! The providers' own SDKs for Python and Node run unchanged against an egress and ingresses, before simulated models of
//! both dialects.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use aios_simulator::{Listen, Served, model, start};
use rstest::rstest;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::world::{self, World, init, with};

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

/// A model with its ingress.
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
    let endpoint = world::ingress(&model).await;
    with(model, "endpoint", json!(endpoint))
}

/// Runs a script of folder `sdks` against the egress.
async fn run(language: Language, script: &'static str, base: &str) {
    let base = base.to_owned();
    let ran = tokio::task::spawn_blocking(move || {
        let mut command = language.command(script);
        command
            .arg(base)
            .env("NO_PROXY", "127.0.0.1")
            .env("no_proxy", "127.0.0.1");
        said(command, language)
    });
    let (ran, said) = ran.await.unwrap();
    assert!(ran.status.success(), "{said}");
}

/// What an SDK is written for.
#[derive(Clone, Copy, Debug)]
enum Language {
    Python,
    Node,
}

impl Language {
    /// Before the base URL.
    fn command(self, script: &str) -> Command {
        match self {
            Self::Python => {
                let mut python = Command::new("python3");
                python
                    .arg(folder().join(script))
                    .env("PYTHONPATH", self.packages())
                    .env("PYTHONDONTWRITEBYTECODE", "1");
                python
            }
            // Modules are looked for beside the file that names them.
            Self::Node => {
                let mut node = Command::new("node");
                node.arg(self.packages().join(script));
                node
            }
        }
    }

    /// Its SDKs, fetched once and kept with the project's other tools, by the digest of what names them.
    fn packages(self) -> PathBuf {
        let (name, files): (String, &[&str]) = match self {
            Self::Python => (
                format!("python-sdks-{}", python_version()),
                &["requirements.txt"],
            ),
            Self::Node => (
                "node-sdks".to_owned(),
                &[
                    "node/package.json",
                    "node/package-lock.json",
                    "node/checks.mjs",
                    "node/openai_sdk.mjs",
                    "node/anthropic_sdk.mjs",
                ],
            ),
        };
        let bytes = files.iter().map(|file| fs::read(folder().join(file)));
        let bytes: Vec<u8> = bytes.flat_map(Result::unwrap).collect();
        let digest = hex::encode(Sha256::digest(bytes));
        let tools = cache().join("tools");
        let path = tools.join(format!("{name}-{}", &digest[..16]));
        if path.is_dir() {
            return path;
        }
        fs::create_dir_all(&tools).unwrap();
        let unfinished = tempfile::tempdir_in(&tools).unwrap();
        let (installed, said) = said(self.install(unfinished.path(), files), self);
        assert!(installed.status.success(), "{said}");
        // Another test may have been faster.
        if fs::rename(unfinished.keep(), &path).is_err() {
            assert!(path.is_dir(), "{}", path.display());
        }
        path
    }

    fn install(self, to: &Path, files: &[&str]) -> Command {
        match self {
            Self::Python => {
                let mut pip = Command::new("python3");
                pip.args(["-m", "pip", "install", "--quiet", "--no-deps"])
                    .args(["--disable-pip-version-check", "--only-binary", ":all:"])
                    .args(["--require-hashes", "-r"])
                    .arg(folder().join("requirements.txt"))
                    .arg("--target")
                    .arg(to);
                pip
            }
            Self::Node => {
                for file in files {
                    let name = Path::new(file).file_name().unwrap();
                    fs::copy(folder().join(file), to.join(name)).unwrap();
                }
                let mut npm = Command::new("npm");
                npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
                    .args(["--no-update-notifier", "--loglevel", "error", "--prefix"])
                    .arg(to);
                npm
            }
        }
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sdks")
}

fn python_version() -> String {
    let mut python = Command::new("python3");
    python.args([
        "-c",
        "import sys; print('%d.%d' % sys.version_info[:2], end='')",
    ]);
    said(python, Language::Python).1
}

fn cache() -> PathBuf {
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    let below = |name, rest: &str| variable(name).map(|path| PathBuf::from(path).join(rest));
    below("AIOS_CACHE", "")
        .or_else(|| below("XDG_CACHE_HOME", "aios"))
        .or_else(|| below("HOME", ".cache/aios"))
        .unwrap()
}

fn said(mut command: Command, language: Language) -> (Output, String) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| {
        let needed = match language {
            Language::Python => "python3 with pip is needed: install python3-pip",
            Language::Node => "node with npm is needed: install nodejs and npm",
        };
        panic!("{needed} ({error})")
    });
    let said = [&output.stdout[..], &output.stderr[..]].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output, said)
}

/// So that a field that they add is given a row in the tables of translation. `UPDATE_GOLDEN=1` writes it anew.
#[test]
fn what_is_published_is_what_the_sdks_know() {
    let (made, text) = said(Language::Python.command("published.py"), Language::Python);
    assert!(made.status.success(), "{text}");
    let file = folder().join("published.json");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &text).unwrap();
    }
    assert_eq!(fs::read_to_string(file).unwrap(), text);
}

#[rstest]
#[case::openai_python(Language::Python, "openai_sdk.py")]
#[case::anthropic_python(Language::Python, "anthropic_sdk.py")]
#[case::openai_node(Language::Node, "openai_sdk.mjs")]
#[case::anthropic_node(Language::Node, "anthropic_sdk.mjs")]
#[tokio::test]
async fn official_sdks_run_unchanged(#[case] language: Language, #[case] script: &'static str) {
    let models = Models::start().await;
    run(language, script, &models.world.base).await;
    assert_eq!(models.calls_in_vain().await, 1, "the SDK tried again");
}
