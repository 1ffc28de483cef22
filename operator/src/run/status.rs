//! A run's status, from what gateway and Job said. Pure.

use std::time::Duration;

use aios_crds::{
    ConditionType, Conditions, Reason, WritingRun, WritingRunStatus,
    writing_run::{ItemCounts, Outcome},
};
use aios_proto::control::RunReport;
use jiff::Timestamp;
use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::Time};

use crate::{
    conditions::{Fact, State, known, summarize, whole_seconds, with_failure, write},
    diagnostics::text,
    error::Error,
    run::{apply::ended, deadline::is_missed, fetch::Found, queue, validate::Flaw},
    spending::Spending,
    status::{Stated, Status},
};

const NO_WORKER: &str = "no worker is needed any more";

/// What a pass saw.
#[derive(Default)]
pub struct Observed {
    pub flaw: Option<Flaw>,
    pub report: Option<RunReport>,
    pub job: Option<Job>,
    /// Whether the pipeline names a queue.
    pub is_queued: bool,
    /// What the queue says of the Job, if it is in one.
    pub admitted: Option<Fact>,
    /// Of a run with a budget.
    pub spending: Option<Spending>,
    /// Models that the budget cannot pay for.
    pub unpriced: Vec<String>,
}

impl Observed {
    pub fn of(found: Found, job: Option<Job>, admitted: Option<Fact>) -> Self {
        let pipeline = found.pipeline.as_ref();
        let queue = pipeline.and_then(|pipeline| pipeline.spec.execution.queue_name.as_ref());
        Self {
            flaw: None,
            report: found.report,
            job,
            is_queued: queue.is_some() || admitted.is_some(),
            admitted,
            spending: found.spending,
            unpriced: found.unpriced,
        }
    }

    pub fn flawed(flaw: Flaw, found: Found) -> Self {
        Self {
            flaw: Some(flaw),
            report: found.report,
            job: found.job,
            spending: found.spending,
            unpriced: found.unpriced,
            ..Self::default()
        }
    }

    pub fn look_again(&self) -> Option<Duration> {
        match &self.flaw {
            Some(Flaw::NoPipeline { arriving, .. }) => *arriving,
            _ => queue::look_again(self.admitted.as_ref()),
        }
    }
}

/// Items that are neither published nor refused nor waiting.
pub fn open_items(report: &RunReport) -> i64 {
    report.accepted - report.published - report.refused - report.waiting
}

pub fn status(
    run: &WritingRun,
    observed: Option<&Observed>,
    error: Option<&Error>,
    now: Timestamp,
) -> WritingRunStatus {
    let before = run.status.clone().unwrap_or_default();
    let generation = run.metadata.generation.unwrap_or_default();
    let mut facts = match (observed, error) {
        (Some(observed), None) => facts(run, &before, observed, now),
        (_, error) => {
            let message = error.map(ToString::to_string).unwrap_or_default();
            let failure = Fact::no(ConditionType::Drafted, Reason::ApiError, message);
            let is_queued = observed.is_some_and(|observed| observed.is_queued);
            let budget = run.spec.budget.as_ref();
            let kinds = applicable(&before, is_queued);
            let kinds = kinds.chain(budget.map(|_| ConditionType::BudgetAvailable));
            with_failure(&before.conditions, kinds, &failure)
        }
    };
    if let Some((observed, spending)) =
        observed.and_then(|seen| Some((seen, seen.spending.as_ref()?)))
    {
        facts.retain(|fact| fact.kind != ConditionType::BudgetAvailable);
        facts.push(spending.fact("spec.budget", &observed.unpriced));
    }
    let conditions = write(named(summarize(facts)), &before.conditions, generation, now);
    let finished = conditions.is_true(ConditionType::Finished, None);
    let mut after = WritingRunStatus {
        observed_generation: generation,
        conditions,
        ..before
    };
    if let Some(observed) = observed {
        if let Some(report) = &observed.report {
            after.items = counts(report);
        }
        let started = observed
            .job
            .as_ref()
            .and_then(|job| job.status.as_ref()?.start_time.clone());
        after.start_time = after.start_time.or(started);
        if let Some(spending) = &observed.spending {
            after.budget = Some(spending.spent());
        }
    }
    if finished && after.completion_time.is_none() {
        after.completion_time = Some(Time(whole_seconds(now)));
    }
    after.outcome = outcome(&after.conditions);
    after
}

/// Conditions that a run has, whatever a pass saw; in the order of its facts.
fn applicable(
    before: &WritingRunStatus,
    is_queued: bool,
) -> impl Iterator<Item = ConditionType> + use<> {
    use ConditionType::{Admitted, Drafted, Finished, Succeeded};
    let is_queued = is_queued || before.conditions.get(Admitted).is_some();
    let admitted = is_queued.then_some(Admitted);
    admitted.into_iter().chain([Drafted, Finished, Succeeded])
}

fn outcome(conditions: &Conditions) -> Option<Outcome> {
    let finished = conditions.is_true(ConditionType::Finished, None);
    let succeeded = conditions.get(ConditionType::Succeeded)?;
    match (finished, succeeded.status.as_str()) {
        (true, "True") => Some(Outcome::Succeeded),
        (true, "False") => Some(Outcome::Failed),
        _ => None,
    }
}

/// Ready of a run that ended says how it ended.
fn named(mut facts: Vec<Fact>) -> Vec<Fact> {
    let end = facts
        .iter()
        .find(|f| f.kind == ConditionType::Finished && f.state == State::True);
    let end = end.map(|fact| (fact.reason, fact.message.clone()));
    let ready = facts
        .iter_mut()
        .find(|f| f.kind == ConditionType::Ready && f.state == State::True);
    if let (Some((reason, message)), Some(ready)) = (end, ready) {
        ready.reason = reason;
        ready.message = message;
    }
    facts
}

fn counts(report: &RunReport) -> ItemCounts {
    ItemCounts {
        accepted: report.accepted,
        drafted: report.drafted,
        published: report.published,
        refused: report.refused,
        waiting: report.waiting,
    }
}

fn facts(
    run: &WritingRun,
    before: &WritingRunStatus,
    observed: &Observed,
    now: Timestamp,
) -> Vec<Fact> {
    use ConditionType::{Admitted, Drafted, Finished, Succeeded};
    if is_missed(run, before, observed, now) {
        return missed(hindrance(run, observed), observed.is_queued);
    }
    // A run that ended stays ended, also when a person sends an item back.
    let ended_before = before.conditions.is_true(Finished, None);
    if !ended_before && let Some(hindrance) = hindrance(run, observed) {
        let admitted = Fact::pending(Admitted, hindrance.reason, hindrance.message.clone());
        let admitted = observed.is_queued.then_some(admitted);
        let others = [Finished, Succeeded].map(|kind| like(&hindrance, kind));
        let facts = admitted.into_iter().chain([hindrance]).chain(others);
        return facts.collect();
    }
    let Some(report) = &observed.report else {
        // The gateway has not spoken since this operator leads: what was known stays.
        return if ended_before {
            known(&before.conditions)
        } else {
            let kinds = applicable(before, observed.is_queued);
            with_failure(&before.conditions, kinds, &kept(before))
        };
    };
    let open = open_items(report);
    let job = observed.job.as_ref().map(ended);
    let failed = open > 0 && job == Some(Some(false));
    let progress = progress(report);
    let overdue = report.overdue > 0;
    let going = if overdue {
        Reason::DeadlineExceeded
    } else {
        Reason::Running
    };
    // Workers end once nothing is left for them; until then items may still be coming in.
    let finished = ended_before || failed || (open <= 0 && job != Some(None));
    if !finished
        && open > 0
        && let Some(waits) = observed.admitted.clone()
        && waits.state != State::True
    {
        let others = [Drafted, Finished, Succeeded].map(|kind| like(&waits, kind));
        return [waits].into_iter().chain(others).collect();
    }
    let admitted = observed.is_queued.then(|| match &observed.admitted {
        _ if finished => Fact::yes(Admitted, Reason::Completed, NO_WORKER),
        Some(admitted) => admitted.clone(),
        None => Fact::pending(Admitted, Reason::Progressing, "the run's Job is being made"),
    });
    let drafted = report.drafted.max(report.accepted - open) >= report.accepted;
    let end = match (failed, overdue, report.waiting > 0) {
        (true, ..) => Reason::ItemsFailed,
        (_, true, _) => Reason::DeadlineExceeded,
        (_, _, true) => Reason::Waiting,
        _ => Reason::Completed,
    };
    let lost = failed || overdue;
    let ends = [
        match (drafted, overdue) {
            (true, false) => Fact::yes(Drafted, Reason::Completed, "every item is past its draft"),
            (true, true) if finished => Fact::no(Drafted, going, progress.clone()),
            (false, _) if failed => Fact::no(Drafted, end, progress.clone()),
            _ => Fact::pending(Drafted, going, progress.clone()),
        },
        if finished {
            Fact::yes(Finished, end, progress.clone())
        } else {
            Fact::pending(Finished, going, progress.clone())
        },
        match (finished, lost) {
            (true, true) => Fact::no(Succeeded, end, progress),
            (true, false) => Fact::yes(Succeeded, end, progress),
            (false, _) => Fact::pending(Succeeded, going, progress),
        },
    ];
    admitted.into_iter().chain(ends).collect()
}

fn progress(report: &RunReport) -> String {
    let open = open_items(report);
    let mut words = format!(
        "{} accepted: {} published, {} refused, {} waiting, {open} under way",
        report.accepted, report.published, report.refused, report.waiting
    );
    if report.overdue > 0 {
        let late = format!("; {} were not begun before the deadline", report.overdue);
        words.push_str(&late);
    }
    words
}

/// A run of which nothing was accepted before its deadline, and what kept it if that is known.
fn missed(hindrance: Option<Fact>, is_queued: bool) -> Vec<Fact> {
    use ConditionType::{Admitted, Drafted, Finished, Succeeded};
    let reason = Reason::DeadlineExceeded;
    let why = hindrance.map(|fact| format!(": {}", fact.message));
    let why = why.unwrap_or_default();
    let message = format!("the deadline passed before an item was accepted{why}");
    let admitted = Fact::yes(Admitted, Reason::Completed, NO_WORKER);
    let ends = [
        Fact::no(Drafted, reason, message.clone()),
        Fact::yes(Finished, reason, message.clone()),
        Fact::no(Succeeded, reason, message),
    ];
    let admitted = is_queued.then_some(admitted);
    admitted.into_iter().chain(ends).collect()
}

/// What is not known yet for the same reason as another fact.
fn like(fact: &Fact, kind: ConditionType) -> Fact {
    Fact::pending(kind, fact.reason, fact.message.clone())
}

/// Why the run cannot go on, or cannot begin.
fn hindrance(run: &WritingRun, observed: &Observed) -> Option<Fact> {
    let kind = ConditionType::Drafted;
    match &observed.flaw {
        Some(Flaw::Invalid(diagnostics)) => {
            return Some(Fact::no(kind, Reason::InvalidSpec, text(diagnostics)));
        }
        Some(Flaw::NoPipeline { name, arriving }) => {
            let message = format!("WritingPipeline `{name}` does not exist: create it");
            let (no, pending) = (Fact::no, Fact::pending);
            let state = if arriving.is_some() { pending } else { no };
            return Some(state(kind, Reason::ReferenceNotFound, message));
        }
        None => {}
    }
    match &observed.report {
        Some(report) if !report.error.is_empty() => {
            Some(Fact::no(kind, Reason::Refused, report.error.as_str()))
        }
        Some(report) if accepted(run, report) && open_items(report) <= 0 => None,
        _ if run.spec.suspend => Some(Fact::pending(
            kind,
            Reason::Suspended,
            "held back by spec.suspend",
        )),
        Some(report) if !accepted(run, report) => Some(Fact::pending(
            kind,
            Reason::Progressing,
            "the gateway is accepting the run",
        )),
        None if observed.job.is_none() => {
            let message = "the gateway has not accepted the run yet";
            Some(Fact::pending(kind, Reason::Progressing, message))
        }
        _ => None,
    }
}

/// Whether the gateway has taken every item that the run is known to have.
pub fn accepted(run: &WritingRun, report: &RunReport) -> bool {
    let pointers = run.spec.input.pointers.as_ref().map_or(1, Vec::len);
    usize::try_from(report.accepted).unwrap_or_default() >= pointers.max(1)
}

/// The Drafted fact as it was.
fn kept(before: &WritingRunStatus) -> Fact {
    let drafted = before.conditions.is_true(ConditionType::Drafted, None);
    if drafted {
        let message = "every item is past its draft";
        return Fact::yes(ConditionType::Drafted, Reason::Completed, message);
    }
    Fact::pending(
        ConditionType::Drafted,
        Reason::Running,
        "the gateway has not reported yet",
    )
}

impl Status for WritingRunStatus {
    fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Messages count items: they move with the numbers.
    fn without_numbers(&self) -> Self {
        let conditions = self.conditions.iter().map(|mut condition| {
            if condition.status != "False" {
                condition.message.clear();
            }
            condition
        });
        Self {
            items: ItemCounts::default(),
            budget: None,
            conditions: conditions.collect(),
            ..self.clone()
        }
    }

    fn is_settled(&self) -> bool {
        let items = &self.items;
        items.published + items.refused + items.waiting >= items.accepted
    }
}

impl Stated for WritingRun {
    type Status = WritingRunStatus;

    fn status(&self) -> Option<&Self::Status> {
        self.status.as_ref()
    }
}

#[cfg(test)]
mod tests;
