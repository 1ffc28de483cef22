//! Who may approve what, and where names are not to be found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "support/desk.rs"]
mod desk;
#[path = "support/scene.rs"]
mod scene;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use aios_crds::WritingRun;
use aios_e2e::testing::install;
use aios_e2e::{Cluster, TestNamespace, eventually};
use anyhow::ensure;
use desk::{Desk, token, token_for};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim};
use kube::Api;
use kube::api::PostParams;
use scene::{DEADLINE, DOUBTFUL, Scene};
use serde_json::{Value, json};

/// `reader` may read, `elsewhere` may approve for another pipeline, `here` for this one alone, and
/// `both` may write and approve.
const OTHERS: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: reader}}
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: elsewhere}}
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: here}}
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: both}}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata: {name: read}
  rules: [{apiGroups: [aios.dev], resources: [writingpipelines/documents], verbs: [get, list]}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata: {name: approve-elsewhere}
  rules: [{apiGroups: [aios.dev], resources: [writingpipelines/documents], verbs: [approve], resourceNames: [other]}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: Role
  metadata: {name: approve-here}
  rules: [{apiGroups: [aios.dev], resources: [writingpipelines/documents], verbs: [approve], resourceNames: [welcome]}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: read}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: read}
  subjects: [{kind: ServiceAccount, name: reader}, {kind: ServiceAccount, name: elsewhere}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: approve-elsewhere}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: approve-elsewhere}
  subjects: [{kind: ServiceAccount, name: elsewhere}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: approve-here}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: approve-here}
  subjects: [{kind: ServiceAccount, name: here}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: both-writes}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: aios-author}
  subjects: [{kind: ServiceAccount, name: both}]
- apiVersion: rbac.authorization.k8s.io/v1
  kind: RoleBinding
  metadata: {name: both-approves}
  roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: aios-reviewer}
  subjects: [{kind: ServiceAccount, name: both}]
";
const DOCUMENTS: &str = "/v1/pipelines/welcome/documents";

/// A scene with one customer whose document a person must approve.
struct Court {
    scene: Scene,
    desk: Desk,
}

impl Court {
    async fn open(prefix: &str) -> Self {
        install(&Cluster::shared().await.unwrap()).await.unwrap();
        let scene = Scene::open(prefix).await;
        let list: Value = serde_saphyr::from_str(OTHERS).unwrap();
        for object in list["items"].as_array().unwrap() {
            scene.namespace.apply(&object.to_string()).await.unwrap();
        }
        let record = json!({"id": 1, "name": "Zoë", "topic": DOUBTFUL});
        scene.upload(&record.to_string()).await;
        let desk = Desk::of(&scene.namespace).await;
        Self { scene, desk }
    }

    fn namespace(&self) -> &TestNamespace {
        &self.scene.namespace
    }

    /// A document that `creator` asked for and that waits for a person.
    async fn waiting(&self, creator: &str, key: &str) -> Value {
        let token = token(self.namespace(), creator).await;
        let pointer = json!({"pointer": {"customerId": 1}});
        let created = self
            .desk
            .post(DOCUMENTS, &pointer)
            .key(key)
            .token(&token)
            .answer();
        let id = created.await.accepted().text_of("id").to_owned();
        self.until(&id, "Review").await
    }

    async fn document(&self, id: &str) -> Value {
        let token = token(self.namespace(), "reader").await;
        let path = format!("{DOCUMENTS}/{id}");
        self.desk
            .get(&path)
            .token(&token)
            .answer()
            .await
            .accepted()
            .body
    }

    async fn until(&self, id: &str, status: &str) -> Value {
        let token = token(self.namespace(), "reader").await;
        let path = format!("{DOCUMENTS}/{id}");
        eventually(&format!("{id} is in {status}"), DEADLINE, async || {
            let answer = self.desk.get(&path).token(&token).answer().await;
            ensure!(answer.text_of("status") == status, "{}", answer.text);
            Ok(Some(answer.body))
        })
        .await
        .unwrap()
    }

    async fn approve(&self, id: &str, digest: &str, who: &str) -> desk::Answer {
        self.decide(id, "approve", &json!({"digest": digest}), who)
            .await
    }

    async fn decide(&self, id: &str, what: &str, body: &Value, who: &str) -> desk::Answer {
        let token = token(self.namespace(), who).await;
        let path = format!("{DOCUMENTS}/{id}/{what}");
        self.desk.post(&path, body).token(&token).answer().await
    }
}

fn text(document: &Value, member: &str) -> String {
    document[member].as_str().unwrap_or_default().to_owned()
}

fn part(document: &Value, name: &str) -> String {
    let parts = document["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["name"] == name).unwrap();
    text(part, "text")
}

#[tokio::test]
async fn approving_needs_the_verb_for_this_pipeline_and_a_digest_that_stands() {
    let court = Court::open("verb").await;
    let document = court.waiting("author", "first").await;
    let (id, digest) = (text(&document, "id"), text(&document, "digest"));

    for who in ["author", "reader", "elsewhere", "default"] {
        let refused = court.approve(&id, &digest, who).await;
        assert_eq!(refused.status, 403, "{who}: {}", refused.text);
        let detail = refused.text_of("detail");
        assert!(
            detail.contains("writingpipelines/documents") && detail.contains("`approve`"),
            "{who}: {detail}"
        );
    }
    let another = digest.replace(|digit: char| digit.is_ascii_digit(), "0");
    let refused = court.approve(&id, &another, "reviewer").await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(refused.text_of("title"), "digest_mismatch");
    assert_eq!(refused.text_of("currentDigest"), digest);

    let after = court.document(&id).await;
    assert_eq!(after["status"], "Review");
    assert_eq!(after["decisions"], json!([]));
    assert_eq!(court.scene.received().await.posts, 0);

    court.approve(&id, &digest, "here").await.accepted();
    let published = court.until(&id, "Published").await;
    let by = format!("system:serviceaccount:{}:here", court.namespace().name());
    assert_eq!(published["decisions"][0]["by"], json!(by));
    assert_eq!(court.scene.received().await.documents, 1);
}

#[tokio::test]
async fn whoever_made_or_edited_a_text_cannot_approve_it() {
    let court = Court::open("author").await;
    let own = court.waiting("both", "own").await;
    let (id, digest) = (text(&own, "id"), text(&own, "digest"));
    let refused = court.approve(&id, &digest, "both").await;
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert_eq!(refused.text_of("title"), "author_cannot_approve");
    assert!(
        refused
            .text_of("detail")
            .contains("another person must approve")
    );

    // The wording changes; what policy found doubtful stays.
    let words = part(&own, "text").replace("Dear", "Good morning");
    let edit = json!({"digest": digest, "parts": [{"name": "text", "text": words}]});
    court
        .decide(&id, "edit", &edit, "reviewer")
        .await
        .accepted();
    let edited = court.until(&id, "Review").await;
    let new_digest = text(&edited, "digest");
    assert_ne!(new_digest, digest);
    let refused = court.approve(&id, &new_digest, "reviewer").await;
    assert_eq!(
        refused.text_of("title"),
        "author_cannot_approve",
        "{}",
        refused.text
    );
    let refused = court.approve(&id, &new_digest, "both").await;
    assert_eq!(
        refused.text_of("title"),
        "author_cannot_approve",
        "{}",
        refused.text
    );
    let refused = court.approve(&id, &digest, "here").await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    assert_eq!(refused.text_of("currentDigest"), new_digest);
    assert_eq!(court.scene.received().await.posts, 0);

    court.approve(&id, &new_digest, "here").await.accepted();
    let published = court.until(&id, "Published").await;
    assert_eq!(part(&published, "text"), words);
    assert_eq!(published["origin"], "Edited");
}

#[tokio::test]
async fn whoever_starts_a_run_is_the_author_and_cannot_say_that_another_did() {
    let court = Court::open("runner").await;
    let namespace = court.namespace();
    let account = |who: &str| format!("system:serviceaccount:{}:{who}", namespace.name());
    let start = async |author: &str| {
        let run = json!({
            "apiVersion": "aios.dev/v1alpha1",
            "kind": "WritingRun",
            "metadata": {"name": "batch"},
            "spec": {
                "pipelineRef": {"name": "welcome"},
                "author": author,
                "input": {"pointers": [{"customerId": 1}]},
            },
        });
        let token = token_for(namespace, "both", "https://kubernetes.default.svc").await;
        let client = namespace.cluster().client_with_token(&token).await.unwrap();
        let runs: Api<WritingRun> = Api::namespaced(client, namespace.name());
        let run = serde_json::from_value(run).unwrap();
        runs.create(&PostParams::default(), &run).await
    };
    let refused = start(&account("author")).await.unwrap_err().to_string();
    assert!(
        refused.contains("spec.author must be your own user name")
            && refused.contains(&account("both")),
        "{refused}"
    );
    start(&account("both")).await.unwrap();
    let waiting = court.scene.documents_in("Review", 1).await;
    let document = court.document(&waiting[0].id).await;
    let (id, digest) = (text(&document, "id"), text(&document, "digest"));
    let refused = court.approve(&id, &digest, "both").await;
    assert_eq!(refused.text_of("title"), "author_cannot_approve");
    court.approve(&id, &digest, "reviewer").await.accepted();
    court.until(&id, "Published").await;
}

#[tokio::test]
async fn an_approval_is_void_after_an_edit() {
    let court = Court::open("void").await;
    let document = court.waiting("author", "first").await;
    let (id, digest) = (text(&document, "id"), text(&document, "digest"));
    // It is approved, and nothing arrives: the receiver refuses before it records.
    court.scene.receiver_fault("error-500", 1_000_000).await;
    court.approve(&id, &digest, "reviewer").await.accepted();

    let words = part(&document, "text").replace("Dear", "Good morning");
    let edit = json!({"digest": digest, "parts": [{"name": "text", "text": words}]});
    // While a request may have arrived, the text cannot change; once read-back rules it out, it can.
    eventually("the edit is accepted", DEADLINE, async || {
        let answer = court.decide(&id, "edit", &edit, "here").await;
        ensure!(answer.status < 300, "{}", answer.text);
        Ok(Some(()))
    })
    .await
    .unwrap();
    court.scene.heal_receiver().await;
    let edited = court.until(&id, "Review").await;
    let approvals: Vec<_> = edited["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|decision| decision["kind"] == "Approved")
        .collect();
    assert_eq!(approvals.len(), 1, "{edited:#}");
    assert_eq!(approvals[0]["void"], json!(true));
    assert_eq!(court.scene.received().await.documents, 0);
    let refused = court.approve(&id, &digest, "reviewer").await;
    assert_eq!(refused.status, 409, "{}", refused.text);

    court
        .approve(&id, &text(&edited, "digest"), "reviewer")
        .await
        .accepted();
    let published = court.until(&id, "Published").await;
    assert_eq!(part(&published, "text"), words);
    assert_eq!(court.scene.received().await.documents, 1);
}

#[tokio::test]
async fn neither_etcd_nor_the_gateways_volume_holds_a_customers_name() {
    let court = Court::open("names").await;
    let nanos = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let name = format!("Wilhelmina{nanos}");
    let record = json!({"id": 7, "name": name, "topic": "saving"});
    court.scene.upload(&record.to_string()).await;
    court.scene.run_uploaded("names").await;
    assert_eq!(court.scene.finished("names").await.published, 1);
    let documents = court.scene.documents(Some("Published")).await.unwrap();
    let id = &documents[0].id;
    assert!(
        part(&court.document(id).await, "text").contains(&name),
        "it was written"
    );

    let cluster = court.namespace().cluster().clone();
    let etcd = cluster.etcd_files().unwrap();
    let volume = gateway_volume(court.namespace()).await;
    // What is known to be there is found: the search works.
    assert!(
        holds(&etcd, court.namespace().name()),
        "etcd: {}",
        etcd.display()
    );
    assert!(holds(&volume, id), "volume: {}", volume.display());
    assert!(!holds(&etcd, &name), "{name} is in etcd");
    assert!(
        !holds(&volume, &name),
        "{name} is on the gateway's volume in plain text"
    );
    let audit = cluster.options().dir.audit_log();
    assert!(!holds(&audit, &name), "{name} is in the API audit log");
    let logs = cluster.options().dir.var_log();
    assert!(!holds(&logs, &name), "{name} is in a pod's log");
}

/// Where the volume of the namespace's gateway lies on this machine.
async fn gateway_volume(namespace: &TestNamespace) -> PathBuf {
    let claims = namespace.api::<PersistentVolumeClaim>();
    let claim = claims.get("data-aios-gateway-0").await.unwrap();
    let name = claim.spec.unwrap().volume_name.unwrap();
    let volumes: Api<PersistentVolume> = Api::all(namespace.client());
    let spec = volumes.get(&name).await.unwrap().spec.unwrap();
    spec.local.unwrap().path.into()
}

/// Whether any file below a path holds these bytes.
fn holds(path: &Path, needle: &str) -> bool {
    if path.is_symlink() {
        return false;
    }
    if path.is_dir() {
        return path
            .read_dir()
            .unwrap()
            .any(|entry| holds(&entry.unwrap().path(), needle));
    }
    // A file may have gone since its folder was read.
    File::open(path).is_ok_and(|file| file_holds(file, needle.as_bytes()))
}

fn file_holds(mut file: File, needle: &[u8]) -> bool {
    let mut buffer = vec![0; 4 << 20];
    let mut kept = 0;
    loop {
        let read = file.read(&mut buffer[kept..]).unwrap_or(0);
        if read == 0 {
            return false;
        }
        let filled = kept + read;
        if contains(&buffer[..filled], needle) {
            return true;
        }
        kept = filled.min(needle.len() - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    let first = needle[0];
    let mut rest = haystack;
    while let Some(at) = rest.iter().position(|byte| *byte == first) {
        rest = &rest[at..];
        if rest.starts_with(needle) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}
