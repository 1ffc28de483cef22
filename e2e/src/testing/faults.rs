//! What goes wrong with pods, on purpose.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Command;

use super::{Cluster, TestNamespace, eventually};
use crate::{node::cgroups, procs::output};

const REPORTED: Duration = Duration::from_secs(30);

impl TestNamespace {
    /// Sends SIGKILL to a container's processes: it has no chance to finish
    /// anything. kubelet starts it again as the pod's restart policy says.
    pub async fn kill_container(&self, pod: &str, container: &str) -> Result<()> {
        signal(self.cluster(), self.name(), (pod, container), Signal::KILL).await
    }

    /// Kills every container of a pod at once, and deletes it without grace, as
    /// when its node is lost.
    pub async fn kill_pod(&self, pod: &str) -> Result<()> {
        let pods: Api<Pod> = self.api();
        if self.cluster().is_local() {
            let found = pods.get(pod).await?;
            for container in running_containers(&found) {
                let _ = self.kill_container(pod, &container).await;
            }
        }
        pods.delete(pod, &DeleteParams::default().grace_period(0))
            .await?;
        Ok(())
    }
}

/// Stops a container's processes where they are, as a machine that hangs does.
pub async fn freeze(
    cluster: &Cluster,
    namespace: &str,
    (pod, container): (&str, &str),
) -> Result<()> {
    signal(cluster, namespace, (pod, container), Signal::STOP).await
}

/// Lets frozen processes go on, as if nothing had happened.
pub async fn thaw(
    cluster: &Cluster,
    namespace: &str,
    (pod, container): (&str, &str),
) -> Result<()> {
    signal(cluster, namespace, (pod, container), Signal::CONT).await
}

/// What a pod loses when it is cut off, in its own network.
const CUT: &str = "aios-cut";

/// Drops whatever goes between a pod and a Service's address: neither hears that the other is gone.
/// Probes and all other connections go on.
pub async fn cut_off(
    cluster: &Cluster,
    namespace: &str,
    (pod, container): (&str, &str),
    address: &str,
) -> Result<()> {
    let rules = format!(
        "table inet {CUT} {{
            chain out {{ type filter hook output priority 0; ip daddr {address} drop; }}
            chain in {{ type filter hook input priority 0; ip saddr {address} drop; }}
        }}"
    );
    nft(cluster, namespace, (pod, container), &rules).await
}

/// Lets a pod that was cut off speak again.
pub async fn rejoin(
    cluster: &Cluster,
    namespace: &str,
    (pod, container): (&str, &str),
) -> Result<()> {
    let gone = format!("delete table inet {CUT}");
    nft(cluster, namespace, (pod, container), &gone).await
}

/// Runs a command of nft(8) in a pod's network.
async fn nft(
    cluster: &Cluster,
    namespace: &str,
    (pod, container): (&str, &str),
    command: &str,
) -> Result<()> {
    let processes = processes(cluster, namespace, (pod, container)).await?;
    let network = processes
        .first()
        .map(|pid| format!("--net=/proc/{}/ns/net", pid.as_raw_nonzero()));
    let network = network.context("the container has no process")?;
    output(Command::new("nsenter").args([&network, "nft", command])).await?;
    Ok(())
}

/// Stops the node's kubelet where it is: what it is told waits until it goes on. It must go on before
/// the control plane gives the node up, within some 40 seconds.
pub fn freeze_kubelet(cluster: &Cluster) -> Result<()> {
    signal_kubelet(cluster, Signal::STOP)
}

pub fn thaw_kubelet(cluster: &Cluster) -> Result<()> {
    signal_kubelet(cluster, Signal::CONT)
}

fn signal_kubelet(cluster: &Cluster, signal: Signal) -> Result<()> {
    cluster.require_local("signals to kubelet")?;
    let config = cluster.options().dir.etc().join("kubelet.json");
    let is_kubelet = |pid: &i32| {
        let told = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        told.split('\0').any(|word| {
            let value = word.split_once('=').map_or(word, |(_, value)| value);
            std::path::Path::new(value) == config
        })
    };
    let numbers = std::fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let found: Vec<i32> = numbers.filter(is_kubelet).collect();
    ensure!(
        !found.is_empty(),
        "no kubelet runs with {}",
        config.display()
    );
    for pid in found.into_iter().filter_map(Pid::from_raw) {
        kill_process(pid, signal)?;
    }
    Ok(())
}

async fn signal(
    cluster: &Cluster,
    namespace: &str,
    (pod, container): (&str, &str),
    signal: Signal,
) -> Result<()> {
    for pid in processes(cluster, namespace, (pod, container)).await? {
        // One that has ended meanwhile needs no signal.
        let _ = kill_process(pid, signal);
    }
    Ok(())
}

async fn processes(
    cluster: &Cluster,
    namespace: &str,
    (pod, container): (&str, &str),
) -> Result<Vec<Pid>> {
    cluster.require_local("reaching a container's processes")?;
    let pods = Api::<Pod>::namespaced(cluster.client(), namespace);
    // A container is at work before kubelet has said so.
    let id = eventually(&format!("{pod}/{container} runs"), REPORTED, async || {
        Ok(container_id(&pods.get(pod).await?, container))
    })
    .await?;
    let processes = cgroups::processes_of(&cluster.options().dir.cgroup(), &id);
    ensure!(!processes.is_empty(), "{pod}/{container} has no process");
    Ok(processes.into_iter().filter_map(Pid::from_raw).collect())
}

/// `containerd://ID`, without the scheme; none unless the container runs.
fn container_id(pod: &Pod, container: &str) -> Option<String> {
    statuses(pod)
        .find(|status| status.name == container && is_running(status))
        .and_then(|status| status.container_id.as_deref())
        .and_then(|id| id.split_once("://"))
        .map(|(_, id)| id.to_owned())
}

fn running_containers(pod: &Pod) -> Vec<String> {
    statuses(pod)
        .filter(|status| is_running(status))
        .map(|status| status.name.clone())
        .collect()
}

fn is_running(status: &k8s_openapi::api::core::v1::ContainerStatus) -> bool {
    status
        .state
        .as_ref()
        .is_some_and(|state| state.running.is_some())
}

/// Native sidecars are among the init containers.
fn statuses(pod: &Pod) -> impl Iterator<Item = &k8s_openapi::api::core::v1::ContainerStatus> {
    let status = pod.status.as_ref();
    let main = status.and_then(|status| status.container_statuses.as_ref());
    let init = status.and_then(|status| status.init_container_statuses.as_ref());
    main.into_iter().chain(init).flatten()
}
