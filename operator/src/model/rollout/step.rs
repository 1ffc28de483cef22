//! What follows for a rollout from what is known: one step at a time, all state in the status. Pure.

use aios_crds::rollout::{RefusedRevision, RolloutStatus};
use aios_proto::evaluation::{EvaluationReport, Fallen};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::look::Outcome;
use crate::{
    conditions::whole_seconds,
    model::groups::{Group, Role, SPREAD},
};

/// What a pass knows.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The revision that the spec makes.
    pub wanted: &'a str,
    pub groups: &'a [Group],
    /// Groups that are to take traffic.
    pub active: usize,
    pub steps: &'a [i32],
    pub step_for: SignedDuration,
    /// Digest of what decides; none while it cannot be read.
    pub evaluation: Option<&'a str>,
    pub min_score: i32,
    /// Of the evaluation that is due.
    pub outcome: &'a Outcome,
    pub now: Timestamp,
}

/// What comes next for a revision on trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// So many of its groups are loaded, of those that the next step needs.
    Groups { loaded: usize, needed: usize },
    /// The step is to last so long yet.
    Pause(SignedDuration),
    /// It is asked before it takes so many percent.
    Evaluation { target: i32 },
    /// It is the stable revision from now on.
    Promotion,
}

/// The state that a pass acts by: the status as it stands, unless the groups tell that the revision it
/// calls stable is not there to be returned to.
pub fn known(status: Option<&RolloutStatus>, wanted: &str, groups: &[Group]) -> RolloutStatus {
    let of = |stable: &str| RolloutStatus {
        stable: stable.to_owned(),
        ..RolloutStatus::default()
    };
    let Some(status) = status else {
        return of(takes_traffic(groups).unwrap_or(wanted));
    };
    let is_there = groups.iter().any(|group| group.revision == status.stable);
    let is_refused = status
        .refused
        .as_ref()
        .is_some_and(|refused| refused.revision == wanted);
    let unproven = status.candidate.is_some() && status.percent == 0;
    if is_there || is_refused || unproven {
        status.clone()
    } else {
        of(wanted)
    }
}

/// The revision of the groups that take traffic.
fn takes_traffic(groups: &[Group]) -> Option<&str> {
    let rank = |group: &&Group| (group.role != Role::Active, !group.is_ready());
    groups
        .iter()
        .min_by_key(rank)
        .map(|group| group.revision.as_str())
}

/// The state after this pass. It comes into force with the next one, by the status: traffic never goes
/// where no status said that it would.
pub fn step(state: &RolloutStatus, facts: &Facts) -> RolloutStatus {
    if facts.wanted == state.stable {
        return RolloutStatus {
            stable: state.stable.clone(),
            since: state.since.clone().filter(|_| state.candidate.is_none()),
            score: state.score,
            baseline: state.baseline,
            ..RolloutStatus::default()
        };
    }
    if is_refused(state, facts) {
        return state.clone();
    }
    if state.candidate.as_deref() != Some(facts.wanted) {
        return RolloutStatus {
            stable: state.stable.clone(),
            candidate: Some(facts.wanted.to_owned()),
            since: Some(Time(whole_seconds(facts.now))),
            ..RolloutStatus::default()
        };
    }
    match due(state, facts) {
        Due::Promotion => promoted(state, facts),
        Due::Evaluation { target } => match facts.outcome {
            Outcome::Done(report) => judged(state, facts, target, report),
            _ => state.clone(),
        },
        Due::Groups { .. } | Due::Pause(_) => state.clone(),
    }
}

/// What comes next for the candidate.
pub fn due(state: &RolloutStatus, facts: &Facts) -> Due {
    let target = next_percent(state, facts.steps);
    let of_candidate = |group: &&Group| state.candidate.as_ref() == Some(&group.revision);
    let loaded = facts.groups.iter().filter(of_candidate);
    let loaded = loaded.filter(|group| group.is_ready()).count();
    let needed = groups_for(target, facts.active);
    if loaded < needed {
        return Due::Groups { loaded, needed };
    }
    if state.percent > 0 {
        let since = state.since.as_ref().map_or(facts.now, |since| since.0);
        let left = facts.step_for - facts.now.duration_since(since);
        if left.is_positive() {
            return Due::Pause(left);
        }
    }
    if state.percent >= 100 {
        Due::Promotion
    } else {
        Due::Evaluation { target }
    }
}

/// What the candidate takes after its next step.
fn next_percent(state: &RolloutStatus, steps: &[i32]) -> i32 {
    let higher = steps.iter().copied().find(|step| *step > state.percent);
    higher.unwrap_or(100)
}

/// Which groups are to stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Course {
    /// Those of the revision that the spec makes; with `leaving` those before it run on, out of traffic.
    Whole { leaving: bool },
    /// Those of the stable revision, and so many of the candidate's beside them.
    Beside { stable: String, candidates: usize },
}

/// Which groups are to stand, by the state that a pass acts by.
pub fn course(
    state: &RolloutStatus,
    wanted: &str,
    steps: &[i32],
    active: usize,
    now: Timestamp,
) -> Course {
    if state.stable == wanted {
        return Course::Whole {
            leaving: leaving(state, now).is_some(),
        };
    }
    let on_trial = state.candidate.as_deref() == Some(wanted);
    Course::Beside {
        stable: state.stable.clone(),
        candidates: if on_trial {
            groups_for(next_percent(state, steps), active)
        } else {
            0
        },
    }
}

/// Time left until every node knows that a revision has taken over.
pub fn leaving(state: &RolloutStatus, now: Timestamp) -> Option<SignedDuration> {
    let since = state.since.as_ref().filter(|_| state.candidate.is_none())?;
    let left = SPREAD - now.duration_since(since.0);
    left.is_positive().then_some(left)
}

/// Groups of a revision that takes so many percent, of all that are to take traffic.
pub fn groups_for(percent: i32, active: usize) -> usize {
    let percent = usize::try_from(percent).unwrap_or(0);
    (active.max(1) * percent).div_ceil(100).max(1)
}

fn is_refused(state: &RolloutStatus, facts: &Facts) -> bool {
    state.refused.as_ref().is_some_and(|refused| {
        refused.revision == facts.wanted
            && facts
                .evaluation
                .is_none_or(|known| known == refused.evaluation)
    })
}

fn judged(
    state: &RolloutStatus,
    facts: &Facts,
    target: i32,
    report: &EvaluationReport,
) -> RolloutStatus {
    let kept = report.before.is_none_or(|before| report.passed >= before);
    let scored = RolloutStatus {
        score: Some(report.score()),
        baseline: report.baseline(),
        ..state.clone()
    };
    if !kept || report.score() < facts.min_score {
        return RolloutStatus {
            candidate: None,
            percent: 0,
            since: None,
            refused: Some(RefusedRevision {
                revision: facts.wanted.to_owned(),
                evaluation: facts.evaluation.unwrap_or_default().to_owned(),
                message: fell(state, facts, report),
            }),
            ..scored
        };
    }
    if facts
        .groups
        .iter()
        .all(|group| group.revision != state.stable)
    {
        return promoted(&scored, facts);
    }
    RolloutStatus {
        percent: target,
        since: Some(Time(whole_seconds(facts.now))),
        ..scored
    }
}

fn promoted(state: &RolloutStatus, facts: &Facts) -> RolloutStatus {
    RolloutStatus {
        stable: facts.wanted.to_owned(),
        since: Some(Time(whole_seconds(facts.now))),
        score: state.score,
        baseline: state.baseline,
        ..RolloutStatus::default()
    }
}

/// Which inputs fell, and how far below what.
fn fell(state: &RolloutStatus, facts: &Facts, report: &EvaluationReport) -> String {
    let (old, new) = (&state.stable, facts.wanted);
    let inputs = report.fell.iter().map(
        |Fallen {
             input,
             passed_before,
             now,
         }| {
            if *passed_before {
                format!("input {input}: passed at revision {old}, {now} at {new}")
            } else {
                format!("input {input}: {now} at revision {new}")
            }
        },
    );
    let inputs: Vec<String> = inputs.collect();
    let before = report
        .baseline()
        .map(|baseline| format!(", {baseline} % did at {old}"))
        .unwrap_or_default();
    format!(
        "{}; {} % of the answers pass{before}, {} % must",
        inputs.join("; "),
        report.score(),
        facts.min_score
    )
}

#[cfg(test)]
mod tests;
