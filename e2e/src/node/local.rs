//! A local cluster from its beginning to its end.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};

use super::components::Programs;
use super::{API_ADDRESS, bootstrap, cgroups, config, host, pki, preflight};
use crate::files::ClusterDir;
use crate::images;
use crate::procs::{self, Handle};
use crate::progress::step;
use crate::tools::{self, Tool};

const END_DEADLINE: Duration = Duration::from_secs(20);

/// Brings the cluster up unless it is; everything but the project's images.
pub async fn up(dir: &ClusterDir) -> Result<()> {
    preflight::check(dir)?;
    let _lock = tools::lock(&dir.lock()).await?;
    if is_up(dir) {
        return Ok(());
    }
    let programs = Programs {
        kubernetes: Tool::Kubernetes.ensure().await?,
        etcd: Tool::Etcd.ensure().await?,
        coredns: Tool::CoreDns.ensure().await?,
    };
    Tool::Pause.ensure().await?;
    take_down(dir).await?;
    step(
        &format!("start Kubernetes ({})", dir.name()),
        start(dir, &programs),
    )
    .await
}

/// Whether the cluster is up and its keeper alive.
pub fn is_up(dir: &ClusterDir) -> bool {
    dir.ready().exists() && Handle::read(&dir.handle()).is_some_and(Handle::is_alive)
}

/// Ends the cluster and removes all it has left.
pub async fn down(dir: &ClusterDir) -> Result<()> {
    let _lock = tools::lock(&dir.lock()).await?;
    if !dir.root().exists() {
        eprintln!("  • no cluster named {}", dir.name());
        return Ok(());
    }
    step(&format!("take down {}", dir.name()), take_down(dir)).await
}

async fn take_down(dir: &ClusterDir) -> Result<()> {
    if let Some(keeper) = Handle::read(&dir.handle()) {
        keeper.signal(Signal::TERM)?;
        if !keeper.ended_within(END_DEADLINE).await {
            keeper.signal(Signal::KILL)?;
        }
    }
    clean(dir, true).await
}

/// Removes what a cluster that has ended leaves: cgroups and files. After a
/// failure the components' logs stay, to be read.
pub async fn clean(dir: &ClusterDir, leave_nothing: bool) -> Result<()> {
    cgroups::remove(&dir.cgroup(), END_DEADLINE).await?;
    let entries = match fs::read_dir(dir.root()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for entry in entries
        .flatten()
        .filter(|entry| leave_nothing || entry.path() != dir.logs())
    {
        let path = entry.path();
        let removed = if entry.file_type()?.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    if leave_nothing {
        let _ = fs::remove_dir(dir.root());
    }
    Ok(())
}

async fn start(dir: &ClusterDir, programs: &Programs) -> Result<()> {
    prepare(dir)?;
    let (mut keeper, mut input) = host::spawn(dir, programs)?;
    let standing = async {
        images::load_pause(dir).await?;
        bootstrap::run(dir).await
    };
    let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    let outcome = tokio::select! {
        outcome = standing => outcome,
        ended = keeper.wait() => Err(anyhow::anyhow!("the node has ended ({ended:?})")),
        _ = &mut interrupted => {
            abandon(dir, &mut keeper, input).await?;
            bail!("interrupted");
        }
    };
    if let Err(error) = outcome {
        let said = last_words(&dir.logs());
        let _ = input
            .write_all(format!("{}\n", host::LEAVE_LOGS).as_bytes())
            .await;
        abandon(dir, &mut keeper, input).await?;
        bail!("{error:#}{said}");
    }
    fs::write(dir.ready(), "")?;
    input
        .write_all(format!("{}\n", host::KEEP).as_bytes())
        .await?;
    Ok(())
}

/// Without its input the keeper ends, and takes everything with it.
async fn abandon(dir: &ClusterDir, keeper: &mut Child, input: ChildStdin) -> Result<()> {
    drop(input);
    if tokio::time::timeout(END_DEADLINE, keeper.wait())
        .await
        .is_err()
    {
        keeper.kill().await?;
        clean(dir, false).await?;
    }
    Ok(())
}

fn prepare(dir: &ClusterDir) -> Result<()> {
    let cni = preflight::cni_plugins().context("the CNI plugins have gone")?;
    let (etc, pki_folder) = (dir.etc(), dir.pki());
    for folder in [
        dir.run(),
        dir.var_lib(),
        dir.var_log(),
        dir.logs(),
        dir.volumes(),
        etc.join("cni"),
    ] {
        fs::create_dir_all(folder)?;
    }
    pki::write(&pki_folder)?;
    cgroups::create(&dir.cgroup())?;
    let server = format!("https://{API_ADDRESS}");
    let kubeconfig_of = |identity: &str| etc.join(format!("{identity}.kubeconfig"));
    for identity in [
        "controller-manager",
        "scheduler",
        "kubelet",
        "proxy",
        "coredns",
    ] {
        fs::write(
            kubeconfig_of(identity),
            config::kubeconfig(&server, &pki_folder, identity),
        )?;
    }
    let snapshotter = preflight::snapshotter(dir.root())?;
    fs::write(etc.join("audit-policy.json"), config::audit_policy())?;
    fs::write(
        etc.join("kubelet.json"),
        config::kubelet(&pki_folder, &etc, &dir.cgroup()),
    )?;
    fs::write(
        etc.join("kube-proxy.json"),
        config::kube_proxy(&kubeconfig_of("proxy")),
    )?;
    fs::write(
        etc.join("containerd.toml"),
        config::containerd(&etc, &cni, snapshotter),
    )?;
    fs::write(etc.join("cni").join("10-pods.conflist"), config::cni())?;
    fs::write(etc.join("hosts"), "")?;
    fs::write(
        etc.join("Corefile"),
        config::corefile(&kubeconfig_of("coredns"), &etc.join("hosts")),
    )?;
    fs::write(etc.join("resolv.conf"), config::resolv_conf())?;
    Ok(())
}

/// The ends of the components' logs, for whoever reads why `up` failed.
fn last_words(logs: &Path) -> String {
    let mut files: Vec<_> = fs::read_dir(logs)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let said = files.iter().map(|file| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        format!("\n--- {name}\n{}", procs::tail(file, 4))
    });
    format!("{}\nThe logs: {}", said.collect::<String>(), logs.display())
}
