//! What a cluster needs and no package has: built once from public registries,
//! then found in the cache by every clone.

mod key;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::files;
use crate::procs;
use crate::progress::step;

/// One recipe: a folder here with a `build.sh` that fills `$OUT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Kubernetes,
    Etcd,
    CoreDns,
    Helm,
    Pause,
    Base,
    LlamaServer,
    SmolLm2,
    /// Only the suite of other engines needs it.
    PythonEngines,
    /// Only the suite of scaling needs it.
    MetricsServer,
    /// Only suites that make nodes need these two.
    Karpenter,
    Kwok,
    /// Only the suite of queues needs it.
    Kueue,
    /// Only the suite of workflow engines needs these two.
    ArgoConditions,
    PythonKubernetes,
    /// Only the suite whose gateways share a PostgreSQL needs it.
    Postgres,
}

impl Tool {
    pub const ALL: [Self; 16] = [
        Self::Pause,
        Self::Etcd,
        Self::CoreDns,
        Self::Base,
        Self::SmolLm2,
        Self::Kubernetes,
        Self::Helm,
        Self::LlamaServer,
        Self::PythonEngines,
        Self::MetricsServer,
        Self::Kwok,
        Self::Karpenter,
        Self::Kueue,
        Self::ArgoConditions,
        Self::PythonKubernetes,
        Self::Postgres,
    ];

    /// The recipe's folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Etcd => "etcd",
            Self::CoreDns => "coredns",
            Self::Helm => "helm",
            Self::Pause => "pause",
            Self::Base => "base",
            Self::LlamaServer => "llama-server",
            Self::SmolLm2 => "smollm2",
            Self::PythonEngines => "python-engines",
            Self::MetricsServer => "metrics-server",
            Self::Karpenter => "karpenter",
            Self::Kwok => "kwok",
            Self::Kueue => "kueue",
            Self::ArgoConditions => "argo-conditions",
            Self::PythonKubernetes => "python-kubernetes",
            Self::Postgres => "postgres",
        }
    }

    /// How long the first build takes on two cores.
    const fn about(self) -> &'static str {
        match self {
            Self::Kubernetes | Self::MetricsServer => "about 4 min",
            Self::LlamaServer | Self::Kueue => "about 5 min",
            Self::Helm | Self::Karpenter | Self::PythonEngines => "about 2 min",
            Self::CoreDns | Self::Kwok => "about 1 min",
            Self::Etcd | Self::ArgoConditions => "about 20 s",
            Self::Pause | Self::Base | Self::SmolLm2 | Self::PythonKubernetes | Self::Postgres => {
                "a few seconds"
            }
        }
    }

    /// Commands the recipe runs, with the Debian package of each.
    const fn needs(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Kubernetes
            | Self::Etcd
            | Self::CoreDns
            | Self::Helm
            | Self::Pause
            | Self::MetricsServer
            | Self::Karpenter
            | Self::Kwok
            | Self::Kueue
            | Self::ArgoConditions => &[("go", "Go 1.26 from https://go.dev/dl")],
            Self::Base => &[("dpkg-deb", "dpkg"), ("apt-get", "apt"), ("tar", "tar")],
            Self::SmolLm2 | Self::Postgres | Self::PythonKubernetes => {
                &[("python3", "python3 python3-pip")]
            }
            Self::PythonEngines => &[
                ("dpkg-deb", "dpkg"),
                ("apt-get", "apt"),
                ("tar", "tar"),
                ("python3", "python3 python3-pip"),
            ],
            Self::LlamaServer => &[
                ("python3", "python3 python3-pip python3-venv"),
                ("cmake", "cmake"),
                ("ninja", "ninja-build"),
                ("c++", "g++"),
                ("strip", "binutils"),
            ],
        }
    }

    /// Whether the result depends on the libraries of the machine it is built on.
    const fn is_bound_to_distribution(self) -> bool {
        matches!(
            self,
            Self::Base
                | Self::LlamaServer
                | Self::Postgres
                | Self::PythonEngines
                | Self::PythonKubernetes
        )
    }

    fn recipe(self) -> PathBuf {
        files::repository()
            .join("e2e")
            .join("tools")
            .join(self.name())
    }

    /// Where the finished tool lies, whether or not it is built.
    pub fn path(self) -> Result<PathBuf> {
        let mut platform = std::env::consts::ARCH.to_owned();
        if self.is_bound_to_distribution() {
            platform.push_str(&distribution());
        }
        let key = key::of_recipe(&self.recipe(), &platform)?;
        Ok(files::cache()?
            .join("tools")
            .join(format!("{}-{key}", self.name())))
    }

    /// Builds the tool unless the cache holds it; returns its folder.
    ///
    /// # Errors
    /// If something the recipe needs is missing, or the build fails.
    pub async fn ensure(self) -> Result<PathBuf> {
        let path = self.path()?;
        if path.is_dir() {
            return Ok(path);
        }
        self.check_needs()?;
        step(
            &format!("build {} (once, {})", self.name(), self.about()),
            self.build(&path),
        )
        .await?;
        Ok(path)
    }

    async fn build(self, path: &Path) -> Result<()> {
        let folder = path.parent().context("a tool's path has a parent")?;
        fs::create_dir_all(folder)?;
        let _lock = lock(&folder.join(format!("{}.lock", self.name()))).await?;
        if path.is_dir() {
            return Ok(());
        }
        let unfinished = folder.join(format!(".{}.unfinished", self.name()));
        let _ = fs::remove_dir_all(&unfinished);
        fs::create_dir_all(&unfinished)?;
        let log = folder.join(format!("{}.log", self.name()));
        let mut command = Command::new("sh");
        command
            .arg(self.recipe().join("build.sh"))
            .env("OUT", &unfinished)
            .env("GOWORK", "off");
        procs::logged(&mut command, &log).await?;
        fs::rename(&unfinished, path)?;
        Ok(())
    }

    fn check_needs(self) -> Result<()> {
        let missing: Vec<String> = self
            .needs()
            .iter()
            .filter(|(command, _)| procs::find_program(command).is_none())
            .map(|(command, package)| format!("{command} (install: {package})"))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        bail!("building {} needs {}", self.name(), missing.join(", "))
    }
}

/// Takes the lock of a file, waiting for whoever holds it.
pub async fn lock(path: &Path) -> Result<fs::File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let file =
        fs::File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_ok() {
        return Ok(file);
    }
    eprintln!(
        "  • another process is at {}; waiting for it",
        path.display()
    );
    let file = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await??;
    Ok(file)
}

fn distribution() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let of = |key: &str| {
        release
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or_default()
            .replace('"', "")
    };
    format!("-{}{}", of("ID="), of("VERSION_ID="))
}
