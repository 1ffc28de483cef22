//! Control items to typed configuration: parsed once, refused item by item with the reason.

pub mod file;

mod guard;
mod model;
mod pipeline;

use std::{collections::BTreeMap, sync::Arc};

use aios_policy::Bounds;
use aios_proto::{
    config::{ModelConfig, PolicyConfig, PolicyScope, Upstream, unpack},
    control::{Item, ItemAck, ItemKind, Snapshot},
};

pub use guard::{Guard, Policy};
pub use model::Model;
pub use pipeline::{Experiment, Facts, Labels, Pipeline, Route, Routes, Variant};

use crate::money::Fund;

/// Which items concern this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All models, pipelines and policies of the namespace.
    Egress,
    /// The one model that this ingress stands before.
    Ingress {
        model: String,
        /// The engine beside it, if it is one of a revision: another may already be configured.
        engine: Option<Engine>,
    },
}

/// What an engine is, whatever revision of its model is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Model name in requests to it.
    pub model: String,
    /// How it is spoken to, and where.
    pub upstream: Upstream,
    /// Digest of the weights.
    pub digest: Option<String>,
}

/// All that is in force.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Of the snapshot that was applied last.
    pub sequence: u64,
    /// By name of the ModelDeployment.
    pub models: BTreeMap<String, Arc<Model>>,
    /// By name of the WritingPipeline.
    pub pipelines: BTreeMap<String, Arc<Pipeline>>,
    /// By scope and name.
    pub policies: BTreeMap<(PolicyScope, String), Arc<Policy>>,
    /// What judges calls that name no pipeline: the platform's policies.
    guard: Option<Arc<Guard>>,
    /// Which models calls may go to that name no pipeline, says the platform.
    bounds: Bounds,
    /// What calls are paid from that name no pipeline: budgets of the platform's policies.
    funds: Arc<[Arc<Fund>]>,
    /// The items behind the above, to be kept between restarts.
    items: BTreeMap<(i32, String), Item>,
}

/// What applying a snapshot came to.
#[derive(Debug)]
pub struct Applied {
    /// To be put in force; none when the snapshot is older than what is.
    pub config: Option<Config>,
    /// One an item, in order.
    pub acks: Vec<ItemAck>,
}

/// Applies a snapshot: good items come into force, a bad one keeps its predecessor, what is missing
/// is no longer in force.
pub fn apply(current: &Config, snapshot: &Snapshot, scope: &Scope) -> Applied {
    if snapshot.sequence < current.sequence {
        let message = format!(
            "snapshot {} is older than {}, in force",
            snapshot.sequence, current.sequence
        );
        let refused = snapshot
            .items
            .iter()
            .map(|item| ack(item, Err(message.clone()), String::new()))
            .collect();
        return Applied {
            config: None,
            acks: refused,
        };
    }
    let mut next = Config {
        sequence: snapshot.sequence,
        ..Config::default()
    };
    // Policies first: pipelines pin them.
    let numbered = snapshot.items.iter().enumerate();
    let (policies, others): (Vec<_>, Vec<_>) =
        numbered.partition(|(_, item)| scope_of(item).is_some());
    let mut acks = Vec::with_capacity(snapshot.items.len());
    for (at, item) in policies.into_iter().chain(others) {
        let entered = enter(&mut next, current, item, scope);
        if entered.is_err() {
            keep(&mut next, current, item);
        }
        acks.push((at, ack(item, entered, next.revisions(item))));
    }
    acks.sort_by_key(|(at, _)| *at);
    let of_platform = next
        .policies
        .range(..(PolicyScope::Namespace, String::new()))
        .map(|(_, policy)| &**policy);
    let guard = Guard::of(of_platform.clone());
    next.bounds = Policy::bounds(of_platform.clone());
    next.funds = Policy::funds(of_platform).into();
    next.guard = guard;
    Applied {
        config: Some(next),
        acks: acks.into_iter().map(|(_, ack)| ack).collect(),
    }
}

// === impl Scope ===

impl Scope {
    /// Whether this process enforces the item.
    pub fn concerns(&self, item: &Item) -> bool {
        match self {
            Self::Egress => {
                matches!(item.kind(), ItemKind::Model | ItemKind::Pipeline)
                    || scope_of(item).is_some()
            }
            Self::Ingress { model, .. } => item.kind() == ItemKind::Model && item.name == *model,
        }
    }
}

impl Scope {
    /// A model as it is where this process stands: an ingress before an engine knows what that one is.
    fn seen_from(&self, config: ModelConfig) -> ModelConfig {
        let Self::Ingress {
            engine: Some(engine),
            ..
        } = self
        else {
            return config;
        };
        ModelConfig {
            model: engine.model.clone(),
            digest: engine.digest.clone(),
            upstream: engine.upstream.clone(),
            ..config
        }
    }
}

// === impl Config ===

impl Config {
    /// What judges a pipeline's calls, or those that name none; none where no rule does.
    pub fn guard_of(&self, pipeline: &str) -> Option<Arc<Guard>> {
        match self.pipelines.get(pipeline) {
            Some(pipeline) => pipeline.guard.clone(),
            None => self.guard.clone(),
        }
    }

    /// Which models a pipeline's calls may go to, or those that name none.
    pub fn bounds_of(&self, pipeline: &str) -> &Bounds {
        let pipeline = self.pipelines.get(pipeline);
        pipeline.map_or(&self.bounds, |pipeline| &pipeline.bounds)
    }

    /// What a pipeline's calls are paid from, or those that name none.
    pub fn funds_of(&self, pipeline: &str) -> &Arc<[Arc<Fund>]> {
        let pipeline = self.pipelines.get(pipeline);
        pipeline.map_or(&self.funds, |pipeline| &pipeline.funds)
    }

    /// By which revisions a policy judges that is in force at this digest.
    fn revisions(&self, item: &Item) -> String {
        let known = scope_of(item).and_then(|scope| self.policies.get(&(scope, item.name.clone())));
        let same = known.filter(|policy| policy.digest == item.digest);
        same.map(|policy| policy.revisions.clone())
            .unwrap_or_default()
    }

    /// The snapshot that leads here from nothing.
    pub fn to_snapshot(&self) -> Snapshot {
        Snapshot {
            sequence: self.sequence,
            items: self.items.values().cloned().collect(),
        }
    }
}

/// Parses an item into `next`; what did not change is not parsed again.
fn enter(next: &mut Config, current: &Config, item: &Item, scope: &Scope) -> Result<(), String> {
    if !scope.concerns(item) {
        return Err(format!(
            "{} is not enforced here",
            item.kind().as_str_name()
        ));
    }
    let key = (item.kind, item.name.clone());
    if next.items.contains_key(&key) {
        return Err("the snapshot holds this item twice".to_owned());
    }
    let same = current.items.get(&key).is_some_and(|known| {
        known.digest == item.digest && known.body == item.body && known.format == item.format
    });
    if same {
        keep(next, current, item);
        let pipeline = next.pipelines.get(&item.name);
        let kept = pipeline.filter(|_| item.kind() == ItemKind::Pipeline);
        return kept.map_or(Ok(()), |pipeline| pipeline.is_pinned_in(&next.policies));
    }
    if item.kind() == ItemKind::Model {
        let config = unpack(item).map_err(|error| error.to_string())?;
        let model = Model::new(scope.seen_from(config))?;
        named(&model.name, item)?;
        next.models.insert(item.name.clone(), Arc::new(model));
    } else if let Some(scope) = scope_of(item) {
        let config: PolicyConfig = unpack(item).map_err(|error| error.to_string())?;
        let policy = Policy::new(config, item.digest.clone())?;
        named(&policy.name, item)?;
        next.policies
            .insert((scope, item.name.clone()), Arc::new(policy));
    } else {
        let config = unpack(item).map_err(|error| error.to_string())?;
        let pipeline = Pipeline::new(config, &next.policies)?;
        named(&pipeline.name, item)?;
        next.pipelines.insert(item.name.clone(), Arc::new(pipeline));
    }
    next.items.insert(key, item.clone());
    Ok(())
}

/// Takes over what is in force under the item's name, if anything is.
fn keep(next: &mut Config, current: &Config, item: &Item) {
    let key = (item.kind, item.name.clone());
    let Some(known) = current.items.get(&key) else {
        return;
    };
    if next.items.contains_key(&key) {
        return;
    }
    if let Some(model) = current
        .models
        .get(&item.name)
        .filter(|_| item.kind() == ItemKind::Model)
    {
        next.models.insert(item.name.clone(), model.clone());
    }
    let pipeline = current.pipelines.get(&item.name);
    if let Some(pipeline) = pipeline.filter(|_| item.kind() == ItemKind::Pipeline) {
        next.pipelines.insert(item.name.clone(), pipeline.clone());
    }
    let policy = scope_of(item).map(|scope| (scope, item.name.clone()));
    if let Some((key, policy)) = policy.and_then(|key| current.policies.get_key_value(&key)) {
        next.policies.insert(key.clone(), policy.clone());
    }
    next.items.insert(key, known.clone());
}

/// Who wrote a policy; none of what is no policy.
fn scope_of(item: &Item) -> Option<PolicyScope> {
    match item.kind() {
        ItemKind::ClusterPolicy => Some(PolicyScope::Cluster),
        ItemKind::Policy => Some(PolicyScope::Namespace),
        _ => None,
    }
}

fn named(body: &str, item: &Item) -> Result<(), String> {
    if body == item.name {
        return Ok(());
    }
    Err(format!(
        "the body is of `{body}`, the item says `{}`",
        item.name
    ))
}

fn ack(item: &Item, result: Result<(), String>, engine: String) -> ItemAck {
    ItemAck {
        kind: item.kind,
        name: item.name.clone(),
        digest: item.digest.clone(),
        accepted: result.is_ok(),
        message: result.err().unwrap_or_default(),
        engine,
    }
}

#[cfg(test)]
pub(crate) mod tests;
