//! Which cluster: one made here, one made by kind, or the one the user is
//! connected to.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use crate::files::ClusterDir;
use crate::images::{self, Image};
use crate::node::local;
use crate::procs::{find_program, output};
use crate::progress::step;

/// Chooses the provider: `local`, `kind` or `current`.
pub const CHOICE: &str = "AIOS_CLUSTER";
/// Names the context that may be used with `current` where nobody can be asked.
pub const CONFIRM: &str = "AIOS_CLUSTER_CONFIRM";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Provider {
    #[default]
    Local,
    Kind,
    Current,
}

impl Provider {
    pub fn from_env() -> Result<Self> {
        Self::parse(std::env::var(CHOICE).ok().as_deref())
    }

    fn parse(choice: Option<&str>) -> Result<Self> {
        match choice {
            None | Some("" | "local") => Ok(Self::Local),
            Some("kind") => Ok(Self::Kind),
            Some("current") => Ok(Self::Current),
            Some(other) => bail!("{CHOICE}={other}: use local, kind or current"),
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Kind => "kind",
            Self::Current => "current",
        }
    }
}

/// One cluster: by whom it is made, and its name.
#[derive(Clone, Debug)]
pub struct Options {
    pub provider: Provider,
    pub dir: ClusterDir,
}

impl Options {
    pub const DEFAULT_NAME: &'static str = "aios";

    /// The provider of the environment, and this name.
    pub fn named(name: &str) -> Result<Self> {
        Ok(Self {
            provider: Provider::from_env()?,
            dir: ClusterDir::new(name)?,
        })
    }

    /// Brings it up unless it is, and loads the images that have changed.
    pub async fn up(&self, images: &[Image]) -> Result<()> {
        match self.provider {
            Provider::Local => local::up(&self.dir).await?,
            Provider::Kind => self.kind_up().await?,
            Provider::Current => confirm_context(&current_context().await?)?,
        }
        if !images.is_empty() {
            images::load(self.provider, &self.dir, images).await?;
        }
        Ok(())
    }

    pub async fn down(&self) -> Result<()> {
        match self.provider {
            Provider::Local => local::down(&self.dir).await,
            Provider::Kind => {
                let delete = async {
                    output(kind()?.args(["delete", "cluster", "--name", self.dir.name()])).await
                };
                step("delete the kind cluster", delete).await.map(|_| ())
            }
            Provider::Current => {
                bail!("{CHOICE}=current: your own cluster is not taken down from here")
            }
        }
    }

    /// Whether it answers; for [`Provider::Current`], that a context is chosen.
    pub async fn is_up(&self) -> Result<bool> {
        match self.provider {
            Provider::Local => Ok(local::is_up(&self.dir)),
            Provider::Kind => {
                let names = output(kind()?.args(["get", "clusters"])).await?;
                Ok(names.lines().any(|name| name == self.dir.name()))
            }
            Provider::Current => Ok(current_context().await.is_ok()),
        }
    }

    /// The file with which tools and tests reach it.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        if self.provider != Provider::Current {
            return Ok(self.dir.kubeconfig());
        }
        let named = std::env::var_os("KUBECONFIG")
            .filter(|value| !value.is_empty())
            .map(PathBuf::from);
        let home = || {
            std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".kube").join("config"))
        };
        named
            .or_else(home)
            .context("set KUBECONFIG: it says which cluster is the current one")
    }

    async fn kind_up(&self) -> Result<()> {
        if !self.is_up().await? {
            let create = async {
                output(kind()?.args([
                    "create",
                    "cluster",
                    "--wait",
                    "120s",
                    "--name",
                    self.dir.name(),
                ]))
                .await
            };
            step("create the kind cluster", create).await?;
        }
        std::fs::create_dir_all(self.dir.root())?;
        let kubeconfig =
            output(kind()?.args(["get", "kubeconfig", "--name", self.dir.name()])).await?;
        std::fs::write(self.dir.kubeconfig(), kubeconfig)?;
        Ok(())
    }
}

fn kind() -> Result<Command> {
    let program = find_program("kind").context(
        "AIOS_CLUSTER=kind needs the kind program (https://kind.sigs.k8s.io) and Docker; \
         without them leave AIOS_CLUSTER unset",
    )?;
    Ok(Command::new(program))
}

async fn current_context() -> Result<String> {
    let context = output(Command::new("kubectl").args(["config", "current-context"])).await;
    Ok(context
        .context("AIOS_CLUSTER=current: no context is chosen (kubectl config use-context)")?
        .trim()
        .to_owned())
}

/// Nothing touches a cluster of the user's before the user has said so.
fn confirm_context(context: &str) -> Result<()> {
    if std::env::var(CONFIRM).is_ok_and(|named| named == context) {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        bail!(
            "AIOS_CLUSTER=current would use context {context:?}: set {CONFIRM}={context} to allow it"
        );
    }
    eprint!("Use the cluster of context {context:?}? Type its name to go on: ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if answer.trim() != context {
        bail!("nothing was done");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_provider_is_refused_with_the_choices() {
        assert_eq!(Provider::parse(None).unwrap(), Provider::Local);
        assert_eq!(Provider::parse(Some("kind")).unwrap(), Provider::Kind);
        let error = Provider::parse(Some("minikube")).unwrap_err().to_string();
        assert!(error.contains("local, kind or current"), "{error}");
    }
}
