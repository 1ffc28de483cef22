//! What spans say of calls and of their attempts: OpenTelemetry's names in `gen_ai.`, and our own in `aios.`.

use reqwest::Url;

use super::{call::Call, exchange::Answered};
use crate::{
    dialect::openai::{Operation, Request},
    snapshot::Model,
    trace::{Kind, Place, Span, Value},
};

/// What is asked of whom.
pub fn describe(span: &mut Span, call: &Call, request: &Request) {
    let operation = request.operation.as_str();
    span.name(format!("{operation} {}", request.model));
    span.note("gen_ai.operation.name", Value::Fixed(operation));
    span.text("gen_ai.request.model", &request.model);
    if let Call::Routed { pipeline, step, .. } = call {
        span.text("aios.pipeline", pipeline);
        span.note("aios.step", Value::Fixed(step.as_str()));
    }
}

/// Who answered.
pub fn answered(span: &mut Span, answered: &Answered, attempts: u32) {
    let candidate = &answered.candidate;
    describe_model(span, &candidate.model);
    if let Some(route) = candidate.route {
        span.note("aios.route", number(route));
    }
    span.note("aios.attempts", Value::Number(attempts.into()));
    if let Some(origin) = answered.given.origin {
        span.note("aios.cache", Value::Fixed(origin.as_str()));
    }
}

/// One attempt, at an address.
pub fn attempt(place: &Place, model: &Model, operation: Operation, address: &str) -> Span {
    let operation = operation.as_str();
    let name = format!("{operation} {}", model.upstream_model);
    let mut span = place.begin(Kind::Client, name);
    span.note("gen_ai.operation.name", Value::Fixed(operation));
    span.text("gen_ai.request.model", &model.upstream_model);
    describe_model(&mut span, model);
    if let Ok(url) = Url::parse(address) {
        span.text("server.address", url.host_str().unwrap_or_default());
        if let Some(port) = url.port_or_known_default() {
            span.note("server.port", Value::Number(port.into()));
        }
    }
    span
}

fn describe_model(span: &mut Span, model: &Model) {
    span.text("aios.model", &model.name);
    span.note(
        "gen_ai.provider.name",
        Value::Fixed(model.labels.provider()),
    );
}

fn number(count: usize) -> Value {
    Value::Number(u64::try_from(count).unwrap_or(u64::MAX))
}
