//! Leases of budgets: who may ask for them, and of what.

use std::sync::Arc;

use aios_proto::{
    config::{Owner, pack},
    control::{BudgetScope, ItemKind, LeaseRefusal, LeaseRequest},
};
use aios_runtime::control::Operator;
use serde_json::{Value, json};
use tonic::Code;

use super::{Role, Served, config, serve};
use crate::control::{Draft, Kind, Mandatory};

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
        name: pipeline.into(),
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

fn offer(served: &Served, kind: ItemKind, name: &str, body: &Value) {
    let owner = Owner {
        name: name.into(),
        uid: "u".into(),
        generation: 1,
    };
    let item = pack(kind, owner, body).unwrap();
    served.hub.change(|index| match kind {
        ItemKind::ClusterPolicy => index.apply_mandatory(Mandatory {
            item: Arc::new(item.into()),
            selector: [("tier".to_owned(), name.to_owned())].into(),
        }),
        ItemKind::Policy => index.apply("team", Kind::Policy, item),
        ItemKind::Run => index.apply("team", Kind::Run, item),
        _ => index.apply("team", Kind::Model, item),
    });
}

#[tokio::test]
async fn every_scope_has_a_budget_of_its_own_and_only_those_in_force_are_lent() {
    let served = serve().await;
    let money = json!({"amount": "0.5", "currency": "EUR", "period": "Month"});
    let policy = |dry_run| json!({"quotas": {"budget": money}, "dryRun": dry_run});
    offer(
        &served,
        ItemKind::Model,
        "small",
        &json!({"budget": {"tokens": 500_000}}),
    );
    offer(
        &served,
        ItemKind::Run,
        "batch",
        &json!({"budget": {"amount": "0.5", "currency": "EUR"}}),
    );
    offer(&served, ItemKind::Run, "free", &json!({}));
    offer(&served, ItemKind::Policy, "house", &policy(false));
    offer(&served, ItemKind::Policy, "trial", &policy(true));
    offer(&served, ItemKind::ClusterPolicy, "gold", &policy(false));
    offer(&served, ItemKind::ClusterPolicy, "iron", &policy(false));
    served
        .hub
        .change(|index| index.label("team", [("tier".to_owned(), "gold".to_owned())].into()));
    served.hub.listed();

    let worker = operator(&served, "aios-worker@worker-0");
    let asked = |scope: BudgetScope, name: &str| LeaseRequest {
        scope: scope.into(),
        ..of(name)
    };
    for (scope, name) in [
        (BudgetScope::Model, "small"),
        (BudgetScope::Run, "batch"),
        (BudgetScope::Policy, "house"),
        (BudgetScope::ClusterPolicy, "gold"),
    ] {
        let answer = worker.lease(asked(scope, name)).await.unwrap();
        assert_eq!(answer.granted, 400_000, "{name}");
    }
    for (scope, name) in [
        (BudgetScope::Run, "free"),
        (BudgetScope::Policy, "trial"),
        (BudgetScope::ClusterPolicy, "iron"),
        (BudgetScope::Model, "gone"),
    ] {
        let refused = worker.lease(asked(scope, name)).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{name}");
    }
    let gone = worker.lease(asked(BudgetScope::Run, "gone")).await.unwrap();
    assert_eq!(gone.refusal(), LeaseRefusal::Gone);
}
