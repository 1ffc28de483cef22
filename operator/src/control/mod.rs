//! Serves configuration to data planes and hears back from them: the index of what is to be in
//! force (pure), the hub that wakes streams and reconcilers, and the gRPC service itself.

mod account;
mod auth;
mod budgets;
mod enforcement;
mod expiry;
mod heard;
mod hub;
mod index;
mod key;
mod load;
mod offer;
mod rates;
mod server;
mod speeds;
mod tenant;
mod witness;

pub use account::{Account, NoAccount};
pub use auth::{AUDIENCE, Authenticator};
pub use budgets::Budgets;
pub use enforcement::{Audience, Enforcement};
pub use hub::Hub;
pub use index::{Broken, Index, Mandatory};
pub use key::{Key, Kind, Seat};
pub use load::Load;
pub use offer::Offer;
pub use rates::Rates;
pub use server::ControlService;
pub use speeds::{Speeds, Teller};
pub use tenant::{Draft, Pod};
pub use witness::{Head, Witness};
