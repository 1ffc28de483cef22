//! A fresh etcd and API server on loopback: no kubelet, no controllers. What is measured is not
//! disturbed by anything but its own requests.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use tempfile::TempDir;
use tokio::process::Command;

use super::{AuditLog, apply_yaml, client_of, eventually};
use crate::files::{self, ClusterDir};
use crate::node::components::{self, Addresses};
use crate::node::{config, pki};
use crate::procs::{self, Group};
use crate::tools::Tool;

const DEADLINE: Duration = Duration::from_mins(2);
/// Where the measured processes have their accounts, and the operator its Lease.
pub const NAMESPACE: &str = "aios-system";

/// The programs, built once and cached.
pub struct Programs {
    etcd: PathBuf,
    api_server: PathBuf,
}

impl Programs {
    pub async fn ensure() -> Result<Self> {
        Ok(Self {
            etcd: Tool::Etcd.ensure().await?.join("etcd"),
            api_server: Tool::Kubernetes.ensure().await?.join("kube-apiserver"),
        })
    }
}

pub struct ControlPlane {
    // Dropped in this order: the server before what it writes to.
    api_server: Option<Group>,
    _etcd: Group,
    dir: ClusterDir,
    at: Addresses,
    program: PathBuf,
    /// Flags of the API server beside those of a cluster's.
    flags: Vec<String>,
    folder: TempDir,
}

impl ControlPlane {
    /// Starts it with AIOS's kinds, and with accounts for those who are measured.
    pub async fn start(programs: &Programs, accounts: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let dir = ClusterDir::under(folder.path(), "outside")?;
        for folder in [dir.etc(), dir.etcd_data(), dir.logs()] {
            fs::create_dir_all(folder)?;
        }
        pki::write(&dir.pki())?;
        fs::write(dir.etc().join("audit-policy.json"), config::audit_policy())?;
        let at = Addresses {
            api: "127.0.0.1",
            api_port: free_port()?,
            etcd_port: free_port()?,
            etcd_peer_port: free_port()?,
        };
        let server = format!("https://{}:{}", at.api, at.api_port);
        fs::write(
            dir.kubeconfig(),
            config::kubeconfig(&server, &dir.pki(), "admin"),
        )?;
        let etcd = spawn(
            &programs.etcd,
            &components::etcd(&dir, &at),
            &dir.logs().join("etcd.log"),
        )?;
        let mut plane = Self {
            api_server: None,
            _etcd: etcd,
            dir,
            at,
            program: programs.api_server.clone(),
            flags: Vec::new(),
            folder,
        };
        plane.start_api_server().await?;
        let client = plane.client().await?;
        plane
            .define(Path::new("charts/aios-crds/templates"))
            .await?;
        for account in accounts {
            plane.account(NAMESPACE, account).await?;
        }
        kinds_are_served(&client).await?;
        Ok(plane)
    }

    /// Makes an account for who is measured, and its namespace.
    pub async fn account(&self, namespace: &str, account: &str) -> Result<()> {
        let client = self.client().await?;
        let home = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}");
        apply_yaml(&client, None, &home).await?;
        apply_yaml(&client, None, &identity(namespace, account)).await?;
        Ok(())
    }

    /// Puts the kinds of a folder of this repository in place of those that are there.
    pub async fn define(&self, folder: &Path) -> Result<()> {
        let client = self.client().await?;
        for definition in definitions(&files::repository().join(folder))? {
            apply_yaml(&client, None, &definition).await?;
        }
        Ok(())
    }

    /// As an administrator, whom the API server never makes wait.
    pub async fn client(&self) -> Result<Client> {
        client_of(&self.dir.kubeconfig()).await
    }

    pub fn audit(&self) -> AuditLog {
        AuditLog::at(self.dir.audit_log())
    }

    /// A folder that goes with the control plane.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// A kubeconfig with a token of an account, as a pod would have.
    pub async fn kubeconfig_of(&self, account: &str) -> Result<PathBuf> {
        self.kubeconfig_in(NAMESPACE, account).await
    }

    /// The same for an account of another namespace.
    pub async fn kubeconfig_in(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let request = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(86_400),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let token = Api::<ServiceAccount>::namespaced(self.client().await?, namespace)
            .create_token_request(account, &PostParams::default(), &request)
            .await?
            .status
            .context("no token was issued")?
            .token;
        let mut kubeconfig: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(self.dir.kubeconfig())?)?;
        *kubeconfig
            .pointer_mut("/users/0/user")
            .context("a kubeconfig without a user")? = serde_json::json!({"token": token});
        let path = self
            .folder
            .path()
            .join(format!("{namespace}-{account}.kubeconfig"));
        fs::write(&path, kubeconfig.to_string())?;
        Ok(path)
    }

    /// Starts the API server again over the same etcd: every watch breaks, and whoever watched
    /// has to list anew, for the new server remembers no earlier change.
    pub async fn restart_api_server(&mut self) -> Result<()> {
        if let Some(running) = self.api_server.take() {
            running.stop().await?;
        }
        self.start_api_server().await
    }

    /// The same with a feature gate switched on.
    pub async fn restart_with_gate(&mut self, gate: &str) -> Result<()> {
        self.flags.push(format!("--feature-gates={gate}=true"));
        self.restart_api_server().await
    }

    async fn start_api_server(&mut self) -> Result<()> {
        let mut flags = components::api_server(&self.dir, &self.at);
        flags.push("--bind-address=127.0.0.1".into());
        // Endpoints of Service `kubernetes` may not be on loopback; nobody dials it.
        flags.push("--endpoint-reconciler-type=none".into());
        flags.extend(self.flags.iter().cloned());
        let log = self.dir.logs().join("kube-apiserver.log");
        self.api_server = Some(spawn(&self.program, &flags, &log)?);
        let client = self.client().await?;
        let ready = eventually("the API server is ready", DEADLINE, async || {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            Ok(client.request_text(request).await.ok())
        });
        ready
            .await
            .map(drop)
            .with_context(|| format!("kube-apiserver says:\n{}", procs::tail(&log, 10)))
    }
}

fn spawn(program: &Path, flags: &[String], log: &Path) -> Result<Group> {
    let log = File::options().create(true).append(true).open(log)?;
    let mut command = Command::new(program);
    command
        .args(flags)
        .stdin(Stdio::null())
        .stderr(log.try_clone()?)
        .stdout(log);
    Group::spawn(&mut command)
}

/// A port that nobody listens on now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The chart's definitions, without the chart's conditions.
fn definitions(folder: &Path) -> Result<Vec<String>> {
    let mut definitions = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            let text = fs::read_to_string(path)?;
            let plain: Vec<&str> = text.lines().filter(|line| !line.contains("{{")).collect();
            definitions.push(plain.join("\n"));
        }
    }
    Ok(definitions)
}

/// Every measured process is a ServiceAccount of its own, with the same rights and under the same
/// flow control.
fn identity(namespace: &str, account: &str) -> String {
    format!(
        "
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {account}, namespace: {namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: outside-{namespace}-{account}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}}
subjects:
- {{kind: ServiceAccount, name: {account}, namespace: {namespace}}}
"
    )
}

async fn kinds_are_served(client: &Client) -> Result<()> {
    eventually("AIOS's kinds are served", DEADLINE, async || {
        let resources = client.list_api_group_resources("aios.dev/v1alpha1").await?;
        let kinds = resources.resources.iter();
        let served = kinds
            .filter(|resource| !resource.name.contains('/'))
            .count();
        Ok((served == 5).then_some(()))
    })
    .await
}
