#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{Desired, build};
use crate::{
    ca::Issued,
    model::{
        fetch::{Credentials, Found},
        prefetch::Fetched,
        validate::validate,
    },
    testing::{assert_restricted, hosted, self_hosted, settings},
};

fn found(weights: Option<Fetched>, credentials: Option<Credentials>) -> Found {
    Found {
        credentials,
        certificate: None,
        weights,
        prefetch: None,
    }
}

fn built(model: &aios_crds::ModelDeployment, found: &Found) -> Desired {
    let issued = Issued {
        certificate: "c".into(),
        key: "k".into(),
    };
    build(&settings(), &validate(model).unwrap(), found, &issued)
}

fn json_of<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn only_the_ingress_of_a_hosted_model_holds_the_key() {
    let desired = built(&hosted(true), &found(None, Some(Credentials::Ready)));
    let workload = json_of(&desired.active);
    assert_restricted(&workload);
    assert_eq!(workload["metadata"]["name"], "big-model");
    let pod = &workload["spec"]["template"]["spec"];
    let provider = pod["volumes"]
        .as_array()
        .unwrap()
        .iter()
        .find(|v| v["name"] == "provider");
    assert_eq!(provider.unwrap()["secret"]["secretName"], "provider");
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["serviceAccountName"], "big-model");
    assert!(pod["containers"][0]["env"].as_array().unwrap().contains(
        &json!({"name": "AIOS_PROVIDER_KEY_FILE", "value": "/var/run/aios/provider/key"})
    ));
}

#[test]
fn without_its_key_a_hosted_model_keeps_what_runs_and_starts_nothing() {
    let missing = Credentials::Missing {
        secret: "provider".into(),
        key: "token".into(),
    };
    let desired = built(&hosted(true), &found(None, Some(missing)));
    assert!(desired.active.is_none());
    assert_eq!(desired.kept, ["big-model"]);
}

#[test]
fn engines_wait_for_their_weights() {
    let desired = built(&self_hosted(1), &found(Some(Fetched::Missing), None));
    assert!(desired.active.is_none() && desired.standby.is_none());
    assert_eq!(desired.kept, ["small-engine", "small-standby"]);
    let job = json_of(&desired.prefetch);
    assert_restricted(&job);
    let args = &job["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(args[0], "prefetch");
    assert_eq!(args[6], format!("/weights/{}.gguf", "ab".repeat(16)));
    let claim = json_of(&desired.claim);
    assert_eq!(claim["metadata"]["name"], "small-weights");
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteOnce"]));
}

#[test]
fn a_group_is_an_engine_on_loopback_behind_an_ingress() {
    let desired = built(&self_hosted(1), &found(Some(Fetched::Ready), None));
    let workload = json_of(&desired.active);
    assert_restricted(&workload);
    assert_eq!(workload["spec"]["replicas"], 2);
    let pod = &workload["spec"]["template"]["spec"];
    assert_eq!(pod["initContainers"][0]["name"], "ingress");
    assert_eq!(pod["initContainers"][0]["restartPolicy"], "Always");
    let engine = &pod["containers"][0];
    let args: Vec<&str> = engine["args"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let file = format!("/weights/{}.gguf", "ab".repeat(16));
    assert_eq!(
        args,
        [
            "-m",
            &file,
            "--host",
            "127.0.0.1",
            "--port",
            "8080",
            "-c",
            "8192",
            "-np",
            "8",
            "--metrics",
            "--no-webui"
        ]
    );
    assert_eq!(engine["image"], "llama:1");
    assert_eq!(engine["resources"]["limits"]["nvidia.com/gpu"], "1");
    assert_eq!(engine["resources"]["requests"]["cpu"], "500m");
    assert!(engine.get("ports").is_none());
}

#[test]
fn standby_groups_have_a_service_of_their_own() {
    let desired = built(&self_hosted(1), &found(Some(Fetched::Ready), None));
    let names: Vec<_> = desired
        .services
        .iter()
        .map(|s| s.metadata.name.clone().unwrap())
        .collect();
    assert_eq!(names, ["small-model", "small-standby"]);
    let standby = json_of(&desired.standby);
    assert_eq!(standby["metadata"]["name"], "small-standby");
    assert_eq!(standby["spec"]["replicas"], 1);
    assert_eq!(
        json_of(&desired.services[1])["spec"]["selector"],
        standby["spec"]["selector"]["matchLabels"]
    );
    let without = built(&self_hosted(0), &found(Some(Fetched::Ready), None));
    assert!(without.standby.is_none());
    assert_eq!(without.services.len(), 1);
}

#[test]
fn every_child_is_owned_by_its_model() {
    let desired = built(&self_hosted(1), &found(Some(Fetched::Ready), None));
    for child in [
        json_of(&desired.account),
        json_of(&desired.certificate),
        json_of(&desired.services[0]),
        json_of(&desired.claim),
        json_of(&desired.prefetch),
        json_of(&desired.active),
    ] {
        let owner = &child["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["uid"], &owner["controller"]),
            (&json!("uid-small"), &json!(true))
        );
        assert_eq!(child["metadata"]["labels"]["aios.dev/model"], "small");
    }
}

#[test]
fn another_source_or_digest_is_another_job_and_another_file() {
    let first = validate(&self_hosted(0)).unwrap();
    let mut changed = self_hosted(0);
    changed.spec.self_hosted.as_mut().unwrap().model.digest = format!("sha256:{}", "cd".repeat(32));
    let second = validate(&changed).unwrap();
    let names = |model: &crate::model::validate::Model| {
        let desired = build(
            &settings(),
            model,
            &found(Some(Fetched::Missing), None),
            &Issued {
                certificate: String::new(),
                key: String::new(),
            },
        );
        desired.prefetch.unwrap().metadata.name.unwrap()
    };
    assert_ne!(names(&first), names(&second));
}

#[test]
fn weights_and_engine_are_as_the_spec_asks() {
    let mut model = self_hosted(0);
    let own = model.spec.self_hosted.as_mut().unwrap();
    own.engine.image = Some("mirror/llama:2".into());
    own.model.cache.storage_class_name = Some("fast".into());
    let desired = built(&model, &found(Some(Fetched::Ready), None));
    let engine = &json_of(&desired.active)["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(engine["image"], "mirror/llama:2");
    assert_eq!(engine["resources"]["requests"]["memory"], "512Mi");
    assert_eq!(engine["resources"]["limits"]["memory"], "512Mi");
    let claim = json_of(&desired.claim);
    assert_eq!(claim["spec"]["storageClassName"], "fast");
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "1Gi");
    let missing = built(&model, &found(Some(Fetched::Missing), None));
    let job = json_of(&missing.prefetch);
    let args = &job["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(args[2], "http://files/smollm.gguf");
    assert_eq!(args[4], format!("sha256:{}", "ab".repeat(32)));
}
