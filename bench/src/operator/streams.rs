//! Connected data planes: gateways that attach as pods do, with tokens bound to pods, and confirm
//! what they are sent. What the operator needs for each.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use aios_e2e::testing::{ControlPlane, Running, eventually};
use aios_proto::control::{ItemAck, Report, Role, Snapshot};
use aios_runtime::{
    control::{AttachConfig, Enforce, attach},
    tls::ClientTls,
};
use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::{ConfigMap, Pod, ServiceAccount},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde::Serialize;
use serde_json::json;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::contender::next_operator;
use crate::measure::{Memory, Process};

const DEADLINE: Duration = Duration::from_mins(10);
/// Time for statuses to tell of new pods.
const SETTLING: Duration = Duration::from_secs(10);
/// Time to list everything anew.
const LISTING: Duration = Duration::from_secs(30);
const AT_ONCE: usize = 16;

#[derive(Debug, Serialize)]
pub struct Streams {
    pub count: usize,
    /// From the first attachment until each has its configuration.
    pub attached_seconds: f64,
    pub before: Memory,
    pub after: Memory,
    pub kb_per_stream: f64,
    /// After all watches broke and everything was listed anew. Its peak is that of the listing.
    pub relist: Memory,
    pub storm: Storm,
}

/// The operator was killed, and all came back to the next one.
#[derive(Debug, Serialize)]
pub struct Storm {
    /// From the start of the next operator until it leads, has listed everything and listens. The
    /// Lease of the dead one runs out meanwhile.
    pub listening_seconds: f64,
    /// From then until each has its configuration.
    pub attached_seconds: f64,
    pub cpu_seconds: f64,
    /// Its peak is that of listing and storm together.
    pub memory: Memory,
}

/// Data planes to be: where they attach, and what they show.
pub struct Crowd {
    tokens: Vec<PathBuf>,
    ca: PathBuf,
}

/// Who has been sent something by the operator of now.
#[derive(Default)]
struct Roll {
    operator: AtomicUsize,
    attached: AtomicUsize,
}

/// Accepts everything, and signs the roll once for each operator.
struct Accept {
    known: AtomicUsize,
    roll: Arc<Roll>,
}

impl Enforce for Accept {
    fn enforce(&self, snapshot: Snapshot) -> Vec<ItemAck> {
        let operator = self.roll.operator.load(Ordering::SeqCst);
        if self.known.swap(operator, Ordering::SeqCst) != operator {
            self.roll.attached.fetch_add(1, Ordering::SeqCst);
        }
        let accept = |item: aios_proto::control::Item| ItemAck {
            kind: item.kind,
            name: item.name,
            digest: item.digest,
            accepted: true,
            message: String::new(),
            engine: item.engine,
        };
        snapshot.items.into_iter().map(accept).collect()
    }
}

impl Roll {
    /// Another operator: nobody is attached to it yet.
    fn call(&self) {
        self.attached.store(0, Ordering::SeqCst);
        self.operator.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until so many have signed; how long it took.
    async fn signed(&self, count: usize) -> Result<f64> {
        let begun = Instant::now();
        eventually("every stream is attached", DEADLINE, async || {
            Ok((self.attached.load(Ordering::SeqCst) == count).then_some(()))
        })
        .await?;
        Ok(begun.elapsed().as_secs_f64())
    }
}

/// Makes pods for so many gateways, evenly over the namespaces of some objects.
pub async fn gather(
    plane: &ControlPlane,
    objects: &[Arc<DynamicObject>],
    count: usize,
) -> Result<Crowd> {
    let client = &plane.client().await?;
    let folder = plane.scratch();
    let namespaces: BTreeSet<String> = objects.iter().filter_map(|o| o.namespace()).collect();
    let namespaces: Vec<String> = namespaces.into_iter().collect();
    let ca = certificate(client, namespaces.first().context("no namespace")?, folder).await?;
    let places = (0..count).zip(namespaces.iter().cycle());
    let tokens = stream::iter(places)
        .map(|(index, namespace)| token(client, namespace, index, folder))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    tokio::time::sleep(SETTLING).await;
    Ok(Crowd { tokens, ca })
}

impl Crowd {
    pub async fn measure(
        self,
        plane: &mut ControlPlane,
        program: &Path,
        running: Running,
    ) -> Result<Streams> {
        let (count, port) = (self.tokens.len(), running.listens());
        let process = Process(running.id()?);
        let before = process.memory()?;
        let roll = Arc::new(Roll::default());
        let shutdown = CancellationToken::new();
        roll.call();
        let mut tasks = self.attach(port, &roll, &shutdown)?;
        let attached_seconds = roll.signed(count).await?;
        tokio::time::sleep(SETTLING).await;
        let after = process.memory()?;
        process.reset_peak()?;
        plane.restart_api_server().await?;
        tokio::time::sleep(LISTING).await;
        let relist = process.memory()?;
        running.stop().await?;
        roll.call();
        let (next, storm) = storm(plane, program, port, &roll, count).await?;
        shutdown.cancel();
        while tasks.join_next().await.is_some() {}
        next.stop().await?;
        let grown = after.rss_kb.saturating_sub(before.rss_kb);
        Ok(Streams {
            count,
            attached_seconds,
            before,
            after,
            kb_per_stream: (grown as f64 / count.max(1) as f64 * 10.0).round() / 10.0,
            relist,
            storm,
        })
    }

    fn attach(
        self,
        port: u16,
        roll: &Arc<Roll>,
        shutdown: &CancellationToken,
    ) -> Result<JoinSet<()>> {
        let tls = ClientTls::new(Some(&self.ca), None)?;
        let mut tasks = JoinSet::new();
        for token in self.tokens {
            let config = AttachConfig {
                operator_uri: format!("https://localhost:{port}"),
                tls: Some(tls.clone()),
                token_file: Some(token),
                certificates: Vec::new(),
                role: Role::Gateway,
                model: String::new(),
            };
            let enforce = Accept {
                known: AtomicUsize::new(0),
                roll: roll.clone(),
            };
            let shutdown = shutdown.clone();
            tasks.spawn(async move {
                let (_, reports) = watch::channel(Report::default());
                let _ = attach(config, Arc::new(enforce), reports, shutdown).await;
            });
        }
        Ok(tasks)
    }
}

async fn storm(
    plane: &ControlPlane,
    program: &Path,
    port: u16,
    roll: &Roll,
    count: usize,
) -> Result<(Running, Storm)> {
    let begun = Instant::now();
    let next = next_operator(plane, program, port).await?;
    let listening_seconds = begun.elapsed().as_secs_f64();
    let attached_seconds = roll.signed(count).await?;
    tokio::time::sleep(SETTLING).await;
    let process = Process(next.id()?);
    let storm = Storm {
        listening_seconds,
        attached_seconds,
        cpu_seconds: process.cpu_seconds()?,
        memory: process.memory()?,
    };
    Ok((next, storm))
}

/// The operator's CA, where every namespace has it.
async fn certificate(client: &Client, namespace: &str, folder: &Path) -> Result<PathBuf> {
    let map = Api::<ConfigMap>::namespaced(client.clone(), namespace)
        .get("aios-ca")
        .await?;
    let data = map.data.unwrap_or_default();
    let path = folder.join("aios-ca.crt");
    std::fs::write(
        &path,
        data.get("ca.crt").context("no certificate in aios-ca")?,
    )?;
    Ok(path)
}

/// A gateway's pod that runs nowhere, and a token that is bound to it.
async fn token(client: &Client, namespace: &str, index: usize, folder: &Path) -> Result<PathBuf> {
    let name = format!("gateway-{index:05}");
    let pod: Pod = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {
            "app.kubernetes.io/managed-by": "aios-operator",
            "app.kubernetes.io/component": "gateway"}},
        "spec": {"serviceAccountName": "aios-gateway", "automountServiceAccountToken": false,
            "containers": [{"name": "gateway", "image": "example.com/gateway"}]},
    }))?;
    let pods = Api::<Pod>::namespaced(client.clone(), namespace);
    let pod = pods.create(&PostParams::default(), &pod).await?;
    let runs = Patch::Merge(json!({"status": {"phase": "Running"}}));
    pods.patch_status(&name, &PatchParams::default(), &runs)
        .await?;
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: vec!["aios-control".into()],
            expiration_seconds: Some(3600),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".into()),
                kind: Some("Pod".into()),
                name: Some(name.clone()),
                uid: pod.metadata.uid,
            }),
        },
        ..TokenRequest::default()
    };
    let answer = Api::<ServiceAccount>::namespaced(client.clone(), namespace)
        .create_token_request("aios-gateway", &PostParams::default(), &request)
        .await?;
    let path = folder.join(format!("{name}.token"));
    std::fs::write(&path, answer.status.context("no token was issued")?.token)?;
    Ok(path)
}
