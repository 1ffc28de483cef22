//! The operator's CA is replaced while everything works: nobody is refused, and afterwards nobody
//! trusts the old one.

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

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aios_e2e::testing::Forward;
use aios_e2e::testing::aios::SYSTEM;
use aios_e2e::{TestNamespace, eventually};
use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use reqwest::{Certificate, Identity};
use scene::{PIPELINE, Scene};
use serde_json::json;
use tokio::task::JoinHandle;

/// A kubelet takes up to two minutes to bring files, twice in a rotation.
const DEADLINE: Duration = Duration::from_mins(20);
const ITEMS: usize = 60;
const RUN: &str = "batch";

/// What pods of a namespace trust and show, as it is published.
#[derive(Clone, PartialEq)]
struct Papers {
    trusted: String,
    identity: Vec<u8>,
}

impl Papers {
    async fn of(namespace: &TestNamespace) -> Result<Self> {
        let map = namespace.api::<ConfigMap>().get("aios-ca").await?;
        let secret = namespace.api::<Secret>().get("aios-client-tls").await?;
        let (map, secret) = (
            map.data.unwrap_or_default(),
            secret.data.unwrap_or_default(),
        );
        let part = |key: &str| secret.get(key).context("no certificate");
        Ok(Self {
            trusted: map.get("ca.crt").context("no CA")?.clone(),
            identity: [part("tls.crt")?.0.as_slice(), &part("tls.key")?.0].concat(),
        })
    }

    fn authorities(&self) -> Vec<Certificate> {
        Certificate::from_pem_bundle(self.trusted.as_bytes()).unwrap()
    }

    /// Each request over a connection of its own.
    fn client(&self, host: &str, forward: &Forward) -> reqwest::Client {
        reqwest::Client::builder()
            .tls_certs_only(self.authorities())
            .identity(Identity::from_pem(&self.identity).unwrap())
            .resolve(host, forward.address())
            .pool_max_idle_per_host(0)
            .timeout(Duration::from_mins(1))
            .build()
            .unwrap()
    }
}

/// Somebody outside of AIOS who asks the gateway without a pause, and trusts what is published.
struct Outsider {
    told: Arc<Mutex<(usize, Vec<String>)>>,
    asking: JoinHandle<()>,
}

impl Outsider {
    async fn start(scene: &Scene) -> Self {
        let name = scene.namespace.name().to_owned();
        let maps = scene.namespace.api::<ConfigMap>();
        let papers = Papers::of(&scene.namespace).await.unwrap();
        let forward = scene
            .namespace
            .forward_service("aios-gateway", 8443)
            .await
            .unwrap();
        let token = desk::token(&scene.namespace, "author").await;
        let told = Arc::<Mutex<(usize, Vec<String>)>>::default();
        let telling = told.clone();
        let asking = tokio::spawn(async move {
            let host = format!("aios-gateway.{name}.svc");
            let url = format!(
                "https://{host}:{}/v1/pipelines/{PIPELINE}/documents",
                forward.address().port()
            );
            let mut papers = papers;
            let mut client = papers.client(&host, &forward);
            loop {
                let map = maps.get("aios-ca").await.unwrap();
                let trusted = map.data.unwrap()["ca.crt"].clone();
                if trusted != papers.trusted {
                    papers.trusted = trusted;
                    client = papers.client(&host, &forward);
                }
                let answer = client.get(&url).bearer_auth(&token).send().await;
                let mut told = telling.lock().unwrap();
                told.0 += 1;
                match answer.map(|answer| answer.status()) {
                    Ok(status) if status.is_success() => {}
                    Ok(status) => told.1.push(status.to_string()),
                    Err(error) => told.1.push(format!("{error:?}")),
                }
            }
        });
        Self { told, asking }
    }

    fn asked(&self) -> (usize, Vec<String>) {
        self.told.lock().unwrap().clone()
    }
}

impl Drop for Outsider {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

async fn ca(namespace: &TestNamespace) -> Result<Secret> {
    let secrets = Api::<Secret>::namespaced(namespace.client(), SYSTEM);
    Ok(secrets.get("aios-ca").await?)
}

async fn ask_for_another(namespace: &TestNamespace) {
    let secrets = Api::<Secret>::namespaced(namespace.client(), SYSTEM);
    let word = json!({"metadata": {"annotations": {"aios.dev/rotate-ca": namespace.name()}}});
    let patch = Patch::Merge(word);
    secrets
        .patch("aios-ca", &PatchParams::default(), &patch)
        .await
        .unwrap();
}

/// Keys of the CA's Secret: they say which stage it is in.
fn keys(secret: &Secret) -> Vec<String> {
    secret
        .data
        .iter()
        .flatten()
        .map(|(key, _)| key.clone())
        .collect()
}

async fn until_keys(namespace: &TestNamespace, wanted: &[&str]) {
    eventually(&format!("the CA has {wanted:?}"), DEADLINE, async || {
        let found = keys(&ca(namespace).await?);
        ensure!(found == wanted, "{found:?}");
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// How often containers were restarted, by pod.
async fn restarts(namespace: &TestNamespace) -> Result<BTreeMap<String, i32>> {
    let ours = ListParams::default().labels("app.kubernetes.io/managed-by=aios-operator");
    let pods = namespace.api::<Pod>().list(&ours).await?.items;
    Ok(pods
        .iter()
        .map(|pod| (pod.name_any(), of_containers(pod)))
        .collect())
}

fn of_containers(pod: &Pod) -> i32 {
    let status = pod.status.clone().unwrap_or_default();
    let own = status.container_statuses.unwrap_or_default();
    let sidecars = status.init_container_statuses.unwrap_or_default();
    own.iter()
        .chain(&sidecars)
        .map(|one| one.restart_count)
        .sum()
}

#[tokio::test]
async fn a_ca_is_replaced_while_documents_are_written_and_nobody_is_refused() {
    let scene = Scene::open("rotation").await;
    let namespace = &scene.namespace;
    scene.upload(&scene::records(ITEMS, |_| "saving")).await;
    // Workers are at it from the first stage to the last.
    scene.slow_model(Duration::from_secs(20)).await;
    scene.run(RUN, scene::pointers(ITEMS)).await;
    eventually("the model writes", DEADLINE, async || {
        Ok((scene.model_calls("active").await? > 0).then_some(()))
    })
    .await
    .unwrap();
    let outsider = Outsider::start(&scene).await;
    let before = Papers::of(namespace).await.unwrap();
    let pods = restarts(namespace).await.unwrap();

    ask_for_another(namespace).await;
    until_keys(namespace, &["ca.crt", "ca.key", "next.crt", "next.key"]).await;
    until_keys(namespace, &["ca.crt", "ca.key", "previous.crt"]).await;
    // Another operator leads from here on, and takes it from where it stands.
    let operators = Api::<Pod>::namespaced(namespace.client(), SYSTEM);
    let leader = scene::leader(namespace).await;
    operators
        .delete(&leader, &DeleteParams::default())
        .await
        .unwrap();
    until_keys(namespace, &["ca.crt", "ca.key"]).await;
    let after = eventually("the old CA is in no bundle", DEADLINE, async || {
        let papers = Papers::of(namespace).await?;
        let is_alone = papers.authorities().len() == 1;
        Ok((is_alone && papers.trusted != before.trusted).then_some(papers))
    })
    .await
    .unwrap();
    let so_far = outsider.asked().0;
    eventually("it is asked ever on", DEADLINE, async || {
        Ok((outsider.asked().0 > so_far + 20).then_some(()))
    })
    .await
    .unwrap();

    only_the_new_ca_counts(namespace, &before, &after).await;
    let (asked, refused) = outsider.asked();
    assert!(
        refused.is_empty(),
        "{} of {asked}: {refused:#?}",
        refused.len()
    );
    scene.heal_model().await;
    let items = scene.finished(RUN).await;
    assert_eq!((items.accepted, items.published), (60, 60), "{items:?}");
    let since = restarts(namespace).await.unwrap();
    let known = since.iter().filter(|(pod, _)| pods.contains_key(*pod));
    assert!(known.clone().count() > 0, "{since:?}");
    assert!(
        known.clone().all(|(pod, count)| pods[pod] == *count),
        "{since:?}"
    );
    scene.published_once(ITEMS).await;
}

/// Who trusts or shows what was published before reaches nobody.
async fn only_the_new_ca_counts(namespace: &TestNamespace, before: &Papers, after: &Papers) {
    let forward = namespace
        .forward_service("writer-model", 8443)
        .await
        .unwrap();
    let host = format!("writer-model.{}.svc", namespace.name());
    let url = format!("https://{host}:{}/v1/models", forward.address().port());
    let answers = async |papers: &Papers| {
        let asked = papers.client(&host, &forward).get(&url).send().await;
        asked.is_ok()
    };
    assert!(answers(after).await);
    let trusting = Papers {
        trusted: before.trusted.clone(),
        ..after.clone()
    };
    let showing = Papers {
        identity: before.identity.clone(),
        ..after.clone()
    };
    assert!(
        !answers(&trusting).await,
        "it shows a certificate of the old CA"
    );
    eventually("its kubelet brings the bundle", DEADLINE, async || {
        ensure!(!answers(&showing).await, "it trusts the old CA");
        Ok(Some(()))
    })
    .await
    .unwrap();
}
