//! Peers from their registries, at pinned versions, kept in the cache folder with the project's other tools.

use std::{
    fs,
    path::{Path, PathBuf},
};

use aios_e2e::{files, procs};
use anyhow::{Context, Result};
use serde_json::Value;
use tokio::process::Command;

/// A peer that can be started.
#[derive(Clone, Debug)]
pub struct Installed {
    pub folder: PathBuf,
    /// Version, and the hash of what the registry gave where it says one.
    pub version: String,
}

/// A Python package with all that it needs.
pub async fn python(name: &str, requirement: &str) -> Result<Installed> {
    let report = "installed.json";
    let folder = once(requirement, async |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-compile"])
            .args(["--disable-pip-version-check", "--root-user-action=ignore"])
            .args(["--only-binary", ":all:", "--report"])
            .arg(folder.join(report))
            .arg("--target")
            .arg(folder.join("site"))
            .arg(requirement);
        procs::logged(&mut pip, &folder.join("pip.log")).await
    })
    .await?;
    let report: Value = serde_json::from_slice(&fs::read(folder.join(report))?)?;
    let installed = report["install"].as_array().into_iter().flatten();
    let is_it = |package: &&Value| package["metadata"]["name"].as_str() == Some(name);
    let package = installed.into_iter().find(is_it);
    let package = package.with_context(|| format!("pip did not install {name}"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let version = text(&package["metadata"]["version"]);
    let hash = text(&package["download_info"]["archive_info"]["hashes"]["sha256"]);
    Ok(Installed {
        folder: folder.join("site"),
        version: format!("{version} sha256:{hash}"),
    })
}

/// A package of npm with all that it needs.
pub async fn node(name: &str, version: &str) -> Result<Installed> {
    let requirement = format!("{name}@{version}");
    let folder = once(&requirement, async |folder| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund"])
            .arg("--prefix")
            .arg(folder)
            .arg(&requirement);
        procs::logged(&mut npm, &folder.join("npm.log")).await
    })
    .await?;
    let lock: Value = serde_json::from_slice(&fs::read(folder.join("package-lock.json"))?)?;
    let package = &lock["packages"][format!("node_modules/{name}")];
    let hash = package["integrity"].as_str().unwrap_or_default();
    Ok(Installed {
        folder: folder.join("node_modules").join(name),
        version: format!("{version} {hash}"),
    })
}

/// nginx as the machine has it, else Debian's package, unpacked and not installed.
pub async fn nginx() -> Result<Installed> {
    let version = async |program: &Path| {
        let output = Command::new(program).arg("-v").output().await?;
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        anyhow::Ok(said.trim_start_matches("nginx version: nginx/").to_owned())
    };
    let system = Path::new("/usr/sbin");
    if let Ok(version) = version(&system.join("nginx")).await {
        let folder = system.to_owned();
        return Ok(Installed { folder, version });
    }
    let folder = once("nginx", async |folder| {
        let mut fetch = Command::new("apt-get");
        fetch.current_dir(folder).args(["download", "nginx"]);
        procs::logged(&mut fetch, &folder.join("apt.log")).await?;
        let package = fs::read_dir(folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|end| end == "deb"));
        let mut unpack = Command::new("dpkg-deb");
        unpack.arg("-x").arg(package.context("no package came")?);
        procs::output(unpack.arg(folder)).await.map(drop)
    })
    .await?;
    let folder = folder.join("usr/sbin");
    let version = version(&folder.join("nginx")).await?;
    Ok(Installed { folder, version })
}

/// A folder that is filled once, and whole or not at all.
async fn once(name: &str, fill: impl AsyncFnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let peers = files::cache()?.join("peers");
    let path = peers.join(name.replace(['/', '[', ']', '='], "-"));
    if path.is_dir() {
        return Ok(path);
    }
    fs::create_dir_all(&peers)?;
    let unfinished = tempfile::tempdir_in(&peers)?;
    fill(unfinished.path()).await?;
    fs::rename(unfinished.keep(), &path)?;
    Ok(path)
}
