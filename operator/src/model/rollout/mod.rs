//! A new revision earns its traffic: it stands beside the old one, is asked fixed inputs before each
//! step, and takes more of the calls only while its answers are no worse. Rooms: fetch, set, look, step, tell.

mod fetch;
mod look;
mod set;
mod step;
mod tell;

pub use fetch::fetch;
pub use look::Outcome;
pub use set::{Flaw, Set};
pub use step::Course;

use std::time::Duration;

use aios_crds::{
    ModelDeployment,
    rollout::{Rollout, RolloutStatus},
};
use aios_proto::config::NextRevision;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use self::step::{Due, Facts};
use crate::{
    conditions::Fact,
    model::{groups::Group, validate::Own},
};

/// A policy that is being compiled is there in a moment.
const GLANCE: Duration = Duration::from_secs(5);

/// What a pass found of a rollout.
pub struct Found {
    /// The revision that the spec makes.
    pub wanted: String,
    /// The state that the pass acts by.
    pub state: RolloutStatus,
    pub course: Course,
    pub set: Result<Set, Flaw>,
    /// The evaluation that is due.
    pub due: Option<Asking>,
}

/// One evaluation before one step.
pub struct Asking {
    /// Names it.
    pub key: String,
    /// Whether there are groups of the stable revision to compare with.
    pub compares: bool,
    pub job: Option<Job>,
    pub outcome: Outcome,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rolled {
    pub status: RolloutStatus,
    pub fact: Fact,
    pub look_again: Option<Duration>,
}

impl Found {
    /// Groups that are to be on trial, and whether all of them are loaded.
    pub fn on_trial(&self, groups: &[Group]) -> (i32, bool) {
        let Course::Beside { candidates, .. } = self.course else {
            return (0, true);
        };
        let is_loaded = |group: &&Group| group.revision == self.wanted && group.is_ready();
        let loaded = groups.iter().filter(is_loaded).count();
        let count = i32::try_from(candidates).unwrap_or(i32::MAX);
        (count, loaded >= candidates)
    }
}

/// The part of the calls that a revision takes by the status, if the spec still makes that revision.
pub fn next(model: &ModelDeployment, wanted: Option<&str>) -> Option<NextRevision> {
    let own = model.spec.self_hosted.as_ref()?;
    let state = model.status.as_ref()?.rollout.as_ref()?;
    let on_trial =
        own.rollout.is_some() && wanted.is_some() && state.candidate.as_deref() == wanted;
    let percent = u32::try_from(state.percent).unwrap_or(0);
    let namespace = model.namespace().unwrap_or_default();
    (on_trial && percent > 0).then(|| NextRevision {
        endpoint: aios_compile::next_endpoint(&model.name_any(), &namespace),
        percent,
    })
}

/// Decides what is to come into force with the next pass.
pub fn decide(own: &Own, found: &Found, groups: &[Group], now: Timestamp) -> Option<Rolled> {
    let rollout = own.rollout.as_ref()?;
    let missing = Outcome::Missing;
    let facts = Facts {
        outcome: found.due.as_ref().map_or(&missing, |due| &due.outcome),
        evaluation: found.set.as_ref().ok().map(|set| set.digest.as_str()),
        ..facts(rollout, &found.wanted, groups, own.replicas as usize, now)
    };
    let status = step::step(&found.state, &facts);
    let look_again = if status == found.state {
        let left = match status.candidate {
            Some(_) => match step::due(&status, &facts) {
                Due::Pause(left) => Some(left),
                _ => None,
            },
            None => step::leaving(&status, now),
        };
        let pause = left.and_then(|left| Duration::try_from(left).ok());
        let waits = matches!(found.set, Err(Flaw::NotYet(_))) && status.candidate.is_some();
        let soon = waits.then_some(GLANCE);
        [pause, soon, facts.outcome.retry_in(now)]
            .into_iter()
            .flatten()
            .min()
    } else {
        Some(Duration::ZERO)
    };
    Some(Rolled {
        fact: tell::tell(&status, &facts, &found.set),
        status,
        look_again,
    })
}

/// All but what evaluations say.
fn facts<'a>(
    rollout: &'a Rollout,
    wanted: &'a str,
    groups: &'a [Group],
    active: usize,
    now: Timestamp,
) -> Facts<'a> {
    Facts {
        wanted,
        groups,
        active,
        steps: &rollout.steps,
        step_for: SignedDuration::try_from(rollout.step_for.get()).unwrap_or(SignedDuration::MAX),
        evaluation: None,
        min_score: rollout.evaluation.min_score_percent,
        outcome: &Outcome::Missing,
        now,
    }
}
