//! What every process of AIOS shares: logs, shutdown, TLS that reloads, serving, health and metrics,
//! and the data planes' end of the control stream. Knows nothing of documents, models or policies.

pub mod admin;
pub mod channel;
pub mod control;
pub mod serve;
pub mod tls;

mod logs;
mod shutdown;

pub use logs::init;
pub use shutdown::shutdown;
