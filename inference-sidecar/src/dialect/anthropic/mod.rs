//! Anthropic's Messages API behind the OpenAI face. Every field of a request is mapped, carried,
//! dropped by name or refused by name: see `docs/translation.md`.
//! <https://docs.anthropic.com/en/api/messages>

mod conversation;
mod error;
pub mod inbound;
mod observe;
mod request;
mod response;
mod stream;
mod tools;
mod unsigned;

pub use error::from_error;
pub use observe::see;
pub use request::{Translated, to_messages};
pub use response::{Tokens as Counts, read, to_completion};
pub use stream::Translator;
pub use unsigned::{UNSIGNED, signed_only};

/// Version of the API that these converters speak.
pub const VERSION: &str = "2023-06-01";
