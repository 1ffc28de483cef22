//! Watches of Karpenter's kinds, once they are served: NodePools and NodeClaims of ours. Whatever
//! happens to one, the models of its namespace and class are looked at.

use aios_crds::ModelDeployment;
use k8s_openapi::{
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, ResourceExt,
    core::PartialObjectMeta,
    runtime::{
        reflector::{self, Store},
        watcher,
    },
};
use tokio::sync;

use crate::{
    names::{LABEL_GPU_CLASS, LABEL_NAMESPACE},
    pool::{
        class::GpuClasses,
        headroom::Buffers,
        kinds::{LABEL_POOL, NodeClaim, NodePool},
    },
    triggers::{Guarded, Triggers},
    watch::{CellStores, Feeds, Touch, feed, prune_kind, valid},
};

/// The definition whose presence says that Karpenter is installed.
const DEFINITION: &str = "nodepools.karpenter.sh";
/// The same for headroom.
const BUFFERS: &str = "capacitybuffers.autoscaling.x-k8s.io";

/// What is known of Karpenter.
pub struct Karpenter {
    is_served: sync::watch::Receiver<bool>,
    pools: Store<NodePool>,
    claims: Store<NodeClaim>,
}

impl Karpenter {
    pub fn is_served(&self) -> bool {
        *self.is_served.borrow()
    }

    /// NodePools of a namespace.
    pub fn pools(&self, namespace: &str) -> Vec<NodePool> {
        let of_namespace = |pool: &NodePool| {
            pool.labels()
                .get(LABEL_NAMESPACE)
                .is_some_and(|own| own == namespace)
        };
        let held = self.pools.state();
        let own = held.iter().filter(|pool| of_namespace(pool));
        own.map(|pool| pool.as_ref().clone()).collect()
    }

    /// NodeClaims of a NodePool, by name.
    pub fn claims(&self, pool: &str) -> Vec<NodeClaim> {
        let held = self.claims.state();
        let of_pool = held.iter().filter(|claim| {
            claim
                .labels()
                .get(LABEL_POOL)
                .is_some_and(|own| own == pool)
        });
        let mut claims: Vec<_> = of_pool.map(|claim| claim.as_ref().clone()).collect();
        claims.sort_by_key(ResourceExt::name_any);
        claims
    }
}

/// Starts the watches that classes need.
pub fn watch(
    client: &Client,
    classes: &GpuClasses,
    cells: &[CellStores],
    triggers: &Triggers,
    feeds: &mut Feeds,
) -> (Karpenter, Buffers) {
    let users = Users {
        models: cells.iter().map(|cell| cell.models.clone()).collect(),
        triggers: triggers.clone(),
    };
    let (serving, is_served) = sync::watch::channel(false);
    if classes.offer_headroom() {
        definition(client, BUFFERS, serving, users.clone(), feeds);
    }
    let karpenter = karpenter(client, classes, users, feeds);
    (karpenter, Buffers { is_served })
}

fn karpenter(client: &Client, classes: &GpuClasses, users: Users, feeds: &mut Feeds) -> Karpenter {
    let (serving, is_served) = sync::watch::channel(false);
    let (pools, pool_writer) = reflector::store();
    let (claims, claim_writer) = reflector::store();
    if classes.need_karpenter() {
        definition(client, DEFINITION, serving, users.clone(), feeds);
        let config = watcher::Config::default().labels(LABEL_GPU_CLASS);
        let (api, own, mut served) = (Api::all(client.clone()), users.clone(), is_served.clone());
        let (selected, touched) = (config.clone(), move |touch: Touch<NodePool>| match touch {
            Touch::Applied {
                before: Some(before),
                now,
            } if before.status == now.status && before.spec == now.spec => {}
            Touch::Applied { now: object, .. } | Touch::Deleted(object) => {
                own.of(&object.metadata);
            }
        });
        feeds.spawn_apart(async move {
            let _ = served.wait_for(|is_served| *is_served).await;
            feed(api, selected, pool_writer, prune_kind, touched, || {}).await;
        });
        let (api, mut served) = (Api::all(client.clone()), is_served.clone());
        let touched = move |touch: Touch<NodeClaim>| match touch {
            // Karpenter notes often when a pod of the node last changed.
            Touch::Applied {
                before: Some(before),
                now,
            } if before.status == now.status
                && before.metadata.deletion_timestamp == now.metadata.deletion_timestamp => {}
            Touch::Applied { now: object, .. } | Touch::Deleted(object) => {
                users.of(&object.metadata);
            }
        };
        feeds.spawn_apart(async move {
            let _ = served.wait_for(|is_served| *is_served).await;
            feed(api, config, claim_writer, prune_kind, touched, || {}).await;
        });
    }
    Karpenter {
        is_served,
        pools,
        claims,
    }
}

/// Whether a kind is there: one definition, by its metadata.
fn definition(
    client: &Client,
    name: &str,
    serving: sync::watch::Sender<bool>,
    users: Users,
    feeds: &mut Feeds,
) {
    type Definition = PartialObjectMeta<CustomResourceDefinition>;
    let (_, writer) = reflector::store();
    let touched = move |touch: Touch<Definition>| {
        let now = matches!(touch, Touch::Applied { .. });
        if serving.send_replace(now) != now {
            users.all();
        }
    };
    let api = Api::<Definition>::all(client.clone());
    let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
    feeds.spawn(|listed| feed(api, config, writer, prune_kind, touched, listed));
}

/// Models that name a class.
#[derive(Clone)]
struct Users {
    models: Vec<Store<Guarded<ModelDeployment>>>,
    triggers: Triggers,
}

impl Users {
    fn all(&self) {
        self.look(|_, _| true);
    }

    /// Those whose NodePool an object is of.
    fn of(&self, meta: &ObjectMeta) {
        let label = |key: &str| meta.labels.as_ref()?.get(key).cloned();
        let (Some(namespace), Some(class)) = (label(LABEL_NAMESPACE), label(LABEL_GPU_CLASS))
        else {
            return;
        };
        self.look(|own, of| own == namespace && of == class);
    }

    fn look(&self, concerns: impl Fn(&str, &str) -> bool) {
        for guarded in self.models.iter().flat_map(Store::state) {
            let Some(model) = valid(&guarded) else {
                continue;
            };
            let namespace = model.namespace().unwrap_or_default();
            if class_of(model).is_some_and(|class| concerns(&namespace, class)) {
                self.triggers.model(&namespace, &model.name_any());
            }
        }
    }
}

/// The class that a model names.
pub fn class_of(model: &ModelDeployment) -> Option<&str> {
    let own = model.spec.self_hosted.as_ref()?;
    own.gpu.as_ref()?.class.as_deref()
}
