#![allow(clippy::unwrap_used)]

use aios_budget::Book;
use aios_crds::{
    ConditionType, ModelDeployment, ModelDeploymentStatus, Reason,
    budget::Budget,
    model_deployment::{ScalingEvent, ScalingReason},
    rollout::RolloutStatus,
};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::{Applied, Observed, Standing, status};
use crate::{
    conditions::Fact,
    control::Enforcement,
    error::Error,
    model::{fetch::Credentials, prefetch::Fetched, rollout::Rolled, scale::Scaled},
    spending::Spending,
    testing::{hosted, model, self_hosted},
};

fn standing() -> Standing {
    Standing {
        replicas: 2,
        ready: 2,
        updated: true,
        standby_ready: 1,
        desired_standby: 1,
    }
}

fn applied() -> Applied {
    Applied {
        credentials: None,
        weights: Some(Fetched::Ready),
        standing: standing(),
        engine: true,
        enforcement: Enforcement {
            enforcing: 3,
            total: 3,
            ..Default::default()
        },
        nodes: None,
        nodes_again: None,
        renewal: None,
        scaled: None,
        hold_for: std::time::Duration::ZERO,
        retry: None,
        groups_again: None,
        inference: None,
        started: None,
        rolled: None,
        spending: None,
    }
}

fn own(applied: Applied) -> ModelDeploymentStatus {
    let observed = Observed::Applied(Box::new(applied));
    status(&self_hosted(1), &observed, None, Timestamp::UNIX_EPOCH)
}

fn says(status: &ModelDeploymentStatus, kind: ConditionType) -> String {
    let condition = status.conditions.get(kind).unwrap();
    format!("{}/{}", condition.status, condition.reason)
}

#[test]
fn a_model_with_loaded_groups_is_ready() {
    let status = own(applied());
    assert_eq!(says(&status, ConditionType::Ready), "True/Ready");
    assert_eq!(status.summary.as_deref(), Some("2/2 +1/1"));
    assert_eq!(
        status.selector.as_deref(),
        Some("aios.dev/model=small,app.kubernetes.io/component=engine")
    );
    assert_eq!(
        status.endpoint.as_deref(),
        Some("https://small-model.team.svc:8443")
    );
    assert_eq!(status.observed_generation, 1);
}

#[test]
fn weights_under_way_are_no_failure() {
    let status = own(Applied {
        weights: Some(Fetched::Missing),
        standing: Standing {
            ready: 0,
            updated: false,
            ..standing()
        },
        ..applied()
    });
    assert_eq!(
        says(&status, ConditionType::WeightsReady),
        "Unknown/WeightsDownloading"
    );
    assert_eq!(
        says(&status, ConditionType::Ready),
        "Unknown/WeightsDownloading"
    );
    assert_eq!(
        says(&status, ConditionType::EndpointReachable),
        "Unknown/NoEndpoints"
    );
}

#[test]
fn a_missing_token_of_a_source_stalls_until_the_weights_are_there() {
    let missing = Credentials::Missing {
        secret: "hub".into(),
        key: "token".into(),
    };
    let status = own(Applied {
        credentials: Some(missing),
        weights: Some(Fetched::Missing),
        standing: Standing {
            ready: 0,
            ..standing()
        },
        ..applied()
    });
    assert_eq!(
        says(&status, ConditionType::Stalled),
        "True/CredentialsMissing"
    );
    let status = own(Applied {
        credentials: Some(Credentials::Unneeded),
        ..applied()
    });
    assert_eq!(says(&status, ConditionType::CredentialsReady), "True/Ready");
    assert_eq!(says(&status, ConditionType::Ready), "True/Ready");
}

#[test]
fn wrong_weights_stall() {
    let status = own(Applied {
        weights: Some(Fetched::Invalid("no".into())),
        standing: Standing {
            ready: 0,
            ..standing()
        },
        ..applied()
    });
    assert_eq!(
        says(&status, ConditionType::WeightsReady),
        "False/WeightsInvalid"
    );
    assert_eq!(says(&status, ConditionType::Stalled), "True/WeightsInvalid");
}

#[test]
fn a_missing_key_names_secret_key_and_remedy() {
    let missing = Credentials::Missing {
        secret: "provider".into(),
        key: "token".into(),
    };
    let observed = Observed::Applied(Box::new(Applied {
        credentials: Some(missing),
        weights: None,
        engine: false,
        standing: Standing::default(),
        ..applied()
    }));
    let status = status(&hosted(true), &observed, None, Timestamp::UNIX_EPOCH);
    assert_eq!(
        says(&status, ConditionType::CredentialsReady),
        "False/CredentialsMissing"
    );
    let message = &status
        .conditions
        .get(ConditionType::CredentialsReady)
        .unwrap()
        .message;
    assert!(message.contains("provider") && message.contains("token"));
    assert!(status.conditions.get(ConditionType::WeightsReady).is_none());
    assert!(status.conditions.get(ConditionType::ShardsReady).is_none());
}

#[test]
fn an_ingress_that_refuses_the_configuration_is_named() {
    let refused = Some(("small-engine-x".to_owned(), "unknown dialect".to_owned()));
    let enforcement = Enforcement {
        total: 1,
        refused,
        ..Default::default()
    };
    let status = own(Applied {
        enforcement,
        ..applied()
    });
    assert_eq!(
        says(&status, ConditionType::EndpointReachable),
        "False/Refused"
    );
}

#[test]
fn standby_is_told_only_where_it_is_configured() {
    let without = Applied {
        standing: Standing {
            desired_standby: 0,
            standby_ready: 0,
            ..standing()
        },
        ..applied()
    };
    let observed = Observed::Applied(Box::new(without));
    let status = status(&self_hosted(0), &observed, None, Timestamp::UNIX_EPOCH);
    assert!(status.conditions.get(ConditionType::StandbyWarm).is_none());
    assert_eq!(says(&status, ConditionType::Ready), "True/Ready");
}

#[test]
fn a_standby_sleeps_with_its_model_which_is_ready_and_wakes_with_it() {
    let asleep = Applied {
        standing: Standing {
            replicas: 0,
            ready: 0,
            updated: true,
            standby_ready: 0,
            desired_standby: 0,
        },
        ..scaled(1, 0, 0)
    };
    let status = own(asleep);
    let standby = says(&status, ConditionType::StandbyWarm);
    assert_eq!(standby, "True/ScaledToZero");
    assert_eq!(says(&status, ConditionType::Ready), "True/Ready");
    assert_eq!(status.summary.as_deref(), Some("0/0"));
    let waking = Applied {
        standing: Standing {
            replicas: 1,
            ready: 0,
            updated: true,
            standby_ready: 0,
            desired_standby: 1,
        },
        ..scaled(0, 1, 0)
    };
    let status = own(waking);
    assert_eq!(says(&status, ConditionType::StandbyWarm), "True/Scaling");
    assert_eq!(says(&status, ConditionType::Ready), "True/Ready");
    assert_eq!(status.summary.as_deref(), Some("0/1 +0/1"));
}

/// A model whose last decision was made at the epoch.
fn scaled(from: i32, to: i32, ready: i32) -> Applied {
    let event = ScalingEvent {
        time: Time(Timestamp::UNIX_EPOCH),
        from,
        to,
        reason: ScalingReason::CallsHeld,
    };
    Applied {
        standing: Standing {
            ready,
            updated: ready == to,
            ..Standing::default()
        },
        scaled: Some(Scaled {
            desired: to,
            history: vec![event],
            look_again: None,
        }),
        hold_for: std::time::Duration::from_mins(2),
        ..applied()
    }
}

#[test]
fn a_model_that_sleeps_or_wakes_is_ready() {
    let asleep = own(scaled(1, 0, 0));
    assert_eq!(says(&asleep, ConditionType::Ready), "True/Ready");
    assert_eq!(
        says(&asleep, ConditionType::ShardsReady),
        "True/ScaledToZero"
    );
    let reachable = says(&asleep, ConditionType::EndpointReachable);
    assert_eq!(reachable, "True/ScaledToZero");
    assert_eq!(asleep.desired_replicas, Some(0));
    assert_eq!(asleep.scaling_history.len(), 1);
    assert_eq!(asleep.summary.as_deref(), Some("0/0"));

    let waking = own(scaled(0, 1, 0));
    assert_eq!(says(&waking, ConditionType::Ready), "True/Ready");
    assert_eq!(says(&waking, ConditionType::ShardsReady), "True/Scaling");
    assert_eq!(
        says(&waking, ConditionType::EndpointReachable),
        "True/Scaling"
    );
}

#[test]
fn a_model_that_does_not_wake_while_calls_are_held_is_not_ready() {
    let observed = Observed::Applied(Box::new(scaled(0, 1, 0)));
    let late = Timestamp::from_second(120).unwrap();
    let status = status(&self_hosted(0), &observed, None, late);
    assert_eq!(
        says(&status, ConditionType::ShardsReady),
        "Unknown/PodsNotReady"
    );
    assert_eq!(
        says(&status, ConditionType::EndpointReachable),
        "Unknown/NoEndpoints"
    );
}

#[test]
fn groups_that_others_scale_to_zero_are_wanted_so() {
    let mut model = self_hosted(0);
    model.spec.replicas = 0;
    let none = Applied {
        standing: Standing {
            updated: true,
            ..Standing::default()
        },
        ..applied()
    };
    let observed = Observed::Applied(Box::new(none));
    let status = status(&model, &observed, None, Timestamp::UNIX_EPOCH);
    assert_eq!(says(&status, ConditionType::Ready), "True/Ready");
    assert_eq!(
        says(&status, ConditionType::EndpointReachable),
        "True/ScaledToZero"
    );
    assert_eq!(
        status.desired_replicas, None,
        "the number is not ours to decide"
    );
}

#[test]
fn the_same_facts_give_the_same_status() {
    let mut model = self_hosted(1);
    let observed = Observed::Applied(Box::new(applied()));
    let first = status(&model, &observed, None, Timestamp::UNIX_EPOCH);
    model.status = Some(first.clone());
    assert_eq!(status(&model, &observed, None, Timestamp::now()), first);
}

#[test]
fn a_model_is_not_ready_before_its_nodes_and_says_why() {
    let status = own(Applied {
        standing: Standing {
            ready: 0,
            ..standing()
        },
        weights: Some(Fetched::Missing),
        nodes: Some(Fact::no(
            ConditionType::NodePoolReady,
            Reason::NodesUnavailable,
            "raise the limits",
        )),
        ..applied()
    });
    assert_eq!(
        says(&status, ConditionType::Ready),
        "False/NodesUnavailable"
    );
    // A node may become free by itself.
    assert!(status.conditions.get(ConditionType::Stalled).is_none());
}

#[test]
fn an_unknown_gpu_class_stalls_and_leaves_what_runs() {
    let mut model = self_hosted(1);
    let spec = model.spec.self_hosted.as_mut().unwrap();
    spec.gpu.as_mut().unwrap().class = Some("h100".into());
    model.status = Some(own(applied()));
    let observed = Observed::NoGpuClass("there is no `h100`".into());
    let after = status(&model, &observed, None, Timestamp::UNIX_EPOCH);
    assert_eq!(
        says(&after, ConditionType::NodePoolReady),
        "False/GpuClassUnknown"
    );
    assert_eq!(says(&after, ConditionType::Stalled), "True/GpuClassUnknown");
    assert_eq!(says(&after, ConditionType::ShardsReady), "True/Ready");
    assert_eq!(after.ready_replicas, 2);
}

/// A model with everything that has a condition, and the same seen.
fn with_everything() -> (ModelDeployment, Applied) {
    let mut spec = json!(self_hosted(1).spec);
    let own = &mut spec["selfHosted"];
    own["model"]["credentials"] = json!({"secretKeyRef": {"name": "hub", "key": "token"}});
    own["gpu"]["class"] = json!("l4");
    own["rollout"] = json!({"evaluation": {"configMapRef": {"name": "inputs"},
        "policyRefs": [{"name": "tone"}], "minScorePercent": 90}});
    spec["slo"] = json!({"coldStart": "5m"});
    let fact = |kind| Fact::yes(kind, Reason::Ready, "");
    let seen = Applied {
        credentials: Some(Credentials::Ready),
        nodes: Some(fact(ConditionType::NodePoolReady)),
        rolled: Some(Rolled {
            status: RolloutStatus::default(),
            fact: fact(ConditionType::RolloutHealthy),
            look_again: None,
        }),
        ..applied()
    };
    (model("small", &spec), seen)
}

fn with_budget() -> (ModelDeployment, Applied) {
    let budget: Budget = serde_json::from_str(r#"{"tokens": 100}"#).unwrap();
    let mut model = self_hosted(1);
    model.spec.budget = Some(Box::new(budget.clone()));
    let seen = Applied {
        spending: Spending::of(&budget, &Book::default(), Timestamp::UNIX_EPOCH),
        ..applied()
    };
    (model, seen)
}

#[test]
fn a_models_budget_says_what_is_gone_of_it() {
    let (model, seen) = with_budget();
    let observed = Observed::Applied(Box::new(seen));
    let told = status(&model, &observed, None, Timestamp::UNIX_EPOCH);
    assert_eq!(
        says(&told, ConditionType::BudgetAvailable),
        "True/WithinBudget"
    );
    let spent = told.budget.unwrap();
    assert_eq!(
        (spent.period.as_str(), spent.currency.as_str()),
        ("1970-01", "tokens")
    );
}

#[test]
fn all_conditions_of_a_model_stand_from_the_first_visit_however_it_went() {
    let of_provider = Applied {
        credentials: Some(Credentials::Ready),
        weights: None,
        engine: false,
        ..applied()
    };
    for (model, seen) in [
        with_everything(),
        (self_hosted(1), applied()),
        with_budget(),
        (hosted(true), of_provider),
    ] {
        let kinds = |observed: &Observed, error: Option<&Error>| -> Vec<String> {
            let told = status(&model, observed, error, Timestamp::UNIX_EPOCH);
            let summary = ["Ready", "Reconciling", "Stalled"];
            let kinds = told.conditions.iter().map(|one| one.type_);
            kinds
                .filter(|kind| !summary.contains(&kind.as_str()))
                .collect()
        };
        let all = kinds(&Observed::Applied(Box::new(seen)), None);
        assert_eq!(kinds(&Observed::Invalid(Vec::new()), None), all);
        let error = Error::Randomness("none");
        assert_eq!(kinds(&Observed::Unknown, Some(&error)), all);
    }
}
