//! Texts that a model is asked to judge: OpenAI's moderations.

use aios_proto::control::{ItemKind, Snapshot};
use serde_json::{Value, json};

use crate::{
    fake::{Fake, json_answer},
    ingress::Before,
    world::{World, header, item, model, pipeline},
};

fn judged() -> Value {
    json!({"id": "modr-1", "model": "judge", "results": [{"flagged": true,
        "categories": {"violence": true}, "category_scores": {"violence": 0.97}}]})
}

async fn asked(base: &str, http: &reqwest::Client, body: &Value) -> reqwest::Response {
    let request = http.post(format!("{base}/v1/moderations"));
    request.body(body.to_string()).send().await.unwrap()
}

#[tokio::test]
async fn moderations_reach_a_model_and_come_back_as_it_gave_them() {
    let fake = Fake::start(vec![json_answer(200, &judged())]).await;
    let world = World::start(vec![model("m", &fake.address)], json!([{"model": "m"}])).await;
    let body = json!({"model": "m", "input": ["12345678", "x"]});
    let response = asked(&world.base, &world.http, &body).await;
    assert_eq!(header(&response, "aios-usage"), "estimated");
    assert_eq!(header(&response, "aios-input-tokens"), "3");
    assert_eq!(header(&response, "aios-output-tokens"), "0");
    assert_eq!(response.json::<Value>().await.unwrap(), judged());
    assert_eq!(
        (fake.seen(0).path.as_str(), fake.body(0)),
        ("/v1/moderations", body)
    );
    assert!(world.metric(&["operation_duration_seconds_count", "\"moderations\"", " 1"]));
    for wrong in [json!({"model": "m"}), json!({"model": "m", "input": []})] {
        let response = asked(&world.base, &world.http, &wrong).await;
        assert_eq!(response.status(), 400);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["param"], "input");
    }
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn an_answer_without_results_is_no_judgement() {
    let fake = Fake::start(vec![json_answer(200, &json!({"id": "modr-1"}))]).await;
    let world = World::start(vec![model("m", &fake.address)], json!([{"model": "m"}])).await;
    let body = json!({"model": "m", "input": "x"});
    let response = asked(&world.base, &world.http, &body).await;
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["error"]["attempts"][0]["outcome"], "malformed");
}

#[tokio::test]
async fn an_ingress_asks_a_server_of_the_openai_dialect_alone() {
    let fake = Fake::start(vec![json_answer(200, &judged())]).await;
    let body = json!({"model": "m", "input": "x"});
    let before = Before::start(&fake, ("retries", Value::Null)).await;
    let response = asked(&before.base, &before.http, &body).await;
    assert_eq!(response.json::<Value>().await.unwrap(), judged());
    let seen = fake.seen(0);
    assert_eq!(
        (seen.path.as_str(), fake.body(0)["model"].as_str()),
        ("/v1/moderations", Some("up"))
    );
    assert_eq!(seen.headers["authorization"], "Bearer sk-secret");
    let text = json!({"BentoML": {"input": "prompt"}});
    for dialect in [json!("Anthropic"), text] {
        let before = Before::start(&fake, ("upstream.dialect", dialect)).await;
        let response = asked(&before.base, &before.http, &body).await;
        assert_eq!(response.status(), 400);
        let body: Value = response.json().await.unwrap();
        assert_eq!(body["error"]["code"], "unsupported_by_model");
    }
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn a_pipelines_check_names_the_model_that_judges_and_its_budget_pays() {
    let fake = Fake::start(vec![json_answer(200, &judged())]).await;
    let world = World::unconfigured().await;
    let mut pipeline = pipeline(json!([{"model": "m"}]));
    pipeline["budget"] = json!({"amount": "1", "currency": "USD", "period": "Month"});
    let items = vec![
        item(ItemKind::Model, "m", &model("m", "http://127.0.0.1:1")),
        item(ItemKind::Model, "judge", &model("judge", &fake.address)),
        item(ItemKind::Pipeline, "p", &pipeline),
    ];
    let acks = world.live.apply(&Snapshot { sequence: 1, items });
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    let check = async |pipeline: &str, model: &str| {
        let request = world.http.post(format!("{}/v1/moderations", world.base));
        let request = request
            .header("aios-pipeline", pipeline)
            .header("aios-step", "check");
        let body = json!({"model": model, "input": "x"});
        request.body(body.to_string()).send().await.unwrap()
    };
    let response = check("p", "judge").await;
    assert_eq!(header(&response, "aios-model"), "judge");
    assert_eq!(response.json::<Value>().await.unwrap(), judged());
    assert!(world.metric(&["aios_sidecar_budget_spent_total"]));
    for (pipeline, model, code) in [
        ("p", "nobody", "model_not_found"),
        ("q", "judge", "pipeline_not_found"),
    ] {
        let body: Value = check(pipeline, model).await.json().await.unwrap();
        assert_eq!(body["error"]["code"], code);
    }
    assert_eq!(fake.calls(), 1);
}
