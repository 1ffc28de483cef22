//! Speaks the wire of model providers with scripted or canned answers, at a seeded pace, with faults
//! on demand, and remembers every call it got.

mod answer;
mod anthropic;
mod calls;
mod control;
mod dialect;
mod faults;
mod fields;
mod generate;
mod openai;
mod pace;
mod problem;
mod request;
mod routes;
mod schema;
mod script;
mod settings;
mod tokens;
mod vllm;

pub use calls::{Call, Counts, Status};
pub use faults::{Fault, FaultRule};
pub use routes::router;
pub use script::{Place, ScriptRule};
pub use settings::Settings;
