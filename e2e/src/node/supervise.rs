//! What runs inside the namespaces: process 1, which reaps, and the supervisor,
//! which starts the components and starts again what ends.

use std::ffi::OsString;
use std::fs::{self, File};
use std::process::{Command as StdCommand, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{WaitOptions, wait};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::Command;

use super::components::{self, Component, Programs};
use super::{mounts, network, relay};
use crate::files::ClusterDir;
use crate::procs;

const RESTART_DELAY: Duration = Duration::from_millis(500);

/// Process 1: containers' shims are left to it, so it waits for any child, and
/// ends with the supervisor; the kernel then ends everything else.
pub fn init(arguments: &[OsString]) -> Result<ExitCode> {
    let supervisor = StdCommand::new("/proc/self/exe")
        .args(arguments)
        .spawn()
        .context("cannot start the supervisor")?;
    let supervisor = i32::try_from(supervisor.id())?;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == supervisor => {
                return Ok(if status.exit_status() == Some(0) {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                });
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Runs the node until standard input ends, which is when its keeper has gone.
pub async fn run(dir: &ClusterDir, programs: &Programs) -> Result<()> {
    mounts::set_up(dir).await?;
    network::set_up().await?;
    let socket = dir.dial_socket();
    let relay = relay::serve_inside(&socket);
    let components = async {
        let all = components::all(dir, programs);
        futures::future::join_all(all.iter().map(|component| keep_running(dir, component))).await;
    };
    tokio::select! {
        () = keeper_gone() => Ok(()),
        outcome = relay => outcome,
        () = components => Ok(()),
    }
}

async fn keeper_gone() {
    let Ok(mut input) = procs::piped_input() else {
        return;
    };
    let mut ignored = [0; 64];
    while input.read(&mut ignored).await.is_ok_and(|read| read > 0) {}
}

async fn keep_running(dir: &ClusterDir, component: &Component) {
    if let Some(address) = component.after.address() {
        while TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    loop {
        match run_once(dir, component).await {
            Ok(status) => println!("{} ended ({status}); starting it again", component.name),
            Err(error) => println!("{} cannot be run: {error:#}", component.name),
        }
        tokio::time::sleep(RESTART_DELAY).await;
    }
}

async fn run_once(dir: &ClusterDir, component: &Component) -> Result<std::process::ExitStatus> {
    fs::create_dir_all(dir.logs())?;
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.logs().join(format!("{}.log", component.name)))?;
    let status = Command::new(&component.program)
        .args(&component.args)
        .stdin(Stdio::null())
        .stderr(log.try_clone()?)
        .stdout(log)
        .status()
        .await?;
    Ok(status)
}
