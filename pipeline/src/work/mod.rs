//! The job pod: leases items of one run, writes and checks them, reports every step.

mod lease;
mod options;
mod process;

pub use lease::{Held, Leases, WorkError};
pub use options::Options;
pub use process::{WorkerError, run};
