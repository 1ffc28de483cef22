//! Sends documents to their targets and reads them back. What was sent and not answered is never
//! guessed.

mod secret;
mod sign;
mod webhook;

pub use secret::{FixedSecrets, KubeSecrets, SecretError, Secrets};
pub use webhook::{Connector, Found, GENERATED, Parcel, Sent};
