//! OpenAI chat completions, embeddings, moderations and models.

mod chat;
mod embeddings;
mod frames;
mod moderations;

pub use chat::chat_request;
pub use embeddings::embeddings_request;
pub use frames::{end, start, token, whole};
pub use moderations::moderations_request;
