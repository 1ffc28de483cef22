//! What is known of children without asking: the watches of their metadata tell which exist and at
//! which version, every read and write tells which version was found as desired. While the two
//! agree, nothing needs to be read, and a child's own event is no news to its owner. An event may
//! overtake the answer to the write that caused it: it waits for that answer.

use std::{
    borrow::Cow,
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};

/// By kind, namespace and name.
type Entries = HashMap<Cow<'static, str>, HashMap<String, HashMap<String, Entry>>>;

/// Shared by the watches, which tell, and by the applier, which asks.
#[derive(Clone, Default)]
pub struct Known(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Whether every watch has listed: before, what was not seen may still exist.
    listed: bool,
    entries: Entries,
    writing: HashMap<Place, Vec<Waiting>>,
}

/// Kind, namespace and name.
type Place = (Cow<'static, str>, String, String);

/// A version that a watch showed during a write, and whom to tell if it is somebody else's.
struct Waiting {
    version: u64,
    news: Box<dyn FnOnce() + Send>,
}

/// A write under way; ends when dropped.
pub struct Writing {
    known: Known,
    place: Place,
}

/// Versions are decimal and grow (Kubernetes API concepts, "resource versions").
struct Entry {
    version: u64,
    /// What was found, or made, as desired at this version.
    verified: Option<Box<Verified>>,
}

struct Verified {
    /// Of the desired object's digest.
    desired: u64,
    /// JSON of what callers read of the server's answer; see [`overlay`].
    overlay: Box<str>,
}

impl Known {
    /// Every watch has listed.
    pub fn listed(&self) {
        self.lock().listed = true;
    }

    /// A watch shows an object. Calls `news` if it is: not what was read or written here.
    pub fn seen(
        &self,
        kind: Cow<'static, str>,
        meta: &ObjectMeta,
        news: impl FnOnce() + Send + 'static,
    ) {
        let Some((namespace, name, version)) = place(meta) else {
            return news();
        };
        let place = (kind, namespace.to_owned(), name.to_owned());
        let mut inner = self.lock();
        if let Some(waiting) = inner.writing.get_mut(&place) {
            let news = Box::new(news);
            return waiting.push(Waiting { version, news });
        }
        let is_news = inner.is_news(place, version);
        drop(inner);
        if is_news {
            news();
        }
    }

    /// A write begins: what watches show of the object meanwhile may be its doing.
    pub fn writing(&self, kind: Cow<'static, str>, namespace: &str, name: &str) -> Writing {
        let place = (kind, namespace.to_owned(), name.to_owned());
        self.lock().writing.entry(place.clone()).or_default();
        Writing {
            known: self.clone(),
            place,
        }
    }

    /// A watch shows that an object has gone. One that was made again since then stays.
    pub fn gone(&self, kind: &str, meta: &ObjectMeta) {
        let Some((namespace, name, version)) = place(meta) else {
            return;
        };
        let mut inner = self.lock();
        let Some(objects) = inner.entries.get_mut(kind) else {
            return;
        };
        if let Some(names) = objects.get_mut(namespace) {
            if names
                .get(name)
                .is_some_and(|entry| entry.version <= version)
            {
                names.remove(name);
            }
            if names.is_empty() {
                objects.remove(namespace);
            }
        }
    }

    /// What exists of a kind in a namespace, as far as is known.
    pub fn names(&self, kind: &str, namespace: &str) -> Vec<String> {
        let inner = self.lock();
        let names = inner.entries.get(kind).and_then(|n| n.get(namespace));
        names.into_iter().flat_map(|n| n.keys().cloned()).collect()
    }

    /// Whether no watch shows such an object, and nobody here wrote it.
    pub fn is_absent(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let inner = self.lock();
        inner.listed && inner.entry(kind, namespace, name).is_none()
    }

    /// The object was found or made as desired.
    pub fn verified(&self, kind: Cow<'static, str>, meta: &ObjectMeta, digest: &str, live: &Value) {
        let Some((namespace, name, version)) = place(meta) else {
            return;
        };
        let mut inner = self.lock();
        let objects = inner.entries.entry(kind).or_default();
        let names = objects.entry(namespace.to_owned()).or_default();
        // A watch that is ahead of our answer has seen somebody else's change.
        if names.get(name).is_some_and(|entry| entry.version > version) {
            return;
        }
        let verified = Verified {
            desired: hash(digest),
            overlay: overlay(live).to_string().into(),
        };
        let entry = Entry {
            version,
            verified: Some(Box::new(verified)),
        };
        names.insert(name.to_owned(), entry);
    }

    /// Whether the object is as it was read or made last: to desire something else is to write.
    pub fn is_verified(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let inner = self.lock();
        let entry = inner.entry(kind, namespace, name);
        entry.is_some_and(|entry| entry.verified.is_some())
    }

    /// What callers read of the object, if it still is as this digest desires.
    pub fn unchanged(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        digest: &str,
    ) -> Option<Value> {
        let inner = self.lock();
        let entry = inner.entry(kind, namespace, name)?;
        let verified = entry.verified.as_ref()?;
        if verified.desired != hash(digest) {
            return None;
        }
        serde_json::from_str(&verified.overlay).ok()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn entry(&self, kind: &str, namespace: &str, name: &str) -> Option<&Entry> {
        self.entries.get(kind)?.get(namespace)?.get(name)
    }

    /// Notes a version that a watch showed.
    fn is_news(&mut self, (kind, namespace, name): Place, version: u64) -> bool {
        let names = self.entries.entry(kind).or_default();
        let entry = names.entry(namespace).or_default().entry(name);
        let (mut is_new, fresh) = (false, Entry::new(version));
        let entry = entry.or_insert_with(|| {
            is_new = true;
            fresh
        });
        if version > entry.version {
            is_new = true;
            *entry = Entry::new(version);
        }
        is_new
    }
}

impl Entry {
    const fn new(version: u64) -> Self {
        Self {
            version,
            verified: None,
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut inner = self.known.lock();
        let waiting = inner.writing.remove(&self.place).unwrap_or_default();
        let (mut told, place) = (Vec::new(), &self.place);
        for Waiting { version, news } in waiting {
            if inner.is_news(place.clone(), version) {
                told.push(news);
            }
        }
        drop(inner);
        for news in told {
            news();
        }
    }
}

fn place(meta: &ObjectMeta) -> Option<(&str, &str, u64)> {
    let version = meta.resource_version.as_deref()?.parse().ok()?;
    Some((meta.namespace.as_deref()?, meta.name.as_deref()?, version))
}

fn hash(digest: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    digest.hash(&mut hasher);
    hasher.finish()
}

/// What the server adds and callers read: identity, replicas and status. Defaults are left out.
fn overlay(live: &Value) -> Value {
    let mut metadata = Map::new();
    for key in ["uid", "resourceVersion", "generation", "creationTimestamp"] {
        if let Some(value) = live.pointer("/metadata").and_then(|meta| meta.get(key)) {
            metadata.insert(key.into(), value.clone());
        }
    }
    let mut kept = json!({"metadata": metadata});
    if let Some(replicas) = live.pointer("/spec/replicas") {
        kept["spec"] = json!({"replicas": replicas});
    }
    if let Some(status) = live.get("status") {
        kept["status"] = status.clone();
    }
    kept
}

/// Lays what the server added over what was desired.
pub fn overlaid(mut desired: Value, overlay: Value) -> Value {
    fn lay(under: &mut Value, over: Value) {
        match (under, over) {
            (Value::Object(under), Value::Object(over)) => {
                for (key, value) in over {
                    lay(under.entry(key).or_insert(Value::Null), value);
                }
            }
            (under, over) => *under = over,
        }
    }
    lay(&mut desired, overlay);
    desired
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Known, overlaid};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use serde_json::{Value, json};
    use std::sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    };

    const KIND: &str = "Deployment";

    fn meta(version: u64) -> ObjectMeta {
        ObjectMeta {
            namespace: Some("team".into()),
            name: Some("writer".into()),
            resource_version: Some(version.to_string()),
            ..ObjectMeta::default()
        }
    }

    fn live(version: u64) -> Value {
        json!({"metadata": {"name": "writer", "uid": "u", "resourceVersion": version.to_string()},
            "spec": {"replicas": 2, "defaulted": true}, "status": {"readyReplicas": 1}})
    }

    /// Whether what a watch shows is news at once.
    fn is_news(known: &Known, version: u64) -> bool {
        let told = Arc::new(AtomicBool::new(false));
        let teller = told.clone();
        known.seen(KIND.into(), &meta(version), move || {
            teller.store(true, SeqCst);
        });
        told.load(SeqCst)
    }

    fn unchanged(known: &Known) -> bool {
        known
            .unchanged(KIND, "team", "writer", "sha256:a")
            .is_some()
    }

    #[test]
    fn what_was_verified_is_unchanged_until_a_watch_shows_a_later_version() {
        let known = Known::default();
        known.verified(KIND.into(), &meta(5), "sha256:a", &live(5));
        assert!(unchanged(&known));
        assert!(
            known
                .unchanged(KIND, "team", "writer", "sha256:b")
                .is_none()
        );
        assert!(is_news(&known, 6));
        assert!(!unchanged(&known));
    }

    #[test]
    fn ones_own_write_is_no_news_and_neither_is_what_was_before_it() {
        let known = Known::default();
        known.verified(KIND.into(), &meta(5), "sha256:a", &live(5));
        assert!(!is_news(&known, 4));
        assert!(!is_news(&known, 5));
        assert!(unchanged(&known));
    }

    #[test]
    fn anothers_change_seen_before_our_answer_is_not_forgotten() {
        let known = Known::default();
        is_news(&known, 7);
        known.verified(KIND.into(), &meta(5), "sha256:a", &live(5));
        assert!(!unchanged(&known));
    }

    #[test]
    fn an_event_that_overtakes_the_answer_to_its_write_is_no_news() {
        let known = Known::default();
        let told = Arc::new(AtomicUsize::new(0));
        let writing = known.writing(KIND.into(), "team", "writer");
        for version in [5, 7] {
            let told = told.clone();
            known.seen(KIND.into(), &meta(version), move || {
                told.fetch_add(1, SeqCst);
            });
        }
        known.verified(KIND.into(), &meta(5), "sha256:a", &live(5));
        assert_eq!(told.load(SeqCst), 0);
        drop(writing);
        assert_eq!(told.load(SeqCst), 1, "somebody else's change is news");
        assert!(!unchanged(&known));
    }

    #[test]
    fn an_object_is_absent_only_once_everything_was_listed() {
        let known = Known::default();
        assert!(!known.is_absent(KIND, "team", "writer"));
        known.listed();
        assert!(known.is_absent(KIND, "team", "writer"));
        is_news(&known, 1);
        assert!(!known.is_absent(KIND, "team", "writer"));
        known.gone(KIND, &meta(2));
        assert!(known.is_absent(KIND, "team", "writer"));
    }

    #[test]
    fn the_end_of_a_former_object_does_not_hide_its_successor() {
        let known = Known::default();
        known.listed();
        known.verified(KIND.into(), &meta(9), "sha256:a", &live(9));
        known.gone(KIND, &meta(8));
        assert!(unchanged(&known));
    }

    #[test]
    fn callers_find_identity_replicas_and_status() {
        let known = Known::default();
        known.verified(KIND.into(), &meta(5), "sha256:a", &live(5));
        let overlay = known.unchanged(KIND, "team", "writer", "sha256:a").unwrap();
        let desired = json!({"metadata": {"name": "writer"}, "spec": {"paused": false}});
        assert_eq!(
            overlaid(desired, overlay),
            json!({"metadata": {"name": "writer", "uid": "u", "resourceVersion": "5"},
                "spec": {"paused": false, "replicas": 2}, "status": {"readyReplicas": 1}})
        );
    }
}
