//! Where things lie: the user's cache folder, and the folder of one cluster.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// `$AIOS_CACHE`, else `$XDG_CACHE_HOME/aios`, else `~/.cache/aios`.
pub fn cache() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(path) = variable("AIOS_CACHE") {
        return Ok(PathBuf::from(path));
    }
    if let Some(path) = variable("XDG_CACHE_HOME") {
        return Ok(PathBuf::from(path).join("aios"));
    }
    let home =
        variable("HOME").context("set HOME or AIOS_CACHE: one of them says where to build")?;
    Ok(PathBuf::from(home).join(".cache").join("aios"))
}

/// The repository's root, from which everything is built.
pub fn repository() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// The longest path of a UNIX socket is 107 bytes.
const SOCKET_PATH_LIMIT: usize = 107;

/// The folder of one local cluster. All of its state is in here; the folder
/// `/run` of its node is [`ClusterDir::run`], and so on.
#[derive(Clone, Debug)]
pub struct ClusterDir {
    name: String,
    root: PathBuf,
}

impl ClusterDir {
    /// # Errors
    /// If the name is no DNS label, or the path too long for a socket.
    pub fn new(name: &str) -> Result<Self> {
        Self::under(&cache()?, name)
    }

    /// The same, in a cache folder that is given.
    pub fn under(cache: &Path, name: &str) -> Result<Self> {
        let is_label = !name.is_empty()
            && name.len() <= 40
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_label {
            bail!("cluster name {name:?}: use 1 to 40 of a-z, 0-9 and '-'");
        }
        let dir = Self {
            name: name.to_owned(),
            root: cache.join("clusters").join(name),
        };
        let longest = dir.containerd_socket();
        if longest.as_os_str().len() > SOCKET_PATH_LIMIT {
            bail!(
                "{} is too long for a socket: set AIOS_CACHE to a shorter path",
                longest.display()
            );
        }
        Ok(dir)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn pki(&self) -> PathBuf {
        self.root.join("pki")
    }

    /// Configuration files of the components.
    pub fn etc(&self) -> PathBuf {
        self.root.join("etc")
    }

    /// `/run` inside the node.
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// `/var/lib` inside the node.
    pub fn var_lib(&self) -> PathBuf {
        self.root.join("lib")
    }

    /// `/var/log` inside the node: logs of pods.
    pub fn var_log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// What the components print, a file each.
    pub fn logs(&self) -> PathBuf {
        self.root.join("components")
    }

    pub fn volumes(&self) -> PathBuf {
        self.root.join("volumes")
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.root.join("kubeconfig")
    }

    pub fn audit_log(&self) -> PathBuf {
        self.root.join("audit.log")
    }

    /// etcd's files, for tests that search them for what must not be there.
    pub fn etcd_data(&self) -> PathBuf {
        self.var_lib().join("etcd")
    }

    /// Who keeps the cluster: see [`crate::procs::Handle`].
    pub fn handle(&self) -> PathBuf {
        self.root.join("host.json")
    }

    /// Exists once `up` has finished.
    pub fn ready(&self) -> PathBuf {
        self.root.join("ready")
    }

    /// Which images are loaded, by digest.
    pub fn loaded_images(&self) -> PathBuf {
        self.root.join("images.json")
    }

    /// The socket through which the host reaches addresses inside the node.
    pub fn dial_socket(&self) -> PathBuf {
        self.root.join("dial.sock")
    }

    pub fn containerd_socket(&self) -> PathBuf {
        self.run().join("containerd").join("containerd.sock")
    }

    /// Where this cluster's pods stand in every cgroup hierarchy.
    pub fn cgroup(&self) -> String {
        format!("aios-{}", self.name)
    }

    /// Held while `up` or `down` changes the cluster; beside the folder, since
    /// the folder itself comes and goes.
    pub fn lock(&self) -> PathBuf {
        self.root.with_extension("lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_no_label_is_refused() {
        for name in ["", "A", "a_b", "../x", "a/b"] {
            assert!(ClusterDir::under(Path::new("/c"), name).is_err(), "{name}");
        }
        assert!(ClusterDir::under(Path::new("/c"), "aios-2").is_ok());
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_with_the_remedy() {
        let error =
            ClusterDir::under(Path::new(&format!("/{}", "x".repeat(90))), "aios").unwrap_err();
        assert!(error.to_string().contains("AIOS_CACHE"), "{error}");
    }

    #[test]
    fn clusters_share_no_path() {
        let a = ClusterDir::under(Path::new("/c"), "a").unwrap();
        let b = ClusterDir::under(Path::new("/c"), "b").unwrap();
        assert_ne!(a.root(), b.root());
        assert_ne!(a.cgroup(), b.cgroup());
        assert_ne!(a.lock(), b.lock());
    }
}
