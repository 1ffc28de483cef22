//! OpenAI chat completions, embeddings and models.

mod chat;
mod embeddings;
mod frames;

pub use chat::chat_request;
pub use embeddings::embeddings_request;
pub use frames::{end, start, token, whole};
