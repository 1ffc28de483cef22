#![allow(clippy::unwrap_used)]

use std::time::Duration;

use aios_audit::{Checkpoint, sha256};
use aios_compile::Diagnostic;
use aios_crds::{
    ConditionType, Reason, WritingPipelineStatus,
    budget::{Budget, BudgetPeriod},
    trigger::TriggerStatus,
};
use aios_proto::control::PipelineReport;
use jiff::Timestamp;

use super::{Compiled, Observed, PolicyState, status};
use crate::{
    conditions::{Fact, State},
    control::{Enforcement, Head},
    pipeline::{start::Started, validate::Flaw},
    status::Status,
    tenant::Gateway,
    testing::{
        books::{asked, first_day},
        pipeline,
    },
};

fn enforced() -> Enforcement {
    Enforcement {
        enforcing: 1,
        total: 1,
        ..Enforcement::default()
    }
}

fn observed() -> Observed {
    Observed {
        flaw: None,
        arriving: None,
        absent_models: Vec::new(),
        unready_models: Vec::new(),
        unpriced_models: Vec::new(),
        book: None,
        policies: vec![PolicyState {
            name: "tone".into(),
            compiled: Compiled::Yes,
            enforcement: enforced(),
        }],
        digest: Some("sha256:1".into()),
        last_good: true,
        enforcement: enforced(),
        gateway: Gateway {
            applied: true,
            ready: true,
            store_conflict: None,
            error: None,
        },
        report: None,
        head: None,
        started: None,
    }
}

fn seen(observed: &Observed) -> WritingPipelineStatus {
    status(
        &pipeline("mail", true, "Retain"),
        Some(observed),
        None,
        Timestamp::UNIX_EPOCH,
    )
}

fn says(status: &WritingPipelineStatus, kind: ConditionType) -> String {
    let condition = status.conditions.get(kind).unwrap();
    format!("{}/{}", condition.status, condition.reason)
}

#[test]
fn a_pipeline_is_ready_once_the_gateway_runs_its_configuration() {
    let status = seen(&observed());
    assert_eq!(says(&status, ConditionType::Ready), "True/Ready");
    assert_eq!(says(&status, ConditionType::RetrievalReady), "True/Ready");
    assert_eq!(says(&status, ConditionType::AuditVerified), "True/NoLogYet");
    assert_eq!(
        status.endpoint.as_deref(),
        Some("https://aios-gateway.team.svc:8443")
    );
}

#[test]
fn without_retrieval_there_is_no_word_of_it() {
    let plain = pipeline("mail", false, "Retain");
    let status = status(&plain, Some(&observed()), None, Timestamp::UNIX_EPOCH);
    assert!(
        status
            .conditions
            .get(ConditionType::RetrievalReady)
            .is_none()
    );
}

#[test]
fn triggers_are_told_of_while_there_are_some() {
    let fact = |state| Fact {
        kind: ConditionType::TriggersReady,
        state,
        reason: Reason::Ready,
        message: String::new(),
    };
    let daily = TriggerStatus {
        name: "daily".into(),
        schedule: "0 9 * * * UTC".into(),
        since: None,
        last_start: None,
        last_run: None,
        next_start: None,
    };
    let with = |state| Observed {
        started: Some(Started {
            fact: fact(state),
            statuses: vec![daily.clone()],
            look_again: None,
            error: None,
        }),
        ..observed()
    };
    let first = seen(&with(State::True));
    assert_eq!(says(&first, ConditionType::TriggersReady), "True/Ready");
    assert_eq!(first.triggers, std::slice::from_ref(&daily));
    let failed = seen(&with(State::False));
    assert_eq!(says(&failed, ConditionType::Ready), "False/Ready");
    let mut known = pipeline("mail", true, "Retain");
    known.status = Some(first);
    let later = status(&known, Some(&observed()), None, Timestamp::UNIX_EPOCH);
    assert!(later.triggers.is_empty(), "they were taken out of the spec");
    assert!(later.conditions.get(ConditionType::TriggersReady).is_none());
}

#[test]
fn a_gateway_that_starts_is_no_failure() {
    let starting = Observed {
        gateway: Gateway::default(),
        enforcement: Enforcement::default(),
        ..observed()
    };
    assert_eq!(
        says(&seen(&starting), ConditionType::Serving),
        "Unknown/GatewayNotReady"
    );
    let silent = Observed {
        enforcement: Enforcement::default(),
        ..observed()
    };
    assert_eq!(
        says(&seen(&silent), ConditionType::Serving),
        "Unknown/AwaitingDataPlane"
    );
}

#[test]
fn a_broken_spec_says_where_and_leaves_the_last_good() {
    let wrong = Diagnostic::new("spec.content.skeletons[0]", "unclosed", "close it");
    let flaw = Some(Flaw::Invalid(vec![wrong]));
    let status = seen(&Observed {
        flaw: flaw.clone(),
        ..observed()
    });
    assert_eq!(says(&status, ConditionType::Serving), "False/LastKnownGood");
    assert_eq!(says(&status, ConditionType::Stalled), "True/LastKnownGood");
    let never = Observed {
        flaw,
        last_good: false,
        digest: None,
        ..observed()
    };
    assert_eq!(
        says(&seen(&never), ConditionType::Serving),
        "False/InvalidSpec"
    );
}

#[test]
fn references_may_arrive_late_and_then_stall() {
    let missing = |arriving| {
        let objects = vec!["PolicySet `tone`".to_owned()];
        let flaw = Some(Flaw::Missing { objects, arriving });
        seen(&Observed {
            flaw,
            arriving,
            ..observed()
        })
    };
    let young = missing(Some(Duration::from_secs(3)));
    assert_eq!(
        says(&young, ConditionType::Ready),
        "Unknown/ReferenceNotFound"
    );
    assert_eq!(
        says(&missing(None), ConditionType::Stalled),
        "True/ReferenceNotFound"
    );
    let models = Observed {
        absent_models: vec!["small".into()],
        ..observed()
    };
    assert_eq!(
        says(&seen(&models), ConditionType::ModelsReady),
        "False/ReferenceNotFound"
    );
}

#[test]
fn models_and_policies_that_are_not_ready_are_named() {
    let waiting = Enforcement {
        total: 1,
        awaiting: vec!["w".into()],
        ..Enforcement::default()
    };
    let policy = PolicyState {
        name: "tone".into(),
        compiled: Compiled::Yes,
        enforcement: waiting,
    };
    let status = seen(&Observed {
        unready_models: vec!["small".into()],
        policies: vec![policy],
        ..observed()
    });
    assert_eq!(
        says(&status, ConditionType::ModelsReady),
        "Unknown/ModelsNotReady"
    );
    assert_eq!(
        says(&status, ConditionType::PoliciesEnforced),
        "Unknown/PoliciesNotEnforced"
    );
    let message = &status
        .conditions
        .get(ConditionType::PoliciesEnforced)
        .unwrap()
        .message;
    assert!(message.contains("tone") && message.contains('w'));
}

#[test]
fn a_bent_log_stalls_the_pipeline() {
    let checkpoint = Checkpoint {
        origin: "aios.dev/team/u".into(),
        size: 3,
        root: sha256(b""),
    };
    let head = Some(Head {
        checkpoint: checkpoint.clone(),
        fault: Some("rewritten".into()),
    });
    assert_eq!(
        says(
            &seen(&Observed { head, ..observed() }),
            ConditionType::Stalled
        ),
        "True/LogForked"
    );
    let status = seen(&Observed {
        head: Some(Head {
            checkpoint,
            fault: None,
        }),
        ..observed()
    });
    assert_eq!(says(&status, ConditionType::AuditVerified), "True/Ready");
    assert_eq!(status.audit.unwrap().tree_size, 3);
}

#[test]
fn counts_are_numbers_and_stay_while_the_gateway_is_silent() {
    let report = PipelineReport {
        accepted: 3,
        published: 1,
        ..PipelineReport::default()
    };
    let first = seen(&Observed {
        report: Some(report),
        ..observed()
    });
    assert!(!first.is_settled());
    assert_eq!(first.without_numbers(), seen(&observed()).without_numbers());
    let mut known = pipeline("mail", true, "Retain");
    known.status = Some(first.clone());
    let later = status(&known, Some(&observed()), None, Timestamp::now());
    assert_eq!(later, first);
}

fn with_budget(observed: &Observed) -> WritingPipelineStatus {
    let mut budgeted = pipeline("mail", false, "Retain");
    budgeted.spec.budget = Some(Box::new(Budget {
        amount: Some("2".parse().unwrap()),
        currency: Some("EUR".into()),
        period: BudgetPeriod::Day,
        ..Budget::default()
    }));
    status(&budgeted, Some(observed), None, Timestamp::UNIX_EPOCH)
}

fn asks(needs: u64) -> Observed {
    Observed {
        book: Some(asked(&first_day(2_000_000), needs)),
        ..observed()
    }
}

#[test]
fn a_budget_says_what_is_gone_and_whether_it_pays_and_ready_does_not_wait_for_it() {
    let paying = with_budget(&asks(1_500_000));
    assert_eq!(
        says(&paying, ConditionType::BudgetAvailable),
        "True/WithinBudget"
    );
    let spent = paying.budget.unwrap();
    assert_eq!(
        (
            spent.period.as_str(),
            spent.committed.to_string(),
            spent.spent.to_string()
        ),
        ("1970-01-01", "1.5".to_owned(), "0".to_owned())
    );

    let short = with_budget(&asks(3_000_000));
    assert_eq!(
        says(&short, ConditionType::BudgetAvailable),
        "False/BudgetExhausted"
    );
    assert_eq!(says(&short, ConditionType::Ready), "True/Ready");

    let unpriced = with_budget(&Observed {
        unpriced_models: vec!["small".into()],
        ..asks(1)
    });
    assert_eq!(
        says(&unpriced, ConditionType::BudgetAvailable),
        "False/ModelsUnpriced"
    );
    let condition = unpriced
        .conditions
        .get(ConditionType::BudgetAvailable)
        .unwrap();
    assert!(condition.message.contains("small"), "{}", condition.message);

    let without = seen(&observed());
    assert!(
        without
            .conditions
            .get(ConditionType::BudgetAvailable)
            .is_none()
    );
}

#[test]
fn a_spent_budget_pays_again_once_its_period_turned() {
    let mut budgeted = pipeline("mail", false, "Retain");
    budgeted.spec.budget = Some(Box::new(Budget {
        amount: Some("2".parse().unwrap()),
        currency: Some("EUR".into()),
        period: BudgetPeriod::Day,
        ..Budget::default()
    }));
    let tomorrow = Timestamp::from_second(86_400).unwrap();
    let status = status(&budgeted, Some(&asks(3_000_000)), None, tomorrow);
    assert_eq!(
        says(&status, ConditionType::BudgetAvailable),
        "True/WithinBudget"
    );
    assert_eq!(status.budget.unwrap().period, "1970-01-02");
}

#[test]
fn all_conditions_of_a_pipeline_stand_from_the_first_visit_however_it_went() {
    let bare = pipeline("mail", false, "Retain");
    let mut whole = pipeline("mail", true, "Retain");
    whole.spec.budget = Some(Box::new(Budget {
        amount: Some("2".parse().unwrap()),
        currency: Some("EUR".into()),
        period: BudgetPeriod::Day,
        ..Budget::default()
    }));
    for (pipeline, seen) in [(bare, observed()), (whole, asks(1))] {
        let kinds = |observed: Option<&Observed>| -> Vec<String> {
            let told = status(&pipeline, observed, None, Timestamp::UNIX_EPOCH);
            let summary = ["Ready", "Reconciling", "Stalled"];
            let kinds = told.conditions.iter().map(|one| one.type_);
            kinds
                .filter(|kind| !summary.contains(&kind.as_str()))
                .collect()
        };
        assert_eq!(kinds(None), kinds(Some(&seen)));
    }
}
