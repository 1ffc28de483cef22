//! A revision that is to follow takes its part of the calls.

use serde_json::{Value, json};

use crate::{
    fake::{Answer, Fake, completion, error},
    world::{World, chat, header, model, nowhere, with},
};

/// A model of which another address takes a part.
fn rolled_out(present: &str, next: &str, percent: u32) -> Value {
    let next = json!({"endpoint": next, "percent": percent});
    with(model("m", present), "next", next)
}

async fn world(model: Value) -> World {
    World::start(vec![model], json!([{"model": "m"}])).await
}

async fn answering() -> Fake {
    Fake::start(vec![completion("Hello.", Some((1, 1)))]).await
}

/// Asks for so many documents; all are answered.
async fn ask(world: &World, documents: usize) {
    for number in 0..documents {
        let call = world.call(&chat(json!({})));
        let (client, request) = call.build_split();
        let mut request = request.unwrap();
        let name = format!("document-{number}").parse().unwrap();
        request.headers_mut().insert("aios-document", name);
        assert_eq!(client.execute(request).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn the_next_revision_takes_its_percent_and_a_document_stays_with_one() {
    let (present, next) = (answering().await, answering().await);
    let world = world(rolled_out(&present.address, &next.address, 25)).await;
    ask(&world, 200).await;
    let first = (present.calls(), next.calls());
    assert_eq!(first.0 + first.1, 200);
    assert!((30..=70).contains(&first.1), "{first:?}");
    ask(&world, 200).await;
    assert_eq!((present.calls(), next.calls()), (first.0 * 2, first.1 * 2));
}

#[tokio::test]
async fn with_a_hundred_percent_only_the_next_revision_is_asked() {
    let (present, next) = (answering().await, answering().await);
    let world = world(rolled_out(&present.address, &next.address, 100)).await;
    ask(&world, 20).await;
    let nameless = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    let url = format!("{}/v1/chat/completions", world.base);
    let answer = world.http.post(url).body(nameless.to_string()).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!((present.calls(), next.calls()), (0, 21));
}

#[tokio::test]
async fn what_the_next_revision_fails_at_the_present_one_answers() {
    let present = answering().await;
    let failing = Fake::start(vec![error(500, "broken")]).await;
    for next in [nowhere().await, failing.address.clone()] {
        let world = world(rolled_out(&present.address, &next, 100)).await;
        let answer = world.call(&chat(json!({}))).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(header(&answer, "aios-attempts"), "2");
    }
    assert_eq!((failing.calls(), present.calls()), (1, 2));
}

#[tokio::test]
async fn an_answer_names_the_weights_of_the_revision_that_gave_it() {
    let present = answering().await;
    let Answer::Plain(status, mut headers, body) = completion("Hello.", None) else {
        panic!("not plain")
    };
    headers.push(("aios-model-digest", "sha256:bb".to_owned()));
    let next = Fake::start(vec![Answer::Plain(status, headers, body)]).await;
    let world = world(rolled_out(&present.address, &next.address, 100)).await;
    let answer = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(header(&answer, "aios-model-digest"), "sha256:bb");
}
