//! A node of one machine in namespaces of its own: killing one process ends
//! every component, container and mount, and the host's network is not touched.
//!
//! `host` (outside) keeps `unshare`, whose child `init` (process 1 inside) keeps
//! `node`, which starts the components. Each ends when the one before it does.

pub mod bootstrap;
pub mod cgroups;
pub mod components;
pub mod config;
pub mod host;
pub mod local;
pub mod mounts;
pub mod network;
pub mod pki;
pub mod preflight;
pub mod relay;
pub mod supervise;
pub mod volumes;

/// The one node's name.
pub const NODE: &str = "node0";
/// The node's address, which the API server, kubelet and DNS listen on.
pub const NODE_IP: &str = "192.0.2.10";
pub const GATEWAY_IP: &str = "192.0.2.1";
pub const API_PORT: u16 = 6443;
pub const API_ADDRESS: &str = "192.0.2.10:6443";
pub const POD_CIDR: &str = "10.244.0.0/16";
/// The node's part of [`POD_CIDR`]: room for more than 250 pods.
pub const NODE_POD_CIDR: &str = "10.244.0.0/22";
pub const SERVICE_CIDR: &str = "10.96.0.0/16";
/// The first address of [`SERVICE_CIDR`] is the `kubernetes` Service's.
pub const API_SERVICE_IP: &str = "10.96.0.1";
pub const MAX_PODS: u32 = 250;
/// GPUs the node advertises, so that the scheduler places GPU pods; there is no device.
pub const GPUS: &str = "8";
