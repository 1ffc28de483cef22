//! The keeper outside the namespaces: it holds the node, carries the API
//! server's port to loopback, and provides volumes. When it ends, all ends.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::components::Programs;
use super::{API_ADDRESS, config, local, relay, volumes};
use crate::files::ClusterDir;
use crate::procs::{self, Handle};

/// What `up` says once the cluster stands, so that it outlives `up`.
pub const KEEP: &str = "keep";
/// What `up` says when it has failed, so that the components' logs can be read.
pub const LEAVE_LOGS: &str = "leave logs";

const NODE_DEADLINE: Duration = Duration::from_secs(5);

/// Keeps the node until told to end, or until `up` has gone before it said [`KEEP`].
pub async fn run(dir: &ClusterDir, programs: &Programs) -> Result<()> {
    fs::write(dir.handle(), serde_json::to_vec(&Handle::current()?)?)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = format!("https://{}", listener.local_addr()?);
    fs::write(
        dir.kubeconfig(),
        config::kubeconfig(&server, &dir.pki(), "admin"),
    )?;
    let (mut node, keeper) = start_node(dir, programs)?;

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let socket = dir.dial_socket();
    let (outcome, leave_nothing) = tokio::select! {
        _ = terminate.recv() => (Ok(()), true),
        _ = interrupt.recv() => (Ok(()), true),
        leave_logs = abandoned() => (Ok(()), !leave_logs),
        ended = node.wait() => (Err(anyhow::anyhow!("the node has ended: {ended:?}")), false),
        outcome = relay::serve_outside(listener, &socket, API_ADDRESS) => (outcome, false),
        outcome = volumes::provide(dir) => (outcome, false),
    };
    end_node(&mut node, keeper).await?;
    local::clean(dir, leave_nothing).await?;
    outcome
}

fn start_node(dir: &ClusterDir, programs: &Programs) -> Result<(Child, ChildStdin)> {
    let mut node = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--",
        ])
        .arg(std::env::current_exe()?)
        .args(["init", "--name", dir.name()])
        .args(programs.to_args())
        .stdin(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot start unshare")?;
    let keeper = node
        .stdin
        .take()
        .context("the node has no standard input")?;
    Ok((node, keeper))
}

async fn end_node(node: &mut Child, keeper: ChildStdin) -> Result<()> {
    drop(keeper);
    if tokio::time::timeout(NODE_DEADLINE, node.wait())
        .await
        .is_err()
    {
        node.kill().await?;
    }
    Ok(())
}

/// Ends if standard input ends before [`KEEP`]; after it, never. Says whether
/// to leave the logs.
async fn abandoned() -> bool {
    let Ok(input) = procs::piped_input() else {
        return true;
    };
    let mut lines = BufReader::new(input).lines();
    let mut leave_logs = false;
    while let Ok(Some(line)) = lines.next_line().await {
        if line == KEEP {
            std::future::pending::<()>().await;
        }
        leave_logs |= line == LEAVE_LOGS;
    }
    leave_logs
}

/// Starts the keeper in a session of its own, so that neither the terminal's
/// interrupt nor its end reaches it. Its standard input is what holds it.
pub fn spawn(dir: &ClusterDir, programs: &Programs) -> Result<(Child, ChildStdin)> {
    fs::create_dir_all(dir.logs())?;
    let log = fs::File::create(dir.logs().join("host.log"))?;
    let mut child = Command::new("setsid")
        .arg(std::env::current_exe()?)
        .args(["host", "--name", dir.name()])
        .args(programs.to_args())
        .stdin(Stdio::piped())
        .stderr(log.try_clone()?)
        .stdout(log)
        .current_dir("/")
        .spawn()
        .context("cannot start setsid")?;
    let Some(input) = child.stdin.take() else {
        bail!("the keeper has no standard input")
    };
    Ok((child, input))
}
