//! Runs in a queue of the real Kueue, which has quota for one worker.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/scene.rs"]
mod scene;

use aios_e2e::images::Image;
use aios_e2e::testing::Kueue;
use aios_e2e::{Cluster, eventually};
use anyhow::{Context, ensure};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use kube::api::{DeleteParams, PropagationPolicy};
use scene::{DEADLINE, Scene, pointers, records};

/// Cluster-scoped but for the last: NAME is that of the test's namespace.
const QUOTA: &str = "
apiVersion: kueue.x-k8s.io/v1beta2
kind: ResourceFlavor
metadata: {name: NAME}
spec: {nodeLabels: {kubernetes.io/os: linux}}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: WorkloadPriorityClass
metadata: {name: NAME}
value: 1000
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: ClusterQueue
metadata: {name: NAME}
spec:
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME}}
  preemption: {withinClusterQueue: LowerPriority}
  resourceGroups:
  - coveredResources: [pods, cpu, memory]
    flavors:
    - name: NAME
      resources:
      - {name: pods, nominalQuota: 1}
      - {name: cpu, nominalQuota: 64}
      - {name: memory, nominalQuota: 64Gi}
---
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: others}
spec: {clusterQueue: NAME}
";
const TEAM: &str = "
apiVersion: kueue.x-k8s.io/v1beta2
kind: LocalQueue
metadata: {name: team-a}
spec: {clusterQueue: NAME}
";
/// Work of another team, which has no end.
const OTHER: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: other, labels: {kueue.x-k8s.io/queue-name: others}}
spec:
  suspend: true
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 1
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: work
        image: IMAGE
        resources: {requests: {cpu: 1m, memory: 8Mi}}
        securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
";

#[tokio::test]
async fn a_queued_run_says_why_it_waits_and_starts_when_kueue_lets_it() {
    let queue = Queue::open("queued").await;
    let scene = &queue.scene;
    queue.kueue.remove().await.unwrap();
    scene.upload(&records(3, |_| "saving")).await;
    scene.run("batch", pointers(3)).await;

    let missing = ("False", "KueueMissing");
    queue.admitted("batch", missing, "install it").await;
    let job = queue.job("batch").await;
    assert_eq!(job.labels()["kueue.x-k8s.io/queue-name"], "team-a");
    assert_eq!(job.spec.as_ref().unwrap().suspend, Some(true));
    assert!(scene.workers("batch").await.unwrap().is_empty());

    queue.kueue.install(&scene.namespace).await.unwrap();
    let gone = "LocalQueue team-a doesn't exist";
    queue
        .admitted("batch", ("False", "Inadmissible"), gone)
        .await;

    queue.apply(QUOTA).await;
    queue.apply(OTHER).await;
    queue.rests("other", false).await;
    queue.apply(TEAM).await;
    let full = "insufficient unused quota for pods";
    queue.admitted("batch", ("Unknown", "Queued"), full).await;
    let ready = scene.condition("batch", "Ready").await.unwrap().unwrap();
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("Unknown", "Queued")
    );
    assert!(scene.workers("batch").await.unwrap().is_empty());

    queue.delete("other").await;
    let items = scene.finished("batch").await;
    assert_eq!((items.accepted, items.published), (3, 3));
    let done = ("True", "Completed");
    queue.admitted("batch", done, "no worker").await;
    queue.close().await;
}

#[tokio::test]
async fn a_queued_run_that_is_preempted_goes_on_where_it_was() {
    let queue = Queue::open("preempted").await;
    let scene = &queue.scene;
    let first = queue.begin_slow().await;
    let admitted = ("True", "Ready");
    queue.admitted("slow", admitted, "admitted").await;

    let urgent = "{kueue.x-k8s.io/priority-class: NAME, kueue.x-k8s.io/queue-name";
    queue
        .apply(&OTHER.replace("{kueue.x-k8s.io/queue-name", urgent))
        .await;
    let evicted = ("Unknown", "Evicted");
    queue.admitted("slow", evicted, "Preempted").await;
    queue.rests("other", false).await;
    scene.no_workers("slow").await;
    assert_eq!(queue.job("slow").await.uid(), first.uid());

    scene.heal_model().await;
    queue.delete("other").await;
    queue.published_once(20).await;
    queue.close().await;
}

#[tokio::test]
async fn a_queued_run_that_is_suspended_leaves_its_queue_and_joins_it_again() {
    let queue = Queue::open("requeued").await;
    let scene = &queue.scene;
    let first = queue.begin_slow().await;

    scene.suspend("slow", true).await;
    let jobs = scene.namespace.api::<Job>();
    eventually("the Job has left the queue", DEADLINE, async || {
        Ok(jobs.get_opt("slow").await?.is_none().then_some(()))
    })
    .await
    .unwrap();
    scene.no_workers("slow").await;
    scene.heal_model().await;
    let ready = scene.condition("slow", "Ready").await.unwrap().unwrap();
    assert_eq!(ready.reason, "Suspended", "{ready:?}");
    // Its quota is free.
    queue.apply(OTHER).await;
    queue.rests("other", false).await;

    scene.suspend("slow", false).await;
    let full = "insufficient unused quota for pods";
    queue.admitted("slow", ("Unknown", "Queued"), full).await;
    assert_ne!(queue.job("slow").await.uid(), first.uid());
    queue.delete("other").await;
    queue.published_once(20).await;
    queue.close().await;
}

/// The quickstart's pipeline, one document at a time, in a queue.
fn in_queue(manifests: &str) -> String {
    let changed = manifests.replace(
        "  models:\n    draft:",
        "  execution: {concurrency: 1, queueName: team-a}\n  models:\n    draft:",
    );
    assert_ne!(changed, manifests);
    changed
}

struct Queue {
    scene: Scene,
    kueue: Kueue,
}

impl Queue {
    /// The stage, with Kueue to itself.
    async fn open(prefix: &str) -> Self {
        let scene = Scene::with(prefix, in_queue).await;
        let cluster = Cluster::shared().await.unwrap();
        let kueue = Kueue::alone(&cluster).await.unwrap();
        Self { scene, kueue }
    }

    async fn apply(&self, manifests: &str) {
        let name = self.scene.namespace.name();
        let image = Image::Pause.reference();
        let manifests = manifests.replace("NAME", name).replace("IMAGE", &image);
        // A kind is served a moment after it was defined, and refused until its webhook answers.
        eventually("the manifests are taken", DEADLINE, async || {
            self.scene.namespace.apply(&manifests).await.map(Some)
        })
        .await
        .unwrap();
    }

    /// Run `slow` has the quota and drafts. Its Job.
    async fn begin_slow(&self) -> Job {
        self.kueue.install(&self.scene.namespace).await.unwrap();
        self.apply(QUOTA).await;
        self.apply(TEAM).await;
        self.scene.upload(&records(20, |_| "saving")).await;
        self.scene.stall_model(3).await;
        self.scene.run("slow", pointers(20)).await;
        self.has_drafted().await;
        self.job("slow").await
    }

    async fn delete(&self, job: &str) {
        let with_pods = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        let jobs = self.scene.namespace.api::<Job>();
        jobs.delete(job, &with_pods).await.unwrap();
    }

    async fn job(&self, run: &str) -> Job {
        let jobs = self.scene.namespace.api::<Job>();
        eventually("the run has a Job", DEADLINE, async || {
            Ok(jobs.get_opt(run).await?)
        })
        .await
        .unwrap()
    }

    /// Waits until Kueue holds a Job back, or lets it run.
    async fn rests(&self, job: &str, rests: bool) {
        let jobs = self.scene.namespace.api::<Job>();
        let what = format!("Job {job} has suspend {rests}");
        eventually(&what, DEADLINE, async || {
            let spec = jobs.get(job).await?.spec.context("it has no spec")?;
            Ok((spec.suspend == Some(rests)).then_some(()))
        })
        .await
        .unwrap();
    }

    async fn has_drafted(&self) {
        eventually("a first document is drafted", DEADLINE, async || {
            let completed = self.scene.model_calls("completed").await?;
            Ok((completed > 0).then_some(()))
        })
        .await
        .unwrap();
    }

    /// Run `slow` ends with so many documents, each of which was posted once.
    async fn published_once(&self, count: i64) {
        let items = self.scene.finished("slow").await;
        assert_eq!((items.accepted, items.published), (count, count));
        let received = self.scene.received().await;
        let posted = u64::try_from(count).unwrap();
        assert_eq!((received.posts, received.documents), (posted, posted));
    }

    /// Waits until `Admitted` of a run is so, in these words.
    async fn admitted(&self, run: &str, (status, reason): (&str, &str), words: &str) {
        let what = format!("Admitted of {run} is {status}/{reason}: {words}");
        eventually(&what, DEADLINE, async || {
            let now = self.scene.condition(run, "Admitted").await?;
            let now = now.context("there is no such condition")?;
            ensure!(
                (now.status.as_str(), now.reason.as_str()) == (status, reason),
                "{now:?}"
            );
            ensure!(now.message.contains(words), "{now:?}");
            Ok(Some(()))
        })
        .await
        .unwrap();
    }

    /// Takes away what does not go with the namespace.
    async fn close(self) {
        let name = self.scene.namespace.name();
        let namespace = &self.scene.namespace;
        for kind in ["clusterqueue", "resourceflavor", "workloadpriorityclass"] {
            let delete = ["delete", kind, name, "--wait=false"];
            namespace.kubectl(&delete).await.unwrap();
        }
    }
}
