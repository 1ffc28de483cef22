//! From facts about an object to its conditions: one summary for all kinds, as kstatus reads it.

use aios_crds::{ConditionType, Conditions, Reason, WritingRun};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

pub use aios_crds::conditions::State;

/// Longest message of a condition, in bytes.
const MESSAGE_LIMIT: usize = 1024;

/// One condition before it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    pub kind: ConditionType,
    pub state: State,
    pub reason: Reason,
    pub message: String,
}

impl Fact {
    pub fn yes(kind: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind,
            state: State::True,
            reason,
            message: message.into(),
        }
    }

    pub fn no(kind: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind,
            state: State::False,
            reason,
            message: message.into(),
        }
    }

    pub fn pending(kind: ConditionType, reason: Reason, message: impl Into<String>) -> Self {
        Self {
            kind,
            state: State::Unknown,
            reason,
            message: message.into(),
        }
    }
}

/// Whether only a change by a person can end this state.
const fn needs_a_person(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::InvalidSpec
            | Reason::LastKnownGood
            | Reason::TestsFailed
            | Reason::ReferenceNotFound
            | Reason::CredentialsMissing
            | Reason::GpuClassUnknown
            | Reason::KarpenterMissing
            | Reason::WeightsInvalid
            | Reason::Refused
            | Reason::EvaluationFell
            | Reason::EvaluationInvalid
            | Reason::KueueMissing
            | Reason::Deactivated
            | Reason::Inadmissible
            | Reason::NameTaken
            | Reason::LogForked
            | Reason::ServedByAnother
            | Reason::ItemsFailed
            | Reason::DeadlineExceeded
    )
}

/// Whether a condition tells of the service that is given, which no spec can promise: it moves with
/// traffic, and tools that wait for Ready are not to wait for it.
const fn is_advice(kind: ConditionType) -> bool {
    matches!(kind, ConditionType::SLOMet | ConditionType::BudgetAvailable)
}

/// Adds `Ready`, and `Reconciling` or `Stalled`, to the facts: False if one failed, Unknown while
/// one is under way, else True. Advice does not count.
pub fn summarize(mut facts: Vec<Fact>) -> Vec<Fact> {
    let first = |state: State| {
        let mut structural = facts.iter().filter(|fact| !is_advice(fact.kind));
        structural.find(|fact| fact.state == state).cloned()
    };
    let mut summary = Vec::with_capacity(2);
    if let Some(fact) = first(State::False) {
        summary.push(Fact {
            kind: ConditionType::Ready,
            ..fact.clone()
        });
        let kind = if needs_a_person(fact.reason) {
            ConditionType::Stalled
        } else {
            ConditionType::Reconciling
        };
        summary.push(Fact {
            kind,
            state: State::True,
            ..fact
        });
    } else if let Some(fact) = first(State::Unknown) {
        summary.push(Fact {
            kind: ConditionType::Ready,
            ..fact.clone()
        });
        summary.push(Fact {
            kind: ConditionType::Reconciling,
            state: State::True,
            ..fact
        });
    } else {
        let meaning = Reason::Ready.meaning();
        summary.push(Fact::yes(ConditionType::Ready, Reason::Ready, meaning));
    }
    summary.append(&mut facts);
    summary
}

/// What was known before.
pub fn known(previous: &Conditions) -> Vec<Fact> {
    previous.iter().filter_map(parse).collect()
}

/// What was known before of the conditions that apply, with one fact changed: for passes that failed before
/// they saw the rest. What nobody has seen yet is Unknown.
pub fn with_failure(
    previous: &Conditions,
    applicable: impl IntoIterator<Item = ConditionType>,
    failure: &Fact,
) -> Vec<Fact> {
    let unseen = |kind| Fact::pending(kind, Reason::Progressing, "not looked at yet");
    let of = |kind| {
        if kind == failure.kind {
            return failure.clone();
        }
        let known = previous.get(kind).and_then(parse);
        known.unwrap_or_else(|| unseen(kind))
    };
    applicable.into_iter().map(of).collect()
}

/// A condition as a fact; the summary is not one.
fn parse(condition: Condition) -> Option<Fact> {
    use ConditionType::{Ready, Reconciling, Stalled};
    let kind = ConditionType::parse(&condition.type_)?;
    let reason = Reason::parse(&condition.reason)?;
    (!matches!(kind, Ready | Reconciling | Stalled)).then_some(Fact {
        kind,
        state: State::parse(&condition.status).unwrap_or(State::Unknown),
        reason,
        message: condition.message,
    })
}

/// Writes facts as conditions. The time of a transition is kept while the status stays the same.
pub fn write(
    facts: Vec<Fact>,
    previous: &Conditions,
    generation: i64,
    now: Timestamp,
) -> Conditions {
    facts
        .into_iter()
        .map(|fact| {
            let kept = previous
                .get(fact.kind)
                .filter(|known| known.status == fact.state.as_str())
                .map(|known| known.last_transition_time);
            Condition {
                type_: fact.kind.as_str().into(),
                status: fact.state.as_str().into(),
                reason: fact.reason.as_str().into(),
                message: bounded(fact.message),
                observed_generation: Some(generation),
                last_transition_time: kept.unwrap_or_else(|| Time(whole_seconds(now))),
            }
        })
        .collect()
}

/// Whether a run has ended, however it did.
pub fn is_finished(run: &WritingRun) -> bool {
    let status = run.status.as_ref();
    status.is_some_and(|status| status.conditions.is_true(ConditionType::Finished, None))
}

/// API times have whole seconds: anything finer would differ from what the server returns.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn bounded(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT {
        let mut end = MESSAGE_LIMIT - 3;
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Fact, State, summarize, with_failure, write};
    use aios_crds::{ConditionType, Conditions, Reason};
    use jiff::Timestamp;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn progressing() -> Fact {
        Fact::pending(
            ConditionType::WeightsReady,
            Reason::WeightsDownloading,
            "under way",
        )
    }

    #[test]
    fn work_under_way_is_unknown_and_reconciling() {
        let written = write(
            summarize(vec![progressing()]),
            &Conditions::default(),
            3,
            at(1),
        );
        assert_eq!(written.get(ConditionType::Ready).unwrap().status, "Unknown");
        assert!(written.is_true(ConditionType::Reconciling, Some(3)));
        assert!(written.get(ConditionType::Stalled).is_none());
    }

    #[test]
    fn a_failure_that_needs_a_person_stalls() {
        let bad = Fact::no(
            ConditionType::Compiled,
            Reason::InvalidSpec,
            "rules[0].regex: …",
        );
        let written = write(
            summarize(vec![progressing(), bad]),
            &Conditions::default(),
            1,
            at(1),
        );
        assert_eq!(written.get(ConditionType::Ready).unwrap().status, "False");
        assert!(written.is_true(ConditionType::Stalled, Some(1)));
        assert!(written.get(ConditionType::Reconciling).is_none());
    }

    #[test]
    fn advice_is_told_and_decides_nothing() {
        let good = Fact::yes(ConditionType::ShardsReady, Reason::Ready, "");
        let late = Fact::no(ConditionType::SLOMet, Reason::ObjectiveMissed, "took 4m");
        let written = write(
            summarize(vec![late, good]),
            &Conditions::default(),
            1,
            at(1),
        );
        assert!(written.is_true(ConditionType::Ready, Some(1)));
        assert_eq!(written.get(ConditionType::SLOMet).unwrap().status, "False");
        assert!(written.get(ConditionType::Reconciling).is_none());
    }

    #[test]
    fn a_failure_that_is_tried_again_reconciles() {
        let bad = Fact::no(ConditionType::Serving, Reason::ApiError, "later");
        let written = write(summarize(vec![bad]), &Conditions::default(), 1, at(1));
        assert!(written.is_true(ConditionType::Reconciling, Some(1)));
        assert!(written.get(ConditionType::Stalled).is_none());
    }

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let good = || summarize(vec![Fact::yes(ConditionType::Compiled, Reason::Ready, "")]);
        let first = write(good(), &Conditions::default(), 1, at(1));
        let second = write(good(), &first, 2, at(9));
        let ready = second.get(ConditionType::Ready).unwrap();
        assert_eq!(ready.last_transition_time.0, at(1));
        assert_eq!(ready.observed_generation, Some(2));
        let third = write(summarize(vec![progressing()]), &second, 2, at(10));
        assert_eq!(
            third
                .get(ConditionType::Ready)
                .unwrap()
                .last_transition_time
                .0,
            at(10)
        );
    }

    #[test]
    fn a_failure_leaves_what_was_known_of_the_rest_and_tells_what_was_not_seen() {
        let known = Fact::yes(ConditionType::WeightsReady, Reason::Ready, "there");
        let before = write(
            summarize(vec![known.clone(), progressing_endpoint()]),
            &Conditions::default(),
            1,
            at(1),
        );
        let failure = Fact::no(
            ConditionType::EndpointReachable,
            Reason::ApiError,
            "forbidden",
        );
        let kinds = [
            ConditionType::WeightsReady,
            ConditionType::StandbyWarm,
            ConditionType::EndpointReachable,
        ];
        let [weights, standby, endpoint] =
            with_failure(&before, kinds, &failure).try_into().unwrap();
        assert_eq!((weights, endpoint), (known, failure));
        assert_eq!(standby.state, State::Unknown);
    }

    fn progressing_endpoint() -> Fact {
        Fact::pending(
            ConditionType::EndpointReachable,
            Reason::NoEndpoints,
            "none",
        )
    }

    #[test]
    fn a_stale_condition_is_not_believed() {
        let written = write(summarize(Vec::new()), &Conditions::default(), 1, at(1));
        assert!(!written.is_true(ConditionType::Ready, Some(2)));
    }

    #[test]
    fn messages_are_bounded_at_a_character() {
        let long = Fact::pending(
            ConditionType::Serving,
            Reason::Progressing,
            "é".repeat(2000),
        );
        let written = write(vec![long], &Conditions::default(), 1, at(1));
        assert!(written.iter().all(|c| c.message.len() <= 1024));
    }
}
