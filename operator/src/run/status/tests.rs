#![allow(clippy::unwrap_used)]

use std::time::Duration;

use aios_budget::Allowance;
use aios_crds::{
    ConditionType, Reason, WritingRun, WritingRunStatus, budget::RunBudget, writing_run::Outcome,
};
use aios_proto::control::RunReport;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use serde_json::json;

use super::{Observed, status};
use crate::{
    conditions::Fact,
    run::validate::Flaw,
    spending::Spending,
    status::Status,
    testing::{self, books::asked},
};

fn report(published: i64, refused: i64, waiting: i64) -> RunReport {
    let drafted = published + refused + waiting;
    RunReport {
        accepted: 10,
        drafted,
        published,
        refused,
        waiting,
        ..RunReport::default()
    }
}

fn job(condition: &str) -> Job {
    serde_json::from_value(json!({"metadata": {"name": "batch"}, "status": {
        "startTime": "2026-01-01T00:00:00Z",
        "conditions": [{"type": condition, "status": "True"}]}}))
    .unwrap()
}

fn seen(run: &WritingRun, report: Option<RunReport>, job: Option<Job>) -> WritingRunStatus {
    let observed = Observed {
        report,
        job,
        ..Observed::default()
    };
    status(run, Some(&observed), None, Timestamp::UNIX_EPOCH)
}

/// The same of a run in a queue.
fn queued(report: RunReport, job: Option<Job>, admitted: Option<Fact>) -> WritingRunStatus {
    let observed = Observed {
        report: Some(report),
        job,
        is_queued: true,
        admitted,
        ..Observed::default()
    };
    status(
        &testing::run(false),
        Some(&observed),
        None,
        Timestamp::UNIX_EPOCH,
    )
}

fn says(status: &WritingRunStatus, kind: ConditionType) -> String {
    let condition = status.conditions.get(kind).unwrap();
    format!("{}/{}", condition.status, condition.reason)
}

#[test]
fn a_run_under_way_is_running() {
    let status = seen(&testing::run(false), Some(report(3, 1, 0)), None);
    for kind in [
        ConditionType::Drafted,
        ConditionType::Finished,
        ConditionType::Succeeded,
    ] {
        assert_eq!(says(&status, kind), "Unknown/Running");
    }
    assert_eq!((status.items.accepted, status.items.published), (10, 3));
    assert!(status.completion_time.is_none());
}

#[test]
fn a_run_whose_items_ended_is_completed() {
    let status = seen(
        &testing::run(false),
        Some(report(8, 2, 0)),
        Some(job("Complete")),
    );
    assert_eq!(says(&status, ConditionType::Drafted), "True/Completed");
    assert_eq!(says(&status, ConditionType::Finished), "True/Completed");
    assert_eq!(says(&status, ConditionType::Succeeded), "True/Completed");
    assert_eq!(says(&status, ConditionType::Ready), "True/Completed");
    assert!(status.completion_time.is_some() && status.start_time.is_some());
}

#[test]
fn items_that_wait_for_a_person_do_not_hold_the_run() {
    let status = seen(
        &testing::run(false),
        Some(report(5, 1, 4)),
        Some(job("Complete")),
    );
    assert_eq!(says(&status, ConditionType::Finished), "True/Waiting");
    assert_eq!(says(&status, ConditionType::Ready), "True/Waiting");
}

#[test]
fn a_failed_job_with_open_items_finished_without_success() {
    let status = seen(
        &testing::run(false),
        Some(report(5, 1, 0)),
        Some(job("Failed")),
    );
    assert_eq!(says(&status, ConditionType::Finished), "True/ItemsFailed");
    assert_eq!(says(&status, ConditionType::Succeeded), "False/ItemsFailed");
    assert_eq!(says(&status, ConditionType::Stalled), "True/ItemsFailed");
}

#[test]
fn an_item_sent_back_by_a_person_does_not_reopen_the_run() {
    let mut run = testing::run(false);
    run.status = Some(seen(&run, Some(report(5, 1, 4)), Some(job("Complete"))));
    let status = seen(&run, Some(report(5, 1, 3)), Some(job("Complete")));
    assert_eq!(says(&status, ConditionType::Finished), "True/Waiting");
}

#[test]
fn a_run_of_a_missing_pipeline_stalls_once_it_had_time_to_arrive() {
    let flawed = |arriving| {
        let flaw = Flaw::NoPipeline {
            name: "mail".into(),
            arriving,
        };
        let observed = Observed {
            flaw: Some(flaw),
            ..Observed::default()
        };
        status(
            &testing::run(false),
            Some(&observed),
            None,
            Timestamp::UNIX_EPOCH,
        )
    };
    let young = flawed(Some(Duration::from_secs(5)));
    assert_eq!(
        says(&young, ConditionType::Ready),
        "Unknown/ReferenceNotFound"
    );
    let old = flawed(None);
    assert_eq!(says(&old, ConditionType::Ready), "False/ReferenceNotFound");
    assert_eq!(says(&old, ConditionType::Stalled), "True/ReferenceNotFound");
}

#[test]
fn a_refusal_of_the_gateway_is_told() {
    let refused = RunReport {
        error: "nothing is uploaded".into(),
        ..RunReport::default()
    };
    let status = seen(&testing::run(false), Some(refused), None);
    assert_eq!(says(&status, ConditionType::Ready), "False/Refused");
    assert_eq!(says(&status, ConditionType::Finished), "Unknown/Refused");
}

#[test]
fn a_suspended_run_waits() {
    let status = seen(&testing::run(true), Some(report(0, 0, 0)), None);
    assert_eq!(says(&status, ConditionType::Ready), "Unknown/Suspended");
}

#[test]
fn a_run_ends_with_its_workers() {
    let job: Job =
        serde_json::from_value(json!({"metadata": {"name": "batch"}, "status": {"active": 1}}))
            .unwrap();
    let status = seen(&testing::run(false), Some(report(8, 2, 0)), Some(job));
    assert_eq!(says(&status, ConditionType::Finished), "Unknown/Running");
    assert_eq!(says(&status, ConditionType::Drafted), "True/Completed");
}

#[test]
fn a_run_that_is_still_being_accepted_is_not_finished() {
    let none = RunReport::default();
    let status = seen(&testing::run(false), Some(none), None);
    assert_eq!(
        says(&status, ConditionType::Finished),
        "Unknown/Progressing"
    );
}

#[test]
fn a_new_leader_leaves_a_finished_run_as_it_was() {
    let mut run = testing::run(false);
    let before = seen(&run, Some(report(8, 2, 0)), Some(job("Complete")));
    run.status = Some(before.clone());
    let after = seen(&run, None, Some(job("Complete")));
    assert_eq!(after, before);
}

fn resting() -> Job {
    serde_json::from_value(
        json!({"metadata": {"name": "batch"}, "spec": {"suspend": true,
        "template": {}}}),
    )
    .unwrap()
}

#[test]
fn a_run_in_a_queue_says_why_it_waits() {
    let waits = Fact::pending(
        ConditionType::Admitted,
        Reason::Queued,
        "LocalQueue `a`: full",
    );
    let status = queued(report(0, 0, 0), Some(resting()), Some(waits));
    for kind in [
        ConditionType::Admitted,
        ConditionType::Drafted,
        ConditionType::Finished,
        ConditionType::Succeeded,
        ConditionType::Ready,
    ] {
        assert_eq!(says(&status, kind), "Unknown/Queued");
    }
    let ready = status.conditions.get(ConditionType::Ready).unwrap();
    assert_eq!(ready.message, "LocalQueue `a`: full");
}

#[test]
fn a_run_without_kueue_stalls() {
    let kind = ConditionType::Admitted;
    let missing = Fact::no(kind, Reason::KueueMissing, "install it");
    let status = queued(report(0, 0, 0), Some(resting()), Some(missing));
    assert_eq!(says(&status, kind), "False/KueueMissing");
    assert_eq!(says(&status, ConditionType::Stalled), "True/KueueMissing");
    assert_eq!(
        says(&status, ConditionType::Finished),
        "Unknown/KueueMissing"
    );
}

#[test]
fn an_admitted_run_is_running() {
    let admitted = Fact::yes(ConditionType::Admitted, Reason::Ready, "");
    let job = job("Suspended");
    let status = queued(report(3, 1, 0), Some(job), Some(admitted));
    assert_eq!(says(&status, ConditionType::Admitted), "True/Ready");
    assert_eq!(says(&status, ConditionType::Ready), "Unknown/Running");
}

#[test]
fn a_run_that_ended_needs_no_admission() {
    for job in [None, Some(job("Complete"))] {
        let status = queued(report(8, 2, 0), job, None);
        assert_eq!(says(&status, ConditionType::Admitted), "True/Completed");
        assert_eq!(says(&status, ConditionType::Ready), "True/Completed");
    }
}

#[test]
fn only_runs_in_a_queue_speak_of_admission() {
    let status = seen(&testing::run(false), Some(report(3, 1, 0)), None);
    assert!(status.conditions.get(ConditionType::Admitted).is_none());
}

/// A run due at second 100.
fn due() -> WritingRun {
    let mut run = testing::run(false);
    run.spec.deadline = serde_json::from_value(json!("1970-01-01T00:01:40Z")).unwrap();
    run
}

fn seen_at(second: i64, report: Option<RunReport>, job: Option<Job>) -> WritingRunStatus {
    let observed = Observed {
        report,
        job,
        ..Observed::default()
    };
    let now = Timestamp::from_second(second).unwrap();
    status(&due(), Some(&observed), None, now)
}

fn overdue(published: i64, refused: i64, overdue: i64) -> RunReport {
    RunReport {
        overdue,
        ..report(published, refused, 0)
    }
}

#[test]
fn a_run_that_lost_items_to_its_deadline_finished_without_success() {
    let after = seen_at(101, Some(overdue(6, 4, 3)), Some(job("Complete")));
    let exceeded = "DeadlineExceeded";
    assert_eq!(
        says(&after, ConditionType::Drafted),
        format!("False/{exceeded}")
    );
    assert_eq!(
        says(&after, ConditionType::Finished),
        format!("True/{exceeded}")
    );
    assert_eq!(
        says(&after, ConditionType::Succeeded),
        format!("False/{exceeded}")
    );
    assert_eq!(
        says(&after, ConditionType::Stalled),
        format!("True/{exceeded}")
    );
    let finished = after.conditions.get(ConditionType::Finished).unwrap();
    assert!(
        finished.message.contains("3 were not begun"),
        "{finished:?}"
    );
}

#[test]
fn documents_under_way_at_the_deadline_keep_the_run_open() {
    let running = Job::default();
    let after = seen_at(101, Some(overdue(5, 3, 3)), Some(running));
    for kind in [ConditionType::Finished, ConditionType::Succeeded] {
        assert_eq!(says(&after, kind), "Unknown/DeadlineExceeded");
    }
}

#[test]
fn a_run_that_was_done_before_its_deadline_succeeded() {
    let after = seen_at(101, Some(report(8, 2, 0)), Some(job("Complete")));
    assert_eq!(says(&after, ConditionType::Succeeded), "True/Completed");
}

#[test]
fn a_run_that_never_began_ends_at_its_deadline_and_says_what_kept_it() {
    let waits = RunReport {
        error: "no records were uploaded".into(),
        ..RunReport::default()
    };
    let before = seen_at(99, Some(waits.clone()), None);
    assert_eq!(says(&before, ConditionType::Finished), "Unknown/Refused");
    for report in [Some(waits), None] {
        let after = seen_at(100, report, None);
        assert_eq!(
            says(&after, ConditionType::Finished),
            "True/DeadlineExceeded"
        );
        assert_eq!(
            says(&after, ConditionType::Succeeded),
            "False/DeadlineExceeded"
        );
        assert!(after.completion_time.is_some());
    }
}

#[test]
fn a_new_leader_leaves_a_run_that_failed_as_it_was() {
    let mut run = testing::run(false);
    run.status = Some(seen(&run, Some(report(5, 1, 0)), Some(job("Failed"))));
    let after = seen(&run, None, Some(job("Failed")));
    assert_eq!(Some(after), run.status);
}

#[test]
fn the_outcome_stands_once_the_run_is_finished() {
    let run = testing::run(false);
    let outcome = |report, job| seen(&run, Some(report), job).outcome;
    assert_eq!(outcome(report(3, 1, 0), None), None);
    let well = outcome(report(5, 1, 4), Some(job("Complete")));
    assert_eq!(well, Some(Outcome::Succeeded));
    let badly = outcome(report(5, 1, 0), Some(job("Failed")));
    assert_eq!(badly, Some(Outcome::Failed));
    let late = seen_at(101, Some(overdue(6, 4, 3)), Some(job("Complete")));
    assert_eq!(late.outcome, Some(Outcome::Failed));
}

#[test]
fn all_conditions_of_a_run_stand_from_the_first_visit_however_it_went() {
    use ConditionType::{Admitted, Drafted, Finished, Succeeded};
    let run = testing::run(false);
    let failed = status(&run, None, None, Timestamp::UNIX_EPOCH);
    // Its Job is there, and the gateway has not spoken since this operator leads.
    let silent = seen(&run, None, Some(resting()));
    for told in [failed, silent] {
        for kind in [Drafted, Finished, Succeeded] {
            assert!(told.conditions.get(kind).is_some(), "{kind:?}");
        }
        assert!(told.conditions.get(Admitted).is_none());
        assert_eq!(told.outcome, None);
    }
}

#[test]
fn a_runs_budget_says_what_is_gone_and_what_it_cannot_pay_for() {
    use ConditionType::BudgetAvailable;
    let mut run = testing::run(false);
    let budget: RunBudget = serde_json::from_value(json!({"tokens": 100})).unwrap();
    run.spec.budget = Some(budget.clone());
    let allowance = Allowance::of_run(&budget);
    let after = |needs, unpriced: &[&str]| {
        let book = asked(&allowance, needs);
        let observed = Observed {
            report: Some(report(1, 0, 0)),
            spending: Some(Spending::of_run(&budget, &book, Timestamp::UNIX_EPOCH)),
            unpriced: unpriced.iter().map(|name| (*name).to_owned()).collect(),
            ..Observed::default()
        };
        status(&run, Some(&observed), None, Timestamp::UNIX_EPOCH)
    };
    let paying = after(60, &[]);
    assert_eq!(says(&paying, BudgetAvailable), "True/WithinBudget");
    let spent = paying.budget.clone().unwrap();
    let (committed, unit) = (spent.committed.to_string(), spent.currency.as_str());
    assert_eq!((committed.as_str(), unit), ("60", "tokens"));
    assert_eq!(paying.without_numbers().budget, None);

    let short = after(200, &[]);
    assert_eq!(says(&short, BudgetAvailable), "False/BudgetExhausted");
    let message = short.conditions.get(BudgetAvailable).unwrap().message;
    assert!(message.ends_with("raise spec.budget.tokens"), "{message}");
    let unpriced = after(1, &["small"]);
    assert_eq!(says(&unpriced, BudgetAvailable), "False/ModelsUnpriced");
    let failed = status(&run, None, None, Timestamp::UNIX_EPOCH);
    assert!(failed.conditions.get(BudgetAvailable).is_some());
}
