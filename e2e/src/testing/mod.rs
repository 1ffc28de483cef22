//! What tests stand on: the shared cluster, a namespace each, waiting with a
//! deadline, connections into the cluster, faults, and the API audit log.

pub mod aios;
mod apply;
mod audit_log;
mod cluster;
mod commands;
pub mod control_plane;
mod eventually;
mod faults;
mod forward;
mod karpenter;
mod kueue;
pub mod metrics_server;
mod namespace;
pub mod outside;
mod own_cluster;
pub mod real_model;

pub use aios::install;
pub use apply::apply_yaml;
pub use audit_log::{AuditLog, BEGINNING, Mark, Request};
pub use cluster::{Cluster, client_of};
pub use control_plane::{ControlPlane, Programs};
pub use eventually::{await_condition, eventually};
pub use faults::{cut_off, freeze, freeze_kubelet, rejoin, thaw, thaw_kubelet};
pub use forward::{Forward, is_ready};
pub use karpenter::Karpenter;
pub use kueue::Kueue;
pub use namespace::TestNamespace;
pub use outside::Running;
pub use own_cluster::OwnCluster;
