//! The operator's own certificate authority: serving certificates for Services, client certificates
//! for tenants, and the rotation of the CA itself. Deciding is pure; only `store` talks to the API
//! server.

mod current;
mod issue;
mod papers;
mod renewal;
mod rotation;
mod store;

pub use current::Current;
pub use issue::{Authority, CaError, Issued, Subject};
pub use papers::{Expected, Heard, KeyId, Papers};
pub use renewal::{Need, Seen, need};
pub use rotation::{Kept, Moment, Stage, Step, step};
pub use store::{CA_CRT, load, read, replace, seen};
