//! Wire dialects: pure readers, writers and converters, without I/O or clocks.

pub mod anthropic;
pub mod openai;
