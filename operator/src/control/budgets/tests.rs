#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use aios_budget::{Allowance, Book};
use aios_crds::budget::Budget;
use aios_proto::control::{LeaseRefusal, LeaseRequest, LeaseResponse};
use http::Method;
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tonic::Status;

use super::Budgets;
use crate::{
    control::{Account, Kind},
    testing::server::Server,
    triggers::{Queue, Triggers},
};

/// An API server with one ConfigMap, of which it takes no write over another version than the last.
#[derive(Clone, Default)]
struct Store(Arc<Mutex<Stored>>);

#[derive(Default)]
struct Stored {
    object: Option<Value>,
    version: u64,
    writes: usize,
    broken: bool,
}

impl Store {
    fn client(&self) -> Client {
        let store = self.0.clone();
        let server = Server::start(move |request, sent| {
            let mut stored = store.lock().unwrap();
            let failed = |code: u16, reason: &str| {
                let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "code": code, "reason": reason, "message": reason});
                (code, status)
            };
            let object = match (request.method(), &stored.object) {
                (&Method::GET, None) => return failed(404, "NotFound"),
                (&Method::GET, Some(object)) => return (200, object.clone()),
                (_, _) if stored.broken => return failed(500, "InternalError"),
                (&Method::POST, None) => sent.clone(),
                (&Method::PATCH, Some(object))
                    if sent["metadata"]["resourceVersion"]
                        == object["metadata"]["resourceVersion"] =>
                {
                    let mut object = object.clone();
                    object["data"] = sent["data"].clone();
                    object
                }
                _ => return failed(409, "Conflict"),
            };
            stored.version += 1;
            stored.writes += 1;
            let mut object = object;
            object["metadata"]["resourceVersion"] = json!(stored.version.to_string());
            stored.object = Some(object.clone());
            (200, object)
        });
        server.client
    }

    fn budgets(&self) -> Budgets {
        let triggers = Triggers::new(Vec::new(), Queue::new().0, (Queue::new().0, Queue::new().0));
        Budgets::new(self.client(), "aios-system", triggers)
    }

    fn writes(&self) -> usize {
        self.0.lock().unwrap().writes
    }
}

fn mail() -> Account {
    Account::new("team", Kind::Pipeline, "mail")
}

async fn book(budgets: &Budgets) -> Book {
    budgets.book(&mail()).await.unwrap()
}

async fn lease(
    budgets: &Budgets,
    pod: &str,
    request: &LeaseRequest,
) -> Result<LeaseResponse, Status> {
    let euro = r#"{"amount": "1", "currency": "EUR"}"#;
    lease_of(euro, budgets, pod, request).await
}

async fn lease_of(
    budget: &str,
    budgets: &Budgets,
    pod: &str,
    request: &LeaseRequest,
) -> Result<LeaseResponse, Status> {
    let now = Timestamp::now();
    let budget: Budget = serde_json::from_str(budget).unwrap();
    let allowance = Allowance::of(&budget, now).unwrap();
    budgets
        .lease((&mail(), &allowance), pod, request, now)
        .await
}

fn request(holder: &str, sequence: u64, needs: u64) -> LeaseRequest {
    LeaseRequest {
        name: "mail".into(),
        holder: holder.into(),
        sequence,
        needs,
        wishes: needs,
        ..LeaseRequest::default()
    }
}

async fn granted(budgets: &Budgets, pod: &str, request: &LeaseRequest) -> u64 {
    lease(budgets, pod, request).await.unwrap().granted
}

#[tokio::test]
async fn an_operator_that_starts_anew_grants_nothing_twice() {
    let store = Store::default();
    assert_eq!(
        granted(&store.budgets(), "a", &request("x", 1, 700_000)).await,
        700_000
    );
    let anew = store.budgets();
    assert_eq!(granted(&anew, "b", &request("x", 1, 700_000)).await, 0);
    assert_eq!(
        granted(&anew, "b", &request("y", 1, 300_000)).await,
        300_000
    );
    let book = book(&anew).await;
    assert_eq!((book.committed(), book.spent()), (1_000_000, 0));
}

#[tokio::test]
async fn two_that_both_think_that_they_lead_grant_one_budget() {
    let store = Store::default();
    let both = [store.budgets(), store.budgets()];
    let mut sum = 0;
    for round in 0..20 {
        for (index, budgets) in both.iter().enumerate() {
            let holder = format!("{round}-{index}");
            sum += granted(budgets, "pod", &request(&holder, 1, 70_000)).await;
        }
    }
    assert_eq!(sum, 980_000);
}

#[tokio::test]
async fn what_cannot_be_written_is_not_granted() {
    let store = Store::default();
    let budgets = store.budgets();
    assert_eq!(granted(&budgets, "a", &request("x", 1, 10)).await, 10);
    store.0.lock().unwrap().broken = true;
    let answer = lease(&budgets, "b", &request("x", 1, 10)).await;
    assert_eq!(answer.unwrap_err().code(), tonic::Code::Unavailable);
    store.0.lock().unwrap().broken = false;
    assert_eq!(granted(&budgets, "b", &request("x", 2, 10)).await, 10);
}

#[tokio::test]
async fn what_is_spent_is_heard_without_a_write_and_another_pods_lease_is_not_touched() {
    let store = Store::default();
    let budgets = store.budgets();
    granted(&budgets, "a", &request("x", 1, 500)).await;
    let period = book(&budgets).await.period;
    let spent = LeaseRequest {
        period: period.clone(),
        spent: 300,
        keeps: 500,
        ..request("x", 2, 0)
    };
    assert_eq!(granted(&budgets, "a", &spent).await, 500);
    assert_eq!(book(&budgets).await.spent(), 300);
    assert_eq!(store.writes(), 1);

    let stranger = LeaseRequest {
        closes: true,
        ..spent
    };
    let answer = lease(&budgets, "b", &stranger).await;
    assert_eq!(answer.unwrap().refusal(), LeaseRefusal::Unknown);
    assert_eq!(book(&budgets).await.committed(), 500);
}

#[tokio::test]
async fn a_budget_that_counts_something_else_now_lends_of_that_alone_and_anew() {
    let store = Store::default();
    let budgets = store.budgets();
    let of = |unit: &str, sequence, needs| LeaseRequest {
        unit: unit.into(),
        ..request("x", sequence, needs)
    };
    assert_eq!(
        granted(&budgets, "a", &of("EUR", 1, 900_000)).await,
        900_000
    );
    let tokens = r#"{"tokens": 1000}"#;
    let other = lease_of(tokens, &budgets, "a", &of("EUR", 2, 10)).await;
    assert_eq!(other.unwrap().refusal(), LeaseRefusal::OtherUnit);
    let anew = store.budgets();
    let answer = lease_of(tokens, &anew, "b", &of("tokens", 1, 700)).await;
    assert_eq!(answer.unwrap().granted, 700);
    assert_eq!(book(&store.budgets()).await.committed(), 700);
    let wrong = lease(&budgets, "b", &of("euros", 1, 10)).await;
    assert_eq!(wrong.unwrap_err().code(), tonic::Code::InvalidArgument);
}

#[tokio::test]
async fn a_runs_book_is_beside_the_run_and_goes_with_it() {
    let store = Store::default();
    let budgets = store.budgets();
    let run = Account::of_run("team", "batch", "uid-1");
    let now = Timestamp::now();
    let budget = serde_json::from_str(r#"{"tokens": 100}"#).unwrap();
    let allowance = Allowance::of_run(&budget);
    let asked = request("x", 1, 90);
    let answer = budgets.lease((&run, &allowance), "a", &asked, now).await;
    let answer = answer.unwrap();
    assert_eq!((answer.granted, answer.period.as_str()), (90, "run"));
    let object = store.0.lock().unwrap().object.clone().unwrap();
    assert_eq!(object["metadata"]["namespace"], "team");
    assert_eq!(object["metadata"]["name"], "aios-budget.uid-1");
    let owner = &object["metadata"]["ownerReferences"][0];
    assert_eq!(
        (&owner["kind"], &owner["uid"]),
        (&json!("WritingRun"), &json!("uid-1"))
    );
}
