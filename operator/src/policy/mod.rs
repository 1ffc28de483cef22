//! A PolicySet or ClusterPolicySet becomes a compiled policy with a digest, enforced once data
//! planes echo it. It has no children: the rooms are validate, offer, status.

mod kinds;
mod operators;
mod status;

pub use kinds::Policy;
use operators::Teller;
pub use status::enforcement;

use std::sync::Arc;

use aios_compile::Diagnostic;
use aios_crds::PolicySetStatus;
use aios_proto::{
    config::{Owner, pack},
    control::Item,
};
use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};

use crate::{
    context::{Context, next_look},
    control::{Audience, Broken, Enforcement, Key, Kind},
    error::Result,
    invalid,
    share::Choice,
    status::Stated,
    triggers::Guarded,
};

/// What a pass saw.
pub struct Observed {
    /// Digest and number of rules, or what is wrong.
    pub compiled: Result<Compiled, Vec<Diagnostic>>,
    /// Whether an earlier version stays in force.
    pub last_good: bool,
    pub enforcement: Enforcement,
}

pub struct Compiled {
    pub digest: String,
    pub rules: usize,
}

/// Compiles and offers a policy, and tells who enforces it.
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
    let compiled = match policy.compile() {
        Ok(config) => {
            let generation = policy.meta().generation.unwrap_or_default();
            let item = pack(
                K::KIND.to_wire(),
                Owner {
                    name,
                    uid,
                    generation,
                },
                &config,
            )?;
            let compiled = Compiled {
                digest: item.digest.clone(),
                rules: config.rules.len(),
            };
            offer(policy, &namespace, item, &context);
            Ok(compiled)
        }
        Err(diagnostics) => {
            let was_good = Stated::status(policy).is_some_and(|status| status.digest.is_some());
            let broken = Broken {
                uid: &uid,
                was_good,
                selector: policy.selector(),
            };
            context
                .hub
                .change(|index| index.keep(&namespace, &key, broken));
            Err(diagnostics)
        }
    };
    let now = Timestamp::now();
    let observed = context.hub.read(|index| Observed {
        compiled,
        last_good: index.owner(&namespace, &key).is_some() || index.is_held(&namespace, &key),
        enforcement: index.enforcement(&namespace, &key, Audience::Writers, now),
    });
    let generation = policy.meta().generation.unwrap_or_default();
    let before = Stated::status(policy).cloned().unwrap_or_default();
    let teller = Teller {
        name: context.share.me(),
        is_sole: *context.share.choice() == Choice::All,
    };
    let teller = (K::KIND == Kind::ClusterPolicy).then_some(teller);
    let status = status::status(before, &observed, teller, generation, now);
    let api = policy.api(context.applier.client(), &namespace);
    let due = context.statuses.write(&api, policy, &status).await?;
    Ok(next_look([due, observed.enforcement.look_again]))
}

fn offer<K: Policy>(policy: &K, namespace: &str, item: Item, context: &Context) {
    context.hub.change(|index| match policy.selector() {
        Some(selector) => index.apply_mandatory(crate::control::Mandatory {
            item,
            selector: selector.clone(),
        }),
        None => index.apply(namespace, K::KIND, item),
    });
}
