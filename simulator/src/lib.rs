//! Labelled stand-ins for tests, benchmarks and the demo: a model provider, a webhook receiver, a
//! file server, and trials of what stands before models. Never a model, never for production: every response says `aios-simulator: true`.

pub mod files;
pub mod model;
pub mod trial;
pub mod webhook;

mod broken;
mod error;
mod serving;

pub use error::SimulatorError;
pub use serving::{Listen, Served, start};
