//! Writes statuses: only when something changed, coarse where numbers move, with an event at each
//! change of Ready.

mod budget;
mod undeclared;

use std::{
    collections::HashMap,
    fmt::Debug,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use aios_crds::{ConditionType, Conditions, Reason};
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use budget::Budget;
use undeclared::take_out;

use crate::{
    coarse::{Decision, Moment, decide},
    error::{Error, Result, Verb},
    metrics::Metrics,
    names::FIELD_MANAGER,
};

/// Entries of the ledger before old ones are dropped.
const KEPT: usize = 1024;
const OLD: Duration = Duration::from_mins(2);

/// The parts of a status that all kinds have.
pub trait Status: Clone + PartialEq + Serialize {
    fn conditions(&self) -> &Conditions;
    /// The same status with its numbers at rest, to tell whether anything else changed.
    fn without_numbers(&self) -> Self;
    /// Whether no number will move by itself.
    fn is_settled(&self) -> bool;
    /// Counts what is new in it, once it is written.
    fn count(&self, _before: Option<&Self>, _metrics: &Metrics) {}
}

/// A kind with a status, by its API.
pub trait Stated: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned {
    type Status: Status;
    fn status(&self) -> Option<&Self::Status>;
}

/// Remembers when each object's numbers moved and were written.
#[derive(Default)]
pub struct Ledger(Mutex<HashMap<String, Entry>>);

struct Entry {
    written: Option<Instant>,
    moved: Instant,
    /// The status last computed, to see numbers move.
    seen: u64,
    /// What was last written, and what the server made of it.
    made: Option<(Print, Print)>,
    /// The status last written, and the version of the object that it was decided upon.
    sent: Option<(u64, String)>,
}

/// Fingerprints of a status: of all, and with its numbers at rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Print {
    all: u64,
    facts: u64,
}

/// Writes statuses of any kind.
pub struct StatusWriter {
    metrics: Metrics,
    recorder: Recorder,
    ledger: Ledger,
    budget: Mutex<Budget>,
}

impl StatusWriter {
    pub fn new(metrics: Metrics, recorder: Recorder) -> Self {
        Self {
            metrics,
            recorder,
            ledger: Ledger::default(),
            budget: Mutex::default(),
        }
    }

    /// Writes the status if it is due; else the time after which it will be.
    pub async fn write<K: Stated>(
        &self,
        api: &Api<K>,
        object: &K,
        status: &K::Status,
    ) -> Result<Option<Duration>> {
        let before = object.status();
        let uid = object.uid().unwrap_or_default();
        let (wanted, found) = (print(status)?, before.map(print).transpose()?);
        let version = object.resource_version().unwrap_or_default();
        if self.ledger.is_sent(&uid, wanted.all, &version) {
            // The watch does not show it yet.
            return Ok(None);
        }
        let (since_write, since_move) = self.ledger.note(&uid, wanted.all);
        let stands = found.map(|found| self.ledger.meant_by(&uid, found));
        let facts_changed = stands.is_none_or(|stands| stands.facts != wanted.facts);
        let numbers_changed = stands != Some(wanted);
        let settled = status.is_settled();
        match decide(Moment {
            facts_changed,
            numbers_changed,
            settled,
            since_write,
            since_move,
        }) {
            Decision::Nothing => Ok(None),
            Decision::Wait(left) => Ok(Some(left)),
            Decision::Write => {
                if !facts_changed && let Err(left) = self.take() {
                    return Ok(Some(left));
                }
                let made = self.patch(api, object, status).await?;
                self.ledger.wrote(&uid, (wanted, version), made);
                status.count(before, &self.metrics);
                self.tell(object, before.map(Status::conditions), status.conditions())
                    .await;
                Ok(None)
            }
        }
    }

    /// A write of numbers from what all objects have together.
    fn take(&self) -> std::result::Result<(), Duration> {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        budget.take(Instant::now())
    }

    /// Returns what the server made of it. The uid is a precondition: the status of a deleted object
    /// never lands on its successor.
    async fn patch<K: Stated>(
        &self,
        api: &Api<K>,
        object: &K,
        status: &K::Status,
    ) -> Result<Option<Print>> {
        let name = object.name_any();
        let mut patch: Value = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": name, "uid": object.uid()},
            "status": status,
        });
        let params = PatchParams::apply(FIELD_MANAGER).force();
        loop {
            let patched = api
                .patch_status(&name, &params, &Patch::Apply(&patch))
                .await;
            self.metrics.requested(Verb::Status, patched.is_ok());
            return match patched {
                Ok(object) => object.status().map(print).transpose(),
                // Deleted meanwhile.
                Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(None),
                Err(kube::Error::Api(refusal)) if take_out(&mut patch, &refusal.message) => {
                    continue;
                }
                Err(error) => Err(Error::api(Verb::Status, &K::kind(&()), &name, error)),
            };
        }
    }

    /// A warning about an object that is not ours. Best effort.
    pub async fn warn(&self, of: &ObjectReference, reason: Reason, note: &str) {
        let event = Event {
            type_: EventType::Warning,
            reason: reason.as_str().to_owned(),
            note: Some(note.to_owned()),
            action: "Reconcile".into(),
            secondary: None,
        };
        if let Err(error) = self.recorder.publish(&event, of).await {
            tracing::debug!(%error, "event");
        }
    }

    /// Best effort: a lost event loses nothing that the status does not say.
    async fn tell<K: Stated>(&self, object: &K, before: Option<&Conditions>, after: &Conditions) {
        let Some(event) = transition(before, after) else {
            return;
        };
        if let Err(error) = self.recorder.publish(&event, &object.object_ref(&())).await {
            tracing::debug!(%error, "event");
        }
    }
}

/// The event of a change of Ready, if it changed. That a new object is under way is none.
fn transition(before: Option<&Conditions>, after: &Conditions) -> Option<Event> {
    let ready = after.get(ConditionType::Ready)?;
    let told = match before.and_then(|before| before.get(ConditionType::Ready)) {
        Some(was) => was.status == ready.status && was.reason == ready.reason,
        None => ready.status == "Unknown",
    };
    if told {
        return None;
    }
    let type_ = if ready.status == "False" {
        EventType::Warning
    } else {
        EventType::Normal
    };
    Some(Event {
        type_,
        reason: ready.reason,
        note: Some(ready.message),
        action: "Reconcile".into(),
        secondary: None,
    })
}

fn print<S: Status>(status: &S) -> Result<Print> {
    Ok(Print {
        all: fingerprint(status)?,
        facts: fingerprint(&status.without_numbers())?,
    })
}

fn fingerprint<S: Serialize>(status: &S) -> Result<u64> {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    serde_json::to_vec(status)?.hash(&mut hasher);
    Ok(hasher.finish())
}

impl Ledger {
    /// Time since the last write, and since the numbers moved.
    fn note(&self, uid: &str, seen: u64) -> (Option<Duration>, Duration) {
        let now = Instant::now();
        let mut entries = self.lock();
        if entries.len() > KEPT {
            // An old entry says no more than none.
            entries.retain(|_, entry| now - entry.written.unwrap_or(entry.moved) < OLD);
        }
        let entry = entries.entry(uid.to_owned()).or_insert(Entry {
            written: None,
            moved: now,
            seen,
            made: None,
            sent: None,
        });
        if entry.seen != seen {
            entry.seen = seen;
            entry.moved = now;
        }
        (entry.written.map(|at| now - at), now - entry.moved)
    }

    /// `sent` was decided upon a version of the object.
    fn wrote(&self, uid: &str, (sent, version): (Print, String), made: Option<Print>) {
        if let Some(entry) = self.lock().get_mut(uid) {
            entry.written = Some(Instant::now());
            entry.made = made.map(|made| (sent, made));
            entry.sent = Some((sent.all, version));
        }
    }

    /// What we meant by a status that stands in the API server: an older CRD drops fields that it
    /// does not know, and to write them again would never help.
    fn meant_by(&self, uid: &str, found: Print) -> Print {
        match self.lock().get(uid).and_then(|entry| entry.made) {
            Some((sent, made)) if made == found => sent,
            _ => found,
        }
    }

    /// Whether this status was written already, from the same version of the object.
    fn is_sent(&self, uid: &str, print: u64, version: &str) -> bool {
        let entries = self.lock();
        let sent = entries.get(uid).and_then(|entry| entry.sent.as_ref());
        sent.is_some_and(|(sent, of)| *sent == print && of == version)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
