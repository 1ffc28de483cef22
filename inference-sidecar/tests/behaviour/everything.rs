//! The benchmark's file of all that an egress can do for a call: one call under it shows each, so that nothing is
//! left out of what is measured as everything.

use std::{fs, path::Path};

use aios_proto::control::{ItemKind, Snapshot};
use serde_json::{Value, json};

use crate::{
    fake::{Fake, completion},
    world::{World, header, item},
};

const SAID: &str = "Dear reader, saving well is easier than it seems.";

/// An egress under the committed file, and what callers say in headers.
async fn everything(model: &Fake) -> (World, Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/sidecar/everything-on.json");
    let text = fs::read_to_string(path).unwrap();
    let text = text.replace("ENDPOINT", &model.address);
    let file: Value = serde_json::from_str(&text.replace("UPSTREAM", &model.address)).unwrap();
    let kinds = [
        ("models", ItemKind::Model),
        ("policies", ItemKind::ClusterPolicy),
        ("pipelines", ItemKind::Pipeline),
    ];
    let items = kinds.into_iter().flat_map(|(list, kind)| {
        let bodies = file[list].as_array().unwrap();
        bodies
            .iter()
            .map(move |body| item(kind, body["name"].as_str().unwrap(), body))
    });
    let items = items.collect();
    let world = World::unconfigured().await;
    let acks = world.live.apply(&Snapshot { sequence: 1, items });
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    (world, file)
}

async fn asked(world: &World, file: &Value) -> reqwest::Response {
    let body = json!({"model": file["model"], "temperature": 0.2,
        "messages": [{"role": "user", "content": "Write a letter about saving."}]});
    let mut post = world
        .http
        .post(format!("{}/v1/chat/completions", world.base));
    for (name, value) in file["headers"].as_object().unwrap() {
        post = post.header(name, value.as_str().unwrap());
    }
    post.body(body.to_string()).send().await.unwrap()
}

#[tokio::test]
async fn everything_on_is_all_that_an_egress_does_for_a_call() {
    let fake = Fake::start(vec![completion(SAID, Some((100, 60)))]).await;
    let (world, file) = everything(&fake).await;
    let response = asked(&world, &file).await;
    assert_eq!(response.status(), 200);
    for (what, name, value) in [
        ("a route and its price", "aios-cost", "0.000051 USD"),
        ("a model with a digest", "aios-model-digest", "sha256:"),
        ("a sticky variant", "aios-variant", "tone/warm"),
        ("a look into the cache", "aios-cache", "miss"),
        ("a record of the call", "aios-call", ""),
        ("policy", "aios-policy-judged", "sha256:"),
        ("policy on the prompt", "aios-policy-scanned", "prompt="),
        ("policy on the answer", "aios-policy-scanned", "content="),
    ] {
        let said = response.headers().get(name);
        let said = said.map(|said| said.to_str().unwrap());
        assert!(
            said.is_some_and(|said| said.contains(value)),
            "{what}: {name} is {said:?}"
        );
    }
    let records = format!("{}/v1/records", world.base);
    let records = world.http.get(records).send().await.unwrap();
    let records = records.text().await.unwrap();
    assert_eq!(records.lines().count(), 1, "a signed batch");
    assert!(
        world.metric(&[
            "aios_sidecar_budget_spent_total",
            "scope=\"pipeline\"",
            " 51"
        ]),
        "a reservation, settled"
    );
    assert!(world.metric(&["aios_sidecar_own_time_seconds_count", " 1"]));
    let traced = fake.seen(0);
    assert!(traced.headers.contains_key("traceparent"));
    let again = asked(&world, &file).await;
    assert_eq!(header(&again, "aios-cache"), "hit");
    let models = file["models"].as_array().unwrap();
    for field in ["standbyEndpoint", "holdMs", "demand", "next"] {
        let is_set = |model: &Value| !model[field].is_null();
        assert!(models.iter().any(is_set), "{field}");
    }
}
