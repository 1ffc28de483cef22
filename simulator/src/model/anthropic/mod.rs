//! Anthropic messages.

mod frames;
mod messages;

pub use frames::{end, start, token, whole};
pub use messages::request;
