#![allow(clippy::unwrap_used)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Method;
use k8s_openapi::api::coordination::v1::Lease;
use serde_json::{Value, json};

use super::Election;
use crate::{
    leader::lease::{Pace, holder},
    testing::server::{Server, refusal},
};

/// Fast, for a test that waits for it.
const QUICK: Pace = Pace {
    duration: Duration::from_secs(1),
    deadline: Duration::from_millis(600),
    renew: Duration::from_millis(20),
    look: Duration::from_millis(10),
    answer: Duration::from_millis(200),
    retry: Duration::from_millis(10),
};

/// A Lease behind an API server that checks versions, and can be cut off.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lease: Option<Value>,
    version: u64,
    away: bool,
}

impl Shelf {
    fn server(&self) -> Server {
        let shelf = self.clone();
        Server::start(move |request, sent| shelf.answer(request.method(), sent))
    }

    fn answer(&self, method: &Method, sent: &Value) -> (u16, Value) {
        let mut state = self.0.lock().unwrap();
        if state.away {
            return refusal(503, "ServiceUnavailable");
        }
        let version = |lease: &Option<Value>| {
            lease
                .as_ref()
                .map(|lease| lease["metadata"]["resourceVersion"].clone())
        };
        match *method {
            Method::GET => {}
            Method::POST if state.lease.is_none() => state.keep(sent),
            Method::PUT
                if version(&state.lease) == Some(sent["metadata"]["resourceVersion"].clone()) =>
            {
                state.keep(sent);
            }
            _ => return refusal(409, "Conflict"),
        }
        match &state.lease {
            Some(lease) => (200, lease.clone()),
            None => refusal(404, "NotFound"),
        }
    }

    fn lease(&self) -> Option<Lease> {
        let lease = self.0.lock().unwrap().lease.clone()?;
        Some(serde_json::from_value(lease).unwrap())
    }

    fn holder(&self) -> Option<String> {
        holder(&self.lease()?).map(str::to_owned)
    }

    fn cut_off(&self, away: bool) {
        self.0.lock().unwrap().away = away;
    }
}

impl State {
    fn keep(&mut self, sent: &Value) {
        self.version += 1;
        let mut lease = sent.clone();
        *lease.pointer_mut("/metadata").unwrap() = json!({"name": "aios-operator-leader",
            "namespace": "aios-system", "resourceVersion": self.version.to_string()});
        self.lease = Some(lease);
    }
}

fn join(server: &Server, identity: &str) -> Election {
    Election::join(server.client.clone(), "aios-system", identity, QUICK)
}

#[tokio::test]
async fn of_two_candidates_one_leads_and_the_other_follows_once_it_leaves() {
    let shelf = Shelf::default();
    let server = shelf.server();
    let mut first = join(&server, "a");
    assert!(first.won().await);
    assert!(!first.tenure().left().is_zero());
    let mut second = join(&server, "b");
    assert!(second.tenure().left().is_zero());
    first.leave().await;
    assert!(second.won().await);
    assert_eq!(shelf.holder().as_deref(), Some("b"));
    let spec = shelf.lease().unwrap().spec.unwrap();
    assert_eq!(spec.lease_transitions, Some(1));
}

#[tokio::test]
async fn a_leader_whose_lease_another_took_has_lost_at_once() {
    let shelf = Shelf::default();
    let server = shelf.server();
    let mut election = join(&server, "a");
    assert!(election.won().await);
    {
        let mut state = shelf.0.lock().unwrap();
        let mut lease = state.lease.clone().unwrap();
        lease["spec"]["holderIdentity"] = json!("b");
        state.keep(&lease);
    }
    election.lost().await;
    assert!(election.tenure().left().is_zero());
    election.leave().await;
    assert_eq!(shelf.holder().as_deref(), Some("b"), "it is not given away");
}

#[tokio::test]
async fn a_leader_that_cannot_renew_gives_up_before_its_lease_is_free() {
    let shelf = Shelf::default();
    let server = shelf.server();
    let mut election = join(&server, "a");
    assert!(election.won().await);
    shelf.cut_off(true);
    election.lost().await;
    assert!(election.tenure().left().is_zero());
    assert_eq!(shelf.holder().as_deref(), Some("a"), "nobody took it");
    shelf.cut_off(false);
    election.leave().await;
    assert_eq!(shelf.holder(), None);
}

#[tokio::test]
async fn a_silent_leaders_lease_is_taken_when_it_has_ended() {
    let shelf = Shelf::default();
    shelf
        .0
        .lock()
        .unwrap()
        .keep(&json!({"apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease", "metadata": {}, "spec": {"holderIdentity": "dead",
        "leaseDurationSeconds": 1, "renewTime": "2999-01-01T00:00:00.000000Z"}}));
    let server = shelf.server();
    let mut election = join(&server, "b");
    assert!(election.won().await, "times of others are not believed");
    assert_eq!(shelf.holder().as_deref(), Some("b"));
}
