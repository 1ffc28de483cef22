//! Wire dialects: pure readers, writers and converters, without I/O or clocks.

pub mod anthropic;
mod fields;
mod messages;
pub mod openai;
pub mod text;
