//! A group dies, and its standby answers: no call fails before its first token, and none waits for it longer
//! than the way there takes.

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    fake::{Answer, DONE, End, Fake, completion, error, role, stream, token},
    world::{World, chat, header, model, nowhere, with},
};

fn hello() -> Answer {
    completion("Hello.", Some((1, 1)))
}

fn gone() -> Answer {
    error(502, "upstream_unreachable")
}

/// Model `m` with a standby and no retries.
fn warm(active: &str, standby: &str) -> Value {
    with(model("m", active), "standbyEndpoint", json!(standby))
}

async fn only(model: Value) -> World {
    World::start(vec![model], json!([{"model": "m"}])).await
}

/// A Service: the first connection leads to one pod, every later one to another.
async fn service(first: &str, later: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let pods = [first, later].map(|pod| pod.trim_start_matches("http://").to_owned());
    tokio::spawn(async move {
        for connection in 0.. {
            let (mut outside, _) = listener.accept().await.unwrap();
            let pod = pods[usize::from(connection > 0)].clone();
            tokio::spawn(async move {
                let mut inside = TcpStream::connect(pod).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut outside, &mut inside).await;
            });
        }
    });
    address
}

#[tokio::test]
async fn the_standby_answers_when_the_first_address_cannot_be_reached() {
    let standby = Fake::start(vec![hello()]).await;
    let world = only(warm(&nowhere().await, &standby.address)).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "aios-attempts"), "2");
}

#[tokio::test]
async fn an_engine_that_is_gone_behind_its_ingress_counts_as_unreachable() {
    let active = Fake::start(vec![gone()]).await;
    let standby = Fake::start(vec![hello()]).await;
    let world = only(warm(&active.address, &standby.address)).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!((active.calls(), standby.calls()), (1, 1));
}

#[tokio::test]
async fn calls_that_an_engine_took_with_it_are_the_standbys_to_answer() {
    let cut = Answer::Stream(vec![role()], End::Cut);
    for death in [cut, error(502, "upstream_failed"), error(503, "")] {
        let active = Fake::start(vec![death]).await;
        let standby = Fake::start(vec![stream(&["Hello", "."])]).await;
        let world = only(warm(&active.address, &standby.address)).await;
        let body = chat(json!({"stream": true}));
        let response = world.call(&body).send().await.unwrap();
        assert_eq!(header(&response, "aios-attempts"), "2");
        let text = response.text().await.unwrap();
        assert!(text.contains("Hello") && text.ends_with(DONE), "{text}");
    }
}

#[tokio::test]
async fn a_stream_whose_first_token_was_told_is_not_begun_again() {
    let cut = Answer::Stream(vec![role(), token("Hel")], End::Cut);
    let active = Fake::start(vec![cut]).await;
    let standby = Fake::start(vec![stream(&["Hello", "."])]).await;
    let world = only(warm(&active.address, &standby.address)).await;
    let body = chat(json!({"stream": true}));
    let text = world.call(&body).send().await.unwrap();
    assert!(text.text().await.unwrap().contains("stream_cut"));
    assert_eq!(standby.calls(), 0);
}

#[tokio::test]
async fn a_standby_is_not_for_groups_that_have_their_hands_full() {
    let busy = Fake::start(vec![error(429, "overloaded")]).await;
    let standby = Fake::start(vec![hello()]).await;
    let world = only(warm(&busy.address, &standby.address)).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!((busy.calls(), standby.calls()), (1, 0));
}

#[tokio::test]
async fn a_kept_connection_to_a_group_that_died_since_is_dialled_anew_at_once() {
    let dying = Fake::start(vec![hello(), gone()]).await;
    let successor = Fake::start(vec![hello()]).await;
    let standby = service(&dying.address, &successor.address).await;
    let world = only(warm(&nowhere().await, &standby)).await;
    for _ in 0..2 {
        let answer = world.call(&chat(json!({}))).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert_eq!((dying.calls(), successor.calls()), (2, 1));
}

#[tokio::test]
async fn so_is_one_of_a_model_without_a_standby() {
    let dying = Fake::start(vec![hello(), gone()]).await;
    let other = Fake::start(vec![hello()]).await;
    let address = service(&dying.address, &other.address).await;
    let world = only(model("m", &address)).await;
    for _ in 0..2 {
        let answer = world.call(&chat(json!({}))).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert_eq!((dying.calls(), other.calls()), (2, 1));
}

#[tokio::test]
async fn a_standby_that_nodes_do_not_know_yet_is_waited_for() {
    let script = vec![gone(), gone(), gone(), gone(), hello()];
    let standby = Fake::start(script).await;
    let world = only(warm(&nowhere().await, &standby.address)).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn so_is_the_first_group_of_a_model_without_one_but_no_provider() {
    let script = || vec![gone(), gone(), gone(), gone(), hello()];
    let asked = async |change: (&str, Value)| {
        let group = Fake::start(script()).await;
        let world = only(with(model("m", &group.address), change.0, change.1)).await;
        let response = world.call(&chat(json!({}))).send().await.unwrap();
        response.status()
    };
    assert_eq!(asked(("hosted", Value::Null)).await, 200);
    assert_eq!(asked(("hosted", json!({"region": "eu"}))).await, 503);
}

#[tokio::test]
async fn where_another_route_is_left_nobody_waits_for_a_standby() {
    let other = Fake::start(vec![hello()]).await;
    let standby = Fake::start(vec![gone()]).await;
    let models = vec![
        warm(&nowhere().await, &standby.address),
        model("other", &other.address),
    ];
    let routes = json!([{"model": "m"}, {"model": "other"}]);
    let world = World::start(models, routes).await;
    let response = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!(header(&response, "aios-model"), "other");
    assert_eq!(standby.calls(), 1);
}
