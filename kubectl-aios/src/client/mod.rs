//! A namespace's gateway, reached as `kubectl port-forward` reaches pods, and trusted only by the
//! namespace's own CA.

mod auth;
mod connect;
mod error;
mod gateway;
mod hop;
mod types;

pub use auth::{AUDIENCE, Auth};
pub use error::{ClientError, Problem};
pub use gateway::{DocumentFilter, Gateway};
pub use types::{
    Accepted, Change, DocumentSummary, DocumentView, Outcome, Preview, Receipt, Replayed, Share,
    Uploaded, Variant,
};
