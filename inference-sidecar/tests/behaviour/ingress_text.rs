//! Models that take one text and give one behind the OpenAI face: Open Inference Protocol V2 and BentoML.

use rstest::rstest;
use serde_json::{Value, json};

use crate::{
    fake::{Answer, Fake, json_answer},
    ingress::Before,
    world::header,
};

async fn kserve(answer: Answer) -> (Fake, Before) {
    let dialect = json!({"OpenInference": {"input": "input-0", "settings": ["max_tokens"]}});
    before(answer, dialect, "/v2").await
}

async fn bentoml(answer: Answer) -> (Fake, Before) {
    let dialect = json!({"BentoML": {"input": "prompt", "output": "text"}});
    before(answer, dialect, "/generate").await
}

async fn before(answer: Answer, dialect: Value, path: &str) -> (Fake, Before) {
    let fake = Fake::start(vec![answer]).await;
    let upstream = json!({"dialect": dialect, "baseUrl": format!("{}{path}", fake.address)});
    let before = Before::start(&fake, ("upstream", upstream)).await;
    (fake, before)
}

fn tensor(text: &str) -> Answer {
    let output = json!({"name": "output-0", "shape": [1], "datatype": "BYTES", "data": [text]});
    json_answer(
        200,
        &json!({"model_name": "up", "id": "theirs", "outputs": [output]}),
    )
}

#[tokio::test]
async fn a_call_becomes_a_tensor_and_the_answers_tensor_a_completion() {
    let (fake, before) = kserve(tensor("Hello.")).await;
    let response = before.call(json!({"seed": 3, "max_tokens": 7})).await;
    assert_eq!(header(&response, "aios-dropped"), "seed");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello.");
    assert_eq!(body["id"], fake.body(0)["id"]);
    assert_eq!(body.get("usage"), None);
    let seen = fake.seen(0);
    assert_eq!(seen.path, "/v2/models/up/infer");
    assert!(seen.headers.get("authorization").is_none());
    let inputs =
        json!([{"name": "input-0", "shape": [1], "datatype": "BYTES", "data": ["Write a line."]}]);
    assert_eq!(fake.body(0)["inputs"], inputs);
    assert_eq!(fake.body(0)["parameters"], json!({"max_tokens": 7}));
}

#[tokio::test]
async fn a_call_becomes_fields_of_a_route_and_a_field_of_its_answer_a_completion() {
    let (fake, before) = bentoml(json_answer(200, &json!({"text": "Hello.", "tokens": 2}))).await;
    let response = before.call(json!({"max_tokens": 7})).await;
    assert_eq!(header(&response, "aios-dropped"), "max_tokens");
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["choices"][0]["message"]["content"], "Hello.");
    assert_eq!(fake.seen(0).path, "/generate");
    assert_eq!(fake.body(0), json!({"prompt": "Write a line."}));
}

#[tokio::test]
async fn a_stream_of_a_server_of_texts_is_one_event() {
    let (_, before) = kserve(tensor("Hello.")).await;
    let response = before.call(json!({"stream": true})).await;
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    let text = response.text().await.unwrap();
    assert_eq!(text.matches("data: ").count(), 2, "{text}");
    assert!(text.contains(r#""content":"Hello.""#), "{text}");
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
}

#[rstest]
#[case::shape(false, json_answer(200, &json!({"outputs": []})), 502, "upstream_malformed", "engine.kserve.output")]
#[case::shape_streamed(true, json_answer(200, &json!({"outputs": []})), 502, "upstream_malformed", "engine.kserve.output")]
#[case::unknown(false, json_answer(404, &json!({"error": "Model with name up does not exist."})), 502, "model_refused", "spec.selfHosted.engine")]
#[case::input(false, json_answer(400, &json!({"error": "no tensor input-0"})), 400, "upstream_rejected", "no tensor input-0")]
#[case::not_ready(false, json_answer(503, &json!({"error": "Model with name up is not ready."})), 502, "upstream_failed", "not ready")]
#[tokio::test]
async fn what_a_server_of_texts_does_wrong_is_said_as_it_says_it(
    #[case] stream: bool,
    #[case] answer: Answer,
    #[case] status: u16,
    #[case] code: &str,
    #[case] says: &str,
) {
    let (_, before) = kserve(answer).await;
    let response = before.call(json!({ "stream": stream })).await;
    assert_eq!(response.status(), status);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], code);
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains(says), "{message}");
}

#[tokio::test]
async fn what_one_text_cannot_carry_never_reaches_the_engine() {
    let (fake, before) = bentoml(json_answer(200, &json!({}))).await;
    let response = before
        .call(json!({"response_format": {"type": "json_object"}}))
        .await;
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["code"], "unsupported_by_model");
    assert_eq!(body["error"]["param"], "response_format");
    let embeddings = json!({"model": "m", "input": "x"}).to_string();
    let url = format!("{}/v1/embeddings", before.base);
    let response = before.http.post(url).body(embeddings).send().await.unwrap();
    assert_eq!(response.status(), 400);
    assert_eq!(fake.calls(), 0);
}
