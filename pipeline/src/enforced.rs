//! The configuration in force: control items in, compiled pipelines out. An item that cannot be
//! compiled is refused with its reason, and its predecessor stays in force.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use aios_policy::{CompiledPolicy, PolicyRef, revisions_within};
use aios_proto::{
    config::{PipelineConfig, PolicyConfig, PolicyPin, PolicyScope, RunConfig, unpack},
    control::{Item, ItemAck, ItemKind, Snapshot},
};
use aios_runtime::control::Enforce;
use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::compiled::Pipeline;

/// What is in force.
#[derive(Debug, Default)]
pub struct Config {
    /// Zero before the first snapshot.
    pub sequence: u64,
    pub pipelines: BTreeMap<String, Arc<Pipeline>>,
    /// By uid.
    pub runs: BTreeMap<String, RunConfig>,
}

/// A policy that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    pub kind: ItemKind,
    pub name: String,
    /// Of its control item.
    pub digest: String,
    /// Its name and the digest of its rules, as in verdicts.
    pub judge: PolicyRef,
}

/// The holder of what is in force.
pub struct Enforced {
    config: ArcSwap<Config>,
    parts: Mutex<Parts>,
    changed: watch::Sender<u64>,
}

/// Items as accepted, and what they were compiled to.
#[derive(Default)]
struct Parts {
    items: BTreeMap<(i32, String), Item>,
    policies: BTreeMap<(PolicyScope, String), Known>,
}

/// A policy as it is in force.
struct Known {
    /// Of its item.
    digest: String,
    /// By which revisions it judges.
    revisions: String,
    compiled: Arc<CompiledPolicy>,
    /// Documents a day that it allows.
    quota: Option<u64>,
}

impl Default for Enforced {
    fn default() -> Self {
        let (changed, _) = watch::channel(0);
        Self {
            config: ArcSwap::default(),
            parts: Mutex::default(),
            changed,
        }
    }
}

impl Enforced {
    /// What is in force now.
    pub fn load(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Sends the sequence whenever another snapshot came into force.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The policies in force.
    pub fn policies(&self) -> Vec<InForce> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let policies = parts.policies.iter();
        let policies = policies.map(|((scope, name), known)| InForce {
            kind: match scope {
                PolicyScope::Cluster => ItemKind::ClusterPolicy,
                PolicyScope::Namespace => ItemKind::Policy,
            },
            name: name.clone(),
            digest: known.digest.clone(),
            judge: known.compiled.reference(),
        });
        policies.collect()
    }

    /// The items in force, to be kept for a restart.
    pub fn snapshot(&self) -> Snapshot {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = self.config.load().sequence;
        Snapshot {
            sequence,
            items: parts.items.values().cloned().collect(),
        }
    }
}

impl Enforce for Enforced {
    fn enforce(&self, snapshot: Snapshot) -> Vec<ItemAck> {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.config.load_full();
        if snapshot.sequence < before.sequence {
            return Vec::new();
        }
        let sequence = snapshot.sequence;
        let mut build = Build {
            parts: &mut parts,
            before: &before,
            after: Config::default(),
        };
        build.after.sequence = sequence;
        let acks = build.all(snapshot);
        let after = build.after;
        self.config.store(Arc::new(after));
        drop(parts);
        self.changed.send_replace(sequence);
        acks
    }
}

struct Build<'a> {
    parts: &'a mut Parts,
    before: &'a Config,
    after: Config,
}

impl Build<'_> {
    /// Policies first: pipelines pin them.
    fn all(&mut self, snapshot: Snapshot) -> Vec<ItemAck> {
        let named: Vec<_> = snapshot
            .items
            .iter()
            .map(|item| (item.kind, item.name.clone()))
            .collect();
        self.parts.items.retain(|key, _| named.contains(key));
        let mut acks = Vec::new();
        let (policies, others): (Vec<_>, Vec<_>) = snapshot.items.into_iter().partition(is_policy);
        let kept: Vec<_> = policies
            .iter()
            .map(|item| (scope(item.kind()), item.name.clone()))
            .collect();
        self.parts.policies.retain(|key, _| kept.contains(key));
        for item in policies.into_iter().chain(others) {
            let result = self.one(&item);
            acks.push(ItemAck {
                kind: item.kind,
                name: item.name.clone(),
                digest: item.digest.clone(),
                accepted: result.is_ok(),
                message: result.as_ref().err().cloned().unwrap_or_default(),
                engine: self.revisions(&item),
            });
            match result {
                Ok(()) => {
                    self.parts
                        .items
                        .insert((item.kind, item.name.clone()), item);
                }
                Err(message) => {
                    tracing::warn!(name = item.name, message, "item refused");
                    self.keep_predecessor(&item);
                }
            }
        }
        acks
    }

    fn one(&mut self, item: &Item) -> Result<(), String> {
        match item.kind() {
            ItemKind::Policy | ItemKind::ClusterPolicy => self.policy(item),
            ItemKind::Pipeline => self.pipeline(item),
            ItemKind::Run => {
                let run: RunConfig = unpack(item).map_err(|error| error.to_string())?;
                self.after.runs.insert(run.uid.clone(), run);
                Ok(())
            }
            // Models are the sidecars' business.
            ItemKind::Model => Ok(()),
            ItemKind::Unspecified => Err("unknown kind: upgrade this data plane".to_owned()),
        }
    }

    /// By which revisions a policy judges that is in force at this digest.
    fn revisions(&self, item: &Item) -> String {
        if !is_policy(item) {
            return String::new();
        }
        let known = self
            .parts
            .policies
            .get(&(scope(item.kind()), item.name.clone()));
        known
            .filter(|policy| policy.digest == item.digest)
            .map(|policy| policy.revisions.clone())
            .unwrap_or_default()
    }

    fn policy(&mut self, item: &Item) -> Result<(), String> {
        let key = (scope(item.kind()), item.name.clone());
        if self
            .parts
            .policies
            .get(&key)
            .is_some_and(|policy| policy.digest == item.digest)
        {
            return Ok(());
        }
        let config: PolicyConfig = unpack(item).map_err(|error| error.to_string())?;
        let compiled =
            CompiledPolicy::compile(&config.qualified_name(), &config.rules, &config.review)
                .map_err(|mistakes| {
                    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                    lines.join("; ")
                })?;
        // Bounds of models are the sidecar's business; to say that one knows them is everyone's.
        let revisions = revisions_within(compiled.revisions(), &config.data);
        let quotas = config.quotas.filter(|_| !config.dry_run);
        let quota = quotas.and_then(|quotas| quotas.documents_per_day);
        let known = Known {
            digest: item.digest.clone(),
            revisions,
            compiled: Arc::new(compiled.into_dry_run_if(config.dry_run)),
            quota: quota.and_then(|documents| u64::try_from(documents).ok()),
        };
        self.parts.policies.insert(key, known);
        Ok(())
    }

    fn pipeline(&mut self, item: &Item) -> Result<(), String> {
        if let Some(same) = self
            .before
            .pipelines
            .get(&item.name)
            .filter(|p| p.digest == item.digest)
        {
            self.after.pipelines.insert(item.name.clone(), same.clone());
            return Ok(());
        }
        let config: PipelineConfig = unpack(item).map_err(|error| error.to_string())?;
        let mut pins = config.policies.clone();
        // The platform speaks first.
        pins.sort_by_key(|pin| pin.scope);
        let mut policies = Vec::new();
        let of = |pin: &PolicyPin| {
            let known = self.parts.policies.get(&(pin.scope, pin.name.clone()));
            known.and_then(|known| known.quota)
        };
        let quota = pins.iter().filter_map(of).min();
        for pin in pins {
            match self.parts.policies.get(&(pin.scope, pin.name.clone())) {
                Some(known) if known.digest == pin.digest => policies.push(known.compiled.clone()),
                _ => {
                    return Err(format!(
                        "policy `{}` at {} is not here",
                        pin.name, pin.digest
                    ));
                }
            }
        }
        let mut compiled = Pipeline::compile(config, item.digest.clone(), policies)
            .map_err(|error| error.to_string())?;
        compiled.documents_per_day = quota;
        self.after
            .pipelines
            .insert(item.name.clone(), Arc::new(compiled));
        Ok(())
    }

    fn keep_predecessor(&mut self, item: &Item) {
        match item.kind() {
            ItemKind::Pipeline => {
                if let Some(last) = self.before.pipelines.get(&item.name) {
                    self.after.pipelines.insert(item.name.clone(), last.clone());
                }
            }
            ItemKind::Run => {
                let last = self.before.runs.values().find(|run| run.name == item.name);
                if let Some(last) = last {
                    self.after.runs.insert(last.uid.clone(), last.clone());
                }
            }
            _ => {}
        }
    }
}

fn is_policy(item: &Item) -> bool {
    matches!(item.kind(), ItemKind::Policy | ItemKind::ClusterPolicy)
}

fn scope(kind: ItemKind) -> PolicyScope {
    if kind == ItemKind::ClusterPolicy {
        PolicyScope::Cluster
    } else {
        PolicyScope::Namespace
    }
}
