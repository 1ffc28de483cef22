//! Watches of what has no namespace: ClusterPolicySets, and namespaces with their labels.

use std::sync::Arc;

use aios_crds::ClusterPolicySet;
use kube::{Api, Client, Resource, ResourceExt, runtime::reflector, runtime::watcher};

use crate::{
    control::{Hub, Key, Kind},
    share::Share,
    triggers::{Guarded, NamespaceMeta, Triggers},
    watch::{
        ClusterStores,
        feed::{Touch, feed, prune_kind},
        feeds::Feeds,
        valid,
    },
};

/// Starts the watches.
pub fn cluster(
    client: &Client,
    hub: &Arc<Hub>,
    triggers: &Triggers,
    share: &Share,
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
            if before.is_none_or(|before| is_news(&before, &now)) {
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
    let (index, queues, own) = (hub.clone(), triggers.clone(), share.clone());
    let touched = move |touch: Touch<NamespaceMeta>| match touch {
        Touch::Applied { before, now } => {
            let name = now.name_any();
            if before.is_none() && own.is_moving() {
                index.arrive(&name);
                own.gained(&name);
            }
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
        // Its deletion, or a change of its labels: to the watch they are the same.
        Touch::Deleted(gone) => {
            own.lost(&gone.name_any());
            index.lost(&gone.name_any());
        }
    };
    let api = Api::<NamespaceMeta>::all(client.clone());
    let config = if share.is_moving() {
        watcher::Config::default().labels_from(share.selector().query())
    } else {
        watcher::Config::default()
    };
    feeds.spawn(|listed| feed(api, config, writer, prune_kind, touched, listed));
    ClusterStores {
        policies,
        namespaces,
    }
}

/// A spec, or what another operator says of its namespaces.
fn is_news(before: &Guarded<ClusterPolicySet>, now: &Guarded<ClusterPolicySet>) -> bool {
    let told = |object| {
        let status = valid::<ClusterPolicySet>(object)?.status.as_ref();
        status.map(|status| status.operators.clone())
    };
    before.meta().generation != now.meta().generation || told(before) != told(now)
}
