//! The CA is replaced, twice, under a crowd of data planes that call each other without a pause.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod api;
mod crowd;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use aios_proto::control::control_server::ControlServer;
use jiff::Timestamp;
use kube::{
    Client,
    runtime::events::{Recorder, Reporter},
};
use prometheus_client::registry::Registry;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use super::Rotation;
use crate::{
    ca::{self, Authority, Current, Expected, Stage},
    control::{Authenticator, Budgets, ControlService, Hub, Index, Witness},
    metrics::Metrics,
    process::serving,
    settings::Settings,
    testing::{settings, share},
    triggers::{Queue, Triggers},
};
use api::Api;
use crowd::Crowd;

const NAMESPACE: &str = "aios-system";
const OVERLAP: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_mins(15);

/// As many data planes as `AIOS_ROTATION_STREAMS` says.
fn count() -> usize {
    let told = std::env::var("AIOS_ROTATION_STREAMS").ok();
    told.map_or(200, |count| count.parse().unwrap())
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let ended = tokio::time::timeout(DEADLINE, wait).await;
    assert!(ended.is_ok(), "in time: {what}");
}

/// An operator as far as its CA and its control stream go.
struct Leader {
    hub: Arc<Hub>,
    current: Current,
    ends: CancellationToken,
    /// Holds its serving certificate.
    _folder: TempDir,
}

impl Leader {
    /// Answers at a door that outlives it, as a Service's address does.
    async fn start(client: &Client, door: &std::net::TcpListener) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            tls_dir: folder.path().to_owned(),
            ..settings()
        };
        let now = Timestamp::now();
        let current = Current::new(ca::load(client, NAMESPACE, now).await.unwrap());
        let triggers = Triggers::new(Vec::new(), Queue::new().0, (Queue::new().0, Queue::new().0));
        let mut index = Index::new(u64::try_from(now.as_millisecond()).unwrap());
        index.listed();
        let hub = Arc::new(Hub::new(index, triggers.clone()));
        let metrics = Metrics::new(&mut Registry::default());
        let ends = CancellationToken::new();
        let budgets = Budgets::new(client.clone(), NAMESPACE, triggers.clone());
        let witness = Witness::load(client.clone(), NAMESPACE, triggers).await;
        let service = ControlService {
            hub: hub.clone(),
            authenticator: Arc::new(Authenticator::new(client.clone())),
            witness: Arc::new(witness.unwrap()),
            budgets: Arc::new(budgets),
            share: share(),
            metrics: metrics.clone(),
            shutdown: ends.clone(),
        };
        let app = Routes::new(ControlServer::new(service))
            .prepare()
            .into_axum_router();
        let mut changes = current.changes();
        let tls = serving::open(&current.get(), &settings).unwrap();
        let listener = TcpListener::from_std(door.try_clone().unwrap()).unwrap();
        tokio::spawn(aios_runtime::serve::serve(
            listener,
            app,
            Some(tls),
            ends.clone(),
        ));
        let renewed = current.clone();
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                serving::renew(&renewed.get(), &settings).unwrap();
            }
        });
        let rotation = Rotation {
            client: client.clone(),
            namespace: NAMESPACE.into(),
            current: current.clone(),
            hub: hub.clone(),
            overlap: OVERLAP,
            metrics,
            recorder: Recorder::new(
                client.clone(),
                Reporter {
                    controller: "aios-operator".into(),
                    instance: None,
                },
            ),
        };
        let stopped = ends.clone();
        let running = Box::pin(rotation.run());
        tokio::spawn(async move { stopped.run_until_cancelled(running).await });
        Self {
            hub,
            current,
            ends,
            _folder: folder,
        }
    }

    /// Whether another CA is the only one that is trusted.
    fn has_replaced(&self, old: &Authority) -> bool {
        let now = self.current.get();
        now.certificate() != old.certificate() && now.bundle() == now.certificate()
    }

    /// Whether so many pods said that they are as expected, and none is missing.
    fn hears(&self, expected: &Expected) -> bool {
        let heard = self.hub.read(|index| index.heard(expected));
        heard.behind == 0 && heard.silent == 0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ca_is_replaced_under_load_without_a_failed_call_or_a_lost_stream() {
    aios_runtime::init("test");
    let api = Api::start(NAMESPACE);
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = door.local_addr().unwrap().port();
    let door = door.into_std().unwrap();
    let leader = Leader::start(&api.client, &door).await;
    let first = leader.current.get();
    let mut crowd = Crowd::gather(count(), port, &first);
    crowd.follow(&leader.current);
    crowd.show_pods(&leader.hub);
    crowd.run();
    let trusted = Expected::Trusts(first.key_id().unwrap());
    until("all are attached", || leader.hears(&trusted)).await;
    let old = crowd.keepsake();

    api.ask("first");
    until("the first rotation is over", || leader.has_replaced(&first)).await;
    let second = leader.current.get();
    let alone = Expected::Trusts(second.key_id().unwrap());
    until("all have heard", || leader.hears(&alone)).await;
    // None had to come back; on a machine that stands still for seconds a few do.
    let attached = crowd.attached.load(Ordering::SeqCst);
    assert!(attached < crowd.len() * 3 / 2, "{attached}");
    crowd.asks_no_more().await;

    // The operator is replaced while another one is introduced, and again while the old one retires.
    api.ask("second");
    until("another is introduced", || {
        matches!(api.kept().stage, Stage::Introducing { .. })
    })
    .await;
    leader.ends.cancel();
    let leader = Leader::start(&api.client, &door).await;
    crowd.follow(&leader.current);
    crowd.show_pods(&leader.hub);
    until("it signs", || {
        matches!(api.kept().stage, Stage::Retiring { .. })
    })
    .await;
    leader.ends.cancel();
    let leader = Leader::start(&api.client, &door).await;
    crowd.follow(&leader.current);
    crowd.show_pods(&leader.hub);
    until("the second rotation is over", || {
        api.kept().stage == Stage::Settled
    })
    .await;
    until("it is taken up", || leader.has_replaced(&second)).await;
    let third = leader.current.get();
    let alone = Expected::ShowsOnly(third.key_id().unwrap());
    until("all streams are back", || leader.hears(&alone)).await;
    until("nobody trusts the old one", || {
        crowd.trusts_only(third.bundle())
    })
    .await;

    crowd.fails_with(&old).await;
    let streams = crowd.len();
    let (calls, failed) = crowd.ended().await;
    assert!(failed.is_empty(), "{} of {calls}: {failed:?}", failed.len());
    assert!(calls > streams, "{calls}");
    tracing::info!(calls, streams, attached, "two rotations");
}
