//! Tools that start a run and wait for its end, as examples/workflows says, each with the rights that are
//! named there. Argo Workflows, Tekton and Airflow themselves are not here.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use aios_e2e::eventually;
use aios_e2e::tools::Tool;
use anyhow::{Result, ensure};
use jiff::Timestamp;
use scene::{DEADLINE, PIPELINE, Scene, records};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const RIGHTS: &str = include_str!("../../examples/workflows/rights.yaml");
const ARGO: &str = include_str!("../../examples/workflows/argo.yaml");
const TEKTON: &str = include_str!("../../examples/workflows/tekton.yaml");
const AIRFLOW: &str = include_str!("../../examples/workflows/airflow.py");
/// What Airflow does with the tasks of a file: it runs one after the other, and a sensor until it is true.
const AIRFLOWS_STAND_IN: &str = r#"
import sys, time, types
from kubernetes import client, config

class Fail(Exception): pass
class Hook: custom_object_client = property(lambda self: client.CustomObjectsApi())
class task:
    def __new__(cls, function): return function
    sensor = staticmethod(lambda **_: lambda function: function)

def module(name, **members):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)

module("airflow.sdk", task=task, dag=lambda **_: lambda function: lambda: None)
module("airflow.sdk.exceptions", AirflowFailException=Fail)
module("airflow.providers.cncf.kubernetes.hooks.kubernetes", KubernetesHook=Hook)
config.load_kube_config()
tasks = {}
exec(open(sys.argv[1]).read(), tasks)
name = tasks["start"](sys.argv[2])
try:
    while not tasks["written"](name): time.sleep(1)
    print("Succeeded")
except Fail: print("Failed")
"#;

#[tokio::test]
async fn workflow_engines_end_as_the_run_ends_that_they_started() {
    let stage = Stage::open().await;
    let long_ago = "2026-01-01T00:00:00Z".to_owned();
    let soon = (Timestamp::now() + Duration::from_hours(2)).to_string();
    for (deadline, outcome) in [(soon, "Succeeded"), (long_ago, "Failed")] {
        let ended = tokio::try_join!(
            stage.argo(&deadline),
            stage.tekton(&deadline),
            stage.airflow(&deadline),
        );
        let (argo, tekton, airflow) = ended.unwrap();
        assert_eq!([&argo, &tekton, &airflow], [outcome; 3]);
    }
    let received = stage.scene.received().await;
    assert_eq!((received.posts, received.documents), (6, 6));
}

#[tokio::test]
async fn kubectl_waits_for_each_stage_of_a_run_and_for_it_to_go() {
    let stage = Stage::open().await;
    let create = async |name: &str, more: &str| {
        let run = format!(
            "{{apiVersion: aios.dev/v1alpha1, kind: WritingRun, metadata: {{name: {name}}}, spec: \
             {{pipelineRef: {{name: {PIPELINE}}}, input: {{upload: {{context: customer}}}}{more}}}}}"
        );
        let create = ["create", "-f", "-"];
        stage.kubectl(&create, &run).await.unwrap();
    };
    let wait = async |run: &str, what: &str| {
        let (run, what) = (format!("writingrun/{run}"), format!("--for={what}"));
        let wait = ["wait", &run, &what, "--timeout=4m"];
        stage.kubectl(&wait, "").await.unwrap()
    };
    create("monday", "").await;
    for what in [
        "condition=Drafted",
        "condition=Finished",
        "condition=Succeeded",
        "jsonpath={.status.outcome}=Succeeded",
    ] {
        let said = wait("monday", what).await;
        assert!(said.contains("condition met"), "{what}: {said}");
    }

    create("brief", ", ttlSecondsAfterFinished: 5").await;
    wait("brief", "delete").await;
    // Its documents stay, and the other run, too.
    stage.scene.documents_in("Published", 4).await;
    wait("monday", "condition=Finished").await;
}

struct Stage {
    scene: Scene,
    files: TempDir,
}

impl Stage {
    /// The quickstart with two records, and a kubeconfig of ServiceAccount `starter`.
    async fn open() -> Self {
        let scene = Scene::open("workflows").await;
        scene.upload(&records(2, |_| "saving")).await;
        scene.namespace.apply(RIGHTS).await.unwrap();
        let files = TempDir::new().unwrap();
        let view = [
            "config",
            "view",
            "--raw",
            "--minify",
            "--flatten",
            "-o",
            "json",
        ];
        let config = scene.namespace.kubectl(&view).await.unwrap();
        let mut config: Value = serde_json::from_str(&config).unwrap();
        let token = ["create", "token", "starter", "--duration=1h"];
        let token = scene.namespace.kubectl(&token).await.unwrap();
        config["users"][0]["user"] = json!({"token": token.trim()});
        config["contexts"][0]["context"]["namespace"] = json!(scene.namespace.name());
        let stage = Self { scene, files };
        stage.file("kubeconfig", &config.to_string());
        stage
    }

    /// How the run ended as Argo Workflows judges it.
    async fn argo(&self, deadline: &str) -> Result<String> {
        let workflow: Value = serde_saphyr::from_str(ARGO)?;
        let resource = &workflow["spec"]["templates"][0]["resource"];
        let text = |key: &str| resource[key].as_str().unwrap();
        let manifest = text("manifest").replace("{{inputs.parameters.deadline}}", deadline);
        let create = [text("action"), "-o", "json", "-f", "-"];
        let made: Value = serde_json::from_str(&self.kubectl(&create, &manifest).await?)?;
        let name = made["metadata"]["name"].as_str().unwrap();
        // Where Argo's executor looks, too: it has the plural from the kind.
        let path = format!(
            "/apis/aios.dev/v1alpha1/namespaces/{}/writingruns/{name}",
            self.scene.namespace.name()
        );
        let judge = Tool::ArgoConditions.ensure().await?.join("argo-conditions");
        eventually("Argo judges the run", DEADLINE, async || {
            let run = self.kubectl(&["get", "--raw", &path], "").await?;
            let mut judge = self.command(&judge);
            judge.args(["successCondition", "failureCondition"].map(text));
            let verdict = feed(judge, &run).await?;
            Ok(Some(verdict).filter(|verdict| verdict != "Running"))
        })
        .await
    }

    /// How the step of the Tekton task ended.
    async fn tekton(&self, deadline: &str) -> Result<String> {
        let task: Value = serde_saphyr::from_str(TEKTON)?;
        let step = &task["spec"]["steps"][0];
        let variable = &step["env"][0];
        assert_eq!(variable["value"], "$(params.deadline)");
        let script = self.file("step.sh", step["script"].as_str().unwrap());
        let mut shell = self.command("sh".as_ref());
        shell.arg(script);
        shell.env(variable["name"].as_str().unwrap(), deadline);
        let ended = output(shell, "").await?;
        let said = String::from_utf8_lossy(&ended.stdout).into_owned();
        ensure!(said.contains("condition met"), "{ended:?}");
        Ok(if ended.status.success() {
            "Succeeded".to_owned()
        } else {
            "Failed".to_owned()
        })
    }

    /// How the tasks of the DAG for Airflow ended.
    async fn airflow(&self, deadline: &str) -> Result<String> {
        let here = format!("{:?}", self.scene.namespace.name());
        let dag = AIRFLOW.replace("\"writing\"", &here);
        assert_ne!(dag, AIRFLOW);
        let (dag, runner) = (
            self.file("dag.py", &dag),
            self.file("airflow.py", AIRFLOWS_STAND_IN),
        );
        let mut python = self.command("python3".as_ref());
        python.arg(runner).arg(dag).arg(deadline);
        python.env("PYTHONPATH", Tool::PythonKubernetes.ensure().await?);
        feed(python, "").await
    }

    async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut kubectl = self.command("kubectl".as_ref());
        kubectl.args(arguments);
        feed(kubectl, input).await
    }

    /// A program with the rights of ServiceAccount `starter`.
    fn command(&self, program: &Path) -> Command {
        let mut command = self.scene.namespace.cluster().command(program);
        command.env("KUBECONFIG", self.files.path().join("kubeconfig"));
        command
    }

    fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}

/// What a program that must not fail printed.
async fn feed(command: Command, input: &str) -> Result<String> {
    let done = output(command, input).await?;
    ensure!(done.status.success(), "{done:?}");
    Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

async fn output(mut command: Command, input: &str) -> Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    Ok(child.wait_with_output().await?)
}
