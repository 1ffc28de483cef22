//! Mounts inside the node: what components write to the machine's usual places
//! lands in the cluster's folder.

use std::fs;

use anyhow::Result;
use tokio::process::Command;

use crate::files::ClusterDir;
use crate::procs::output;

pub async fn set_up(dir: &ClusterDir) -> Result<()> {
    // Volumes of pods are mounted beside the containers that see them.
    output(Command::new("mount").args(["--make-rshared", "/"])).await?;
    for (source, target) in [
        (dir.run(), "/run"),
        (dir.var_lib(), "/var/lib"),
        (dir.var_log(), "/var/log"),
    ] {
        fs::create_dir_all(&source)?;
        output(Command::new("mount").arg("--bind").arg(&source).arg(target)).await?;
    }
    Ok(())
}
