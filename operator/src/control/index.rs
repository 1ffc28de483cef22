//! What is to be in force, by namespace. Plain calls in, facts out: no clock, no I/O, no Kubernetes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use aios_proto::control::{Item, ModelReplicas, Replicas, Snapshot};

use crate::control::{Draft, Key, Kind, Offer, Seat, tenant::Tenant};

/// A compiled ClusterPolicySet and the namespaces that must obey it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mandatory {
    pub item: Arc<Offer>,
    /// Labels that a namespace must carry; empty selects all.
    pub selector: BTreeMap<String, String>,
}

impl Mandatory {
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        selects(&self.selector, labels)
    }
}

fn selects(selector: &BTreeMap<String, String>, labels: &BTreeMap<String, String>) -> bool {
    selector
        .iter()
        .all(|(key, value)| labels.get(key) == Some(value))
}

/// Namespaces that were composed again, each with the items that changed, came or went.
pub type Changes = Vec<(String, Vec<Key>)>;

/// The index. Every change returns what data planes must hear of.
#[derive(Debug)]
pub struct Index {
    sequence: u64,
    pub(super) mandatory: BTreeMap<String, Mandatory>,
    pub(super) tenants: BTreeMap<String, Tenant>,
    /// Objects listed at start and not yet compiled, by namespace; the empty one is the cluster's.
    expected: BTreeMap<String, BTreeSet<Key>>,
    /// Who is to be looked at again once nothing of its namespace is expected any more.
    waiting: BTreeMap<String, BTreeSet<Key>>,
    /// Those for whom that is so now.
    rested: Vec<(String, Key)>,
    /// Whether every list at start is complete.
    listed: bool,
    /// Namespaces that came later, of which not every list is complete.
    arriving: BTreeSet<String>,
    /// Broken objects whose last good version only data planes have.
    held: BTreeSet<(String, Key)>,
    /// The same for ClusterPolicySets, with the namespaces that they select.
    held_mandatory: BTreeMap<String, BTreeMap<String, String>>,
}

/// An object that exists and cannot be compiled.
#[derive(Clone, Copy, Debug)]
pub struct Broken<'a> {
    pub uid: &'a str,
    /// Whether its status tells of a version that was good.
    pub was_good: bool,
    /// Labels of the namespaces that a ClusterPolicySet selects.
    pub selector: Option<&'a BTreeMap<String, String>>,
}

impl Index {
    /// `start` must be above every sequence that an earlier leader used: milliseconds since 1970.
    pub fn new(start: u64) -> Self {
        Self {
            sequence: start,
            mandatory: BTreeMap::new(),
            tenants: BTreeMap::new(),
            expected: BTreeMap::new(),
            waiting: BTreeMap::new(),
            rested: Vec::new(),
            listed: false,
            arriving: BTreeSet::new(),
            held: BTreeSet::new(),
            held_mandatory: BTreeMap::new(),
        }
    }

    // === what is to be in force ===

    pub fn apply(&mut self, namespace: &str, kind: Kind, item: Item) -> Changes {
        let name = item.name.clone();
        self.settle(namespace, &Key::new(kind, &name));
        let tenant = self.tenant(namespace);
        let items = match kind {
            Kind::Policy => {
                tenant.retired.remove(&name);
                &mut tenant.policies
            }
            Kind::Model => &mut tenant.models,
            Kind::Run => &mut tenant.runs,
            Kind::ClusterPolicy | Kind::Pipeline => return Vec::new(),
        };
        items.insert(name, Arc::new(item.into()));
        self.compose(namespace)
    }

    pub fn apply_mandatory(&mut self, policy: Mandatory) -> Changes {
        let name = policy.item.name().to_owned();
        self.settle("", &Key::new(Kind::ClusterPolicy, &name));
        self.mandatory.insert(name, policy);
        self.compose_all()
    }

    pub fn apply_pipeline(&mut self, namespace: &str, draft: Draft) -> Changes {
        let name = draft.owner.name.clone();
        self.settle(namespace, &Key::new(Kind::Pipeline, &name));
        let tenant = self.tenant(namespace);
        if tenant.drafts.get(&name) != Some(&draft) {
            tenant.pins.remove(&name);
            tenant.drafts.insert(name, draft);
        }
        self.compose(namespace)
    }

    /// The object exists and cannot be compiled: what was compiled of it stays in force. If this
    /// leader never saw that version, its namespaces get nothing new, and so keep what they run.
    pub fn keep(&mut self, namespace: &str, key: &Key, broken: Broken<'_>) -> Changes {
        self.settle(namespace, key);
        match self.owner(namespace, key) {
            Some(owner) if owner != broken.uid => return self.delete(namespace, key),
            None if broken.was_good => match broken.selector {
                Some(selector) => {
                    self.held_mandatory
                        .insert(key.name.clone(), selector.clone());
                }
                None => {
                    self.held.insert((namespace.to_owned(), key.clone()));
                }
            },
            Some(_) | None => {}
        }
        // The last object that a namespace waited for may have come.
        let waiting = match key.kind {
            Kind::ClusterPolicy => self.tenants.keys().cloned().collect(),
            _ => vec![namespace.to_owned()],
        };
        waiting
            .into_iter()
            .map(|namespace| (namespace, Vec::new()))
            .collect()
    }

    /// Whether a version that only data planes have is kept in force.
    pub fn is_held(&self, namespace: &str, key: &Key) -> bool {
        match key.kind {
            Kind::ClusterPolicy => self.held_mandatory.contains_key(&key.name),
            _ => self.held.contains(&(namespace.to_owned(), key.clone())),
        }
    }

    /// Nobody waits for this object any longer.
    fn settle(&mut self, namespace: &str, key: &Key) {
        self.held.remove(&(namespace.to_owned(), key.clone()));
        if let Some(expected) = self.expected.get_mut(namespace)
            && expected.remove(key)
            && expected.is_empty()
        {
            self.expected.remove(namespace);
            self.rest(namespace);
        }
        if key.kind == Kind::ClusterPolicy {
            self.held_mandatory.remove(&key.name);
        }
    }

    /// Nothing of this namespace is expected any more.
    fn rest(&mut self, namespace: &str) {
        let rested: Vec<String> = match namespace {
            "" => self.waiting.keys().cloned().collect(),
            own => vec![own.to_owned()],
        };
        for namespace in rested {
            if self.is_settled(&namespace)
                && let Some(keys) = self.waiting.remove(&namespace)
            {
                let keys = keys.into_iter().map(|key| (namespace.clone(), key));
                self.rested.extend(keys);
            }
        }
    }

    pub fn delete(&mut self, namespace: &str, key: &Key) -> Changes {
        self.settle(namespace, key);
        if key.kind == Kind::ClusterPolicy {
            self.mandatory.remove(&key.name);
            return self.compose_all();
        }
        let Some(tenant) = self.tenants.get_mut(namespace) else {
            return Vec::new();
        };
        match key.kind {
            Kind::Policy => {
                tenant.retired.insert(key.name.clone());
            }
            Kind::Model => {
                tenant.models.remove(&key.name);
                tenant.weights_reports.remove(&key.name);
                tenant.loads.remove(&key.name);
                tenant.replicas.remove(&key.name);
            }
            Kind::Pipeline => {
                tenant.drafts.remove(&key.name);
                tenant.pins.remove(&key.name);
                tenant.pipeline_reports.remove(&key.name);
            }
            Kind::Run => {
                if let Some(item) = tenant.runs.remove(&key.name) {
                    tenant.run_reports.remove(item.owner_uid());
                }
            }
            Kind::ClusterPolicy => {}
        }
        self.compose(namespace)
    }

    /// Where the groups of a model that take traffic are reached. One alone is its Service's to lead to.
    pub fn reached(&mut self, namespace: &str, model: &str, addresses: Vec<String>) -> Changes {
        let known = &mut self.tenant(namespace).replicas;
        let several = (addresses.len() > 1).then_some(addresses);
        if known.get(model) == several.as_ref() {
            return Vec::new();
        }
        match several {
            Some(addresses) => known.insert(model.to_owned(), addresses),
            None => known.remove(model),
        };
        vec![(namespace.to_owned(), Vec::new())]
    }

    pub fn label(&mut self, namespace: &str, labels: BTreeMap<String, String>) -> Changes {
        let tenant = self.tenant(namespace);
        if tenant.labels == labels {
            return Vec::new();
        }
        tenant.labels = labels;
        self.compose(namespace)
    }

    pub fn forget(&mut self, namespace: &str) {
        self.tenants.remove(namespace);
        self.expected.remove(namespace);
        self.waiting.remove(namespace);
        self.arriving.remove(namespace);
        self.held.retain(|(held, _)| held != namespace);
    }

    // === start ===

    /// An object that was listed at start: nothing is offered to its namespace before it was seen.
    /// One that came later is offered when it is compiled; nobody waits for it.
    pub fn expect(&mut self, namespace: &str, key: Key) {
        if !self.listed || self.arriving.contains(namespace) {
            let expected = self.expected.entry(namespace.to_owned());
            expected.or_default().insert(key);
        }
    }

    /// Every list is complete.
    pub fn listed(&mut self) {
        self.listed = true;
    }

    /// A namespace comes to this operator: like a start, for this one alone.
    pub fn arrive(&mut self, namespace: &str) {
        self.arriving.insert(namespace.to_owned());
    }

    /// Every list of it is complete.
    pub fn arrived(&mut self, namespace: &str) -> Changes {
        self.arriving.remove(namespace);
        self.rest(namespace);
        vec![(namespace.to_owned(), Vec::new())]
    }

    /// Whether everything that was listed at start has been looked at.
    pub fn is_settled(&self, namespace: &str) -> bool {
        let is_listed = self.listed && !self.arriving.contains(namespace);
        is_listed && !self.expected.contains_key(namespace) && !self.expected.contains_key("")
    }

    /// The same; if not, the object is among [`Self::take_rested`] once it is.
    pub fn await_settled(&mut self, namespace: &str, key: &Key) -> bool {
        let settled = self.is_settled(namespace);
        if !settled {
            let waiting = self.waiting.entry(namespace.to_owned());
            waiting.or_default().insert(key.clone());
        }
        settled
    }

    /// Whose wait has ended since the last call.
    pub fn take_rested(&mut self) -> Vec<(String, Key)> {
        std::mem::take(&mut self.rested)
    }

    /// Whether what is offered to a namespace is complete, so that nothing is dropped by mistake.
    fn complete(&self, namespace: &str) -> bool {
        let labels = self.tenants.get(namespace).map(|tenant| &tenant.labels);
        let selects = |selector: &BTreeMap<String, String>| match labels {
            Some(labels) => selects(selector, labels),
            None => selector.is_empty(),
        };
        self.is_settled(namespace)
            && !self.held.iter().any(|(held, _)| held == namespace)
            && !self.held_mandatory.values().any(selects)
    }

    // === what data planes get ===

    /// What a seat is to enforce; `None` while the operator does not know all of it yet.
    pub fn snapshot(&self, namespace: &str, seat: &Seat) -> Option<Snapshot> {
        if !self.complete(namespace) {
            return None;
        }
        let Some(tenant) = self.tenants.get(namespace) else {
            return Some(Snapshot {
                sequence: self.sequence,
                items: Vec::new(),
            });
        };
        let items = tenant
            .offered
            .iter()
            .filter(|(key, _)| seat.reads(key))
            .map(|(_, offer)| offer.item());
        Some(Snapshot {
            sequence: tenant.sequence.max(1),
            items: items.collect(),
        })
    }

    /// Where a seat reaches groups of models one by one.
    pub fn replicas(&self, namespace: &str, seat: &Seat) -> Replicas {
        let tenant = self.tenants.get(namespace);
        let tenant = tenant.filter(|_| *seat == Seat::Egress);
        let known = tenant.into_iter().flat_map(|tenant| &tenant.replicas);
        let models = known.map(|(model, addresses)| ModelReplicas {
            model: model.clone(),
            addresses: addresses.clone(),
        });
        Replicas {
            models: models.collect(),
        }
    }

    /// What a data plane needs to start while the operator is away: everything but runs.
    pub fn bootstrap(&self, namespace: &str) -> Option<Snapshot> {
        let mut snapshot = self.snapshot(namespace, &Seat::Worker)?;
        snapshot
            .items
            .sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Some(snapshot)
    }

    /// What is offered under a name.
    pub fn offered(&self, namespace: &str, key: &Key) -> Option<&Offer> {
        match key.kind {
            Kind::ClusterPolicy => self.mandatory.get(&key.name).map(|policy| &*policy.item),
            _ => self
                .tenants
                .get(namespace)?
                .offered
                .get(key)
                .map(|item| &**item),
        }
    }

    /// Uid of the object that an item was compiled of.
    pub fn owner(&self, namespace: &str, key: &Key) -> Option<&str> {
        let tenant = self.tenants.get(namespace);
        let uid = match key.kind {
            Kind::ClusterPolicy => self.mandatory.get(&key.name)?.item.owner_uid(),
            Kind::Policy => tenant?.policies.get(&key.name)?.owner_uid(),
            Kind::Model => tenant?.models.get(&key.name)?.owner_uid(),
            Kind::Run => tenant?.runs.get(&key.name)?.owner_uid(),
            Kind::Pipeline => &tenant?.drafts.get(&key.name)?.owner.uid,
        };
        Some(uid)
    }

    /// Policies that the offered pipeline runs: the platform's first, then its own.
    pub fn policies_of(&self, namespace: &str, pipeline: &str) -> Vec<Key> {
        let Some(tenant) = self.tenants.get(namespace) else {
            return Vec::new();
        };
        let own = tenant
            .drafts
            .get(pipeline)
            .into_iter()
            .flat_map(|draft| &draft.policies);
        let own = own.map(|name| Key::new(Kind::Policy, name));
        self.mandatory_of(tenant).chain(own).collect()
    }

    /// Policies that every pipeline of a namespace must run, whatever it names.
    pub fn platforms(&self, namespace: &str) -> Vec<Key> {
        let tenant = self.tenants.get(namespace);
        let mandatory = tenant
            .into_iter()
            .flat_map(|known| self.mandatory_of(known));
        mandatory.collect()
    }

    fn mandatory_of<'a>(&'a self, tenant: &'a Tenant) -> impl Iterator<Item = Key> + 'a {
        let mandatory = self.mandatory.iter();
        let selecting = mandatory.filter(|(_, policy)| policy.selects(&tenant.labels));
        selecting.map(|(name, _)| Key::new(Kind::ClusterPolicy, name))
    }

    /// Policies that judge on behalf of a namespace: the platform's first, then those that are named; or
    /// the first name of which nothing is in force.
    pub fn judges(&self, namespace: &str, named: &[&str]) -> Result<Vec<Item>, String> {
        let tenant = self.tenants.get(namespace);
        let mandatory = self
            .mandatory
            .values()
            .filter(|policy| tenant.is_some_and(|tenant| policy.selects(&tenant.labels)))
            .map(|policy| Ok(policy.item.item()));
        let own = named.iter().map(|name| {
            let item = tenant.and_then(|tenant| tenant.policies.get(*name));
            item.map(|offer| offer.item())
                .ok_or_else(|| (*name).to_owned())
        });
        mandatory.chain(own).collect()
    }

    /// Pipelines that run a policy.
    pub fn pipelines_with(&self, namespace: &str, policy: &Key) -> Vec<String> {
        let Some(tenant) = self.tenants.get(namespace) else {
            return Vec::new();
        };
        let runs = |draft: &Draft| match policy.kind {
            Kind::ClusterPolicy => true,
            _ => draft.policies.contains(&policy.name),
        };
        tenant
            .drafts
            .iter()
            .filter(|(_, draft)| runs(draft))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Everything that is offered to a namespace.
    pub fn keys(&self, namespace: &str) -> Vec<Key> {
        let tenant = self.tenants.get(namespace);
        tenant
            .into_iter()
            .flat_map(|tenant| tenant.offered.keys().cloned())
            .collect()
    }

    /// Name of the run with this uid.
    pub fn run_name(&self, namespace: &str, uid: &str) -> Option<String> {
        let mut runs = self.tenants.get(namespace)?.runs.values();
        runs.find(|item| item.owner_uid() == uid)
            .map(|item| item.name().to_owned())
    }

    pub(super) fn tenant(&mut self, namespace: &str) -> &mut Tenant {
        self.tenants.entry(namespace.to_owned()).or_default()
    }

    fn compose(&mut self, namespace: &str) -> Changes {
        let Some(tenant) = self.tenants.get_mut(namespace) else {
            return Vec::new();
        };
        let changed = tenant.compose(&self.mandatory);
        if !changed.is_empty() || tenant.sequence == 0 {
            self.sequence += 1;
            tenant.sequence = self.sequence;
        }
        vec![(namespace.to_owned(), changed)]
    }

    fn compose_all(&mut self) -> Changes {
        let namespaces: Vec<String> = self.tenants.keys().cloned().collect();
        namespaces
            .iter()
            .flat_map(|namespace| self.compose(namespace))
            .collect()
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
