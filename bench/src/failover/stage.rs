//! A namespace with the quickstart, written by a real model of one group that takes traffic.
//! A group is one pod, or a leader and the shards that hold parts of its model.

use std::time::Duration;

use aios_crds::ModelDeployment;
use aios_e2e::{
    Cluster, TestNamespace, eventually,
    testing::{
        Forward, aios, is_ready,
        real_model::{DIGEST, model, written_by},
    },
};
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;

pub const MODEL: &str = "smollm";
const QUICKSTART: &str = include_str!("../../../examples/quickstart/quickstart.yaml");
const GATEWAY_POD: &str = "aios-gateway-0";
const EGRESS_PORT: u16 = 4000;
const ADMIN_PORT: u16 = 9090;
/// Calls that an ingress answered.
const ANSWERED: &str = "gen_ai_server_request_duration_seconds_count";
const OPERATOR: &str = "aios-operator";
const DEADLINE: Duration = Duration::from_mins(5);

pub struct Stage {
    pub namespace: TestNamespace,
    groups: usize,
    /// Pods of a group.
    size: usize,
}

impl Stage {
    /// One group of so many pods that takes traffic, and so many loaded ones that wait.
    pub async fn set(cluster: &Cluster, size: u8, standby: u8) -> Result<Self> {
        aios::install(cluster).await?;
        let namespace = TestNamespace::new(cluster, "failover").await?;
        let mut model = model(MODEL, DIGEST, standby);
        if size > 1 {
            let shards = format!("shards: {{pipeline: {size}}}\n    warm:");
            model = model.replace("warm:", &shards);
        }
        namespace
            .apply(&written_by(QUICKSTART, MODEL, &model))
            .await?;
        let stage = Self {
            namespace,
            groups: 1 + usize::from(standby),
            size: size.into(),
        };
        stage.is_as_specified().await?;
        let pods = stage.namespace.api::<Pod>();
        eventually("the gateway is ready", DEADLINE, async || {
            Ok(is_ready(&pods.get(GATEWAY_POD).await?).then_some(()))
        })
        .await?;
        Ok(stage)
    }

    /// The egress beside the gateway, from here.
    pub async fn egress(&self) -> Result<Forward> {
        let name = self.namespace.name();
        let cluster = self.namespace.cluster();
        cluster
            .forward_loopback(name, GATEWAY_POD, EGRESS_PORT)
            .await
    }

    /// The model says that it is Ready, warm standby included.
    pub async fn is_as_specified(&self) -> Result<()> {
        let models = self.namespace.api::<ModelDeployment>();
        eventually("the model is Ready", DEADLINE, async || {
            let status = models.get(MODEL).await?.status.unwrap_or_default();
            let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
            ensure!(
                ready.is_some_and(|one| one.status == "True"),
                "{:?}",
                status.conditions
            );
            self.pods_are_ready().await
        })
        .await
    }

    /// Every pod of the model is ready, whoever says so.
    pub async fn is_whole(&self) -> Result<()> {
        eventually("every group is ready", DEADLINE, async || {
            self.pods_are_ready().await
        })
        .await
    }

    async fn pods_are_ready(&self) -> Result<Option<()>> {
        let pods = self.pods("in (engine,standby,shard)").await?;
        let ready = pods.iter().filter(|pod| is_ready(pod)).count();
        let wanted = self.groups * self.size;
        ensure!(
            ready == wanted && pods.len() == wanted,
            "{ready} of {} for {wanted}",
            pods.len()
        );
        Ok(Some(()))
    }

    /// Who dies of a leader's group: a shard of it where there is one, else the leader.
    pub async fn victim(&self, leader: &str) -> Result<String> {
        if self.size == 1 {
            return Ok(leader.to_owned());
        }
        let (group, _) = leader.rsplit_once('-').context("a leader has a number")?;
        let shards = self.pods("= shard").await?;
        let mut names = shards.iter().map(ResourceExt::name_any);
        let of_group = format!("{group}w-");
        names
            .find(|name| name.starts_with(&of_group))
            .context("the group has no shard")
    }

    /// The pod that takes traffic.
    pub async fn active(&self) -> Result<String> {
        let pods = self.pods("= engine").await?;
        let pod = pods.first().context("no group takes traffic")?;
        Ok(pod.name_any())
    }

    /// Calls go to this pod: to kill another would say nothing.
    pub async fn answers(&self, pod: &str) -> Result<()> {
        let before = self.answered(pod).await?;
        eventually("the pod answers calls", DEADLINE, async || {
            Ok((self.answered(pod).await? > before).then_some(()))
        })
        .await
    }

    async fn answered(&self, pod: &str) -> Result<f64> {
        let name = self.namespace.name();
        let path = format!("/api/v1/namespaces/{name}/pods/{pod}:{ADMIN_PORT}/proxy/metrics");
        let request = http::Request::get(path).body(Vec::new())?;
        let text = self.namespace.client().request_text(request).await?;
        let lines = text.lines().filter(|line| line.starts_with(ANSWERED));
        let counts = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        Ok(counts.sum())
    }

    async fn pods(&self, component: &str) -> Result<Vec<Pod>> {
        let selector = format!("aios.dev/model={MODEL},app.kubernetes.io/component {component}");
        let pods = self.namespace.api::<Pod>();
        let found = pods.list(&ListParams::default().labels(&selector)).await?;
        let is_alive = |pod: &Pod| pod.metadata.deletion_timestamp.is_none();
        Ok(found.items.into_iter().filter(is_alive).collect())
    }

    /// Gives a group a new pod: containers that were killed before wait longer each time.
    pub async fn replace(&self, pod: &str) -> Result<()> {
        let pods = self.namespace.api::<Pod>();
        let at_once = DeleteParams::default().grace_period(0);
        pods.delete(pod, &at_once).await?;
        Ok(())
    }

    /// Takes the operator away, or brings it back.
    pub async fn operators(&self, replicas: i32) -> Result<()> {
        let deployments: Api<Deployment> = Api::namespaced(self.namespace.client(), aios::SYSTEM);
        let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        deployments
            .patch(OPERATOR, &PatchParams::default(), &scale)
            .await?;
        eventually("the operator is as wished", DEADLINE, async || {
            let status = deployments.get(OPERATOR).await?.status.unwrap_or_default();
            let ready = status.ready_replicas.unwrap_or_default();
            Ok(
                (ready == replicas && status.replicas.unwrap_or_default() == replicas)
                    .then_some(()),
            )
        })
        .await
    }
}
