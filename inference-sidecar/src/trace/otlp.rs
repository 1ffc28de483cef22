//! Spans as OpenTelemetry's collectors take them: OTLP over HTTP, in JSON. Pure.
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};

use super::span::{Ended, Kind, Value};

/// The body of one request.
pub fn request(spans: &[Box<Ended>], service: &str) -> Vec<u8> {
    let spans: Vec<Json> = spans.iter().map(|span| self::span(span)).collect();
    let resource = [
        attribute("service.name", &Value::Text(service.into())),
        attribute("service.version", &Value::Fixed(env!("CARGO_PKG_VERSION"))),
    ];
    let scope = json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")});
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]});
    body.to_string().into_bytes()
}

fn span(span: &Ended) -> Json {
    let mut attributes: Vec<Json> = span
        .attributes
        .iter()
        .map(|(key, value)| attribute(key, value))
        .collect();
    let began = nanos(span.began);
    let ended = began.saturating_add(span.took.as_nanos());
    let mut json = json!({
        "traceId": hex::encode(span.context.trace),
        "spanId": hex::encode(span.context.span),
        "name": span.name,
        "kind": match span.kind { Kind::Server => 2, Kind::Client => 3 },
        "startTimeUnixNano": began.to_string(),
        "endTimeUnixNano": ended.to_string(),
    });
    if let Some(parent) = span.parent {
        json["parentSpanId"] = Json::from(hex::encode(parent));
    }
    if let Some(error) = span.error {
        attributes.push(attribute("error.type", &Value::Fixed(error)));
        json["status"] = json!({ "code": 2 });
    }
    json["attributes"] = Json::from(attributes);
    json
}

/// 64-bit numbers are texts in JSON of protobuf.
fn attribute(key: &str, value: &Value) -> Json {
    let value = match value {
        Value::Fixed(text) => json!({ "stringValue": text }),
        Value::Text(text) => json!({ "stringValue": &**text }),
        Value::Number(number) => json!({ "intValue": number.to_string() }),
    };
    json!({"key": key, "value": value})
}

fn nanos(at: SystemTime) -> u128 {
    at.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos())
}
