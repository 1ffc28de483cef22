//! Renders the components' configuration files. Pure: settings in, text out.
//! JSON is YAML, and needs no care for quoting.

use std::path::Path;

use serde_json::{Value, json};

use super::{MAX_PODS, NODE, NODE_IP, NODE_POD_CIDR, POD_CIDR};

pub const PAUSE_IMAGE: &str = "docker.io/aios/pause:dev";

/// How containerd keeps the layers of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Snapshotter {
    Overlayfs,
    /// Copies whole layers: for folders that are on an overlay themselves.
    Native,
}

impl Snapshotter {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overlayfs => "overlayfs",
            Self::Native => "native",
        }
    }
}

/// A kubeconfig for one identity of `pki`, by the paths of its files.
pub fn kubeconfig(server: &str, pki: &Path, identity: &str) -> String {
    let file = |name: String| pki.join(name).display().to_string();
    pretty(&json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "aios", "cluster": {
            "server": server,
            "certificate-authority": file("ca.crt".into()),
        }}],
        "users": [{"name": identity, "user": {
            "client-certificate": file(format!("{identity}.crt")),
            "client-key": file(format!("{identity}.key")),
        }}],
        "contexts": [{"name": "aios", "context": {"cluster": "aios", "user": identity}}],
        "current-context": "aios",
    }))
}

/// Every request once, when it is answered, without bodies.
pub fn audit_policy() -> String {
    pretty(&json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    }))
}

pub fn kubelet(pki: &Path, etc: &Path, cgroup: &str) -> String {
    pretty(&json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true},
            "x509": {"clientCAFile": pki.join("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": format!("/{cgroup}"),
        "clusterDNS": [NODE_IP],
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "evictionHard": {"memory.available": "100Mi"},
        "failSwapOn": false,
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "localStorageCapacityIsolation": false,
        "maxPods": MAX_PODS,
        "oomScoreAdj": 0,
        "readOnlyPort": 0,
        "resolvConf": etc.join("resolv.conf"),
        "serializeImagePulls": false,
    }))
}

pub fn kube_proxy(kubeconfig: &Path) -> String {
    pretty(&json!({
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": kubeconfig},
        "clusterCIDR": POD_CIDR,
        "conntrack": {"maxPerCore": 0, "min": 0},
        "hostnameOverride": NODE,
        "mode": "nftables",
        "oomScoreAdj": 0,
    }))
}

/// Each pod has a link to the node of its own (`ptp`): traffic to a Service
/// passes the node in both directions, whether or not the kernel filters bridges.
pub fn cni() -> String {
    pretty(&json!({
        "cniVersion": "0.4.0",
        "name": "pods",
        "plugins": [
            {
                "type": "ptp",
                "ipam": {
                    "type": "host-local",
                    "dataDir": "/run/cni-addresses",
                    "ranges": [[{"subnet": NODE_POD_CIDR}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    }))
}

/// `restrict_oom_score_adj`: without `CAP_SYS_RESOURCE` runc could not lower a
/// score, and would die without saying why.
pub fn containerd(etc: &Path, cni_plugins: &Path, snapshotter: Snapshotter) -> String {
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{conf}"

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
"#,
        plugins = cni_plugins.display(),
        conf = etc.join("cni").display(),
        snapshotter = snapshotter.name(),
    )
}

/// Answers for the cluster's own names only; everything else is refused at once.
pub fn corefile(kubeconfig: &Path, hosts: &Path) -> String {
    format!(
        ".:53 {{
    bind {NODE_IP}
    errors
    health 127.0.0.1:8080
    ready 127.0.0.1:8181
    hosts {hosts} {{
        reload 2s
        fallthrough
    }}
    kubernetes cluster.local in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
}}
",
        hosts = hosts.display(),
        kubeconfig = kubeconfig.display(),
    )
}

pub fn resolv_conf() -> String {
    format!("nameserver {NODE_IP}\n")
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kubelet_keeps_its_pods_under_the_clusters_own_cgroup() {
        let text = kubelet(Path::new("/d/pki"), Path::new("/d/etc"), "aios-demo");
        let config: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config["cgroupRoot"], "/aios-demo");
        assert_eq!(config["maxPods"], 250);
        assert_eq!(
            config["authentication"]["x509"]["clientCAFile"],
            "/d/pki/ca.crt"
        );
    }

    #[test]
    fn a_kubeconfig_names_the_identitys_own_files() {
        let config: Value =
            serde_json::from_str(&kubeconfig("https://127.0.0.1:7", Path::new("/p"), "admin"))
                .unwrap();
        assert_eq!(config["users"][0]["user"]["client-key"], "/p/admin.key");
        assert_eq!(
            config["clusters"][0]["cluster"]["server"],
            "https://127.0.0.1:7"
        );
    }

    #[test]
    fn containerd_does_not_lower_scores_and_uses_the_local_pause_image() {
        let text = containerd(
            Path::new("/d/etc"),
            Path::new("/usr/lib/cni"),
            Snapshotter::Native,
        );
        assert!(text.contains("restrict_oom_score_adj = true"));
        assert!(text.contains(PAUSE_IMAGE));
        assert!(text.contains(r#"snapshotter = "native""#));
    }
}
