#![allow(clippy::unwrap_used)]

mod leases;
mod renewal;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use aios_proto::{
    config::{Owner, pack},
    control::{
        ItemAck, ItemKind, ModelDemand, ModelSpeed, PipelineReport, Replicas, Report, Role,
        Snapshot, StartReport, WeightsReport, WitnessRequest, control_server::ControlServer,
    },
};
use aios_runtime::{
    control::{AttachConfig, Enforce, Operator, attach},
    sketch::Sketch,
};
use jiff::Timestamp;
use kube::Client;
use prometheus_client::{encoding::text::encode, metrics::gauge::Gauge, registry::Registry};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc::UnboundedReceiver, watch},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::ControlService;
use crate::{
    control::{Audience, Authenticator, Budgets, Hub, Index, Key, Kind, Pod, Witness},
    metrics::Metrics,
    names::Component,
    share::{Arrived, Choice, NamespaceSelector, Share},
    testing::{reviews, server::Server},
    triggers::{Queue, Triggers},
};

/// A fake API server: it knows one token per service account, and no ConfigMap but what it is sent.
fn api_server() -> Client {
    let stored = Mutex::new(BTreeMap::<String, Value>::new());
    let server = Server::start(move |request, sent| {
        if request.path().ends_with("/tokenreviews") {
            return (201, reviews::review(sent));
        }
        if request.path().contains("/configmaps/") {
            let name = request.path().rsplit('/').next().unwrap_or_default();
            let stored = stored.lock().unwrap();
            return stored.get(name).cloned().map_or_else(
                || {
                    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                        "code": 404, "reason": "NotFound", "message": "not found"});
                    (404, status)
                },
                |object| (200, object),
            );
        }
        if request.method() == http::Method::POST {
            let name = sent["metadata"]["name"].as_str().unwrap_or_default();
            stored.lock().unwrap().insert(name.to_owned(), sent.clone());
            return (201, sent.clone());
        }
        let none =
            json!({"kind": "ConfigMapList", "apiVersion": "v1", "metadata": {}, "items": []});
        (200, none)
    });
    server.client
}

struct Served {
    hub: Arc<Hub>,
    metrics: Metrics,
    address: SocketAddr,
    shutdown: CancellationToken,
}

async fn serve() -> Served {
    serve_share(share(Choice::All).0).await
}

fn share(choice: Choice) -> (Share, UnboundedReceiver<Arrived>) {
    let selected = (choice, NamespaceSelector::default());
    Share::new("aios-system", selected, Gauge::default())
}

async fn serve_share(share: Share) -> Served {
    let client = api_server();
    let triggers = Triggers::new(Vec::new(), Queue::new().0, (Queue::new().0, Queue::new().0));
    let mut index = Index::new(100);
    index.listed();
    let hub = Arc::new(Hub::new(index, triggers.clone()));
    let budgets = Budgets::new(client.clone(), "aios-system", triggers.clone());
    let witness = Witness::load(client.clone(), "aios-system", triggers)
        .await
        .unwrap();
    let shutdown = CancellationToken::new();
    let metrics = Metrics::new(&mut Registry::default());
    let service = ControlService {
        hub: hub.clone(),
        authenticator: Arc::new(Authenticator::new(client)),
        witness: Arc::new(witness),
        budgets: Arc::new(budgets),
        share,
        metrics: metrics.clone(),
        shutdown: shutdown.clone(),
    };
    let app = Routes::new(ControlServer::new(service))
        .prepare()
        .into_axum_router();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(aios_runtime::serve::serve(
        listener,
        app,
        None,
        shutdown.clone(),
    ));
    Served {
        hub,
        metrics,
        address,
        shutdown,
    }
}

/// A data plane that accepts everything and remembers what it was given.
#[derive(Default)]
struct Plane(Mutex<Vec<Snapshot>>);

impl Enforce for Plane {
    fn enforce(&self, snapshot: Snapshot) -> Vec<ItemAck> {
        let acks = snapshot.items.iter().map(|item| ItemAck {
            kind: item.kind,
            name: item.name.clone(),
            digest: item.digest.clone(),
            accepted: true,
            message: String::new(),
            engine: item.engine.clone(),
        });
        let acks = acks.collect();
        self.0.lock().unwrap().push(snapshot);
        acks
    }
}

fn start(served: &Served, token: &str, role: Role) -> (Arc<Plane>, watch::Sender<Report>) {
    let plane = Arc::new(Plane::default());
    let (reports, reading) = watch::channel(Report::default());
    let config = config(served, token, role);
    tokio::spawn(attach(
        config,
        plane.clone(),
        reading,
        served.shutdown.clone(),
    ));
    (plane, reports)
}

fn config(served: &Served, token: &str, role: Role) -> AttachConfig {
    let name = token.replace('.', "-");
    let name = name.get(..name.len().min(60)).unwrap();
    let file = std::env::temp_dir().join(format!("aios-token-{}-{name}", served.address.port()));
    std::fs::write(&file, token).unwrap();
    AttachConfig {
        operator_uri: format!("http://{}", served.address),
        tls: None,
        token_file: Some(file),
        certificates: Vec::new(),
        role,
        model: String::new(),
    }
}

async fn until(mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), wait)
        .await
        .expect("in time");
}

fn offer(served: &Served, body: &str) {
    let owner = Owner {
        name: "tone".into(),
        uid: "u".into(),
        generation: 1,
    };
    let item = pack(ItemKind::Policy, owner, &body).unwrap();
    served
        .hub
        .change(|index| index.apply("team", Kind::Policy, item));
}

#[tokio::test]
async fn a_gateway_is_offered_what_changes_and_counts_once_it_confirms() {
    let served = serve().await;
    offer(&served, "one");
    let (plane, _reports) = start(&served, "aios-gateway@gateway-0", Role::Gateway);
    served.hub.pod(
        "team",
        Pod {
            uid: "uid-gateway-0".into(),
            name: "gateway-0".into(),
            component: Component::Gateway,
            model: None,
            seen: Timestamp::UNIX_EPOCH,
        },
    );
    let key = Key::new(Kind::Policy, "tone");
    let enforced = || {
        let now = Timestamp::now();
        let found = served
            .hub
            .read(|i| i.enforcement("team", &key, Audience::Writers, now));
        (found.enforcing, found.total) == (1, 1)
    };
    until(enforced).await;
    offer(&served, "two");
    assert!(!enforced());
    until(enforced).await;
    let snapshots = plane.0.lock().unwrap();
    assert!(
        snapshots
            .windows(2)
            .all(|pair| pair[0].sequence < pair[1].sequence)
    );
    served.shutdown.cancel();
}

#[tokio::test]
async fn counts_of_a_gateway_reach_the_index() {
    let served = serve().await;
    let (_plane, reports) = start(&served, "aios-gateway@gateway-0", Role::Gateway);
    let counts = PipelineReport {
        pipeline: "mail".into(),
        accepted: 3,
        ..Default::default()
    };
    reports
        .send(Report {
            pipelines: vec![counts],
            ..Default::default()
        })
        .unwrap();
    until(|| {
        served
            .hub
            .read(|i| i.pipeline_report("team", "mail").is_some())
    })
    .await;
    served.shutdown.cancel();
}

#[tokio::test]
async fn an_ingress_tells_how_long_its_engine_took_to_a_token_until_its_pod_is_gone() {
    let served = serve().await;
    let (reports, reading) = watch::channel(Report::default());
    let config = AttachConfig {
        model: "small".into(),
        ..config(&served, "small-model@p-0", Role::Ingress)
    };
    let plane = Arc::new(Plane::default());
    tokio::spawn(attach(config, plane, reading, served.shutdown.clone()));
    let start = Some(StartReport {
        first_token_ms: 120,
    });
    reports.send_modify(|report| report.start = start);
    let took = || {
        let took = |index: &Index| index.first_token("team", "uid-p-0");
        served.hub.read(took)
    };
    until(|| took() == Some(Duration::from_millis(120))).await;
    let gone = Pod {
        uid: "uid-p-0".into(),
        name: "p-0".into(),
        component: Component::Engine,
        model: Some("small".into()),
        seen: Timestamp::UNIX_EPOCH,
    };
    served.hub.pod_gone("team", &gone);
    assert_eq!(took(), None);
}

#[tokio::test]
async fn a_prefetch_tells_how_far_the_weights_of_its_own_model_are() {
    let served = serve().await;
    let start = |token: &str, model: &str| {
        let (reports, reading) = watch::channel(Report::default());
        let config = AttachConfig {
            model: model.to_owned(),
            ..config(&served, token, Role::Prefetch)
        };
        let plane = Arc::new(Plane::default());
        tokio::spawn(attach(config, plane, reading, served.shutdown.clone()));
        reports
    };
    let told = WeightsReport {
        weights: "w".into(),
        file: "model".into(),
        percent: 40,
        bytes: 98_000_000,
        checking: false,
    };
    let report = Report {
        weights: Some(told.clone()),
        ..Default::default()
    };
    let (own, other) = (
        start("small-model@p-0", "small"),
        start("small-model@p-1", "large"),
    );
    other.send(report.clone()).unwrap();
    own.send(report).unwrap();
    let heard = |model: &str| {
        let heard = |index: &Index| index.weights_report("team", model).cloned();
        served.hub.read(heard)
    };
    until(|| heard("small").as_ref() == Some(&told)).await;
    assert_eq!(heard("large"), None);
}

/// Offers ModelDeployment `small`.
fn offer_model(served: &Served) {
    let owner = Owner {
        name: "small".into(),
        uid: "u".into(),
        generation: 1,
    };
    let item = pack(ItemKind::Model, owner, &"m").unwrap();
    served
        .hub
        .change(|index| index.apply("team", Kind::Model, item));
}

fn calls_of_model(served: &Served) -> u32 {
    let now = Timestamp::now();
    served.hub.load("team", "small", now, |load| load.calls())
}

#[tokio::test]
async fn demand_of_an_egress_counts_as_long_as_its_stream_lives() {
    let served = serve().await;
    offer_model(&served);
    let calls = || calls_of_model(&served);
    let ended = CancellationToken::new();
    let plane = Arc::new(Plane::default());
    let (reports, reading) = watch::channel(Report::default());
    let config = config(&served, "aios-worker@w-0", Role::Egress);
    tokio::spawn(attach(config, plane, reading, ended.clone()));
    let demand = |model: &str| ModelDemand {
        model: model.into(),
        in_flight: 3,
        held: 1,
        output_tokens: 0,
    };
    let mut answers = Sketch::default();
    for seconds in [1, 1, 9] {
        answers.add(Duration::from_secs(seconds));
    }
    let speed = |model: &str| ModelSpeed {
        model: model.into(),
        answer: Some(answers.to_wire()),
        ..Default::default()
    };
    reports.send_replace(Report {
        models: vec![demand("small"), demand("unknown")],
        speeds: vec![speed("small"), speed("unknown")],
        ..Default::default()
    });
    until(|| calls() == 3).await;
    let known = || served.metrics.speeds.models();
    until(|| known() == [("team".to_owned(), "small".to_owned())]).await;
    let mut registry = Registry::default();
    registry.register_collector(Box::new(served.metrics.speeds.clone()));
    let mut told = String::new();
    encode(&mut told, &registry).unwrap();
    let three = r#"recent_calls{namespace="team",aios_model="small",part="answer"} 3"#;
    assert!(told.contains(three), "{told}");
    let median = answers.percentile(50).unwrap().as_secs_f64();
    let median = format!("quantile=\"0.5\"}} {median}");
    assert!(told.contains(&median), "{told}");
    ended.cancel();
    until(|| calls() == 0 && known().is_empty()).await;
    served.shutdown.cancel();
}

/// Remembers where it was told to reach groups.
#[derive(Default)]
struct Caller(Mutex<Vec<Replicas>>);

impl Enforce for Caller {
    fn enforce(&self, _: Snapshot) -> Vec<ItemAck> {
        Vec::new()
    }

    fn replicas(&self, replicas: Replicas) {
        self.0.lock().unwrap().push(replicas);
    }
}

#[tokio::test]
async fn an_egress_is_told_where_groups_are_reached_and_when_that_changes() {
    let served = serve().await;
    offer_model(&served);
    let attached = |token: &str, role| {
        let caller = Arc::new(Caller::default());
        let config = config(&served, token, role);
        let (_, reading) = watch::channel(Report::default());
        let shutdown = served.shutdown.clone();
        tokio::spawn(attach(config, caller.clone(), reading, shutdown));
        caller
    };
    let egress = attached("aios-worker@w-0", Role::Egress);
    let worker = attached("aios-worker@w-1", Role::Worker);
    let told = |count: usize| egress.0.lock().unwrap().len() == count;
    // What an operator before this one said counts no longer.
    until(|| told(1)).await;
    let reached = |slots: &[u32]| {
        let address = |slot: &u32| format!("https://10.0.0.{slot}:8443");
        let addresses = slots.iter().map(address).collect();
        let change = |index: &mut Index| index.reached("team", "small", addresses);
        served.hub.change(change);
    };
    reached(&[1, 2]);
    until(|| told(2)).await;
    reached(&[1, 2]);
    reached(&[2]);
    until(|| told(3)).await;
    let heard = egress.0.lock().unwrap().clone();
    let addresses = heard.iter().map(|told| {
        let models = told.models.iter();
        models.map(|model| model.addresses.len()).sum::<usize>()
    });
    assert_eq!(
        addresses.collect::<Vec<_>>(),
        [0, 2, 0],
        "one is the Service's"
    );
    assert!(worker.0.lock().unwrap().is_empty());
    served.shutdown.cancel();
}

#[tokio::test]
async fn a_pod_on_anothers_seat_gets_nothing() {
    let served = serve().await;
    offer(&served, "one");
    let (worker, _reports) = start(&served, "aios-worker@w-0", Role::Worker);
    let (thief, _reports) = start(&served, "aios-worker@w-1", Role::Gateway);
    until(|| !worker.0.lock().unwrap().is_empty()).await;
    assert!(thief.0.lock().unwrap().is_empty());
    served.shutdown.cancel();
}

#[tokio::test]
async fn only_gateways_may_ask_whose_token_it_is() {
    let served = serve().await;
    let gateway = Operator::new(&config(&served, "aios-gateway@gateway-0", Role::Gateway)).unwrap();
    let answer = gateway.review_token("alice@laptop").await.unwrap();
    assert!(answer.authenticated);
    assert!(!gateway.review_token("nobody").await.unwrap().authenticated);
    let worker = Operator::new(&config(&served, "aios-worker@w-0", Role::Worker)).unwrap();
    let refused = worker.review_token("alice@laptop").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied);
    let stranger = Operator::new(&config(&served, "stranger", Role::Gateway)).unwrap();
    let refused = stranger.review_token("alice@laptop").await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    served.shutdown.cancel();
}

#[tokio::test]
async fn a_namespace_that_leaves_the_share_loses_its_streams_and_is_given_nothing_less() {
    let (share, mut arrivals) = share(Choice::Selected);
    share.gained("team");
    assert!(share.settle(&arrivals.try_recv().unwrap()));
    let served = serve_share(share.clone()).await;
    offer(&served, "one");
    let (plane, _reports) = start(&served, "aios-gateway@gateway-0", Role::Gateway);
    until(|| !plane.0.lock().unwrap().is_empty()).await;

    share.lost("team");
    served.hub.lost("team");
    let operator =
        Operator::new(&config(&served, "aios-gateway@gateway-0", Role::Gateway)).unwrap();
    let refused = operator
        .witness(WitnessRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);

    // It comes back, and was never given less than it had.
    served.hub.arrive("team");
    share.gained("team");
    assert!(share.settle(&arrivals.try_recv().unwrap()));
    offer(&served, "two");
    served.hub.arrived("team");
    until(|| plane.0.lock().unwrap().len() > 1).await;
    let snapshots = plane.0.lock().unwrap();
    assert!(snapshots.iter().all(|snapshot| snapshot.items.len() == 1));
    served.shutdown.cancel();
}
