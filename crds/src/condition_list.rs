//! Conditions of a status, held small: there are several for each of thousands of objects. Their words
//! are closed sets, so that a condition of ours needs no text but its message. What another program or
//! another version wrote is held as it is: nothing is lost by reading.

use std::{fmt, sync::Arc, vec};

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::conditions::{ConditionType, Reason, State};

/// Conditions in their order; on the wire an array of Kubernetes conditions.
#[derive(Clone, Default, PartialEq)]
pub struct Conditions(Box<[Held]>);

#[derive(Clone, PartialEq)]
enum Held {
    Ours(Ours),
    Others(Box<Condition>),
}

/// A condition whose every word is known.
#[derive(Clone, PartialEq)]
struct Ours {
    kind: ConditionType,
    state: State,
    reason: Reason,
    generation: i64,
    /// Seconds since 1970: finer times are others'.
    since: i64,
    /// None for what the reason means. The summary says what one of the facts says: they share it.
    message: Option<Arc<str>>,
}

impl Conditions {
    pub fn iter(&self) -> impl Iterator<Item = Condition> + '_ {
        self.0.iter().map(Held::expanded)
    }

    /// The condition of a type.
    pub fn get(&self, kind: ConditionType) -> Option<Condition> {
        self.held(kind).map(Held::expanded)
    }

    /// Whether `kind` is True and about this generation, or about any: stale facts are not facts.
    pub fn is_true(&self, kind: ConditionType, generation: Option<i64>) -> bool {
        let about = |observed| generation.is_none() || observed == generation;
        self.held(kind).is_some_and(|held| match held {
            Held::Ours(ours) => ours.state == State::True && about(Some(ours.generation)),
            Held::Others(one) => one.status == "True" && about(one.observed_generation),
        })
    }

    fn held(&self, kind: ConditionType) -> Option<&Held> {
        self.0.iter().find(|held| match held {
            Held::Ours(ours) => ours.kind == kind,
            Held::Others(one) => one.type_ == kind.as_str(),
        })
    }
}

impl FromIterator<Condition> for Conditions {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        let mut held: Vec<Held> = Vec::new();
        for condition in conditions {
            let next = match Ours::of(&condition, &held) {
                Some(ours) => Held::Ours(ours),
                None => Held::Others(Box::new(condition)),
            };
            held.push(next);
        }
        Self(held.into())
    }
}

impl IntoIterator for Conditions {
    type Item = Condition;
    type IntoIter = vec::IntoIter<Condition>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter().collect::<Vec<_>>().into_iter()
    }
}

impl Serialize for Conditions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Conditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let conditions = Vec::<Condition>::deserialize(deserializer)?;
        Ok(conditions.into_iter().collect())
    }
}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl Held {
    fn expanded(&self) -> Condition {
        match self {
            Self::Ours(ours) => ours.expanded(),
            Self::Others(one) => Condition::clone(one),
        }
    }
}

impl Ours {
    /// `None` if the condition would not come out as it went in.
    fn of(condition: &Condition, before: &[Held]) -> Option<Self> {
        let time = condition.last_transition_time.0;
        if time.subsec_nanosecond() != 0 {
            return None;
        }
        let reason = Reason::parse(&condition.reason)?;
        Some(Self {
            kind: ConditionType::parse(&condition.type_)?,
            state: State::parse(&condition.status)?,
            reason,
            generation: condition.observed_generation?,
            since: time.as_second(),
            message: message(&condition.message, reason, before),
        })
    }

    fn expanded(&self) -> Condition {
        let message = self.message.as_deref().unwrap_or(self.reason.meaning());
        Condition {
            type_: self.kind.as_str().to_owned(),
            status: self.state.as_str().to_owned(),
            reason: self.reason.as_str().to_owned(),
            message: message.to_owned(),
            observed_generation: Some(self.generation),
            // It was a time before.
            last_transition_time: Time(Timestamp::from_second(self.since).unwrap_or_default()),
        }
    }
}

fn message(text: &str, reason: Reason, before: &[Held]) -> Option<Arc<str>> {
    if text == reason.meaning() {
        return None;
    }
    let known = before.iter().find_map(|held| match held {
        Held::Ours(ours) => ours.message.as_ref().filter(|known| known.as_ref() == text),
        Held::Others(_) => None,
    });
    Some(known.cloned().unwrap_or_else(|| text.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{ConditionType, Conditions, Held, Reason, State};

    /// A word of a closed set, or another.
    fn word(ours: Vec<&'static str>) -> impl Strategy<Value = String> {
        prop_oneof![
            9 => proptest::sample::select(ours).prop_map(str::to_owned),
            1 => "[A-Z][a-z]{0,8}",
        ]
    }

    fn condition() -> impl Strategy<Value = Value> {
        let types = ConditionType::ALL.iter().map(|kind| kind.as_str());
        let reasons = Reason::ALL.iter().map(|reason| reason.as_str());
        let states = State::ALL.iter().map(|state| state.as_str());
        let messages = prop_oneof![
            Just(Reason::Ready.meaning().to_owned()),
            Just("0 of 1 groups answer".to_owned()),
            ".{0,40}",
        ];
        let times = prop_oneof![
            4 => (0..4_000_000_000_i64, Just(String::new())),
            1 => (0..4_000_000_000_i64, Just(".25".to_owned())),
        ];
        let generation = proptest::option::weighted(0.9, any::<i64>());
        (
            word(types.collect()),
            word(states.collect()),
            word(reasons.collect()),
            messages,
            times,
            generation,
        )
            .prop_map(
                |(kind, status, reason, message, (second, fraction), generation)| {
                    let time = k8s_openapi::jiff::Timestamp::from_second(second).unwrap();
                    let time = time.to_string().replace('Z', &format!("{fraction}Z"));
                    let mut condition = json!({"type": kind, "status": status, "reason": reason,
                    "message": message, "lastTransitionTime": time});
                    if let Some(generation) = generation {
                        condition["observedGeneration"] = json!(generation);
                    }
                    condition
                },
            )
    }

    /// As a status in the API server has them, through the types of Kubernetes.
    fn canonical(written: &Value) -> Value {
        use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
        let read: Vec<Condition> = serde_json::from_value(written.clone()).unwrap();
        serde_json::to_value(read).unwrap()
    }

    proptest! {
        #[test]
        fn conditions_of_anybody_come_out_as_they_went_in(
            written in proptest::collection::vec(condition(), 0..8)
        ) {
            let written = json!(written);
            let read: Conditions = serde_json::from_value(written.clone()).unwrap();
            prop_assert_eq!(serde_json::to_value(&read).unwrap(), canonical(&written));
            let again: Conditions = read.clone().into_iter().collect();
            prop_assert_eq!(again, read);
        }
    }

    fn said(kind: &str, status: &str, message: &str) -> Value {
        json!({"type": kind, "status": status, "reason": "PodsNotReady", "message": message,
            "observedGeneration": 3, "lastTransitionTime": "2026-01-01T00:00:00Z"})
    }

    #[test]
    fn a_summary_shares_the_words_of_its_fact() {
        let text = "0 of 1 groups answer";
        let written = json!([
            said("Ready", "Unknown", text),
            said("ShardsReady", "Unknown", text)
        ]);
        let read: Conditions = serde_json::from_value(written).unwrap();
        let [Held::Ours(ready), Held::Ours(shards)] = read.0.as_ref() else {
            panic!("{read:?}");
        };
        let (Some(ready), Some(shards)) = (&ready.message, &shards.message) else {
            panic!("{read:?}");
        };
        assert!(std::sync::Arc::ptr_eq(ready, shards));
    }

    #[test]
    fn truth_is_asked_for_one_generation_or_any() {
        let mut foreign = said("Ready", "True", "");
        foreign["reason"] = json!("FromAnotherVersion");
        for condition in [said("Ready", "True", ""), foreign] {
            let read: Conditions = serde_json::from_value(json!([condition])).unwrap();
            let is_true = |generation| read.is_true(ConditionType::Ready, generation);
            assert_eq!([None, Some(3), Some(4)].map(is_true), [true, true, false]);
            assert!(!read.is_true(ConditionType::Stalled, None));
            assert_eq!(read.get(ConditionType::Ready).unwrap().status, "True");
        }
    }
}
