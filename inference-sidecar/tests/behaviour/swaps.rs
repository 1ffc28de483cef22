//! Configuration is swapped again and again while calls run, and none of them fails for it.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use aios_inference_sidecar::config::{Source, follow};
use aios_proto::control::{Report, Snapshot};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    control::{next_ack, operator},
    fake::{DONE, Fake, completion, stream, until},
    world::{World, chat, model, snapshot, with},
};

const SWAPS: u64 = 1000;
/// Each of so many snapshots has an item that is refused.
const BROKEN_EVERY: u64 = 7;
/// Calls are answered between so many swaps.
const STRIDE: u64 = 20;
const CALLERS: usize = 4;

/// Addresses, limits, routes and their order differ from one snapshot to the next.
fn turned(sequence: u64, plain: &[Fake; 2], streamed: &[Fake; 2]) -> Snapshot {
    let turn = usize::from(sequence.is_multiple_of(2));
    let room = json!({"contextTokens": 4096 + sequence, "maxOutputTokens": 64, "maxInFlight": 4});
    let of = |name: &str, fakes: &[Fake; 2]| {
        with(model(name, &fakes[turn].address), "limits", room.clone())
    };
    let mut models = vec![of("m", plain), of("s", streamed)];
    if sequence.is_multiple_of(BROKEN_EVERY) {
        models[0]["endpoint"] = json!("nonsense");
    }
    if turn == 0 {
        models.push(of("spare", plain));
    }
    let routes = json!([
        {"model": "s", "when": "has(labels.streamed)"},
        {"model": "m", "when": format!("tokens < {}", 100 + sequence)},
    ]);
    snapshot(sequence, models, routes)
}

/// One caller after another asks until the swaps are over: every call is answered whole.
async fn calling(world: Arc<World>, at: usize, answered: Arc<AtomicUsize>, over: Arc<AtomicBool>) {
    while !over.load(SeqCst) {
        let streams = at.is_multiple_of(2);
        let labels = if streams {
            json!({"streamed": true})
        } else {
            json!({})
        };
        let call = world
            .http
            .post(format!("{}/v1/chat/completions", world.base));
        let call = call
            .header("aios-pipeline", "p")
            .header("aios-labels", labels.to_string())
            .body(chat(json!({"stream": streams})).to_string());
        let response = call.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        let whole = if streams {
            text.ends_with(DONE)
        } else {
            text.contains("Hello.")
        };
        assert!(status == 200 && whole, "{status} {text}");
        answered.fetch_add(1, SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_swaps_under_load_fail_no_call() {
    let plain = completion("Hello.", Some((1, 1)));
    let told = stream(&["Hel", "lo."]);
    let plain = [
        Fake::start(vec![plain.clone()]).await,
        Fake::start(vec![plain]).await,
    ];
    let streamed = [
        Fake::start(vec![told.clone()]).await,
        Fake::start(vec![told]).await,
    ];
    let world = Arc::new(World::unconfigured().await);
    let (send, snapshots) = mpsc::channel(1);
    let (heard_send, mut heard) = mpsc::channel(16);
    let source = Source {
        operator_uri: Some(operator(snapshots, heard_send).await),
        ca_file: None,
        control_token_file: None,
        config_file: None,
        cache_file: None,
    };
    let attachment = source.attachment(world.live.scope(), Vec::new()).unwrap();
    let (_reporting, reports) = watch::channel(Report::default());
    let shutdown = CancellationToken::new();
    let live = world.live.clone();
    let following = follow(live, (source, attachment), reports, shutdown.clone());
    let following = tokio::spawn(following);
    let (answered, over) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let mut callers = Vec::new();
    let mut refused = 0;
    for sequence in 1..=SWAPS {
        let snapshot = turned(sequence, &plain, &streamed);
        send.send(snapshot).await.unwrap();
        let ack = next_ack(&mut heard).await;
        assert_eq!(ack.sequence, sequence);
        refused += ack.items.iter().filter(|item| !item.accepted).count() as u64;
        if sequence == 1 {
            let caller = |at| calling(world.clone(), at, answered.clone(), over.clone());
            callers = (0..CALLERS).map(|at| tokio::spawn(caller(at))).collect();
        }
        if sequence.is_multiple_of(STRIDE) {
            let before = answered.load(SeqCst);
            until("further answers", || {
                answered.load(SeqCst) > before + CALLERS
            })
            .await;
        }
    }
    over.store(true, SeqCst);
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(refused, SWAPS / BROKEN_EVERY);
    assert_eq!(world.live.load().sequence, SWAPS);
    let both_served = |fakes: &[Fake; 2]| fakes.iter().all(|fake| fake.calls() > 0);
    assert!(both_served(&plain) && both_served(&streamed));
    shutdown.cancel();
    following.await.unwrap().unwrap();
}
