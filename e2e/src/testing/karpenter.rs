//! The real Karpenter with its kwok provider, and KWOK, which plays its nodes and their pods. Both
//! run on this machine as clients of the cluster, and end with the test that started them.

use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::{Cluster, apply_yaml, eventually};
use crate::procs::Group;
use crate::tools::{Tool, lock};

const DEADLINE: Duration = Duration::from_mins(1);
/// Label of nodes and NodeClaims.
const OF_POOL: &str = "karpenter.sh/nodepool";
const KINDS: [&str; 5] = [
    "nodepools.karpenter.sh",
    "nodeclaims.karpenter.sh",
    "nodeoverlays.karpenter.sh",
    "kwoknodeclasses.karpenter.kwok.sh",
    "capacitybuffers.autoscaling.x-k8s.io",
];
const NAMESPACE: &str = "karpenter";
const NODE_CLASS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: karpenter}
---
apiVersion: karpenter.kwok.sh/v1alpha1
kind: KWOKNodeClass
metadata: {name: gpu}
---
apiVersion: karpenter.kwok.sh/v1alpha1
kind: KWOKNodeClass
metadata: {name: slow}
spec: {nodeRegistrationDelay: 10s}
";

/// Leave to install Karpenter, of which a cluster has one: tests that want it wait for each other.
pub struct Karpenter {
    cluster: Cluster,
    _alone: File,
    running: Option<Running>,
}

struct Running {
    _processes: [Group; 2],
    _files: TempDir,
}

impl Karpenter {
    /// Not installed: what an interrupted test left is removed.
    ///
    /// # Errors
    /// If the cluster is not local.
    pub async fn absent(cluster: &Cluster) -> Result<Self> {
        cluster.require_local("Karpenter and KWOK")?;
        let alone = lock(
            &cluster
                .options()
                .dir
                .lock()
                .with_extension("karpenter.lock"),
        )
        .await?;
        clear(cluster).await?;
        Ok(Self {
            cluster: cluster.clone(),
            _alone: alone,
            running: None,
        })
    }

    /// Installs the kinds and starts both.
    pub async fn start(&mut self) -> Result<()> {
        let (karpenter, kwok) = (Tool::Karpenter.ensure().await?, Tool::Kwok.ensure().await?);
        let client = self.cluster.client();
        for file in fs::read_dir(karpenter.join("crds"))? {
            let kind = fs::read_to_string(file?.path())?;
            apply_yaml(&client, None, &kind).await?;
        }
        eventually("the node class is taken", DEADLINE, async || {
            apply_yaml(&client, None, NODE_CLASS).await.map(Some)
        })
        .await?;
        let files = TempDir::new()?;
        let instances = files.path().join("instances.json");
        fs::write(&instances, instance_types().to_string())?;
        let mut maker = self.program(&karpenter.join("karpenter"), "karpenter")?;
        maker
            .env("SYSTEM_NAMESPACE", NAMESPACE)
            .env("DISABLE_LEADER_ELECTION", "true")
            .env("INSTANCE_TYPES_FILE_PATH", instances)
            .env("FEATURE_GATES", "CapacityBuffer=true")
            .env("METRICS_PORT", "0")
            .env("HEALTH_PROBE_PORT", "0");
        let mut player = self.program(&kwok.join("kwok"), "kwok")?;
        player
            .arg("--kubeconfig")
            .arg(self.cluster.kubeconfig())
            .arg("--config")
            .arg(kwok.join("stages.yaml"))
            .arg("--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake")
            // Without leases Kubernetes takes a node for lost after 50 seconds.
            .arg("--node-lease-duration-seconds=40");
        self.running = Some(Running {
            _processes: [Group::spawn(&mut maker)?, Group::spawn(&mut player)?],
            _files: files,
        });
        Ok(())
    }

    /// Ends both and removes the kinds.
    pub async fn stop(mut self) -> Result<()> {
        self.running = None;
        clear(&self.cluster).await
    }

    /// A program that ends with the thread of the test, even if that is killed. It logs where the
    /// node's components do.
    fn program(&self, program: &Path, name: &str) -> Result<Command> {
        let log = self
            .cluster
            .options()
            .dir
            .logs()
            .join(format!("{name}.log"));
        let log = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = self.cluster.command("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(program)
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .stdout(log);
        Ok(command)
    }
}

/// Nodes with one GPU, and in another zone dearer ones with four.
fn instance_types() -> Value {
    let instance = |name: &str, gpus: u8, price: f64, zone: &str| {
        json!({
            "name": name, "architecture": "amd64", "operatingSystems": ["linux"],
            "resources": {"cpu": "16", "memory": "64Gi", "pods": "110",
                "ephemeral-storage": "100Gi", "nvidia.com/gpu": gpus.to_string()},
            "offerings": [{"Price": price, "Available": true, "Requirements": [
                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
                {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]},
            ]}],
        })
    };
    json!([
        instance("gpu-l4-1", 1, 1.0, "zone-a"),
        instance("gpu-l4-4", 4, 3.5, "zone-b"),
    ])
}

/// Removes nodes and kinds. Without Karpenter nobody takes its finalizers off.
async fn clear(cluster: &Cluster) -> Result<()> {
    let definitions = Api::<CustomResourceDefinition>::all(cluster.client());
    let mut listed = vec!["nodes".to_owned()];
    for kind in ["nodepools.karpenter.sh", "nodeclaims.karpenter.sh"] {
        if definitions.get_opt(kind).await?.is_some() {
            listed.push(kind.to_owned());
        }
    }
    for kind in listed {
        let mut ask = vec!["get", &kind, "-o", "name"];
        if kind != "nodepools.karpenter.sh" {
            ask.extend(["-l", OF_POOL]);
        }
        for object in cluster.kubectl(&ask).await?.lines() {
            // One that goes meanwhile is what is wanted.
            let _ = cluster.kubectl(&["delete", object, "--wait=false"]).await;
            let none = "{\"metadata\":{\"finalizers\":null}}";
            let _ = cluster
                .kubectl(&["patch", object, "--type=merge", "-p", none])
                .await;
        }
    }
    let delete = ["delete", "crd", "--ignore-not-found"];
    cluster.kubectl(&[&delete[..], &KINDS].concat()).await?;
    Ok(())
}
