//! What every process of AIOS shares: logs, errors' words, shutdown, TLS that reloads, serving, health and metrics,
//! the data planes' end of the control stream, and sketches of durations. Knows nothing of documents, models or policies.

pub mod admin;
pub mod channel;
pub mod control;
pub mod serve;
pub mod sketch;
pub mod tls;

mod chain;
mod logs;
mod papers;
mod shutdown;

pub use chain::chain;
pub use logs::init;
pub use shutdown::shutdown;
