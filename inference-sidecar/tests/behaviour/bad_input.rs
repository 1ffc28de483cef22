//! Every bad input to the egress has a named outcome.

use rstest::rstest;
use serde_json::{Value, json};

use crate::world::{World, chat, header, model, nowhere};

#[rstest]
#[case::path("GET", "/v2/x", "", &[], 404, "path_not_found", "")]
#[case::root("GET", "/", "", &[], 404, "path_not_found", "")]
#[case::method("GET", "/v1/chat/completions", "", &[], 405, "method_not_allowed", "")]
#[case::method_of_list("DELETE", "/v1/models", "", &[], 405, "method_not_allowed", "")]
#[case::empty("POST", "/v1/chat/completions", "", &[], 400, "invalid_json", "")]
#[case::binary("POST", "/v1/chat/completions", "\u{0}\u{1}", &[], 400, "invalid_json", "")]
#[case::no_messages("POST", "/v1/chat/completions", r#"{"model":"m"}"#, &[], 400, "invalid_field", "messages")]
#[case::unknown_model("POST", "/v1/chat/completions", r#"{"model":"x","messages":[{"role":"user"}]}"#, &[], 404, "model_not_found", "model")]
#[case::auto_alone("POST", "/v1/chat/completions", r#"{"model":"auto","messages":[{"role":"user"}]}"#, &[], 404, "model_not_found", "model")]
#[case::named_in_pipeline("POST", "/v1/chat/completions", r#"{"model":"m","messages":[{"role":"user"}]}"#, &[("aios-pipeline", "p")], 400, "invalid_field", "model")]
#[case::pipeline("POST", "/v1/chat/completions", "CHAT", &[("aios-pipeline", "x")], 404, "pipeline_not_found", "")]
#[case::step("POST", "/v1/chat/completions", "CHAT", &[("aios-pipeline", "p"), ("aios-step", "x")], 400, "invalid_header", "aios-step")]
#[case::no_final("POST", "/v1/chat/completions", "CHAT", &[("aios-pipeline", "p"), ("aios-step", "final")], 404, "step_not_found", "")]
#[case::labels("POST", "/v1/chat/completions", "CHAT", &[("aios-pipeline", "p"), ("aios-labels", "x")], 400, "invalid_header", "aios-labels")]
#[case::moderations("POST", "/v1/moderations", r#"{"model":"m"}"#, &[], 400, "invalid_field", "input")]
#[case::embeddings("POST", "/v1/embeddings", r#"{"model":"m"}"#, &[], 400, "invalid_field", "input")]
#[tokio::test]
async fn a_bad_call_is_refused_by_name(
    #[case] method: &str,
    #[case] path: &str,
    #[case] body: &str,
    #[case] headers: &[(&str, &str)],
    #[case] status: u16,
    #[case] code: &str,
    #[case] param: &str,
) {
    let world = World::start(vec![model("m", &nowhere().await)], json!([{"model": "m"}])).await;
    let body = if body == "CHAT" {
        chat(json!({})).to_string()
    } else {
        body.to_owned()
    };
    let method = method.parse().unwrap();
    let mut request = world
        .http
        .request(method, format!("{}{path}", world.base))
        .body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), status);
    assert_eq!(header(&response, "x-should-retry"), "false");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], code);
    assert_eq!(body["error"]["param"].as_str().unwrap_or_default(), param);
    assert!(!body["error"]["message"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let world = World::start(vec![model("m", &nowhere().await)], json!([{"model": "m"}])).await;
    let url = format!("{}/v1/chat/completions", world.base);
    let response = world
        .http
        .post(url)
        .body(vec![b' '; (10 << 20) + 1])
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 413);
}

#[tokio::test]
async fn before_the_first_snapshot_callers_are_asked_to_wait() {
    let world = World::unconfigured().await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "x-should-retry"), "true");
    assert_eq!(header(&response, "retry-after"), "1");
}

/// Codes that stand in the source, in the one function that classes refusals.
fn codes() -> std::collections::BTreeSet<String> {
    let source = include_str!("../../src/error.rs");
    let class = source.split_once("fn class(").unwrap().1;
    let class = class.split_once("\n    }\n").unwrap().0;
    class
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|word| !word.ends_with("_error"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_refusal_is_documented() {
    let page = include_str!("../../../docs/model-calls.md");
    let codes = codes();
    assert!(codes.len() > 20, "{codes:?}");
    let missing: Vec<_> = codes
        .iter()
        .filter(|code| !page.contains(&format!("`{code}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
