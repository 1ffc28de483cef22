//! The components of a node and how each is started. Pure.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{API_ADDRESS, API_PORT, NODE, NODE_IP, POD_CIDR, SERVICE_CIDR};
use crate::files::ClusterDir;

/// What must answer before a component is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Nothing,
    Etcd,
    ApiServer,
}

impl After {
    /// The address that answers when the wait is over.
    pub const fn address(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Etcd => Some("127.0.0.1:2379"),
            Self::ApiServer => Some(API_ADDRESS),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Component {
    pub name: &'static str,
    pub program: PathBuf,
    pub args: Vec<String>,
    pub after: After,
}

/// Folders of the programs, as the command line of the node's processes.
#[derive(Clone, Debug, clap::Args)]
pub struct Programs {
    #[arg(long)]
    pub kubernetes: PathBuf,
    #[arg(long)]
    pub etcd: PathBuf,
    #[arg(long)]
    pub coredns: PathBuf,
}

impl Programs {
    pub fn to_args(&self) -> Vec<OsString> {
        let of = |flag: &str, path: &PathBuf| [OsString::from(flag), path.clone().into_os_string()];
        [
            of("--kubernetes", &self.kubernetes),
            of("--etcd", &self.etcd),
            of("--coredns", &self.coredns),
        ]
        .concat()
    }
}

/// Where etcd and the API server listen.
#[derive(Clone, Debug)]
pub struct Addresses {
    /// What clients dial the API server by.
    pub api: &'static str,
    pub api_port: u16,
    pub etcd_port: u16,
    pub etcd_peer_port: u16,
}

impl Addresses {
    /// In the node's own network.
    pub const NODE: Self = Self {
        api: NODE_IP,
        api_port: API_PORT,
        etcd_port: 2379,
        etcd_peer_port: 2380,
    };
}

/// All components, in the order they are started.
pub fn all(dir: &ClusterDir, programs: &Programs) -> Vec<Component> {
    vec![
        Component {
            name: "etcd",
            program: programs.etcd.join("etcd"),
            args: etcd(dir, &Addresses::NODE),
            after: After::Nothing,
        },
        Component {
            name: "containerd",
            program: "containerd".into(),
            args: vec!["--config".into(), etc(dir, "containerd.toml")],
            after: After::Nothing,
        },
        kubernetes(
            programs,
            "kube-apiserver",
            api_server(dir, &Addresses::NODE),
            After::Etcd,
        ),
        kubernetes(
            programs,
            "kube-controller-manager",
            controller_manager(dir),
            After::ApiServer,
        ),
        kubernetes(
            programs,
            "kube-scheduler",
            vec![
                flag("kubeconfig", &etc(dir, "scheduler.kubeconfig")),
                flag("leader-elect", "false"),
            ],
            After::ApiServer,
        ),
        kubernetes(
            programs,
            "kubelet",
            vec![
                flag("config", &etc(dir, "kubelet.json")),
                flag("kubeconfig", &etc(dir, "kubelet.kubeconfig")),
                flag("hostname-override", NODE),
                flag("node-ip", NODE_IP),
            ],
            After::ApiServer,
        ),
        kubernetes(
            programs,
            "kube-proxy",
            vec![flag("config", &etc(dir, "kube-proxy.json"))],
            After::ApiServer,
        ),
        Component {
            name: "coredns",
            program: programs.coredns.join("coredns"),
            args: vec!["-conf".into(), etc(dir, "Corefile")],
            after: After::ApiServer,
        },
    ]
}

fn kubernetes(
    programs: &Programs,
    name: &'static str,
    args: Vec<String>,
    after: After,
) -> Component {
    Component {
        name,
        program: programs.kubernetes.join(name),
        args,
        after,
    }
}

/// The flags of etcd.
pub fn etcd(dir: &ClusterDir, at: &Addresses) -> Vec<String> {
    let (client, peer) = (loopback(at.etcd_port), loopback(at.etcd_peer_port));
    vec![
        flag("data-dir", &dir.etcd_data().display().to_string()),
        flag("listen-client-urls", &client),
        flag("advertise-client-urls", &client),
        flag("listen-peer-urls", &peer),
        flag("initial-advertise-peer-urls", &peer),
        flag("initial-cluster", &format!("default={peer}")),
        // The cluster is made anew each time: nothing is worth a disk flush.
        "--unsafe-no-fsync".into(),
    ]
}

/// The flags of the API server: certificates of [`super::pki`], the audit policy of
/// [`super::config`].
pub fn api_server(dir: &ClusterDir, at: &Addresses) -> Vec<String> {
    vec![
        flag("advertise-address", at.api),
        flag("secure-port", &at.api_port.to_string()),
        flag("etcd-servers", &loopback(at.etcd_port)),
        flag("service-cluster-ip-range", SERVICE_CIDR),
        flag("authorization-mode", "Node,RBAC"),
        flag("enable-admission-plugins", "NodeRestriction"),
        flag("allow-privileged", "true"),
        flag("client-ca-file", &pki(dir, "ca.crt")),
        flag("tls-cert-file", &pki(dir, "apiserver.crt")),
        flag("tls-private-key-file", &pki(dir, "apiserver.key")),
        flag(
            "kubelet-client-certificate",
            &pki(dir, "apiserver-kubelet-client.crt"),
        ),
        flag(
            "kubelet-client-key",
            &pki(dir, "apiserver-kubelet-client.key"),
        ),
        // The node's name resolves nowhere: exec, logs and port-forward go by address.
        flag("kubelet-preferred-address-types", "InternalIP"),
        flag("service-account-issuer", "https://kubernetes.default.svc"),
        flag(
            "service-account-key-file",
            &pki(dir, "service-accounts.pub"),
        ),
        flag(
            "service-account-signing-key-file",
            &pki(dir, "service-accounts.key"),
        ),
        flag(
            "requestheader-client-ca-file",
            &pki(dir, "front-proxy-ca.crt"),
        ),
        flag("requestheader-allowed-names", "front-proxy-client"),
        flag("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
        flag("requestheader-group-headers", "X-Remote-Group"),
        flag("requestheader-username-headers", "X-Remote-User"),
        flag(
            "proxy-client-cert-file",
            &pki(dir, "front-proxy-client.crt"),
        ),
        flag("proxy-client-key-file", &pki(dir, "front-proxy-client.key")),
        flag("audit-policy-file", &etc(dir, "audit-policy.json")),
        flag("audit-log-path", &dir.audit_log().display().to_string()),
        // Megabytes: tests count from one file, so it must not be rotated.
        flag("audit-log-maxsize", "100000"),
    ]
}

fn controller_manager(dir: &ClusterDir) -> Vec<String> {
    vec![
        flag("kubeconfig", &etc(dir, "controller-manager.kubeconfig")),
        flag("leader-elect", "false"),
        flag("allocate-node-cidrs", "true"),
        flag("cluster-cidr", POD_CIDR),
        flag("node-cidr-mask-size", "22"),
        flag("service-cluster-ip-range", SERVICE_CIDR),
        flag("use-service-account-credentials", "true"),
        flag("root-ca-file", &pki(dir, "ca.crt")),
        flag(
            "service-account-private-key-file",
            &pki(dir, "service-accounts.key"),
        ),
        flag("cluster-signing-cert-file", &pki(dir, "ca.crt")),
        flag("cluster-signing-key-file", &pki(dir, "ca.key")),
        flag("kube-api-qps", "200"),
        flag("kube-api-burst", "400"),
    ]
}

fn loopback(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

fn flag(name: &str, value: &str) -> String {
    format!("--{name}={value}")
}

fn etc(dir: &ClusterDir, file: &str) -> String {
    dir.etc().join(file).display().to_string()
}

fn pki(dir: &ClusterDir, file: &str) -> String {
    dir.pki().join(file).display().to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn components() -> Vec<Component> {
        let dir = ClusterDir::under(Path::new("/c"), "x").unwrap();
        let folder = PathBuf::from("/t");
        all(
            &dir,
            &Programs {
                kubernetes: folder.clone(),
                etcd: folder.clone(),
                coredns: folder,
            },
        )
    }

    #[test]
    fn nothing_starts_before_what_it_needs() {
        let names: Vec<_> = components()
            .iter()
            .map(|component| component.name)
            .collect();
        let at = |name| names.iter().position(|each| *each == name).unwrap();
        assert!(at("etcd") < at("kube-apiserver"));
        assert!(at("containerd") < at("kubelet"));
        assert!(
            components()
                .iter()
                .skip(3)
                .all(|component| component.after == After::ApiServer)
        );
    }

    #[test]
    fn the_api_server_writes_the_audit_log_tests_count_from() {
        let components = components();
        let api_server = components
            .iter()
            .find(|component| component.name == "kube-apiserver")
            .unwrap();
        assert!(
            api_server
                .args
                .contains(&"--audit-log-path=/c/clusters/x/audit.log".to_owned())
        );
    }
}
