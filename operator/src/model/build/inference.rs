//! The `InferenceService` that runs a group's pod where KServe is installed.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::PodSpec, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::{
    model::{
        build::{group, meta},
        kserve::{InferenceService, InferenceServiceSpec, Predictor},
        validate::{Model, Own},
    },
    names::{self, Component},
    pods::port,
    settings::Settings,
};

/// Container that KServe takes for the server.
const CONTAINER: &str = "kserve-container";
/// A plain Deployment of as many pods as we say, for nobody outside: callers go through the ingress.
const ANNOTATIONS: [(&str, &str); 2] = [
    ("serving.kserve.io/deploymentMode", "RawDeployment"),
    ("serving.kserve.io/autoscalerClass", "external"),
];
const VISIBILITY: (&str, &str) = ("networking.kserve.io/visibility", "cluster-local");

/// KServe gives its labels to the pods, so that the model's Service leads to them.
pub fn service(settings: &Settings, model: &Model, own: &Own) -> InferenceService {
    let name = names::model_inference(&model.name);
    let spec = InferenceServiceSpec {
        predictor: Predictor {
            min_replicas: own.replicas,
            max_replicas: own.replicas,
            pod: pod(settings, model, own, &name),
        },
    };
    let mut meta = meta(model, name.clone(), Component::Engine);
    let labels = meta.labels.get_or_insert_default();
    labels.insert(VISIBILITY.0.into(), VISIBILITY.1.into());
    let annotations = ANNOTATIONS.map(|(key, value)| (key.to_owned(), value.to_owned()));
    InferenceService {
        metadata: ObjectMeta {
            annotations: Some(BTreeMap::from(annotations)),
            ..meta
        },
        ..InferenceService::new(&name, spec)
    }
}

fn pod(settings: &Settings, model: &Model, own: &Own, name: &str) -> PodSpec {
    let mut pod = group::pod(settings, model, own, name);
    if let Some(server) = pod.containers.first_mut() {
        let engine = own.engine.kserve.clone().unwrap_or_default();
        CONTAINER.clone_into(&mut server.name);
        server.ports = Some(vec![port("http1", engine.port)]);
    }
    pod
}
