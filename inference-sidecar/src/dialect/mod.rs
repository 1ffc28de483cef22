//! Wire dialects: pure readers, writers and converters, without I/O or clocks. What becomes of each field stands in
//! `docs/translation.md`, whose every row a test tries.

pub mod anthropic;
mod block;
mod fields;
mod leftover;
pub mod openai;
pub mod responses;
pub mod text;
pub mod unheeded;
mod unwanted;

pub use unwanted::Unwanted;

/// A request of another dialect as a chat completion request.
#[derive(Clone, Debug, PartialEq)]
pub struct Chat {
    /// Without a cap of the answer: its name differs by server.
    pub body: serde_json::Value,
    /// Most tokens of the answer, if the caller says.
    pub cap: Option<u64>,
    /// Fields that have no counterpart and change no meaning, in order of their names.
    pub dropped: Vec<String>,
}
