//! `kubectl aios`: validates manifests on a laptop, starts runs, reviews drafts, verifies the log.
//! `client` speaks to a namespace's gateway through the API server; the other rooms are the commands.
//! What can be decided without a cluster is; the rest asks with the caller's own rights.

pub mod cli;
pub mod client;
mod commands;
pub mod validate;

pub use commands::dispatch;
