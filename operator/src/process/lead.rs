//! What only the leader does: watch, reconcile, serve the control stream.

use std::{collections::BTreeSet, sync::Arc};

use aios_crds::{ClusterPolicySet, PolicySet};
use aios_proto::control::control_server::ControlServer;
use aios_runtime::admin::Health;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Client, ResourceExt,
    runtime::{
        events::{Recorder, Reporter},
        reflector::Store,
    },
};
use tokio::{sync::mpsc::UnboundedReceiver, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::{
    apply::{Applier, Known},
    ca::{self, Current},
    context::{Backoff, Context},
    control::{Authenticator, Budgets, ControlService, Hub, Index, Witness},
    leader,
    metrics::Metrics,
    model,
    names::BOOTSTRAP,
    pipeline, policy,
    pool::{self, GpuClasses},
    process::{ProcessError, listen, rotation::Rotation, serving},
    run, runner,
    settings::Settings,
    share::{self, Arrived, Share},
    status::StatusWriter,
    tenant::{self, Board, Rolling},
    triggers::{Cell, Guarded, NamespaceMeta, Queue, Requests, Triggers},
    watch::{self, CellStores, Feeds, Stores},
};

/// Messages of many pipelines with their texts.
const MAX_MESSAGE: usize = 64 << 20;

/// Reading ends of one scope's queues.
struct CellRequests {
    models: Requests<Guarded<aios_crds::ModelDeployment>>,
    policies: Requests<Guarded<PolicySet>>,
    pipelines: Requests<Guarded<aios_crds::WritingPipeline>>,
    runs: Requests<Guarded<aios_crds::WritingRun>>,
}

struct AllRequests {
    cells: Vec<CellRequests>,
    cluster_policies: Requests<Guarded<ClusterPolicySet>>,
    tenants: Requests<NamespaceMeta>,
    offers: Requests<NamespaceMeta>,
}

/// Leads until shutdown or until a part ends.
pub async fn lead(
    client: &Client,
    (settings, gpu_classes): (&Settings, GpuClasses),
    metrics: Metrics,
    health: &Health,
    shutdown: &CancellationToken,
) -> Result<(), ProcessError> {
    leader::admitted(client, settings).await?;
    let now = Timestamp::now();
    let authority = Current::new(ca::load(client, &settings.namespace, now).await?);
    let (triggers, requests) = queues(settings);
    let (share, mut arrivals) = settings.share(metrics.refused_namespaces())?;
    let start = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let hub = Arc::new(Hub::new(Index::new(start), triggers.clone()));
    let witness =
        Arc::new(Witness::load(client.clone(), &settings.namespace, triggers.clone()).await?);
    let budgets = Budgets::new(client.clone(), &settings.namespace, triggers.clone());
    let budgets = Arc::new(budgets);

    let known = Known::default();
    let mut feeds = Feeds::default();
    let cluster = watch::cluster(client, &hub, &triggers, &share, &mut feeds);
    if share.is_moving() {
        // Which objects are held depends on the labels of their namespaces.
        feeds.listed().await;
        while let Ok(arrived) = arrivals.try_recv() {
            welcome(&share, &hub, &arrived);
        }
        share::release(client, &share).await?;
    }
    let (seen, told) = ((&hub, &known), &triggers);
    let cells = cells(client, (settings, &share), seen, told, &mut feeds);
    let stores = Stores { cells, cluster };
    let cells = &stores.cells;
    let (karpenter, buffers) = pool::watch(client, &gpu_classes, cells, &triggers, &mut feeds);
    let applier = Applier::new(client.clone(), metrics.clone(), known.clone());
    let reporter = Reporter {
        controller: "aios-operator".into(),
        instance: settings.pod_name.clone(),
    };
    let recorder = Recorder::new(client.clone(), reporter);
    let context = Arc::new(Context {
        settings: settings.clone(),
        gpu_classes,
        karpenter,
        buffers,
        statuses: StatusWriter::new(metrics.clone(), recorder.clone()),
        applier,
        hub: hub.clone(),
        witness: witness.clone(),
        budgets: budgets.clone(),
        authority: authority.clone(),
        triggers,
        stores,
        share: share.clone(),
        board: Board::default(),
        rolling: Rolling::default(),
        metrics: metrics.clone(),
        backoff: Backoff::default(),
    });

    feeds.listed().await;
    known.listed();
    hub.listed();
    let mut runners = start_all(&context, requests);
    let mut rotated = authority.changes();
    runners.spawn(Rotation::new(client, &context, recorder).run());
    runners.spawn(welcome_all(share.clone(), hub.clone(), arrivals));

    let service = ControlService {
        hub,
        share,
        authenticator: Arc::new(Authenticator::new(client.clone())),
        witness,
        budgets,
        metrics,
        shutdown: shutdown.clone(),
    };
    let control = ControlServer::new(service)
        .max_decoding_message_size(MAX_MESSAGE)
        .max_encoding_message_size(MAX_MESSAGE);
    let app = Routes::new(control).prepare().into_axum_router();
    let tls = serving::open(&authority.get(), settings)?;
    let listener = listen(settings.control_address).await?;
    let server = aios_runtime::serve::serve(listener, app, Some(tls), shutdown.clone());
    leader::mark(client, settings).await?;
    health.set_ready(true, "");

    tokio::pin!(server);
    let mut renewal = tokio::time::interval(serving::RENEW);
    renewal.reset();
    loop {
        tokio::select! {
            ended = &mut server => {
                // Streams have ended: nothing is left to do but to stop reconciling.
                runners.shutdown().await;
                return ended.map_err(|error| {
                    ProcessError::Listen { address: settings.control_address, error }
                });
            }
            _ = runners.join_next() => return Err(ProcessError::Ended("a reconciler")),
            () = feeds.ended() => return Err(ProcessError::Ended("a watch")),
            _ = renewal.tick() => serving::renew(&authority.get(), settings)?,
            changed = rotated.changed() => {
                changed.map_err(|_| ProcessError::Ended("the rotation of the CA"))?;
                serving::renew(&authority.get(), settings)?;
                certify_all(&context);
            }
        }
    }
}

/// Everyone's trust and certificates are looked at: the CA is another.
fn certify_all(context: &Context) {
    let mut namespaces = BTreeSet::new();
    for cell in &context.stores.cells {
        for model in cell.models.state() {
            let namespace = model.namespace().unwrap_or_default();
            context.triggers.model(&namespace, &model.name_any());
            namespaces.insert(namespace);
        }
        let pipelines = cell.pipelines.state();
        namespaces.extend(pipelines.iter().filter_map(|one| one.namespace()));
    }
    for namespace in &namespaces {
        context.triggers.tenant(namespace);
    }
}

/// Starts the watches of every scope.
fn cells(
    client: &Client,
    (settings, share): (&Settings, &Share),
    seen: (&Arc<Hub>, &Known),
    triggers: &Triggers,
    feeds: &mut Feeds,
) -> Vec<CellStores> {
    let told = (triggers, settings.gateway_postgres_secret.as_deref());
    let scopes = settings.scopes();
    let watched = scopes.iter().map(|scope| {
        let scope = (scope, share);
        watch::cell(client, scope, seen, told, feeds)
    });
    watched.collect()
}

/// All objects of a namespace are held: they may be worked on.
fn welcome(share: &Share, hub: &Hub, arrived: &Arrived) {
    if share.settle(arrived) {
        tracing::info!(namespace = arrived.namespace, "selected");
        hub.arrived(&arrived.namespace);
    }
}

async fn welcome_all(share: Share, hub: Arc<Hub>, mut arrivals: UnboundedReceiver<Arrived>) {
    while let Some(arrived) = arrivals.recv().await {
        welcome(&share, &hub, &arrived);
    }
}

fn queues(settings: &Settings) -> (Triggers, AllRequests) {
    let (mut cells, mut reading) = (Vec::new(), Vec::new());
    for scope in settings.scopes() {
        let (models, model_requests) = Queue::new();
        let (policies, policy_requests) = Queue::new();
        let (pipelines, pipeline_requests) = Queue::new();
        let (runs, run_requests) = Queue::new();
        cells.push(Cell {
            scope,
            models,
            policies,
            pipelines,
            runs,
        });
        reading.push(CellRequests {
            models: model_requests,
            policies: policy_requests,
            pipelines: pipeline_requests,
            runs: run_requests,
        });
    }
    let (cluster_policies, cluster_requests) = Queue::new();
    let (tenants, tenant_requests) = Queue::new();
    let (offers, offer_requests) = Queue::new();
    let requests = AllRequests {
        cells: reading,
        cluster_policies: cluster_requests,
        tenants: tenant_requests,
        offers: offer_requests,
    };
    let shared = (tenants, offers);
    (Triggers::new(cells, cluster_policies, shared), requests)
}

/// Starts one runner a kind and scope.
fn start_all(context: &Arc<Context>, requests: AllRequests) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for (index, cell) in requests.cells.into_iter().enumerate() {
        let Some(stores) = context.stores.cells.get(index) else {
            continue;
        };
        let (models, policies) = (stores.models.clone(), stores.policies.clone());
        let (pipelines, runs) = (stores.pipelines.clone(), stores.runs.clone());
        let run_models = runner::run(
            "ModelDeployment",
            context.clone(),
            models,
            cell.models,
            model::reconcile,
        );
        tasks.spawn(run_models);
        tasks.spawn(runner::run(
            "PolicySet",
            context.clone(),
            policies,
            cell.policies,
            policy::reconcile::<PolicySet>,
        ));
        tasks.spawn(runner::run(
            "WritingPipeline",
            context.clone(),
            pipelines,
            cell.pipelines,
            pipeline::reconcile,
        ));
        tasks.spawn(runner::run(
            "WritingRun",
            context.clone(),
            runs,
            cell.runs,
            run::reconcile,
        ));
    }
    let policies: Store<Guarded<ClusterPolicySet>> = context.stores.cluster.policies.clone();
    tasks.spawn(runner::run(
        "ClusterPolicySet",
        context.clone(),
        policies,
        requests.cluster_policies,
        policy::reconcile::<ClusterPolicySet>,
    ));
    let namespaces = context.stores.cluster.namespaces.clone();
    tasks.spawn(runner::run(
        "Tenant",
        context.clone(),
        namespaces.clone(),
        runner::gathered(requests.tenants, |_| runner::BURST),
        tenant::reconcile,
    ));
    let applier = context.applier.clone();
    tasks.spawn(runner::run(
        "Bootstrap",
        context.clone(),
        namespaces,
        runner::gathered(requests.offers, move |namespace| {
            if applier.has_none::<ConfigMap>(&namespace.name, BOOTSTRAP) {
                runner::FIRST_OFFER
            } else {
                runner::OFFER
            }
        }),
        tenant::offer,
    ));
    tasks
}
