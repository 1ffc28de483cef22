//! A PolicySet or ClusterPolicySet becomes a compiled policy with a digest, offered once it passes its
//! own tests and enforced once data planes echo it. It has no children: the rooms are lists, validate
//! (judge), offer, status.

mod budget;
mod judge;
mod kinds;
mod lists;
mod operators;
mod rates;
mod status;

use budget::Spent;
use judge::{Fit, Unfit};
pub use kinds::Policy;
use operators::Teller;
pub use status::enforcement;

use std::sync::Arc;

use aios_budget::Book;
use aios_compile::Resolved;
use aios_crds::PolicySetStatus;
use aios_proto::{
    config::{Owner, pack},
    control::Item,
};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};

use crate::{
    context::{Context, next_look},
    control::{Account, Audience, Broken, Enforcement, Key, Kind, Offer, Rates},
    error::Result,
    invalid,
    share::Choice,
    status::Stated,
    triggers::Guarded,
};

/// What a pass saw.
pub struct Observed {
    pub judged: Result<Fit, Unfit>,
    /// Whether an earlier version stays in force.
    pub last_good: bool,
    pub enforcement: Enforcement,
    pub rates: Rates,
    /// Of a policy with a budget that is in force.
    pub spent: Option<Spent>,
}

/// Compiles, tries and offers a policy, and tells who enforces it.
pub async fn reconcile<K>(object: Arc<Guarded<K>>, context: Arc<Context>) -> Result<Action>
where
    K: Policy + Stated<Status = PolicySetStatus>,
{
    let policy = match &object.0 {
        Ok(policy) if policy.meta().deletion_timestamp.is_some() => {
            return Ok(Action::await_change());
        }
        Ok(policy) => policy,
        Err(unreadable) => return invalid::tell(&context, K::KIND, unreadable).await,
    };
    let (namespace, name) = (policy.namespace().unwrap_or_default(), policy.name_any());
    let (key, uid) = (Key::new(K::KIND, &name), policy.uid().unwrap_or_default());
    let generation = policy.meta().generation.unwrap_or_default();
    let owner = Owner {
        name,
        uid,
        generation,
    };
    let api = policy.api(context.applier.client(), &namespace);
    let before = Stated::status(policy).cloned().unwrap_or_default();
    let quotas = policy.source().quotas.filter(|_| !policy.source().dry_run);
    let budget = quotas.and_then(|quotas| quotas.budget.as_ref());
    let found = match item(policy, &namespace, &key, &owner, &context).await {
        Ok(found) => found,
        Err(error) => {
            let has = (!policy.source().tests.is_empty(), budget.is_some());
            let now = Timestamp::now();
            let status = status::failed(before, has, &error, generation, now);
            context.statuses.write(&api, policy, &status).await?;
            return Err(error);
        }
    };
    let judged = match found {
        Ok(item) => {
            let fit = Fit::of(&item, policy.source());
            offer(policy, &namespace, item, &context);
            Ok(fit)
        }
        Err(unfit) => {
            let broken = Broken {
                uid: &owner.uid,
                was_good: before.digest.is_some(),
                selector: policy.selector(),
            };
            context
                .hub
                .change(|index| index.keep(&namespace, &key, broken));
            Err(unfit)
        }
    };
    let now = Timestamp::now();
    let spent = match budget {
        None => None,
        Some(budget) => {
            let books = books::<K>(&namespace, &key.name, &context).await?;
            Spent::of(budget, books, &before.budgets, now)
        }
    };
    let observed = context.hub.read(|index| Observed {
        judged,
        last_good: index.owner(&namespace, &key).is_some() || index.is_held(&namespace, &key),
        enforcement: index.enforcement(&namespace, &key, Audience::Writers, now),
        rates: index.rates(&namespace, &key),
        spent,
    });
    let teller = Teller {
        name: context.share.me(),
        is_sole: *context.share.choice() == Choice::All,
    };
    let teller = (K::KIND == Kind::ClusterPolicy).then_some(teller);
    let status = status::status(&before, &observed, teller, generation, now);
    let due = context.statuses.write(&api, policy, &status).await?;
    let turns = observed.spent.and_then(|spent| spent.turns);
    Ok(next_look([due, observed.enforcement.look_again, turns]))
}

/// The books of a policy's budget: its namespace's, or those of all namespaces that are at hand.
async fn books<K: Policy>(
    namespace: &str,
    name: &str,
    context: &Context,
) -> Result<Vec<(String, Book)>> {
    if K::KIND == Kind::ClusterPolicy {
        return Ok(context.budgets.remembered(name));
    }
    let account = Account::new(namespace, K::KIND, name);
    let book = context.book(&account).await?;
    Ok(vec![(namespace.to_owned(), book)])
}

/// The policy for data planes, if it is fit. Every acknowledgement of a pod brings another look, so
/// what was found fit at this generation is not judged again.
async fn item<K: Policy>(
    policy: &K,
    namespace: &str,
    key: &Key,
    owner: &Owner,
    context: &Context,
) -> Result<Result<Item, Unfit>> {
    let is_same =
        |offer: &&Offer| offer.owner_uid() == owner.uid && offer.generation() == owner.generation;
    let known = context.hub.read(|index| {
        let known = index.offered(namespace, key);
        known.filter(is_same).map(Offer::item)
    });
    let source = policy.source();
    let lists = lists::found(source.rules, namespace, &context.applier).await?;
    // A list changes without the policy's generation.
    if let Some(item) = known.filter(|_| lists == Resolved::default()) {
        return Ok(Ok(item));
    }
    let compiled = match aios_compile::policy(&owner.name, K::SCOPE, source, &lists) {
        Ok(compiled) => compiled,
        Err(found) => {
            let has_tests = !source.tests.is_empty();
            return Ok(Err(Unfit::Mistakes { found, has_tests }));
        }
    };
    if let Err(unfit) = judge::tried(&compiled) {
        return Ok(Err(unfit));
    }
    let mut item = pack(K::KIND.to_wire(), owner.clone(), &compiled.config)?;
    item.engine = compiled.revisions();
    Ok(Ok(item))
}

fn offer<K: Policy>(policy: &K, namespace: &str, item: Item, context: &Context) {
    context.hub.change(|index| match policy.selector() {
        Some(selector) => index.apply_mandatory(crate::control::Mandatory {
            item: Arc::new(item.into()),
            selector: selector.clone(),
        }),
        None => index.apply(namespace, K::KIND, item),
    });
}
