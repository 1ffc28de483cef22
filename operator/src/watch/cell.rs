//! Watches of one scope: the four namespaced kinds in full, their children by metadata.

use std::sync::Arc;

use aios_compile::references;
use aios_crds::{ModelDeployment, PolicySet, WritingPipeline, WritingRun};
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        apps::v1::{Deployment, StatefulSet},
        batch::v1::Job,
        core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service, ServiceAccount},
        networking::v1::NetworkPolicy,
        policy::v1::PodDisruptionBudget,
        rbac::v1::{Role, RoleBinding},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    core::NamespaceResourceScope,
    runtime::{
        reflector::{self, Store},
        watcher,
    },
};

use crate::{
    apply::Known,
    control::{Hub, Key, Kind},
    names::{CA, FIELD_MANAGER, LABEL_MANAGED_BY},
    share::Share,
    triggers::{Guarded, Scope, Triggers},
    watch::{
        CellStores, Meta, Target,
        feed::{Touch, Watched, follow, prune_kind, prune_pod},
        feeds::Feeds,
        follow::Following,
        metadata::{Noted, Shown, note},
        of_child,
        referrers::{
            awaiting, everything_of, models_that, pipelines_that, pipelines_with, policies_that,
            runs_of, warmed_by,
        },
        relations::of_pod,
        valid,
    },
};

/// What a change of an object means to others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    /// It came or went.
    Existence,
    Spec {
        /// Whether what it asks of its namespace changed with it.
        shared: bool,
    },
    /// Status or metadata.
    Other,
}

/// Starts the watches of one scope. `postgres` is the name of Secrets that lead a tenant to its
/// PostgreSQL.
pub fn cell(
    client: &Client,
    (scope, share): (&Scope, &Share),
    (hub, known): (&Arc<Hub>, &Known),
    (triggers, postgres): (&Triggers, Option<&str>),
    feeds: &mut Feeds,
) -> CellStores {
    let (models, model_writer) = reflector::store();
    let (policies, policy_writer) = reflector::store();
    let (pipelines, pipeline_writer) = reflector::store();
    let (runs, run_writer) = reflector::store();
    let start = Start {
        client,
        scope,
        share,
        hub,
        known,
        triggers,
        lost: everything_of(triggers, (&models, &policies), &pipelines, &runs),
    };

    let (queues, referrers, judged) = (triggers.clone(), pipelines.clone(), policies.clone());
    start.kind::<ModelDeployment>(
        feeds,
        model_writer,
        Kind::Model,
        |_, _| false,
        move |namespace, name, change| {
            if change != Change::Other {
                queues.model(namespace, name);
            }
            if change == Change::Existence {
                queues.tenant(namespace);
            }
            pipelines_with((&referrers, &judged), namespace, name, |name| {
                queues.pipeline(namespace, name);
            });
        },
    );
    let (queues, referrers) = (triggers.clone(), pipelines.clone());
    let evaluated = models.clone();
    start.kind::<PolicySet>(
        feeds,
        policy_writer,
        Kind::Policy,
        |_, _| false,
        move |namespace, name, change| {
            if change != Change::Other {
                queues.policy(namespace, name);
            }
            let names = |spec: &references::References| spec.policies.contains(name);
            pipelines_that(&referrers, namespace, names, |name| {
                queues.pipeline(namespace, name);
            });
            models_that(&evaluated, namespace, names, |name| {
                queues.model(namespace, name);
            });
        },
    );
    let (queues, referrers, own) = (triggers.clone(), runs.clone(), pipelines.clone());
    start.kind::<WritingPipeline>(
        feeds,
        pipeline_writer,
        Kind::Pipeline,
        shares_anew,
        move |namespace, name, change| {
            if change == Change::Other {
                return;
            }
            queues.pipeline(namespace, name);
            if change != (Change::Spec { shared: false }) {
                queues.tenant(namespace);
            }
            runs_of(&referrers, namespace, name, |name| {
                queues.run(namespace, name);
            });
            for model in warmed_by(&own, namespace, name) {
                queues.model(namespace, &model);
            }
        },
    );
    let (queues, made) = (triggers.clone(), runs.clone());
    start.kind::<WritingRun>(
        feeds,
        run_writer,
        Kind::Run,
        |_, _| false,
        move |namespace, name, change| {
            if change != Change::Other {
                queues.run(namespace, name);
            }
            if let Some(pipeline) = awaiting(&made, namespace, name) {
                queues.pipeline(namespace, &pipeline);
            }
        },
    );

    start.children(feeds);
    start.secrets(feeds, models.clone(), postgres.map(str::to_owned));
    start.config_maps(feeds, &pipelines, &models, &policies);
    start.pods(feeds);
    CellStores {
        scope: scope.clone(),
        models,
        policies,
        pipelines,
        runs,
    }
}

struct Start<'a> {
    client: &'a Client,
    scope: &'a Scope,
    share: &'a Share,
    hub: &'a Arc<Hub>,
    known: &'a Known,
    triggers: &'a Triggers,
    /// See [`Noted::lost`].
    lost: Arc<dyn Fn(&str) + Send + Sync>,
}

impl Start<'_> {
    /// A kind of ours. A deleted object leaves the index at once; everything else is its reconciler's.
    fn kind<K>(
        &self,
        feeds: &mut Feeds,
        writer: reflector::store::Writer<Guarded<K>>,
        kind: Kind,
        shares_anew: fn(&Guarded<K>, &Guarded<K>) -> bool,
        changed: impl Fn(&str, &str, Change) + Send + 'static,
    ) where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Watched,
        Guarded<K>: Watched + Resource<Scope = NamespaceResourceScope>,
    {
        let hub = self.hub.clone();
        let touched = move |touch: Touch<Guarded<K>>| {
            let object = match &touch {
                Touch::Applied { now, .. } => now,
                Touch::Deleted(gone) => gone,
            };
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            let key = Key::new(kind, &name);
            match &touch {
                Touch::Applied { before: None, .. } => {
                    hub.expect(&namespace, key);
                    changed(&namespace, &name, Change::Existence);
                }
                Touch::Applied {
                    before: Some(before),
                    now,
                } => {
                    let (was, is) = (before.meta(), now.meta());
                    let change =
                        if was.uid != is.uid || was.deletion_timestamp != is.deletion_timestamp {
                            Change::Existence
                        } else if was.generation == is.generation {
                            Change::Other
                        } else {
                            let shared = shares_anew(before, now);
                            Change::Spec { shared }
                        };
                    changed(&namespace, &name, change);
                }
                Touch::Deleted(_) => {
                    hub.change(|index| index.delete(&namespace, &key));
                    changed(&namespace, &name, Change::Existence);
                }
            }
        };
        let api = self.api::<Guarded<K>>();
        let config = watcher::Config::default();
        let own = self.following();
        feeds.spawn(|listed| follow(api, config, own, writer, (prune_kind, touched, listed)));
    }

    /// All kinds of children but Secrets and ConfigMaps, which others make too.
    fn children(&self, feeds: &mut Feeds) {
        self.child::<ServiceAccount>(feeds);
        self.child::<Role>(feeds);
        self.child::<RoleBinding>(feeds);
        self.child::<PodDisruptionBudget>(feeds);
        self.child::<Deployment>(feeds);
        self.child::<StatefulSet>(feeds);
        self.child::<Job>(feeds);
        self.child::<Service>(feeds);
        self.child::<PersistentVolumeClaim>(feeds);
        self.child::<NetworkPolicy>(feeds);
    }

    /// A kind of children: whatever others do to one, its owner looks at it.
    fn child<K>(&self, feeds: &mut Feeds)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Watched,
    {
        let queues = self.triggers.clone();
        let config = watcher::Config::default().labels(&ours());
        let to = self.noted(move |meta| {
            to_owner(&queues, meta);
        });
        self.note::<K>(feeds, config, to, |_| ());
    }

    /// Secrets of ours, and those that models and gateways need. Only metadata: no value is held.
    fn secrets(
        &self,
        feeds: &mut Feeds,
        models: Store<Guarded<ModelDeployment>>,
        postgres: Option<String>,
    ) {
        let queues = self.triggers.clone();
        let to = self.noted(move |meta| {
            if to_owner(&queues, meta) {
                return;
            }
            let (namespace, name) = place(meta);
            if postgres.as_deref() == Some(name) {
                queues.tenant(namespace);
            }
            let names = |spec: &references::References| {
                spec.secrets.iter().any(|(secret, _)| secret == name)
            };
            models_that(&models, namespace, names, |name| {
                queues.model(namespace, name);
            });
        });
        self.note::<Secret>(feeds, watcher::Config::default(), to, |_| ());
    }

    /// ConfigMaps of ours, among them the namespaces' claims, and those that pipelines, models and policies
    /// refer to.
    fn config_maps(
        &self,
        feeds: &mut Feeds,
        pipelines: &Store<Guarded<WritingPipeline>>,
        models: &Store<Guarded<ModelDeployment>>,
        policies: &Store<Guarded<PolicySet>>,
    ) {
        let queues = self.triggers.clone();
        let (pipelines, models) = (pipelines.clone(), models.clone());
        let policies = policies.clone();
        let mut to = self.noted(move |meta| {
            if to_owner(&queues, meta) {
                return;
            }
            let (namespace, name) = place(meta);
            let names = |spec: &references::References| spec.config_maps.contains(name);
            policies_that(&policies, namespace, names, |name| {
                queues.policy(namespace, name);
            });
            pipelines_that(&pipelines, namespace, names, |name| {
                queues.pipeline(namespace, name);
            });
            models_that(&models, namespace, names, |name| {
                queues.model(namespace, name);
            });
        });
        let (share, known, lost) = (self.share.clone(), self.known.clone(), to.lost);
        to.lost = Arc::new(move |namespace| {
            if known.is_absent(&ConfigMap::kind(&()), namespace, CA) {
                share.forgot(namespace);
            }
            lost(namespace);
        });
        let share = self.share.clone();
        let claims = move |shown: Shown<'_>| match shown {
            Shown::Is(meta) if place(meta).1 == CA => share.saw(meta),
            Shown::Gone(meta) if place(meta).1 == CA => share.saw_gone(meta),
            Shown::Is(_) | Shown::Gone(_) => {}
        };
        self.note::<ConfigMap>(feeds, watcher::Config::default(), to, claims);
    }

    /// A kind of which only metadata is watched.
    fn note<K>(
        &self,
        feeds: &mut Feeds,
        config: watcher::Config,
        to: Noted,
        each: impl FnMut(Shown<'_>) + Send + 'static,
    ) where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Watched,
    {
        let (api, own) = (self.api::<Meta<K>>(), self.following());
        feeds.spawn(|listed| note(api, config, own, to, (each, listed)));
    }

    fn noted(&self, news: impl Fn(&ObjectMeta) + Send + Sync + 'static) -> Noted {
        Noted {
            known: self.known.clone(),
            namespace: match self.scope {
                Scope::All => None,
                Scope::Namespace(namespace) => Some(namespace.clone()),
            },
            news: Arc::new(news),
            lost: self.lost.clone(),
        }
    }

    /// Running pods of data planes: those that wait for a node or have ended enforce nothing.
    fn pods(&self, feeds: &mut Feeds) {
        let (_, writer) = reflector::store();
        let hub = self.hub.clone();
        let touched = move |touch: Touch<Meta<Pod>>| match touch {
            Touch::Applied { before, now } => {
                let known = before.is_some_and(|before| before.uid() == now.uid());
                if let (false, Some(pod)) = (known, of_pod(now.meta(), Timestamp::now())) {
                    hub.pod(&now.namespace().unwrap_or_default(), pod);
                }
            }
            Touch::Deleted(gone) => {
                if let Some(pod) = of_pod(gone.meta(), Timestamp::now()) {
                    hub.pod_gone(&gone.namespace().unwrap_or_default(), &pod);
                }
            }
        };
        let config = watcher::Config::default()
            .labels(&ours())
            .fields("status.phase=Running");
        let api = self.api::<Meta<Pod>>();
        let own = self.following();
        feeds.spawn(|listed| follow(api, config, own, writer, (prune_pod, touched, listed)));
    }

    fn following<K>(&self) -> Following<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Watched,
    {
        Following::of(self.share, self.client, Api::namespaced)
    }

    fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self.scope {
            Scope::All => Api::all(self.client.clone()),
            Scope::Namespace(namespace) => Api::namespaced(self.client.clone(), namespace),
        }
    }
}

/// Whether the object is a child of ours; its owner is put into its queue.
fn to_owner(queues: &Triggers, meta: &ObjectMeta) -> bool {
    let (namespace, _) = place(meta);
    match of_child(meta) {
        Some(Target::Model(name)) => queues.model(namespace, &name),
        Some(Target::Run(name)) => queues.run(namespace, &name),
        Some(Target::Tenant) => queues.tenant(namespace),
        None => return false,
    }
    true
}

/// Namespace and name.
fn place(meta: &ObjectMeta) -> (&str, &str) {
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    (namespace, meta.name.as_deref().unwrap_or_default())
}

/// Whether a pipeline asks something else of what its namespace shares. An unreadable one may.
fn shares_anew(before: &Guarded<WritingPipeline>, now: &Guarded<WritingPipeline>) -> bool {
    match (valid(before), valid(now)) {
        (Some(before), Some(now)) => {
            let secrets = |spec| references::of_pipeline(spec).secrets;
            before.spec.deletion_policy != now.spec.deletion_policy
                || secrets(&before.spec) != secrets(&now.spec)
        }
        _ => true,
    }
}

fn ours() -> String {
    format!("{LABEL_MANAGED_BY}={FIELD_MANAGER}")
}
