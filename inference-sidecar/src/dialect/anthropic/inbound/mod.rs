//! The Messages API as callers use it, before models that know chat completions alone. Every field of a
//! request is mapped, carried, dropped by name or refused by name: see `docs/translation.md`.
//! <https://docs.anthropic.com/en/api/messages>

mod content;
mod error;
mod request;
mod response;
mod stream;

pub use error::{body as error_body, event as error_event};
pub use request::to_chat;
pub use response::to_message;
pub use stream::Writer;
