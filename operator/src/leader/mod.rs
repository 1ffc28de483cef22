//! Leadership: one operator reconciles and serves; the others wait, healthy. A leader stops writing
//! before its Lease is free for another, and ends its process once it lost it. The API server holds
//! to the Lease whoever could not stop in time: the chart's policy refuses their writes.

mod election;
mod fence;
mod lease;
mod mark;

pub use election::Election;
pub use fence::fenced;
pub use lease::PACE;
pub use mark::{admitted, mark, unmark};
