//! The only reads: ConfigMaps from the server, everything else from watches, index and board.

use std::collections::{BTreeMap, BTreeSet};

use aios_budget::Book;
use aios_compile::{Bounds, PolicySource, Resolved, references};
use aios_crds::{ConditionType, WritingPipeline};
use aios_proto::config::HostedAt;
use jiff::Timestamp;
use kube::{ResourceExt, runtime::reflector::ObjectRef};

use crate::{
    context::Context,
    control::{Account, Audience, Key, Kind},
    error::Result,
    pipeline::{
        status::{Compiled, Observed, PolicyState},
        validate::{Flaw, arriving},
    },
    watch::valid,
};

pub struct Found {
    pub resolved: Resolved,
    /// PolicySets and ConfigMaps that do not exist.
    pub missing: Vec<String>,
    /// Of the pipeline's budget, if it has one.
    pub book: Option<Book>,
}

pub async fn fetch(
    pipeline: &WritingPipeline,
    namespace: &str,
    context: &Context,
) -> Result<Found> {
    let refers = references::of_pipeline(&pipeline.spec);
    let mut missing = Vec::new();
    for name in &refers.policies {
        if context.stores.policy(namespace, name).is_none() {
            missing.push(format!("PolicySet `{name}`"));
        }
    }
    let names = &refers.config_maps;
    let config_maps = context.applier.config_maps(namespace, names).await?;
    let absent = names.iter().filter(|name| !config_maps.contains_key(*name));
    missing.extend(absent.map(|name| format!("ConfigMap `{name}`")));
    let name = pipeline.name_any();
    let mut book = None;
    if pipeline.spec.budget.is_some() {
        let account = Account::new(namespace, Kind::Pipeline, &name);
        book = Some(context.book(&account).await?);
    }
    Ok(Found {
        book,
        resolved: Resolved {
            config_maps,
            hosted: hosted(&refers.models, namespace, context),
            bounds: bounds(&refers.policies, namespace, context),
        },
        missing,
    })
}

/// Everything that the status tells of, at one moment.
pub fn observe(
    pipeline: &WritingPipeline,
    namespace: &str,
    context: &Context,
    (book, flaw): (Option<Book>, Option<Flaw>),
) -> Observed {
    let name = pipeline.name_any();
    let key = Key::new(Kind::Pipeline, &name);
    let now = Timestamp::now();
    let (mut absent, mut unready) = (Vec::new(), Vec::new());
    let mut models = references::of_pipeline(&pipeline.spec).models;
    let policies = context
        .hub
        .read(|index| index.policies_of(namespace, &name));
    models.extend(
        policies
            .iter()
            .flat_map(|key| judges(namespace, key, context)),
    );
    let budget = pipeline.spec.budget.as_ref();
    let currency = budget.and_then(|budget| budget.currency.as_deref());
    let unpriced = without_price(&models, currency, namespace, context);
    for model in models {
        match context.stores.model(namespace, &model) {
            None => absent.push(model),
            Some(guarded) => {
                let ready = valid(&guarded).is_some_and(|model| {
                    model.status.as_ref().is_some_and(|status| {
                        let generation = model.metadata.generation;
                        status.conditions.is_true(ConditionType::Ready, generation)
                    })
                });
                if !ready {
                    unready.push(model);
                }
            }
        }
    }
    context.hub.read(|index| Observed {
        flaw,
        arriving: arriving(pipeline, now),
        absent_models: absent,
        unready_models: unready,
        unpriced_models: unpriced,
        book,
        policies: index
            .policies_of(namespace, &name)
            .into_iter()
            .map(|policy| PolicyState {
                compiled: if index.offered(namespace, &policy).is_some() {
                    Compiled::Yes
                } else if index.is_held(namespace, &policy) {
                    Compiled::Held
                } else if failed(namespace, &policy, context) {
                    Compiled::Never
                } else {
                    Compiled::NotYet
                },
                enforcement: index.enforcement(namespace, &policy, Audience::Writers, now),
                name: policy.name,
            })
            .collect(),
        digest: index
            .offered(namespace, &key)
            .map(|offer| offer.digest().to_owned()),
        last_good: index.owner(namespace, &key).is_some() || index.is_held(namespace, &key),
        enforcement: index.enforcement(namespace, &key, Audience::Gateways, now),
        gateway: context.board.gateway(namespace),
        report: index.pipeline_report(namespace, &name).cloned(),
        head: context.witness.head(namespace),
        started: None,
    })
}

/// Models that a budget in this currency cannot pay for.
pub fn without_price(
    models: &BTreeSet<String>,
    currency: Option<&str>,
    namespace: &str,
    context: &Context,
) -> Vec<String> {
    let Some(currency) = currency else {
        return Vec::new();
    };
    let is_unpriced = |name: &&String| {
        context.stores.model(namespace, name).is_some_and(|found| {
            let pricing = valid(&found).and_then(|model| model.spec.pricing.as_ref());
            pricing.is_none_or(|pricing| pricing.currency != currency)
        })
    };
    models.iter().filter(is_unpriced).cloned().collect()
}

/// Models that the rules of a policy ask.
fn judges(namespace: &str, policy: &Key, context: &Context) -> BTreeSet<String> {
    let named = of_source(namespace, policy, context, |source| {
        references::of_rules(source.rules).models
    });
    named.unwrap_or_default()
}

/// The models among these that a provider serves.
fn hosted(
    models: &BTreeSet<String>,
    namespace: &str,
    context: &Context,
) -> BTreeMap<String, HostedAt> {
    let hosted = models.iter().filter_map(|name| {
        let found = context.stores.model(namespace, name)?;
        let at = aios_compile::hosted_at(&valid(&found)?.spec)?;
        Some((name.clone(), at))
    });
    hosted.collect()
}

/// What the platform's policies and these say of models.
fn bounds(policies: &BTreeSet<String>, namespace: &str, context: &Context) -> Bounds {
    let mut keys = context.hub.read(|index| index.platforms(namespace));
    keys.extend(policies.iter().map(|name| Key::new(Kind::Policy, name)));
    Bounds::new(keys.into_iter().filter_map(|key| {
        let bounds = of_source(namespace, &key, context, |source| source.bounds())?;
        Some((key.name, bounds))
    }))
}

/// What a policy says, as its object stands.
fn of_source<T>(
    namespace: &str,
    policy: &Key,
    context: &Context,
    read: impl FnOnce(PolicySource<'_>) -> T,
) -> Option<T> {
    let stores = &context.stores;
    if policy.kind == Kind::ClusterPolicy {
        let found = stores.cluster.policies.get(&ObjectRef::new(&policy.name))?;
        return valid(&found).map(|policy| read((&policy.spec).into()));
    }
    let found = stores.policy(namespace, &policy.name)?;
    valid(&found).map(|policy| read((&policy.spec).into()))
}

/// Whether a PolicySet was found not to compile, or to fail its tests.
fn failed(namespace: &str, policy: &Key, context: &Context) -> bool {
    let Some(guarded) = context.stores.policy(namespace, &policy.name) else {
        return false;
    };
    let status = valid(&guarded).and_then(|policy| policy.status.as_ref());
    let is_false = |kind| {
        let found = status.and_then(|status| status.conditions.get(kind));
        found.is_some_and(|condition| condition.status == "False")
    };
    is_false(ConditionType::Compiled) || is_false(ConditionType::TestsPassed)
}
