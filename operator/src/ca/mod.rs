//! The operator's own certificate authority: serving certificates for Services, client certificates
//! for tenants. Deciding is pure; only `store` talks to the API server.

mod issue;
mod renewal;
mod store;

pub use issue::{Authority, CaError, Issued, Subject};
pub use renewal::{Need, Seen, need};
pub use store::{CA_CRT, load, seen};
