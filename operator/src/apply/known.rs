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

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::Value;

use crate::names::LABEL_MODEL;

mod added;

pub use added::Added;

const SECRET: &str = "Secret";

/// By namespace and name.
type Objects = HashMap<Box<str>, HashMap<Box<str>, Entry>>;

/// How long a certificate is good, and for what.
#[derive(Clone, Copy)]
struct Good {
    purpose: u64,
    until: Timestamp,
}

/// Shared by the watches, which tell, and by the applier, which asks.
#[derive(Clone, Default)]
pub struct Known(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    /// Whether every watch has listed: before, what was not seen may still exist.
    listed: bool,
    /// Lists so far: what none of the latest list showed is gone.
    lists: u32,
    /// By kind.
    entries: HashMap<Cow<'static, str>, Objects>,
    /// Few at a time: each event is held against all of them, without a key of its own.
    writing: Vec<UnderWay>,
}

/// Kind, namespace and name.
type Place = (Cow<'static, str>, String, String);

struct UnderWay {
    place: Place,
    waiting: Vec<Waiting>,
}

/// A version that a watch showed during a write, and whom to tell if it is somebody else's.
struct Waiting {
    shown: Entry,
    news: Box<dyn FnOnce() + Send>,
}

/// A write under way; ends when dropped.
pub struct Writing {
    known: Known,
    place: Place,
}

/// A list under way of a kind, in one namespace or in all.
pub struct Listing {
    known: Known,
    kind: Cow<'static, str>,
    namespace: Option<String>,
    number: u32,
}

/// There are several for each object of ours: it holds no more than is read.
struct Entry {
    version: u64,
    /// Of the name of the model that it is labelled with.
    model: Option<u64>,
    /// The list during which, or after which, it was there.
    list: u32,
    /// What was found, or made, as desired at this version.
    verified: Option<Box<Verified>>,
}

struct Verified {
    /// Of the desired object's digest.
    desired: u64,
    added: Added,
    /// Of a Secret with a certificate.
    good: Option<Good>,
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
        meta: ObjectMeta,
        news: impl FnOnce(&ObjectMeta) + Send + 'static,
    ) {
        let Some((namespace, name, version)) = place(&meta) else {
            return news(&meta);
        };
        let mut inner = self.lock();
        let shown = Entry::new(version, &meta, inner.lists);
        if let Some(at) = inner.under_way(&kind, namespace, name) {
            if let Some(entry) = inner.entry_mut(&kind, namespace, name) {
                entry.list = shown.list;
            }
            if let Some(write) = inner.writing.get_mut(at) {
                let news = Box::new(move || news(&meta));
                write.waiting.push(Waiting { shown, news });
            }
            return;
        }
        let is_news = inner.is_news(kind, (namespace, name), shown);
        drop(inner);
        if is_news {
            news(&meta);
        }
    }

    /// A watch begins to list a kind in a namespace, or in all.
    pub fn listing(&self, kind: Cow<'static, str>, namespace: Option<&str>) -> Listing {
        let mut inner = self.lock();
        inner.lists += 1;
        Listing {
            known: self.clone(),
            kind,
            namespace: namespace.map(str::to_owned),
            number: inner.lists,
        }
    }

    /// A write begins: what watches show of the object meanwhile may be its doing.
    pub fn writing(&self, kind: Cow<'static, str>, namespace: &str, name: &str) -> Writing {
        let mut inner = self.lock();
        let known = inner.under_way(&kind, namespace, name).is_some();
        let place = (kind, namespace.to_owned(), name.to_owned());
        if !known {
            inner.writing.push(UnderWay {
                place: place.clone(),
                waiting: Vec::new(),
            });
        }
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

    /// A namespace is somebody else's now.
    pub fn forget(&self, kind: &str, namespace: &str) {
        let mut inner = self.lock();
        if let Some(objects) = inner.entries.get_mut(kind) {
            objects.remove(namespace);
        }
    }

    /// Names of what exists of a kind in a namespace and is labelled with a model, as far as is known.
    pub fn of_model(&self, kind: &str, namespace: &str, model: &str) -> Vec<String> {
        let inner = self.lock();
        let (names, model) = (inner.names(kind, namespace), Some(hash(model)));
        names
            .into_iter()
            .flatten()
            .filter(|(_, entry)| entry.model == model)
            .map(|(name, _)| String::from(name.as_ref()))
            .collect()
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
        // A watch that is ahead of our answer has seen somebody else's change.
        let found = inner.entry(&kind, namespace, name);
        if found.is_some_and(|entry| entry.version > version) {
            return;
        }
        let mut entry = Entry::new(version, meta, inner.lists);
        entry.verified = Some(Box::new(Verified {
            desired: hash(digest),
            added: Added::of(live),
            good: None,
        }));
        inner.put(kind, (namespace, name), entry);
    }

    /// Whether the object is as it was read or made last: to desire something else is to write.
    pub fn is_verified(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let inner = self.lock();
        let entry = inner.entry(kind, namespace, name);
        entry.is_some_and(|entry| entry.verified.is_some())
    }

    /// What the server added to the object, if it still is as this digest desires, and its version.
    pub fn unchanged(
        &self,
        kind: &str,
        namespace: &str,
        name: &str,
        digest: &str,
    ) -> Option<(Added, u64)> {
        let inner = self.lock();
        let entry = inner.entry(kind, namespace, name)?;
        let verified = entry.verified.as_ref()?;
        (verified.desired == hash(digest)).then(|| (verified.added.clone(), entry.version))
    }

    /// The certificate that was found or made last in this Secret serves a purpose until some time.
    pub fn good(&self, namespace: &str, name: &str, purpose: &str, until: Timestamp) {
        let mut inner = self.lock();
        let entry = inner.entry_mut(SECRET, namespace, name);
        if let Some(verified) = entry.and_then(|entry| entry.verified.as_mut()) {
            let purpose = hash(purpose);
            verified.good = Some(Good { purpose, until });
        }
    }

    /// Until when the certificate in this Secret serves the purpose, if nobody changed it since it was read.
    pub fn good_until(&self, namespace: &str, name: &str, purpose: &str) -> Option<Timestamp> {
        let inner = self.lock();
        let verified = inner.entry(SECRET, namespace, name)?.verified.as_ref()?;
        let good = verified.good.filter(|good| good.purpose == hash(purpose))?;
        Some(good.until)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn names(&self, kind: &str, namespace: &str) -> Option<&HashMap<Box<str>, Entry>> {
        self.entries.get(kind)?.get(namespace)
    }

    fn entry(&self, kind: &str, namespace: &str, name: &str) -> Option<&Entry> {
        self.names(kind, namespace)?.get(name)
    }

    fn entry_mut(&mut self, kind: &str, namespace: &str, name: &str) -> Option<&mut Entry> {
        let objects = self.entries.get_mut(kind)?;
        objects.get_mut(namespace)?.get_mut(name)
    }

    fn put(&mut self, kind: Cow<'static, str>, (namespace, name): (&str, &str), entry: Entry) {
        let objects = self.entries.entry(kind).or_default();
        if let Some(names) = objects.get_mut(namespace) {
            names.insert(name.into(), entry);
        } else {
            let names = HashMap::from([(name.into(), entry)]);
            objects.insert(namespace.into(), names);
        }
    }

    /// Where in `writing` the write of an object is.
    fn under_way(&self, kind: &str, namespace: &str, name: &str) -> Option<usize> {
        self.writing
            .iter()
            .position(|write| write.is_of(kind, namespace, name))
    }

    /// Notes what a watch showed.
    fn is_news(&mut self, kind: Cow<'static, str>, at: (&str, &str), shown: Entry) -> bool {
        match self.entry_mut(&kind, at.0, at.1) {
            Some(entry) if shown.version > entry.version => {
                *entry = shown;
                true
            }
            Some(entry) => {
                entry.list = shown.list;
                false
            }
            None => {
                self.put(kind, at, shown);
                true
            }
        }
    }
}

impl UnderWay {
    fn is_of(&self, kind: &str, namespace: &str, name: &str) -> bool {
        let (of, within, called) = &self.place;
        called == name && within == namespace && of == kind
    }
}

impl Listing {
    /// The list is complete: what it does not have, and what nobody wrote since it began, has gone.
    /// Returns namespaces that lost something.
    pub fn ended(self) -> Vec<String> {
        let mut inner = self.known.lock();
        let Some(objects) = inner.entries.get_mut(&self.kind) else {
            return Vec::new();
        };
        let mut poorer = Vec::new();
        objects.retain(|namespace, names| {
            if self
                .namespace
                .as_deref()
                .is_some_and(|own| own != namespace.as_ref())
            {
                return true;
            }
            let before = names.len();
            names.retain(|_, entry| entry.list >= self.number);
            if names.len() < before {
                poorer.push(namespace.to_string());
            }
            !names.is_empty()
        });
        poorer
    }
}

impl Entry {
    fn new(version: u64, meta: &ObjectMeta, list: u32) -> Self {
        let model = meta
            .labels
            .as_ref()
            .and_then(|labels| labels.get(LABEL_MODEL));
        Self {
            version,
            model: model.map(|model| hash(model)),
            list,
            verified: None,
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        let mut inner = self.known.lock();
        let (mut told, (kind, namespace, name)) = (Vec::new(), &self.place);
        let ended = inner.under_way(kind, namespace, name);
        let ended = ended.map(|at| inner.writing.swap_remove(at).waiting);
        for Waiting { shown, news } in ended.into_iter().flatten() {
            if inner.is_news(kind.clone(), (namespace, name), shown) {
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
    let (namespace, name) = (meta.namespace.as_deref()?, meta.name.as_deref()?);
    Some((namespace, name, version(meta)?))
}

/// Versions are decimal and grow (Kubernetes API concepts, "resource versions").
pub fn version(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_deref()?.parse().ok()
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
