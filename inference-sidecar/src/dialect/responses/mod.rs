//! OpenAI's Responses API, stateless, before models that know chat completions. Every field of a request is
//! mapped, carried, dropped by name or refused by name: see `docs/translation.md`.
//! <https://platform.openai.com/docs/api-reference/responses>

mod input;
mod output;
mod request;
mod stream;

pub use output::Envelope;
pub use request::to_chat;
pub use stream::Writer;
