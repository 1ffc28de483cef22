//! What this machine must have, said before anything is started.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::config::Snapshotter;
use crate::files::ClusterDir;
use crate::procs::find_program;

/// Programs the node runs, with the Debian package of each.
const PROGRAMS: [(&str, &str); 10] = [
    ("unshare", "util-linux"),
    ("setsid", "util-linux"),
    ("mount", "mount"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("iptables", "iptables"),
    ("conntrack", "conntrack"),
    ("containerd", "containerd"),
    ("ctr", "containerd"),
    ("runc", "runc"),
];

/// The node mounts folders of its own over these.
const COVERED: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// # Errors
/// All that is missing at once, each with its remedy.
pub fn check(dir: &ClusterDir) -> Result<()> {
    let mut missing = Vec::new();
    if !rustix::process::geteuid().is_root() {
        missing.push(
            "root rights: run it with sudo -E, or set AIOS_CLUSTER=kind if you have Docker"
                .to_owned(),
        );
    }
    let packages = absent_packages(
        |program| find_program(program).is_some(),
        cni_plugins().is_some(),
    );
    if !packages.is_empty() {
        missing.push(format!("packages: apt-get install {}", packages.join(" ")));
    }
    if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
        && !Path::new("/sys/fs/cgroup/memory").exists()
    {
        missing.push("cgroups: mount them at /sys/fs/cgroup".to_owned());
    }
    if let Some(covered) = COVERED.iter().find(|folder| dir.root().starts_with(folder)) {
        missing.push(format!("a cache folder outside {covered}: set AIOS_CACHE"));
    }
    if missing.is_empty() {
        return Ok(());
    }
    bail!("a local cluster needs\n  - {}", missing.join("\n  - "))
}

fn absent_packages(is_there: impl Fn(&str) -> bool, cni: bool) -> Vec<&'static str> {
    let absent = PROGRAMS
        .iter()
        .filter(|(program, _)| !is_there(program))
        .map(|(_, package)| *package);
    let mut packages: Vec<_> = absent
        .chain((!cni).then_some("containernetworking-plugins"))
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Where the CNI plugins are: Debian's place, or the customary one.
pub fn cni_plugins() -> Option<PathBuf> {
    ["/usr/lib/cni", "/opt/cni/bin"]
        .map(PathBuf::from)
        .into_iter()
        .find(|folder| folder.join("ptp").is_file())
}

/// Overlays do not stack on every kernel: on an overlay, layers are copied.
pub fn snapshotter(folder: &Path) -> Result<Snapshotter> {
    let mounts =
        std::fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    Ok(snapshotter_on(&mounts, folder))
}

fn snapshotter_on(mounts: &str, folder: &Path) -> Snapshotter {
    let holding = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(point, _)| folder.starts_with(point))
        .max_by_key(|(point, _)| point.len());
    match holding {
        Some((_, "overlay" | "fuse-overlayfs" | "aufs")) => Snapshotter::Native,
        _ => Snapshotter::Overlayfs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_package_is_named_once() {
        let packages = absent_packages(
            |program| !["containerd", "ctr", "nft"].contains(&program),
            false,
        );
        assert_eq!(
            packages,
            ["containerd", "containernetworking-plugins", "nftables"]
        );
    }

    #[test]
    fn layers_are_copied_only_on_an_overlay() {
        let mounts = "overlay / overlay rw 0 0\n/dev/vdb /home ext4 rw 0 0\n";
        assert_eq!(
            snapshotter_on(mounts, Path::new("/home/me/.cache")),
            Snapshotter::Overlayfs
        );
        assert_eq!(
            snapshotter_on(mounts, Path::new("/var/cache")),
            Snapshotter::Native
        );
    }
}
