//! Several groups serve a model: the less loaded takes the next call, and one that is away costs none.

use aios_inference_sidecar::money::Lessor;
use aios_proto::control::{ModelReplicas, Replicas};
use aios_runtime::{
    control::Enforce,
    tls::{ClientTls, ServerTls},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    certificates::Certificates,
    fake::{Answer, End, Fake, completion, role, stream, token, until},
    world::{World, chat, header, model, nowhere, snapshot},
};

fn hello() -> Answer {
    completion("Hello.", Some((1, 1)))
}

/// Tells an egress where the groups of model `m` are.
fn reach(world: &World, addresses: &[&str]) {
    let addresses = addresses.iter().map(|&address| address.to_owned());
    let model = ModelReplicas {
        model: "m".to_owned(),
        addresses: addresses.collect(),
    };
    world.live.replicas(Replicas {
        models: vec![model],
    });
}

async fn behind(service: &str) -> World {
    World::start(vec![model("m", service)], json!([{"model": "m"}])).await
}

async fn answered(world: &World, body: &Value) -> String {
    let response = world.call(body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let attempts = header(&response, "aios-attempts").to_owned();
    response.text().await.unwrap();
    attempts
}

#[tokio::test]
async fn a_group_that_is_slow_is_given_no_more_calls_while_another_is_free() {
    let service = Fake::start(vec![hello()]).await;
    let slow = Answer::Stream(vec![role(), token("A")], End::Hang);
    let slow = Fake::start(vec![slow]).await;
    let quick = Fake::start(vec![stream(&["A", "B"])]).await;
    let world = behind(&service.address).await;
    reach(&world, &[&slow.address, &quick.address]);
    let body = chat(json!({"stream": true}));
    let mut waiting = Vec::new();
    // Chance decides between two that are free.
    while slow.under_way() == 0 {
        let (before, response) = (quick.calls(), world.call(&body).send().await.unwrap());
        if quick.calls() > before {
            response.text().await.unwrap();
        } else {
            waiting.push(response);
        }
    }
    let before = quick.calls();
    for _ in 0..20 {
        assert_eq!(answered(&world, &body).await, "1");
    }
    assert_eq!((slow.calls(), quick.calls()), (1, before + 20));
    // When its call is over it has its turn again.
    drop(waiting);
    until("the cancellation", || slow.cancelled() == 1).await;
    slow.say(stream(&["A"]));
    while slow.calls() < 2 {
        answered(&world, &body).await;
    }
    assert_eq!(service.calls(), 0);
}

#[tokio::test]
async fn the_other_group_answers_for_one_that_is_gone_and_the_service_for_both() {
    let service = Fake::start(vec![hello()]).await;
    let good = Fake::start(vec![hello()]).await;
    let world = behind(&service.address).await;
    let gone = nowhere().await;
    reach(&world, &[&gone, &good.address]);
    for _ in 0..20 {
        answered(&world, &chat(json!({}))).await;
    }
    assert_eq!((good.calls(), service.calls()), (20, 0));
    reach(&world, &[&gone, &nowhere().await]);
    answered(&world, &chat(json!({}))).await;
    assert_eq!((good.calls(), service.calls()), (20, 1));
}

#[tokio::test]
async fn one_group_alone_is_the_services_to_lead_to() {
    let service = Fake::start(vec![hello()]).await;
    let group = Fake::start(vec![hello()]).await;
    let world = behind(&service.address).await;
    reach(&world, &[&group.address]);
    assert_eq!(answered(&world, &chat(json!({}))).await, "1");
    assert_eq!((service.calls(), group.calls()), (1, 0));
}

/// Address by number of a server that shows a certificate of a host and answers as the fake does.
async fn showing(certificates: &Certificates, host: &str, fake: &Fake) -> String {
    let (cert, key) = certificates.server_of(host);
    let tls = ServerTls::new(&cert, &key, None).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let (app, never) = (fake.app(), CancellationToken::new());
    tokio::spawn(aios_runtime::serve::serve(listener, app, Some(tls), never));
    address
}

#[tokio::test]
async fn an_address_counts_only_with_the_certificate_of_the_models_service() {
    let certificates = Certificates::new();
    let tls = ClientTls::new(Some(&certificates.ca()), None).unwrap();
    let world = World::dialling(Lessor::own(), Some(tls)).await;
    // Nobody is there: the groups are all there is, and then another model.
    let service = nowhere()
        .await
        .replace("http://127.0.0.1", "https://localhost");
    let spare = Fake::start(vec![hello()]).await;
    let models = vec![model("m", &service), model("spare", &spare.address)];
    let routes = json!([{"model": "m"}, {"model": "spare"}]);
    world.live.apply(&snapshot(1, models, routes));
    let group = Fake::start(vec![hello()]).await;
    let of = async |host| showing(&certificates, host, &group).await;
    reach(&world, &[&of("localhost").await, &of("localhost").await]);
    let answer = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!((header(&answer, "aios-model"), group.calls()), ("m", 1));
    // The pods are gone, and others have got their addresses.
    reach(&world, &[&of("127.0.0.1").await, &of("127.0.0.1").await]);
    let answer = world.call(&chat(json!({}))).send().await.unwrap();
    assert_eq!((header(&answer, "aios-model"), group.calls()), ("spare", 1));
}
