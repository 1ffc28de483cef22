//! The job pod: leases documents of one run from the namespace's gateway, drafts and checks them, and
//! ends when none is left.

mod bootstrap;
mod item;
mod leases;
mod options;
mod process;
mod worker;

pub use leases::{GatewayClient, LeaseError};
pub use options::Options;
pub use process::{ProcessError, run};
pub use worker::{Worker, WorkerError};
