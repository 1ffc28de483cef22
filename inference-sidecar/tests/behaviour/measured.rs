//! What calls leave in the metrics of both roles.

use futures::future::join_all;
use prometheus_client::{encoding::text::encode, registry::Registry};
use serde_json::json;

use crate::{
    fake::{Answer, DONE, End, Fake, error, role, stop, token, until, usage_chunk},
    world::{World, chat, ingress_counting, model, with},
};

#[tokio::test]
async fn a_stream_tells_both_roles_when_it_began_and_the_ingress_how_fast_it_went() {
    let pieces = vec![
        role(),
        token("Hel"),
        token("lo"),
        token("."),
        stop(),
        usage_chunk(9, 3),
        DONE.to_owned(),
    ];
    let fake = Fake::start(vec![Answer::Stream(pieces, End::Close)]).await;
    let behind = model("m", &fake.address);
    let mut registry = Registry::default();
    let endpoint = ingress_counting(&behind, &mut registry).await;
    let before = with(behind, "endpoint", json!(endpoint));
    let world = World::start(vec![before], json!([{"model": "m"}])).await;
    let response = world.call(&chat(json!({"stream": true}))).send().await;
    let heard = response.unwrap().text().await.unwrap();
    assert!(heard.ends_with(DONE), "{heard}");
    let of_ingress = |name: &str| {
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        text.lines()
            .any(|line| line.starts_with(&format!("{name}_count")) && line.ends_with(" 1"))
    };
    until("the ingress's count", || {
        of_ingress("gen_ai_server_time_to_first_token_seconds")
            && of_ingress("gen_ai_server_time_per_output_token_seconds")
    })
    .await;
    let first = "gen_ai_client_operation_time_to_first_chunk_seconds_count";
    until("the egress's", || {
        world.metric(&[first, "aios_model=\"m\"", "} 1"])
    })
    .await;
}

#[tokio::test]
async fn a_whole_answer_has_no_first_token() {
    let fake = Fake::start(vec![crate::fake::completion("Hello.", Some((9, 3)))]).await;
    let world = World::start(vec![model("m", &fake.address)], json!([{"model": "m"}])).await;
    world.call(&chat(json!({}))).send().await.unwrap();
    assert!(world.metric(&["gen_ai_client_operation_duration_seconds_count", "} 1"]));
    let first = "gen_ai_client_operation_time_to_first_chunk_seconds_count";
    assert!(!world.metric(&[first]), "{}", world.metrics());
}

#[tokio::test]
async fn a_denied_retry_is_counted() {
    let fake = Fake::start(vec![error(500, "")]).await;
    let patient = with(model("m", &fake.address), "resilience.retries", json!(5));
    let world = World::start(vec![patient], json!([{"model": "m"}])).await;
    let denied =
        |world: &World| world.metric(&["aios_sidecar_retries_denied_total", "aios_model=\"m\""]);
    assert!(!denied(&world));
    // Five times as many tries as are saved up.
    join_all((0..100).map(|_| world.call(&chat(json!({}))).send())).await;
    assert!(denied(&world), "{}", world.metrics());
    assert!(fake.calls() < 600, "{} calls", fake.calls());
}
