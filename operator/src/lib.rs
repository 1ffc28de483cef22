//! Reads the kinds, writes Kubernetes objects, serves configuration to data planes and writes
//! status. One staged reconciler a kind: fetch, validate, build, apply, status; only the leader acts.
//! Deciding and building are pure; `apply`, `status` and `control` are the rooms that write.

mod admission;
mod apply;
mod ca;
mod client;
mod coarse;
mod conditions;
mod context;
mod control;
mod diagnostics;
mod error;
mod invalid;
mod leader;
mod metrics;
mod model;
mod names;
mod pipeline;
mod pods;
mod policy;
mod pool;
mod process;
mod rounds;
mod run;
mod runner;
mod settings;
mod share;
mod spending;
mod status;
mod tenant;
#[cfg(test)]
mod testing;
mod triggers;
mod watch;

pub use process::{ProcessError, run};
pub use settings::Settings;
