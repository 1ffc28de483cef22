//! The tenant's gateway: intents and reviews over REST, leases over gRPC, and the loops behind them.

mod api;
mod auth;
mod deadline;
mod drain;
mod gateway;
mod metrics;
mod options;
mod problem;
mod process;
mod rates;
mod reports;
mod retrieve;
mod runner;
mod runs;
mod witness;
mod work;

#[cfg(test)]
mod tests;

pub use api::router;
pub use auth::{AuthError, Authorizer, KubeAuthorizer, User, Verb};
pub use gateway::{Gateway, GatewayParts};
pub use options::Options;
pub use process::{ServeError, run};
pub use work::service as work_service;
