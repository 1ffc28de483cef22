//! Watches of what has no namespace: ClusterPolicySets, and the labels of namespaces.

use std::sync::Arc;

use aios_crds::ClusterPolicySet;
use kube::{Api, Client, Resource, ResourceExt, runtime::reflector, runtime::watcher};

use crate::{
    control::{Hub, Key, Kind},
    triggers::{Guarded, NamespaceMeta, Triggers},
    watch::{
        ClusterStores,
        cell::Feeds,
        feed::{Touch, feed, prune_kind},
    },
};

/// Starts the watches.
pub fn cluster(
    client: &Client,
    hub: &Arc<Hub>,
    triggers: &Triggers,
    feeds: &mut Feeds,
) -> ClusterStores {
    let (policies, writer) = reflector::store();
    let (index, queues) = (hub.clone(), triggers.clone());
    let touched = move |touch: Touch<Guarded<ClusterPolicySet>>| match touch {
        Touch::Applied { before, now } => {
            let key = Key::new(Kind::ClusterPolicy, &now.name_any());
            if before.is_none() {
                index.expect("", key.clone());
            }
            if before.is_none_or(|before| before.meta().generation != now.meta().generation) {
                queues.cluster_policy(&key.name);
            }
        }
        Touch::Deleted(gone) => {
            index
                .change(|index| index.delete("", &Key::new(Kind::ClusterPolicy, &gone.name_any())));
        }
    };
    let api = Api::<Guarded<ClusterPolicySet>>::all(client.clone());
    feeds.spawn(|listed| {
        feed(
            api,
            watcher::Config::default(),
            writer,
            prune_kind,
            touched,
            listed,
        )
    });

    let (namespaces, writer) = reflector::store();
    let (index, queues) = (hub.clone(), triggers.clone());
    let touched = move |touch: Touch<NamespaceMeta>| match touch {
        Touch::Applied { before, now } => {
            let name = now.name_any();
            if before
                .as_ref()
                .is_none_or(|before| before.labels() != now.labels())
            {
                let labels = now.labels().clone();
                index.change(|index| index.label(&name, labels));
            }
            if before.is_none() {
                queues.tenant(&name);
            }
        }
        Touch::Deleted(gone) => index.change(|index| {
            index.forget(&gone.name_any());
            Vec::new()
        }),
    };
    let api = Api::<NamespaceMeta>::all(client.clone());
    feeds.spawn(|listed| {
        feed(
            api,
            watcher::Config::default(),
            writer,
            prune_kind,
            touched,
            listed,
        )
    });
    ClusterStores {
        policies,
        namespaces,
    }
}
