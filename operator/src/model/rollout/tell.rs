//! What a rollout's condition says. Pure.

use aios_crds::{ConditionType, Reason, rollout::RolloutStatus};

use super::{
    look::Outcome,
    set::{Flaw, Set},
    step::{Due, Facts, due},
};
use crate::conditions::Fact;

/// By the state after the pass.
pub fn tell(state: &RolloutStatus, facts: &Facts, set: &Result<Set, Flaw>) -> Fact {
    let kind = ConditionType::RolloutHealthy;
    match set {
        Err(Flaw::Missing(what)) => {
            return Fact::no(kind, Reason::ReferenceNotFound, what.as_str());
        }
        Err(Flaw::Invalid(what)) => {
            return Fact::no(kind, Reason::EvaluationInvalid, what.as_str());
        }
        Err(Flaw::NotYet(what)) if state.candidate.is_some() => {
            return Fact::pending(kind, Reason::Progressing, what.as_str());
        }
        _ => {}
    }
    if let Some(refused) = &state.refused {
        return Fact::no(kind, Reason::EvaluationFell, refused.message.as_str());
    }
    let Some(candidate) = &state.candidate else {
        let all = format!("revision {} takes all calls", state.stable);
        return Fact::yes(kind, Reason::Ready, all);
    };
    let takes = match state.percent {
        0 => format!("revision {} takes all calls", state.stable),
        percent => format!("revision {candidate} takes {percent} % of the calls"),
    };
    match due(state, facts) {
        Due::Groups { loaded, needed } => {
            let count =
                format!("{loaded} of {needed} groups of revision {candidate} are loaded; {takes}");
            Fact::pending(kind, Reason::RevisionStarting, count)
        }
        Due::Pause(_) | Due::Promotion => Fact::pending(kind, Reason::RollingOut, takes),
        Due::Evaluation { target } => {
            if let Outcome::Failed { why, .. } = facts.outcome {
                let why = format!("revision {candidate} could not be evaluated: {why}; {takes}");
                Fact::no(kind, Reason::EvaluationFailed, why)
            } else {
                let inputs = set.as_ref().map_or(0, |set| set.inputs);
                let asked = format!(
                    "revision {candidate} is asked {inputs} inputs before it takes {target} % of the calls; {takes}"
                );
                Fact::pending(kind, Reason::Evaluating, asked)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, Flaw, Outcome, RolloutStatus, Set, tell};
    use crate::conditions::State;
    use aios_crds::Reason;
    use jiff::{SignedDuration, Timestamp};

    fn set() -> Set {
        Set {
            inputs: 3,
            inputs_digest: String::new(),
            policies: "[]".into(),
            digest: "d".into(),
        }
    }

    fn said(
        state: &RolloutStatus,
        outcome: &Outcome,
        set: &Result<Set, Flaw>,
    ) -> (State, Reason, String) {
        let facts = Facts {
            wanted: "b",
            groups: &[],
            active: 1,
            steps: &[5, 100],
            step_for: SignedDuration::from_secs(60),
            evaluation: Some("d"),
            min_score: 90,
            outcome,
            now: Timestamp::UNIX_EPOCH,
        };
        let fact = tell(state, &facts, set);
        (fact.state, fact.reason, fact.message)
    }

    #[test]
    fn a_rollout_says_how_far_it_is_and_what_is_wrong_with_it() {
        let settled = RolloutStatus {
            stable: "b".into(),
            ..RolloutStatus::default()
        };
        let outcome = Outcome::Missing;
        assert_eq!(said(&settled, &outcome, &Ok(set())).1, Reason::Ready);
        let missing = Err(Flaw::Missing("ConfigMap `x` does not exist".into()));
        let (state, reason, message) = said(&settled, &outcome, &missing);
        assert_eq!((state, reason), (State::False, Reason::ReferenceNotFound));
        assert!(message.contains("`x`"));
        let trial = RolloutStatus {
            stable: "a".into(),
            candidate: Some("b".into()),
            percent: 5,
            ..RolloutStatus::default()
        };
        let (state, reason, message) = said(&trial, &outcome, &Ok(set()));
        assert_eq!((state, reason), (State::Unknown, Reason::RevisionStarting));
        assert_eq!(
            message,
            "0 of 1 groups of revision b are loaded; revision b takes 5 % of the calls"
        );
        let soon = Err(Flaw::NotYet("PolicySet `p` is being compiled".into()));
        assert_eq!(said(&settled, &outcome, &soon).1, Reason::Ready);
        assert_eq!(said(&trial, &outcome, &soon).1, Reason::Progressing);
    }
}
