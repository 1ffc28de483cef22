//! Seeded trials of whatever stands between callers and models: what a caller does, and what befalls its call at
//! each of two models, is drawn from one number, played over real sockets, and judged by what must hold whatever
//! happens.

mod caller;
mod config;
mod http;
mod money;
mod plan;
mod script;
mod server;
mod verdict;
mod words;

pub use caller::{Gateway, Heard, play};
pub use config::{deployment, model_name, pipeline, policy, tenant};
pub use money::{Charged, Misspent, charged, misspent};
pub use plan::{Bill, Told};
pub use script::{Face, Fault, Hangup, MODELS, Patience, Purse, Script};
pub use server::{Attempt, Model};
pub use verdict::{Got, Offence, judge};
