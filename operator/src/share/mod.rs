//! Which namespaces are this operator's, of several in one cluster. A selector says which it is for,
//! a claim in each namespace which operator came first where two selectors overlap.

mod claim;
mod hold;
mod refuse;
mod release;
mod selector;

pub use claim::{Claim, Verdict};
pub use hold::{Held, hold};
pub use refuse::refuse;
pub use release::release;
pub use selector::{NamespaceSelector, SelectorError};

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::{
    apply::version,
    names::{ANNOTATION_SELECTS, LABEL_OPERATOR},
};

/// Which namespaces the platform gives an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    All,
    Named(BTreeSet<String>),
    /// Those with labels, as they come and go.
    Selected,
}

/// The namespaces of this operator. Clones share it.
#[derive(Clone)]
pub struct Share(Arc<Inner>);

struct Inner {
    /// The operator's own namespace, by which others know it.
    me: String,
    choice: Choice,
    selector: NamespaceSelector,
    arrivals: UnboundedSender<Arrived>,
    /// How many namespaces another operator serves.
    refused: Gauge,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Namespaces that the selector chooses, and which arrival is still under way. Empty for other
    /// choices.
    members: HashMap<String, Option<u64>>,
    arrivals: u64,
    followers: Vec<UnboundedSender<Move>>,
    /// By namespace: the version of its `aios-ca`, and the claim in it.
    claims: HashMap<String, (u64, Option<Claim>)>,
    /// Who claims a namespace does it once, for all that wait for it.
    turns: HashMap<String, Arc<tokio::sync::Mutex<()>>>,
    refused: Refused,
}

/// What was said of namespaces that another operator serves.
#[derive(Default)]
struct Refused {
    namespaces: HashSet<String>,
    /// By uid and generation: since when an object waits, and whether that needs no more words.
    objects: HashMap<(String, i64), (Instant, bool)>,
}

/// What those who hold objects of namespaces do about a change of the share.
pub enum Move {
    /// Objects of the namespace were not held so far: they are to be listed.
    Gained(Arc<Arrival>),
    /// Nothing of it is to be held any more.
    Lost(String),
}

/// A namespace on its way in: it has arrived once everybody has dropped this.
pub struct Arrival {
    arrived: Arrived,
    tell: UnboundedSender<Arrived>,
}

/// A namespace whose objects are all held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    pub namespace: String,
    number: u64,
}

/// How a namespace stands to this operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not selected.
    Outside,
    /// Selected; not all of its objects are held yet.
    Arriving,
    Judged(Verdict),
}

impl Share {
    /// `me` is the operator's namespace. Arrivals are to be given to [`Share::settle`].
    pub fn new(
        me: &str,
        (choice, selector): (Choice, NamespaceSelector),
        refused: Gauge,
    ) -> (Self, UnboundedReceiver<Arrived>) {
        let (arrivals, arrived) = mpsc::unbounded_channel();
        let inner = Inner {
            me: me.to_owned(),
            choice,
            selector,
            arrivals,
            refused,
            state: Mutex::default(),
        };
        (Self(Arc::new(inner)), arrived)
    }

    pub fn me(&self) -> &str {
        &self.0.me
    }

    pub fn choice(&self) -> &Choice {
        &self.0.choice
    }

    pub fn selector(&self) -> &NamespaceSelector {
        &self.0.selector
    }

    /// Whether namespaces come and go by their labels.
    pub fn is_moving(&self) -> bool {
        self.0.choice == Choice::Selected
    }

    /// Whether objects of a namespace are to be held.
    pub fn selects(&self, namespace: &str) -> bool {
        match &self.0.choice {
            Choice::All => true,
            Choice::Named(names) => names.contains(namespace),
            Choice::Selected => self.lock().members.contains_key(namespace),
        }
    }

    // === namespaces come and go ===

    /// A namespace has the labels now.
    pub fn gained(&self, namespace: &str) {
        let mut state = self.lock();
        state.arrivals += 1;
        let number = state.arrivals;
        state.members.insert(namespace.to_owned(), Some(number));
        let arrival = Arc::new(Arrival {
            arrived: Arrived {
                namespace: namespace.to_owned(),
                number,
            },
            tell: self.0.arrivals.clone(),
        });
        state.tell(|| Move::Gained(arrival.clone()));
    }

    /// A namespace has them no more, or is gone.
    pub fn lost(&self, namespace: &str) {
        let mut state = self.lock();
        state.members.remove(namespace);
        state.claims.remove(namespace);
        state.turns.remove(namespace);
        state.accept(namespace, &self.0.refused);
        state.tell(|| Move::Lost(namespace.to_owned()));
    }

    /// Everybody holds the objects of a namespace. Whether that is still of interest.
    pub fn settle(&self, arrived: &Arrived) -> bool {
        let mut state = self.lock();
        match state.members.get_mut(&arrived.namespace) {
            Some(under_way) if *under_way == Some(arrived.number) => {
                *under_way = None;
                true
            }
            _ => false,
        }
    }

    /// From now on: the moves of a share that moves.
    pub fn follow(&self) -> Option<UnboundedReceiver<Move>> {
        let (sender, moves) = mpsc::unbounded_channel();
        self.is_moving().then(|| {
            self.lock().followers.push(sender);
            moves
        })
    }

    // === claims ===

    /// ConfigMap `aios-ca` of a namespace is so.
    pub fn saw(&self, meta: &ObjectMeta) {
        self.note(meta, claim::read(meta));
    }

    /// It is gone.
    pub fn saw_gone(&self, meta: &ObjectMeta) {
        self.note(meta, None);
    }

    /// It went while nobody watched.
    pub fn forgot(&self, namespace: &str) {
        self.lock().claims.remove(namespace);
    }

    /// An answer and a watch may overtake each other: the higher version wins.
    fn note(&self, meta: &ObjectMeta, claim: Option<Claim>) {
        let (Some(namespace), Some(version)) = (&meta.namespace, version(meta)) else {
            return;
        };
        if !self.selects(namespace) {
            return;
        }
        let mut state = self.lock();
        let known = state.claims.get(namespace);
        if known.is_none_or(|(known, _)| *known <= version) {
            state.claims.insert(namespace.clone(), (version, claim));
        }
    }

    /// Writes this operator's claim into a ConfigMap.
    pub fn sign(&self, meta: &mut ObjectMeta) {
        let labels = meta.labels.get_or_insert_default();
        labels.insert(LABEL_OPERATOR.into(), self.0.me.clone());
        let annotations = meta.annotations.get_or_insert_default();
        annotations.insert(ANNOTATION_SELECTS.into(), self.0.selector.text().to_owned());
    }

    /// `labels` are the namespace's, if they are known.
    pub fn standing(&self, namespace: &str, labels: Option<&BTreeMap<String, String>>) -> Standing {
        if !self.selects(namespace) {
            return Standing::Outside;
        }
        let state = self.lock();
        if state.is_arriving(namespace) {
            return Standing::Arriving;
        }
        let claim = state.claim(namespace);
        Standing::Judged(claim::judge(claim, &self.0.me, labels))
    }

    /// Whether a namespace's data planes are this operator's.
    pub fn serves(&self, namespace: &str) -> bool {
        if !self.selects(namespace) {
            return false;
        }
        let state = self.lock();
        let claim = state.claim(namespace);
        !state.is_arriving(namespace) && claim.is_none_or(|claim| claim.operator == self.0.me)
    }

    /// For who claims a namespace: one at a time.
    fn turn(&self, namespace: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut state = self.lock();
        let turn = state.turns.entry(namespace.to_owned());
        turn.or_default().clone()
    }

    // === refusals ===

    /// Another serves a namespace. Whether that is new.
    fn refuses(&self, namespace: &str) -> bool {
        let refused = &mut self.lock().refused.namespaces;
        let is_new = refused.insert(namespace.to_owned());
        self.0.refused.set(count(refused));
        is_new
    }

    /// The namespace is this operator's.
    fn accepts(&self, namespace: &str) {
        self.lock().accept(namespace, &self.0.refused);
    }

    /// Since when an object waits for the operator that serves it; `None` once no more is to be said.
    fn waits(&self, uid: &str, generation: i64, now: Instant) -> Option<Instant> {
        let objects = &mut self.lock().refused.objects;
        let entry = objects.entry((uid.to_owned(), generation));
        let (since, is_told) = *entry.or_insert((now, false));
        (!is_told).then_some(since)
    }

    fn told(&self, uid: &str, generation: i64) {
        let objects = &mut self.lock().refused.objects;
        if let Some((_, is_told)) = objects.get_mut(&(uid.to_owned(), generation)) {
            *is_told = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tell(&mut self, what: impl Fn() -> Move) {
        self.followers
            .retain(|follower| follower.send(what()).is_ok());
    }

    fn accept(&mut self, namespace: &str, gauge: &Gauge) {
        if self.refused.namespaces.remove(namespace) {
            gauge.set(count(&self.refused.namespaces));
        }
        if self.refused.namespaces.is_empty() {
            self.refused.objects.clear();
        }
    }

    fn is_arriving(&self, namespace: &str) -> bool {
        self.members.get(namespace).is_some_and(Option::is_some)
    }

    fn claim(&self, namespace: &str) -> Option<&Claim> {
        self.claims.get(namespace)?.1.as_ref()
    }
}

impl Arrival {
    pub fn namespace(&self) -> &str {
        &self.arrived.namespace
    }
}

impl Drop for Arrival {
    /// A closed channel means shutdown.
    fn drop(&mut self) {
        let _ = self.tell.send(self.arrived.clone());
    }
}

fn count(namespaces: &HashSet<String>) -> i64 {
    i64::try_from(namespaces.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
