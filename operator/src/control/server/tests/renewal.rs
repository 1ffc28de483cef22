//! How long a stream lives: as long as its pod and the token that was shown last.

use super::{Plane, Served, calls_of_model, config, offer, offer_model, serve, until};
use crate::{control::Pod, names::Component, testing::reviews};
use aios_proto::control::{ModelDemand, Report, Role};
use aios_runtime::control::attach;
use jiff::Timestamp;
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::watch;

const HOLDER: &str = "aios-worker@w-0";

struct Attached {
    plane: Arc<Plane>,
    reports: watch::Sender<Report>,
    token: PathBuf,
}

fn attached(served: &Served, token: &str, role: Role) -> Attached {
    let config = config(served, token, role);
    let plane = Arc::new(Plane::default());
    let (reports, reading) = watch::channel(Report::default());
    let token = config.token_file.clone().unwrap();
    tokio::spawn(attach(
        config,
        plane.clone(),
        reading,
        served.shutdown.clone(),
    ));
    Attached {
        plane,
        reports,
        token,
    }
}

impl Attached {
    fn heard(&self) -> usize {
        self.plane.0.lock().unwrap().len()
    }
}

fn expiring(seconds: u64) -> (String, Timestamp) {
    let end = Timestamp::now() + Duration::from_secs(seconds);
    (reviews::token(HOLDER, end), end)
}

#[tokio::test]
async fn a_stream_outlives_its_token_once_the_next_one_was_shown() {
    let served = serve().await;
    offer(&served, "one");
    let (first, end) = expiring(20);
    let attached = attached(&served, &first, Role::Worker);
    until(|| attached.heard() == 1).await;
    std::fs::write(&attached.token, expiring(3600).0).unwrap();
    until(|| Timestamp::now() > end + Duration::from_secs(1)).await;
    offer(&served, "two");
    // One that had ended would have been told of both.
    until(|| attached.heard() == 2).await;
    served.shutdown.cancel();
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_begins_again_with_the_next() {
    let served = serve().await;
    offer(&served, "one");
    let (first, end) = expiring(15);
    let attached = attached(&served, &first, Role::Worker);
    until(|| attached.heard() == 1).await;
    until(|| Timestamp::now() > end).await;
    std::fs::write(&attached.token, expiring(3600).0).unwrap();
    until(|| attached.heard() == 2).await;
    served.shutdown.cancel();
}

#[tokio::test]
async fn a_stream_ends_when_a_token_is_shown_that_is_nobodys() {
    let served = serve().await;
    offer_model(&served);
    let calls = || calls_of_model(&served);
    let attached = attached(&served, &expiring(3600).0, Role::Egress);
    attached.reports.send_replace(Report {
        models: vec![ModelDemand {
            model: "small".into(),
            in_flight: 3,
            ..ModelDemand::default()
        }],
        ..Report::default()
    });
    until(|| calls() == 3).await;
    std::fs::write(&attached.token, "revoked").unwrap();
    until(|| calls() == 0).await;
    served.shutdown.cancel();
}

#[tokio::test]
async fn a_stream_ends_with_its_pod() {
    let served = serve().await;
    offer(&served, "one");
    let attached = attached(&served, HOLDER, Role::Worker);
    until(|| attached.heard() == 1).await;
    let gone = Pod {
        uid: "uid-w-0".into(),
        name: "w-0".into(),
        component: Component::Worker,
        model: None,
        seen: Timestamp::UNIX_EPOCH,
    };
    served.hub.pod_gone("team", &gone);
    // It came back, for this API server still knows its token.
    until(|| attached.heard() == 2).await;
    served.shutdown.cancel();
}
