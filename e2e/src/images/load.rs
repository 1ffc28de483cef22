//! Gets images into a cluster, those that have changed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::process::Command;

use super::archive::{self, Layer};
use super::content::{Image, build_binaries};
use crate::files::{self, ClusterDir};
use crate::node::preflight;
use crate::procs;
use crate::progress::step;
use crate::provider::Provider;
use crate::testing::eventually;
use crate::tools::Tool;

const RUNTIME_DEADLINE: Duration = Duration::from_mins(1);

/// Builds these images and loads the changed ones; returns those.
pub async fn load(provider: Provider, dir: &ClusterDir, images: &[Image]) -> Result<Vec<Image>> {
    if provider == Provider::Current {
        eprintln!("  • images: your cluster pulls them from where the chart's values say");
        return Ok(Vec::new());
    }
    let binaries = step("build the project's binaries", build_binaries(images)).await?;
    let base = Tool::Base.ensure().await?.join("base.tar");
    let record = record_file(provider, dir)?;
    let mut loaded = read_record(&record);
    let mut changed = Vec::new();
    for image in images {
        let work = tempfile::tempdir_in(work_folder()?)?;
        let packed = pack(*image, &binaries, &base, work.path()).await?;
        if loaded.get(image.name()) == Some(&packed.digest) {
            continue;
        }
        step(
            &format!("load {}", image.name()),
            import(provider, dir, *image, &packed, work.path()),
        )
        .await?;
        loaded.insert(image.name().to_owned(), packed.digest);
        fs::write(&record, serde_json::to_vec(&loaded)?)?;
        changed.push(*image);
    }
    if changed.is_empty() {
        eprintln!("  ✓ images are as they were");
    }
    Ok(changed)
}

/// Digest of an image as it was loaded last; none if it was not, or not by the harness.
pub fn loaded_digest(provider: Provider, dir: &ClusterDir, image: Image) -> Result<Option<String>> {
    if provider == Provider::Current {
        return Ok(None);
    }
    Ok(read_record(&record_file(provider, dir)?).remove(image.name()))
}

/// Loads the node's own image, once its container runtime answers.
pub async fn load_pause(dir: &ClusterDir) -> Result<()> {
    let work = tempfile::tempdir_in(work_folder()?)?;
    let packed = pack(Image::Pause, Path::new(""), Path::new(""), work.path()).await?;
    eventually("containerd answers", RUNTIME_DEADLINE, async || {
        procs::output(ctr(dir).arg("version"))
            .await
            .map(|_| Some(()))
    })
    .await?;
    import(Provider::Local, dir, Image::Pause, &packed, work.path()).await
}

struct Packed {
    layers: Vec<Layer>,
    config: serde_json::Value,
    digest: String,
}

async fn pack(image: Image, binaries: &Path, base: &Path, work: &Path) -> Result<Packed> {
    let entries = image.entries(binaries).await?;
    let mut below = Vec::new();
    for (tool, file) in image.layers() {
        below.push(tool.ensure().await?.join(file));
    }
    let (own, base) = (work.join("layer.tar"), base.to_path_buf());
    tokio::task::spawn_blocking(move || {
        let mut layers = Vec::new();
        if image.has_base() {
            layers.push(archive::existing_layer(&base)?);
        }
        for layer in &below {
            layers.push(archive::existing_layer(layer)?);
        }
        layers.push(archive::layer(&own, &entries)?);
        let config = archive::config(&layers, &image.entrypoint(), &image.command());
        let digest = archive::digest(&config);
        Ok(Packed {
            layers,
            config,
            digest,
        })
    })
    .await?
}

async fn import(
    provider: Provider,
    dir: &ClusterDir,
    image: Image,
    packed: &Packed,
    work: &Path,
) -> Result<()> {
    let file = work.join("image.tar");
    archive::write(&file, &image.reference(), &packed.config, &packed.layers)?;
    let mut command = match provider {
        Provider::Local => {
            let mut command = ctr(dir);
            command.args(["-n", "k8s.io", "images", "import", "--snapshotter"]);
            command.arg(preflight::snapshotter(dir.root())?.name());
            command
        }
        Provider::Kind => {
            let mut command = Command::new("kind");
            command.args(["load", "image-archive", "--name", dir.name()]);
            command
        }
        Provider::Current => {
            bail!("images are not loaded into a cluster that is not the project's own")
        }
    };
    procs::output(command.arg(&file)).await?;
    Ok(())
}

fn ctr(dir: &ClusterDir) -> Command {
    let mut command = Command::new("ctr");
    command.arg("-a").arg(dir.containerd_socket());
    command
}

/// Archives are as large as images: they belong beside them, not in `/tmp`.
fn work_folder() -> Result<PathBuf> {
    let folder = files::cache()?.join("images");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A local cluster's record ends with it; kind's is trusted as long as the
/// cluster has the same identity.
fn record_file(provider: Provider, dir: &ClusterDir) -> Result<PathBuf> {
    Ok(match provider {
        Provider::Local => dir.loaded_images(),
        Provider::Kind | Provider::Current => {
            work_folder()?.join(format!("kind-{}.json", dir.name()))
        }
    })
}

fn read_record(path: &Path) -> BTreeMap<String, String> {
    fs::read(path)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}
