//! Streams through the egress.

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    fake::{Answer, DONE, End, Fake, role, stop, stream, token, until, usage_chunk},
    world::{World, chat, header, model, with},
};

async fn two(first: Answer, patch: (&str, Value)) -> (Fake, Fake, World) {
    let (a, b) = (
        Fake::start(vec![first]).await,
        Fake::start(vec![stream(&["B"])]).await,
    );
    let models = vec![
        with(model("a", &a.address), patch.0, patch.1),
        model("b", &b.address),
    ];
    let world = World::start(models, json!([{"model": "a"}, {"model": "b"}])).await;
    (a, b, world)
}

async fn streamed(world: &World, extra: Value) -> (reqwest::Response, Value) {
    let mut body = chat(json!({"stream": true}));
    for (field, value) in extra.as_object().unwrap() {
        body[field] = value.clone();
    }
    let response = world.call(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    (response, body)
}

const NO_PATCH: (&str, Value) = ("digest", Value::Null);

#[tokio::test]
async fn usage_is_counted_and_its_chunk_stripped_unless_asked_for() {
    let fake = Fake::start(vec![stream(&["Hel", "lo"])]).await;
    let world = World::start(vec![model("m", &fake.address)], json!([{"model": "m"}])).await;
    let (response, _) = streamed(&world, json!({})).await;
    assert_eq!(header(&response, "aios-model"), "m");
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    let expected = [role(), token("Hel"), token("lo"), stop(), DONE.to_owned()].concat();
    assert_eq!(response.text().await.unwrap(), expected);
    assert_eq!(
        fake.body(0)["stream_options"],
        json!({"include_usage": true})
    );
    assert!(world.metric(&["token_usage_sum", "\"output\"", "\"exact\"", " 3"]));

    let asked = json!({"stream_options": {"include_usage": true, "x": 1}});
    let (response, body) = streamed(&world, asked).await;
    assert!(response.text().await.unwrap().contains(&usage_chunk(9, 3)));
    assert_eq!(fake.body(1)["stream_options"], body["stream_options"]);
}

#[tokio::test]
async fn a_stream_falls_over_before_its_first_token() {
    let error = "data: {\"error\":{\"message\":\"busy\",\"code\":\"x\"}}\n\n".to_owned();
    for first in [
        Answer::Stream(vec![role()], End::Cut),
        Answer::Stream(vec![role()], End::Close),
        Answer::Stream(vec![role(), error], End::Close),
        Answer::Stream(vec![role()], End::Hang),
        Answer::Stream(vec!["x".repeat(2 << 20)], End::Close),
        Answer::Hang,
        crate::fake::completion("not a stream", None),
        crate::fake::error(500, ""),
    ] {
        let name = format!("{first:.40?}");
        let (_, _, world) = two(first, ("resilience.firstTokenTimeout", json!("200ms"))).await;
        let (response, _) = streamed(&world, json!({})).await;
        assert_eq!(header(&response, "aios-model"), "b", "{name}");
        let expected = [role(), token("B"), stop(), DONE.to_owned()].concat();
        assert_eq!(response.text().await.unwrap(), expected, "{name}");
    }
}

#[tokio::test]
async fn after_the_first_byte_a_stream_ends_with_an_error_and_never_repeats_text() {
    for end in [End::Cut, End::Close] {
        let first = Answer::Stream(vec![role(), token("Hel")], end);
        let (_, b, world) = two(first, NO_PATCH).await;
        let (response, _) = streamed(&world, json!({})).await;
        let text = response.text().await.unwrap();
        let (sent, error) = text.split_once("event: error\n").unwrap();
        assert_eq!(sent, [role(), token("Hel")].concat());
        assert!(
            error.contains(r#""code":"stream_cut""#) && !error.contains("[DONE]"),
            "{error}"
        );
        assert_eq!(b.calls(), 0);
        assert!(world.metric(&["error_type=\"cut\"", "_count", " 1"]));
        assert!(world.metric(&["cost_total", "\"estimated\""]));
    }
}

#[tokio::test]
async fn a_stream_that_stalls_ends_in_time() {
    let first = Answer::Stream(vec![token("Hel")], End::Hang);
    let (a, _, world) = two(first, ("resilience.timeout", json!("300ms"))).await;
    let (response, _) = streamed(&world, json!({})).await;
    assert!(response.text().await.unwrap().contains("upstream_timeout"));
    until("cancellation", || a.cancelled() == 1).await;
}

#[tokio::test]
async fn an_error_event_of_the_model_reaches_the_caller() {
    let error = "data: {\"error\":{\"message\":\"lost\",\"code\":\"x\"}}\n\n".to_owned();
    let (_, _, world) = two(
        Answer::Stream(vec![token("A"), error.clone()], End::Hang),
        NO_PATCH,
    )
    .await;
    let (response, _) = streamed(&world, json!({})).await;
    assert_eq!(response.text().await.unwrap(), token("A") + &error);
}

#[tokio::test]
async fn a_whole_stream_without_its_last_line_gets_one() {
    let (_, _, world) = two(
        Answer::Stream(vec![token("A"), stop()], End::Close),
        NO_PATCH,
    )
    .await;
    let (response, _) = streamed(&world, json!({})).await;
    assert_eq!(
        response.text().await.unwrap(),
        [token("A"), stop(), DONE.to_owned()].concat()
    );
}

#[tokio::test]
async fn the_upstream_is_cancelled_and_counted_when_the_caller_goes() {
    let first = Answer::Stream(vec![token("Hello, you")], End::Hang);
    let (a, _, world) = two(first, NO_PATCH).await;
    let (mut response, _) = streamed(&world, json!({})).await;
    assert!(response.chunk().await.unwrap().is_some());
    drop(response);
    until("cancellation", || a.cancelled() == 1).await;
    until("the account", || {
        world.metric(&["error_type=\"cancelled\"", "_count", " 1"])
    })
    .await;
    assert!(world.metric(&["token_usage_sum", "\"output\"", "\"estimated\"", " 3"]));
}

#[tokio::test]
async fn trailers_say_what_a_stream_cost() {
    let fake = Fake::start(vec![stream(&["Hello"])]).await;
    let world = World::start(vec![model("m", &fake.address)], json!([{"model": "m"}])).await;
    let body = chat(json!({"stream": true, "model": "m"})).to_string();
    let address = world.base.strip_prefix("http://").unwrap();
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nte: trailers\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    let trailers = answer.split_once("\r\n0\r\n").unwrap().1;
    for line in [
        "aios-usage: exact",
        "aios-input-tokens: 9",
        "aios-cost: 0.000004 USD",
    ] {
        assert!(trailers.contains(line), "{trailers}");
    }
}

#[tokio::test]
async fn a_stream_that_pauses_too_long_ends_with_an_error() {
    let first = Answer::Stream(vec![token("Hel")], End::Hang);
    let (a, b, world) = two(first, ("resilience.tokenGapTimeout", json!("200ms"))).await;
    let (response, _) = streamed(&world, json!({})).await;
    let text = response.text().await.unwrap();
    let (sent, error) = text.split_once("event: error\n").unwrap();
    assert_eq!(sent, token("Hel"));
    assert!(
        error.contains(r#""code":"upstream_timeout""#) && error.contains("200 ms"),
        "{error}"
    );
    until("cancellation", || a.cancelled() == 1).await;
    assert_eq!(b.calls(), 0);
}

#[tokio::test]
async fn an_address_whose_streams_break_is_tried_after_the_others() {
    let first = Answer::Stream(vec![role(), token("Hel")], End::Cut);
    let (a, b, world) = two(first, NO_PATCH).await;
    for _ in 0..5 {
        let (response, _) = streamed(&world, json!({})).await;
        assert!(response.text().await.unwrap().contains("stream_cut"));
    }
    assert_eq!((a.calls(), b.calls()), (5, 0));
    // On a slow machine the rest may be over before the next call.
    loop {
        let (response, _) = streamed(&world, json!({})).await;
        let by_b = header(&response, "aios-model") == "b";
        let text = response.text().await.unwrap();
        if by_b {
            assert!(text.ends_with(DONE), "{text}");
            break;
        }
    }
    assert!(world.metric(&["aios_sidecar_breaker_opened_total", "aios_model=\"a\""]));
}
