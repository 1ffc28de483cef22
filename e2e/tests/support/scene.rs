//! The quickstart's stage in a namespace of its own: stand-ins, one pipeline, people, and what a
//! test asks and does there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot set its stage fails"
)]
// Every suite that includes this file uses another part of it.
#![allow(dead_code)]

use std::collections::BTreeSet;
use std::time::Duration;

use aios_audit::{BundleError, Expectations, Head, Report, verify_bundle};
use aios_crds::{WritingPipeline, WritingRun, writing_run::ItemCounts};
use aios_e2e::testing::{Forward, aios};
use aios_e2e::{Cluster, TestNamespace, eventually};
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use kubectl_aios::client::{Auth, DocumentFilter, DocumentSummary, DocumentView, Gateway};
use serde_json::{Map, Value, json};

/// Two cores carry several stages at once.
pub const DEADLINE: Duration = Duration::from_mins(4);
pub const PIPELINE: &str = "welcome";
/// A topic that rule `no-competitors` leaves to a person.
pub const DOUBTFUL: &str = "what Goldpeak does differently";

pub const QUICKSTART: &str = include_str!("../../../examples/quickstart/quickstart.yaml");
const PEOPLE: &str = include_str!("../../../examples/quickstart/people.yaml");
/// Who the quickstart has no need of.
const MORE_PEOPLE: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: {name: publisher}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: publisher}
rules: [{apiGroups: [aios.dev], resources: [writingpipelines/documents], verbs: [get, list, publish]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: publisher}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: publisher}
subjects: [{kind: ServiceAccount, name: publisher}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: auditor}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: auditor}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: aios-auditor}
subjects: [{kind: ServiceAccount, name: auditor}]
";
const GATEWAY: &str = "aios-gateway";
pub const GATEWAY_POD: &str = "aios-gateway-0";
/// A pod of the test's own with a deadline is outside of this quota, workers and engines inside.
const NO_PODS: &str = "
apiVersion: v1
kind: ResourceQuota
metadata: {name: no-pods}
spec: {hard: {pods: \"0\"}, scopes: [NotTerminating]}
";

pub struct Scene {
    pub namespace: TestNamespace,
    model: Stand,
    receiver: Stand,
}

impl Scene {
    /// The quickstart as it is, ready.
    pub async fn open(prefix: &str) -> Self {
        Self::with(prefix, str::to_owned).await
    }

    /// The quickstart with its manifests changed, ready.
    pub async fn with(prefix: &str, change: impl Fn(&str) -> String) -> Self {
        let cluster = Cluster::shared().await.unwrap();
        aios::install(&cluster).await.unwrap();
        let namespace = TestNamespace::new(&cluster, prefix).await.unwrap();
        namespace.apply(&change(QUICKSTART)).await.unwrap();
        namespace.apply(PEOPLE).await.unwrap();
        namespace.apply(MORE_PEOPLE).await.unwrap();
        await_ready(&namespace).await.unwrap();
        Self {
            model: Stand::reach(&namespace, "model-simulator").await,
            receiver: Stand::reach(&namespace, "webhook-receiver").await,
            namespace,
        }
    }

    /// Applies the quickstart's manifests again, changed otherwise.
    pub async fn reapply(&self, change: impl Fn(&str) -> String) {
        self.namespace.apply(&change(QUICKSTART)).await.unwrap();
    }

    /// The gateway, asked as one of the quickstart's people.
    pub async fn gateway(&self, person: &str) -> Gateway {
        let auth = Auth::ServiceAccount(person.to_owned());
        Gateway::connect(self.namespace.client(), self.namespace.name(), auth)
            .await
            .unwrap()
    }

    pub async fn upload(&self, records: &str) {
        let author = self.gateway("author").await;
        author
            .put_context(PIPELINE, "customer", records.to_owned())
            .await
            .unwrap();
    }

    /// A run of every uploaded record.
    pub async fn run_uploaded(&self, name: &str) {
        self.run(name, json!({"upload": {"context": "customer"}}))
            .await;
    }

    pub async fn run(&self, name: &str, input: Value) {
        let run: WritingRun = serde_json::from_value(json!({
            "apiVersion": "aios.dev/v1alpha1",
            "kind": "WritingRun",
            "metadata": {"name": name},
            "spec": {"pipelineRef": {"name": PIPELINE}, "input": input},
        }))
        .unwrap();
        let runs = self.namespace.api::<WritingRun>();
        runs.create(&PostParams::default(), &run).await.unwrap();
    }

    pub async fn suspend(&self, name: &str, suspend: bool) {
        let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
        let runs = self.namespace.api::<WritingRun>();
        runs.patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    pub async fn delete_run(&self, name: &str) {
        let runs = self.namespace.api::<WritingRun>();
        runs.delete(name, &DeleteParams::default()).await.unwrap();
    }

    pub async fn condition(&self, run: &str, kind: &str) -> Result<Option<Condition>> {
        let run = self.namespace.api::<WritingRun>().get(run).await?;
        let conditions = run.status.unwrap_or_default().conditions;
        Ok(conditions.into_iter().find(|one| one.type_ == kind))
    }

    /// Waits until the run is finished; how many items stand where.
    pub async fn finished(&self, run: &str) -> ItemCounts {
        let runs = self.namespace.api::<WritingRun>();
        let done = eventually("the run is finished", DEADLINE, async || {
            let status = runs.get(run).await?.status.unwrap_or_default();
            let finished = status.conditions.iter().find(|one| one.type_ == "Finished");
            let is_finished = finished.as_ref().is_some_and(|one| one.status == "True");
            ensure!(is_finished, "{:?}: {finished:?}", status.items);
            Ok(Some(status.items))
        });
        done.await.unwrap()
    }

    /// Documents in one status, or all.
    pub async fn documents(&self, status: Option<&str>) -> Result<Vec<DocumentSummary>> {
        let filter = DocumentFilter {
            status: status.map(ToOwned::to_owned),
            run: None,
        };
        let author = self.gateway("author").await;
        Ok(author.documents(PIPELINE, &filter).await?)
    }

    /// Waits until so many documents are in a status.
    pub async fn documents_in(&self, status: &str, count: usize) -> Vec<DocumentSummary> {
        eventually(&format!("{count} in {status}"), DEADLINE, async || {
            let found = self.documents(Some(status)).await?;
            ensure!(found.len() == count, "there are {}", found.len());
            Ok(Some(found))
        })
        .await
        .unwrap()
    }

    /// The receiver holds what the gateways call published, each posted once: what may have arrived was
    /// read back instead of sent again.
    pub async fn published_once(&self, count: usize) {
        let published = self.documents_in("Published", count).await;
        let published: BTreeSet<_> = published.into_iter().map(|one| one.id).collect();
        let received = self.received().await;
        assert_eq!((received.duplicates, received.conflicts), (0, 0));
        assert_eq!(received.posts, received.documents);
        assert_eq!(received.ids.len(), count);
        assert_eq!(received.ids.into_iter().collect::<BTreeSet<_>>(), published);
        assert_eq!(self.audited().await.documents, count as u64);
    }

    pub async fn published_at_least(&self, count: usize) {
        eventually(&format!("{count} are published"), DEADLINE, async || {
            let found = self.documents(Some("Published")).await?.len();
            Ok((found >= count).then_some(()))
        })
        .await
        .unwrap();
    }

    pub async fn document(&self, id: &str) -> Result<DocumentView> {
        let author = self.gateway("author").await;
        Ok(author.document(PIPELINE, id).await?)
    }

    /// Published documents whose receipt came by reading back.
    pub async fn read_back(&self) -> usize {
        let mut found = 0;
        for one in self.documents(Some("Published")).await.unwrap() {
            let view = self.document(&one.id).await.unwrap();
            let phase = &view.more["publications"]["receiver"]["phase"];
            found += usize::from(phase["received"]["readBack"] == json!(true));
        }
        found
    }

    /// What the receiver counted.
    pub async fn received(&self) -> Received {
        let counts = self.receiver.get("counts").await.unwrap();
        let list = self.receiver.get("deliveries").await.unwrap();
        Received {
            posts: counts["posts"].as_u64().unwrap(),
            documents: counts["documents"].as_u64().unwrap(),
            duplicates: counts["duplicates"].as_u64().unwrap(),
            conflicts: counts["conflicts"].as_u64().unwrap(),
            ids: list
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["id"].as_str().unwrap().to_owned())
                .collect(),
        }
    }

    /// Lets something go wrong at the receiver.
    pub async fn receiver_fault(&self, mode: &str, times: u64) {
        let fault = json!({"mode": mode, "times": times});
        self.receiver.post("faults", &fault).await.unwrap();
    }

    pub async fn heal_receiver(&self) {
        self.receiver.delete("faults").await.unwrap();
    }

    /// Every answer of the model comes so much later.
    pub async fn slow_model(&self, by: Duration) {
        let fault = json!([{"fault": {"kind": "Delay", "ms": by.as_millis()}}]);
        self.model.post("simulator/faults", &fault).await.unwrap();
    }

    /// Every n-th call gets no answer for as long as its caller waits.
    pub async fn stall_model(&self, every: u64) {
        let fault = json!([{"every": every, "fault": {"kind": "Stall", "afterTokens": 0}}]);
        self.model.post("simulator/faults", &fault).await.unwrap();
    }

    /// What the model says to which questions.
    pub async fn model_answers(&self, script: &Value) {
        self.model.post("simulator/script", script).await.unwrap();
    }

    pub async fn heal_model(&self) {
        self.model.delete("simulator/faults").await.unwrap();
    }

    /// Calls the model simulator counted: `received`, `active`, `completed`, ….
    pub async fn model_calls(&self, of: &str) -> Result<u64> {
        let log = self.model.get("simulator/calls?last=0").await?;
        log["counts"][of]
            .as_u64()
            .with_context(|| format!("{of} is not counted"))
    }

    /// What the model simulator was asked in its last hundred calls.
    pub async fn model_asked(&self) -> Result<Vec<Value>> {
        let log = self.model.get("simulator/calls?last=100").await?;
        let calls = log["calls"].as_array().context("no calls")?;
        Ok(calls.iter().map(|call| call["body"].clone()).collect())
    }

    /// Answer tokens that the model simulator gave in its last thousand calls.
    pub async fn model_tokens(&self) -> Result<u64> {
        let log = self.model.get("simulator/calls?last=1000").await?;
        let calls = log["calls"].as_array().context("no calls")?;
        let tokens = calls.iter().map(|call| call["sentTokens"].as_u64());
        tokens.sum::<Option<u64>>().context("a call without tokens")
    }

    /// The bundle verifies offline, also against a head that the operator witnessed.
    pub async fn audited(&self) -> Report {
        let witnessed = self.witnessed().await;
        verify(&self.bundle().await, vec![witnessed]).unwrap()
    }

    /// The whole log as exported.
    pub async fn bundle(&self) -> Vec<u8> {
        let mut bundle = Vec::new();
        let auditor = self.gateway("auditor").await;
        auditor.bundle(&mut bundle).await.unwrap();
        bundle
    }

    /// The last head that the operator has verified.
    pub async fn witnessed(&self) -> Head {
        let pipelines = self.namespace.api::<WritingPipeline>();
        let head = eventually("a witnessed head", DEADLINE, async || {
            let status = pipelines.get(PIPELINE).await?.status;
            Ok(status.and_then(|status| status.audit))
        });
        let head = head.await.unwrap();
        Head {
            size: u64::try_from(head.tree_size).unwrap(),
            root: head.root.parse().unwrap(),
        }
    }

    /// Pods that work on a run and have not ended.
    pub async fn workers(&self, run: &str) -> Result<Vec<Pod>> {
        let named = ListParams::default().labels(&format!("aios.dev/run={run}"));
        let pods = self.namespace.api::<Pod>().list(&named).await?;
        let is_alive = |pod: &Pod| !matches!(phase(pod), Some("Succeeded" | "Failed"));
        Ok(pods.items.into_iter().filter(is_alive).collect())
    }

    pub async fn no_workers(&self, run: &str) {
        eventually("no worker is left", DEADLINE, async || {
            Ok(self.workers(run).await?.is_empty().then_some(()))
        })
        .await
        .unwrap();
    }

    /// Restarts the gateway so that it ends itself at a named point, once.
    pub async fn arm_gateway(&self, point: &str) {
        let set = format!("statefulset/{GATEWAY}");
        let armed = format!("AIOS_KILL_AT={point}");
        self.namespace
            .kubectl(&["set", "env", &set, "--containers=gateway", &armed])
            .await
            .unwrap();
        self.namespace
            .kubectl(&["rollout", "status", &set, "--timeout=3m"])
            .await
            .unwrap();
    }

    /// Waits until the gateway has ended itself and serves again.
    pub async fn gateway_was_killed(&self) {
        let pods = self.namespace.api::<Pod>();
        eventually("the gateway was killed and is back", DEADLINE, async || {
            let pod = pods.get(GATEWAY_POD).await?;
            let gateway = container(&pod, "gateway").context("no gateway")?;
            Ok((gateway.restart_count > 0 && gateway.ready).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Waits until a signal has ended the pod's worker.
    pub async fn worker_was_killed(&self, pod: &str) {
        let pods = self.namespace.api::<Pod>();
        eventually("the worker was killed", DEADLINE, async || {
            let pod = pods.get(pod).await?;
            let worker = container(&pod, "worker").context("no worker")?;
            let ended = worker.state.as_ref().and_then(|it| it.terminated.as_ref());
            let code = ended.context("it runs")?.exit_code;
            ensure!(code > 128, "it ended by itself with {code}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }

    /// Ends the gateway's pod as when its node is lost, and waits for the next.
    pub async fn lose_gateway(&self) {
        let pods = self.namespace.api::<Pod>();
        let lost = pods.get(GATEWAY_POD).await.unwrap().uid();
        self.namespace.kill_pod(GATEWAY_POD).await.unwrap();
        eventually("another gateway serves", DEADLINE, async || {
            let pod = pods.get(GATEWAY_POD).await?;
            let is_ready = container(&pod, "gateway").is_some_and(|one| one.ready);
            Ok((pod.uid() != lost && is_ready).then_some(()))
        })
        .await
        .unwrap();
    }

    /// No worker and no engine comes any more.
    pub async fn bar_pods(&self) {
        self.namespace.apply(NO_PODS).await.unwrap();
    }

    /// Those that were kept away come.
    pub async fn admit_pods(&self) {
        self.namespace
            .kubectl(&["delete", "resourcequota", "no-pods"])
            .await
            .unwrap();
        // Their controllers would look again by themselves, but later and later.
        let waiting = ["annotate", "jobs,statefulsets", "--all", "--overwrite"];
        let look_again = [&waiting[..], &["aios.dev/test=quota-gone"]].concat();
        self.namespace.kubectl(&look_again).await.unwrap();
    }

    /// Starts a run whose first worker ends itself at a named point; the Job's own comes after it.
    pub async fn run_with_doomed_worker(&self, run: &str, input: Value, point: &str) {
        self.bar_pods().await;
        self.run(run, input).await;
        let jobs = self.namespace.api::<Job>();
        let job = eventually("the run has a Job", DEADLINE, async || {
            Ok(jobs.get_opt(run).await?)
        });
        let doomed = doomed(&job.await.unwrap(), point);
        let pods = self.namespace.api::<Pod>();
        pods.create(&PostParams::default(), &doomed).await.unwrap();
        self.worker_was_killed(&doomed.name_any()).await;
        self.admit_pods().await;
    }
}

/// What arrived at the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Every POST, before anything else is looked at.
    pub posts: u64,
    /// Distinct ids.
    pub documents: u64,
    pub duplicates: u64,
    pub conflicts: u64,
    /// In the order of arrival.
    pub ids: Vec<String>,
}

/// Verifies a bundle with nothing but it and the heads.
pub fn verify(bundle: &[u8], heads: Vec<Head>) -> Result<Report, BundleError> {
    verify_bundle(bundle, &Expectations { key: None, heads })
}

/// The pod of the operator that leads; empty while none does.
pub async fn leader(namespace: &TestNamespace) -> String {
    let leases = Api::<Lease>::namespaced(namespace.client(), aios::SYSTEM);
    let lease = leases.get("aios-operator-leader").await.unwrap();
    let holder = lease.spec.and_then(|spec| spec.holder_identity);
    holder.unwrap_or_default()
}

/// Records of `count` customers; `topic` says what the n-th is interested in, from 1.
pub fn records(count: usize, topic: impl Fn(usize) -> &'static str) -> String {
    let records: Vec<_> = (1..=count)
        .map(|id| json!({"id": id, "name": format!("Customer {id}"), "topic": topic(id)}))
        .map(|record| record.to_string())
        .collect();
    records.join("\n")
}

/// A run's input that points to customers 1 to `count`.
pub fn pointers(count: usize) -> Value {
    let pointers: Vec<_> = (1..=count).map(|id| json!({"customerId": id})).collect();
    json!({"pointers": pointers})
}

pub fn pointer(customer: usize) -> Map<String, Value> {
    Map::from_iter([("customerId".to_owned(), json!(customer))])
}

/// The Job's pod, armed, and not the Job's: without the labels by which it would be adopted.
fn doomed(job: &Job, point: &str) -> Pod {
    let template = serde_json::to_value(&job.spec.as_ref().unwrap().template).unwrap();
    let mut pod = json!({
        "metadata": {"name": format!("{}-doomed", job.name_any()), "labels": {}},
        "spec": template["spec"],
    });
    pod["metadata"]["labels"]["aios.dev/run"] = json!(job.name_any());
    pod["spec"]["activeDeadlineSeconds"] = json!(300);
    let env = pod["spec"]["containers"][0]["env"].as_array_mut().unwrap();
    env.push(json!({"name": "AIOS_KILL_AT", "value": point}));
    serde_json::from_value(pod).unwrap()
}

async fn await_ready(namespace: &TestNamespace) -> Result<()> {
    let pipelines = namespace.api::<WritingPipeline>();
    eventually("the pipeline is Ready", DEADLINE, async || {
        let status = pipelines.get(PIPELINE).await?.status.unwrap_or_default();
        let ready = status.conditions.iter().find(|one| one.type_ == "Ready");
        ensure!(
            ready.as_ref().is_some_and(|ready| ready.status == "True"),
            "{ready:?}"
        );
        Ok(Some(()))
    })
    .await?;
    let pods = namespace.api::<Pod>();
    let stand_ins = ListParams::default().labels("aios.dev/simulator=true");
    eventually("the stand-ins are ready", DEADLINE, async || {
        let found = pods.list(&stand_ins).await?.items;
        let is_ready = |pod: &Pod| container(pod, "simulator").is_some_and(|one| one.ready);
        Ok((found.len() == 2 && found.iter().all(is_ready)).then_some(()))
    })
    .await
}

fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a ContainerStatus> {
    let all = pod.status.as_ref()?.container_statuses.as_ref()?;
    all.iter().find(|one| one.name == name)
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}

/// One stand-in's HTTP interface.
struct Stand {
    forward: Forward,
    http: reqwest::Client,
}

impl Stand {
    async fn reach(namespace: &TestNamespace, service: &str) -> Self {
        Self {
            forward: namespace.forward_service(service, 8080).await.unwrap(),
            http: reqwest::Client::new(),
        }
    }

    async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(self.url(path)).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn post(&self, path: &str, body: &Value) -> Result<()> {
        let answer = self.http.post(self.url(path)).json(body).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let answer = self.http.delete(self.url(path)).send().await?;
        answer.error_for_status()?;
        Ok(())
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.forward.address())
    }
}
