//! Two cores: one for the gateway that is measured, the other for all that measures it.

use std::{fs, path::Path};

use aios_e2e::procs;
use anyhow::{Result, ensure};
use tokio::process::Command;

/// The gateway's core.
pub const GATEWAY: &str = "0";
/// The core of the simulator and of the load.
pub const RIG: &str = "1";

/// A program that stays on a core.
pub fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["--cpu-list", core]).arg(program);
    command
}

/// Keeps this process, with all threads that it has and will have, on the rig's core.
///
/// # Errors
/// On a machine with one core.
pub async fn take_rig() -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    ensure!(
        cores >= 2,
        "two cores are needed: one for the gateway, one for the load"
    );
    let mut taskset = Command::new("taskset");
    taskset.args(["--all-tasks", "--cpu-list", "--pid", RIG]);
    procs::output(taskset.arg(std::process::id().to_string()))
        .await
        .map(drop)
}

/// A process and all that descend from it.
pub fn descent(id: u32) -> Vec<u32> {
    let mut found = vec![id];
    let mut at = 0;
    while let Some(id) = found.get(at) {
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
        let children = children.unwrap_or_default();
        found.extend(
            children
                .split_whitespace()
                .filter_map(|id| id.parse::<u32>().ok()),
        );
        at += 1;
    }
    found
}
