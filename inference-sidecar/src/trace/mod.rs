//! Spans of calls and of their attempts, for an OpenTelemetry collector: W3C context in and out, names of the `GenAI`
//! conventions. Off unless a collector is named.
//! <https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>

mod context;
mod export;
mod otlp;
mod span;

pub use context::Context;
pub use export::{Collector, Exporter, Tracer};
pub use span::{Kind, Place, Span, Value};
