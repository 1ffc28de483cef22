//! The cluster's cgroup in every hierarchy, version 1 or 2.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

const MOUNT: &str = "/sys/fs/cgroup";

/// The root folders of all hierarchies.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new(MOUNT);
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_path_buf()];
    }
    let entries = fs::read_dir(root)
        .map(|entries| entries.flatten().collect::<Vec<_>>())
        .unwrap_or_default();
    entries
        .into_iter()
        // Names of joint controllers, such as `cpu`, are links to `cpu,cpuacct`.
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .filter(|path| path.join("cgroup.procs").exists())
        .collect()
}

/// kubelet demands that its root exists in every hierarchy.
pub fn create(name: &str) -> Result<()> {
    for hierarchy in hierarchies() {
        let path = hierarchy.join(name);
        fs::create_dir_all(&path)
            .with_context(|| format!("cannot make cgroup {}", path.display()))?;
        inherit_cpuset(&hierarchy, &path);
    }
    Ok(())
}

/// A new version 1 cpuset is empty, and nothing can run in it.
fn inherit_cpuset(parent: &Path, child: &Path) {
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if let Ok(value) = fs::read_to_string(parent.join(file)) {
            let _ = fs::write(child.join(file), value.trim());
        }
    }
}

/// Removes the cgroup and all below it once its processes have ended.
pub async fn remove(name: &str, deadline: Duration) -> Result<()> {
    let until = Instant::now() + deadline;
    for hierarchy in hierarchies() {
        let path = hierarchy.join(name);
        while let Err(error) = remove_tree(&path) {
            if Instant::now() > until {
                bail!("cannot remove cgroup {}: {error}", path.display());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Ok(())
}

fn remove_tree(path: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries.flatten() {
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}

/// Processes of a container, as the host numbers them: the cgroup's folder is
/// named after the container.
pub fn processes_of(cluster: &str, container: &str) -> Vec<i32> {
    hierarchies()
        .iter()
        .find_map(|hierarchy| find(&hierarchy.join(cluster), container))
        .and_then(|folder| fs::read_to_string(folder.join("cgroup.procs")).ok())
        .map(|text| text.lines().filter_map(|line| line.parse().ok()).collect())
        .unwrap_or_default()
}

fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        if entry.file_name() == name {
            return Some(entry.path());
        }
        if let Some(found) = find(&entry.path(), name) {
            return Some(found);
        }
    }
    None
}
