//! A real Kubernetes on one machine, and the helpers that tests stand on: it
//! brings a cluster up and down, builds and loads the project's images, and
//! hands every test a client and a namespace of its own.

pub mod demo;
pub mod files;
pub mod images;
pub mod node;
pub mod procs;
pub mod progress;
pub mod provider;
pub mod testing;
pub mod tools;

pub use provider::{Options, Provider};
pub use testing::{Cluster, TestNamespace, eventually};
