//! Stands at every model call. `egress`, beside writers, picks the route, retries, falls back and
//! counts money; `ingress`, before models, checks the caller, admits, holds the provider's key and
//! speaks its dialect; `prefetch` fills a volume with weights that match their digest.

mod breaker;
pub mod client;
pub mod config;
mod connections;
pub mod cost;
pub mod dialect;
pub mod egress;
pub mod error;
pub mod face;
pub mod ingress;
mod limits;
mod lock;
pub mod meter;
pub mod metrics;
pub mod money;
pub mod outcome;
pub mod prefetch;
pub mod process;
mod recent;
pub mod relay;
mod replicas;
pub mod shield;
pub mod snapshot;
pub mod speeds;
pub mod sse;
pub mod trace;
pub mod voice;

pub use error::ApiError;
pub use outcome::Outcome;
