//! Callers who share one call: what a policy withholds or a budget refuses is so for each of them.

use aios_proto::control::{ItemKind, Snapshot};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    fake::{Fake, completion},
    shield::{SAID, WORD, no_word},
    world::{World, chat, header, item, model, pipeline, with},
};

const CALLERS: usize = 5;

/// Answers may be shared; `extra` is of the pipeline.
async fn sharing(model: &Value, extra: (&str, Value)) -> World {
    let policy =
        json!({"name": "house", "scope": "Namespace", "rules": no_word("Block"), "review": {}});
    let policy = item(ItemKind::Policy, "house", &policy);
    let pin = json!({"scope": "Namespace", "name": "house", "digest": policy.digest});
    let mut pipeline = pipeline(json!([{"model": "m"}]));
    pipeline["models"]["draft"]["cache"] = json!({"ttl": "1h"});
    pipeline["policies"] = json!([pin]);
    let pipeline = with(pipeline, extra.0, extra.1);
    let items = vec![
        policy,
        item(ItemKind::Model, "m", model),
        item(ItemKind::Pipeline, "p", &pipeline),
    ];
    let world = World::unconfigured().await;
    let acks = world.live.apply(&Snapshot { sequence: 1, items });
    assert!(acks.iter().all(|ack| ack.accepted), "{acks:?}");
    world
}

/// What each of them is told.
async fn told(world: &World, stream: bool) -> Vec<(u16, String, String)> {
    let body = chat(json!({"temperature": 0, "stream": stream}));
    let calls = (0..CALLERS).map(|_| world.call(&body).send());
    let told = join_all(calls).await.into_iter().map(async |response| {
        let response = response.unwrap();
        let verdict = header(&response, "aios-policy-verdict").to_owned();
        let status = response.status().as_u16();
        (status, verdict, response.text().await.unwrap())
    });
    join_all(told).await
}

#[tokio::test]
async fn a_refused_answer_is_refused_to_all_who_wait_for_it() {
    let fake = Fake::start(vec![completion(SAID, Some((9, 3)))]).await;
    let world = sharing(&model("m", &fake.address), ("budget", Value::Null)).await;
    for (status, verdict, heard) in told(&world, false).await {
        assert_eq!((status, verdict.as_str()), (400, "Block house/no-rival"));
        assert!(
            heard.contains("answer_blocked") && !heard.contains(WORD),
            "{heard}"
        );
    }
    assert_eq!(fake.calls(), 1);
}

#[tokio::test]
async fn a_refused_stream_is_refused_to_all_who_listen() {
    let pieces = crate::shield_said::pieces(SAID);
    let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
    let fake = Fake::start(vec![crate::fake::stream(&pieces)]).await;
    let world = sharing(&model("m", &fake.address), ("budget", Value::Null)).await;
    for (status, _, heard) in told(&world, true).await {
        assert_eq!(status, 200);
        assert!(
            heard.contains("answer_blocked") && !heard.contains("[DONE]"),
            "{heard}"
        );
        assert!(!crate::shield_said::words(&heard).contains(WORD), "{heard}");
    }
}

#[tokio::test]
async fn what_no_budget_pays_is_refused_to_all_who_wait_for_it() {
    let fake = Fake::start(vec![completion("Hello.", Some((9, 3)))]).await;
    let pricing = json!({"inputPerMillion": "0", "outputPerMillion": "1000", "currency": "EUR"});
    let model = with(model("m", &fake.address), "pricing", pricing);
    let budget = json!({"amount": "0.01", "currency": "EUR", "period": "Month"});
    let world = sharing(&model, ("budget", budget)).await;
    for (status, _, heard) in told(&world, false).await {
        assert_eq!(status, 429, "{heard}");
        assert!(heard.contains("budget_exhausted"), "{heard}");
    }
    assert_eq!(fake.calls(), 0);
}
