//! One namespace of the index: what was compiled, what is offered, who runs it, what was reported.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use aios_proto::{
    canonical,
    config::{Owner, PipelineConfig, PolicyPin, PolicyScope, pack},
    control::{ItemAck, ItemKind, PipelineReport, PolicyReport, RunReport, WeightsReport},
};
use jiff::Timestamp;

use crate::{
    ca::Papers,
    control::{Key, Kind, Load, Offer, Seat, index::Mandatory},
    names::Component,
};

/// A pipeline whose policies are still to be pinned, so that a policy and its pin always change in
/// the same snapshot.
#[derive(Clone, Debug)]
pub struct Draft {
    pub owner: Owner,
    /// PolicySets that it must run, in the order of its spec.
    pub policies: Vec<String>,
    /// Of the config.
    digest: String,
    /// A [`PipelineConfig`] without `policies`, as JSON, until it is packed: thousands are kept, and
    /// what is offered holds it then.
    config: Option<Box<[u8]>>,
}

impl Draft {
    /// # Errors
    /// When the config has no JSON.
    pub fn new(
        owner: Owner,
        config: &PipelineConfig,
        policies: Vec<String>,
    ) -> Result<Self, serde_json::Error> {
        let config = serde_json::to_vec(config)?;
        Ok(Self {
            owner,
            policies,
            digest: canonical::digest(&config),
            config: Some(config.into()),
        })
    }

    /// With its pins; `last` is what was offered of it.
    fn packed(&mut self, pins: Vec<PolicyPin>, last: Option<&Arc<Offer>>) -> Option<Arc<Offer>> {
        let mut config: PipelineConfig = match self.config.as_deref() {
            Some(json) => serde_json::from_slice(json).ok()?,
            None => serde_json::from_slice(&last?.item().body).ok()?,
        };
        config.policies = pins;
        let item = pack(ItemKind::Pipeline, self.owner.clone(), &config).ok()?;
        self.config = None;
        Some(Arc::new(item.into()))
    }
}

impl PartialEq for Draft {
    fn eq(&self, other: &Self) -> bool {
        (&self.owner, &self.policies, &self.digest)
            == (&other.owner, &other.policies, &other.digest)
    }
}

/// A pod of a data plane, from the leader's own watch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    pub uid: String,
    pub name: String,
    pub component: Component,
    pub model: Option<String>,
    /// When this leader first saw it run.
    pub seen: Timestamp,
}

impl Pod {
    /// Whether a process of it keeps a control stream for as long as it lives.
    pub(super) fn speaks(&self) -> bool {
        Seat::of_component(self.component, self.model.as_deref()).is_some()
    }
}

#[derive(Debug, Default)]
pub(super) struct Tenant {
    pub labels: BTreeMap<String, String>,
    pub policies: BTreeMap<String, Arc<Offer>>,
    /// Policies that were deleted while a pipeline still pins them: in force until it no longer does.
    pub retired: BTreeSet<String>,
    pub models: BTreeMap<String, Arc<Offer>>,
    pub drafts: BTreeMap<String, Draft>,
    /// With which pins the offered pipelines were packed, of drafts that are still the same.
    pub pins: BTreeMap<String, Vec<PolicyPin>>,
    pub runs: BTreeMap<String, Arc<Offer>>,
    /// What data planes are offered: what was compiled, not copies of it.
    pub offered: BTreeMap<Key, Arc<Offer>>,
    pub sequence: u64,
    pub pods: BTreeMap<String, Pod>,
    pub acks: BTreeMap<(String, Seat), BTreeMap<Key, ItemAck>>,
    pub pipeline_reports: BTreeMap<String, PipelineReport>,
    pub run_reports: BTreeMap<String, RunReport>,
    pub policy_reports: BTreeMap<Key, PolicyReport>,
    /// The pod whose report was taken last, and how long the log was for it.
    pub reported: Option<(String, u64)>,
    /// By model.
    pub weights_reports: BTreeMap<String, WeightsReport>,
    /// How long engines took to their first token, by the pod's uid.
    pub first_tokens: BTreeMap<String, Duration>,
    /// Which CAs the files of pods name, by the pod's uid and what its process is.
    pub papers: BTreeMap<String, BTreeMap<Seat, Papers>>,
    /// What egresses ask of models, by model.
    pub loads: BTreeMap<String, Load>,
    /// Where groups that take traffic are reached, by model; of models that have several.
    pub replicas: BTreeMap<String, Vec<String>>,
}

impl Tenant {
    /// Composes what is offered. The items that changed, came or went.
    pub fn compose(&mut self, mandatory: &BTreeMap<String, Mandatory>) -> Vec<Key> {
        let pinned: BTreeSet<&String> = self
            .drafts
            .values()
            .flat_map(|draft| &draft.policies)
            .collect();
        let (retired, policies) = (&self.retired, &mut self.policies);
        policies.retain(|name, _| pinned.contains(name) || !retired.contains(name));
        self.retired.retain(|name| pinned.contains(name));

        let mut offered = BTreeMap::new();
        let mut first = Vec::new();
        for (name, policy) in mandatory
            .iter()
            .filter(|(_, policy)| policy.selects(&self.labels))
        {
            first.push(pin(PolicyScope::Cluster, &policy.item));
            offered.insert(Key::new(Kind::ClusterPolicy, name), policy.item.clone());
        }
        let own = [
            (Kind::Policy, &self.policies),
            (Kind::Model, &self.models),
            (Kind::Run, &self.runs),
        ];
        for (kind, items) in own {
            for (name, item) in items {
                offered.insert(Key::new(kind, name), item.clone());
            }
        }
        let mut drafts = std::mem::take(&mut self.drafts);
        for (name, draft) in &mut drafts {
            let key = Key::new(Kind::Pipeline, name);
            let last = self.offered.get(&key);
            let last = last.filter(|last| last.owner_uid() == draft.owner.uid);
            let item = match (self.pinned(draft, &first), last) {
                // A policy that never compiled leaves the pipeline as it was.
                (None, last) => last.cloned(),
                (Some(pins), Some(last)) if self.pins.get(name) == Some(&pins) => {
                    Some(last.clone())
                }
                (Some(pins), last) => {
                    let item = draft.packed(pins.clone(), last);
                    self.pins.insert(name.clone(), pins);
                    item
                }
            };
            if let Some(item) = item {
                offered.insert(key, item);
            }
        }
        self.drafts = drafts;
        let changed = differences(&self.offered, &offered);
        self.offered = offered;
        changed
    }

    /// `None` while one of its policies never compiled.
    fn pinned(&self, draft: &Draft, mandatory: &[PolicyPin]) -> Option<Vec<PolicyPin>> {
        let mut pins = mandatory.to_vec();
        for name in &draft.policies {
            pins.push(pin(PolicyScope::Namespace, self.policies.get(name)?));
        }
        Some(pins)
    }
}

fn pin(scope: PolicyScope, item: &Offer) -> PolicyPin {
    PolicyPin {
        scope,
        name: item.name().to_owned(),
        digest: item.digest().to_owned(),
    }
}

/// A new generation with the same body is no change for a data plane.
fn differences(before: &BTreeMap<Key, Arc<Offer>>, after: &BTreeMap<Key, Arc<Offer>>) -> Vec<Key> {
    let same = |key: &Key| match (before.get(key), after.get(key)) {
        (Some(left), Some(right)) => {
            left.digest() == right.digest() && left.owner_uid() == right.owner_uid()
        }
        _ => false,
    };
    let keys: BTreeSet<&Key> = before.keys().chain(after.keys()).collect();
    keys.into_iter().filter(|key| !same(key)).cloned().collect()
}
