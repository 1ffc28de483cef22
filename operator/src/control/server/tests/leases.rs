//! Leases of budgets: who may ask for them, and of what.

use aios_proto::{config::Owner, control::LeaseRequest};
use aios_runtime::control::Operator;
use serde_json::{Value, json};
use tonic::Code;

use super::{Role, Served, config, serve};
use crate::control::Draft;

fn offer_pipeline(served: &Served, name: &str, budget: Value) {
    let mut pipeline = json!({
        "name": name, "kind": "Email", "variables": null, "languageVariable": null,
        "subjectVariable": null, "labels": [], "skeletons": [], "context": [], "retrieval": null,
        "models": {"draft": {"routes": []}}, "policies": [], "publish": [], "execution": {},
    });
    if !budget.is_null() {
        pipeline["budget"] = budget;
    }
    let owner = Owner {
        name: name.into(),
        uid: "u".into(),
        generation: 1,
    };
    let pipeline = serde_json::from_value(pipeline).unwrap();
    let draft = Draft::new(owner, &pipeline, Vec::new()).unwrap();
    served
        .hub
        .change(|index| index.apply_pipeline("team", draft));
}

fn operator(served: &Served, token: &str) -> Operator {
    Operator::new(&config(served, token, Role::Egress)).unwrap()
}

fn of(pipeline: &str) -> LeaseRequest {
    LeaseRequest {
        pipeline: pipeline.into(),
        holder: "a-0".into(),
        sequence: 1,
        needs: 400_000,
        wishes: 400_000,
        ..LeaseRequest::default()
    }
}

#[tokio::test]
async fn egresses_alone_are_lent_of_budgets_that_are_in_force() {
    let served = serve().await;
    let budget = json!({"amount": "0.5", "currency": "EUR", "period": "Month"});
    offer_pipeline(&served, "mail", budget);
    offer_pipeline(&served, "free", Value::Null);

    let worker = operator(&served, "aios-worker@worker-0");
    let answer = worker.lease(of("mail")).await.unwrap();
    assert_eq!((answer.granted, answer.refusal), (400_000, 0));
    assert!(answer.ends_in_ms > 0 && !answer.period.is_empty());
    let gateway = operator(&served, "aios-gateway@gateway-0");
    assert_eq!(gateway.lease(of("mail")).await.unwrap().granted, 0);

    for pipeline in ["free", "gone"] {
        let refused = worker.lease(of(pipeline)).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{pipeline}");
    }
    let model = operator(&served, "small-model@small-0");
    let refused = model.lease(of("mail")).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}
