//! Anthropic's Messages API behind the OpenAI face. Every field of a request is mapped, carried,
//! dropped by name or refused by name; see `request`.
//! <https://docs.anthropic.com/en/api/messages>

mod error;
mod request;
mod response;
mod stream;

pub use error::from_error;
pub use request::{Translated, to_messages};
pub use response::to_completion;
pub use stream::Translator;

/// Version of the API that these converters speak.
pub const VERSION: &str = "2023-06-01";
