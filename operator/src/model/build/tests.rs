#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use super::{Desired, build, rollout_tests::stable};
use crate::{
    ca::Issued,
    model::{
        fetch::{Credentials, Found},
        kserve::Wanted,
        prefetch::Fetched,
        validate::validate,
    },
    pool::{GpuClasses, placement},
    testing::{assert_restricted, hosted, model, self_hosted, settings},
};

pub fn found(weights: Option<Fetched>, credentials: Option<Credentials>) -> Found {
    Found {
        credentials,
        weights,
        prefetch: None,
        groups: Vec::new(),
        sets: Vec::new(),
        rollout: None,
        kserve: false,
        started: None,
        at: jiff::Timestamp::UNIX_EPOCH,
    }
}

/// The leader's StatefulSet of the n-th group.
fn leader(desired: &Desired, index: usize) -> Value {
    json_of(&desired.groups[index].sets[0])
}

pub fn built(model: &aios_crds::ModelDeployment, found: &Found) -> Desired {
    let issued = Issued {
        certificate: "c".into(),
        key: "k".into(),
    };
    build(&settings(), &validate(model).unwrap(), found, Some(&issued))
}

fn json_of<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn only_the_ingress_of_a_hosted_model_holds_the_key() {
    let desired = built(&hosted(true), &found(None, Some(Credentials::Ready)));
    let workload = json_of(&desired.hosted);
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
    assert!(desired.hosted.is_none());
    assert_eq!(desired.kept.as_deref(), Some("big-model"));
}

#[test]
fn engines_wait_for_their_weights() {
    let desired = built(&self_hosted(1), &found(Some(Fetched::Missing), None));
    assert!(desired.groups.is_empty() && desired.revision.is_none());
    let job = json_of(&desired.prefetch);
    assert_restricted(&job);
    let args = &job["spec"]["template"]["spec"]["containers"][0]["args"];
    assert_eq!(args[0], "prefetch");
    let file: Value = serde_json::from_str(args[4].as_str().unwrap()).unwrap();
    assert_eq!(
        file,
        json!({"name": "model", "uri": "http://files/smollm.gguf",
            "digest": format!("sha256:{}", "ab".repeat(32)),
            "path": format!("/weights/{}.gguf", "ab".repeat(16))})
    );
    let claim = json_of(&desired.claim);
    assert_eq!(claim["metadata"]["name"], "small-weights");
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteOnce"]));
}

#[test]
fn a_group_is_an_engine_on_loopback_behind_an_ingress() {
    let desired = built(&self_hosted(1), &found(Some(Fetched::Ready), None));
    assert_eq!(desired.groups.len(), 3);
    let workload = leader(&desired, 0);
    assert_restricted(&workload);
    assert_eq!(workload["spec"]["replicas"], 1);
    assert_eq!(workload["spec"]["podManagementPolicy"], "Parallel");
    assert_eq!(workload["spec"]["updateStrategy"]["type"], "OnDelete");
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
    let roles: Vec<_> = (0..3)
        .map(|index| {
            leader(&desired, index)["spec"]["template"]["metadata"]["labels"]
                ["app.kubernetes.io/component"]
                .clone()
        })
        .collect();
    assert_eq!(roles, ["engine", "engine", "standby"]);
    let selects = |service: usize, group: usize| {
        let service = json_of(&desired.services[service]);
        let labels = &leader(&desired, group)["spec"]["template"]["metadata"]["labels"];
        let selector = service["spec"]["selector"].as_object().unwrap();
        selector
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    };
    assert!(selects(0, 0) && selects(0, 1) && !selects(0, 2));
    assert!(selects(1, 2) && !selects(1, 0));
    let without = built(&self_hosted(0), &found(Some(Fetched::Ready), None));
    assert_eq!((without.groups.len(), without.services.len()), (2, 1));
}

#[test]
fn a_model_that_one_pod_cannot_hold_is_a_leader_and_shards_that_it_dials() {
    let mut model = self_hosted(0);
    model.spec.replicas = 1;
    let own = model.spec.self_hosted.as_mut().unwrap();
    own.shards = serde_json::from_value(json!({"tensor": 2, "pipeline": 2})).unwrap();
    own.gpu.as_mut().unwrap().count = 2;
    let desired = built(&model, &found(Some(Fetched::Ready), None));
    let group = &desired.groups[0];
    assert_eq!(group.sets.len(), 2);
    let (leader, shards) = (json_of(&group.sets[0]), json_of(&group.sets[1]));
    assert_restricted(&shards);
    assert_eq!(
        shards["spec"]["replicas"], 1,
        "2 stages of 2 devices in 2 pods"
    );
    assert_eq!(shards["spec"]["serviceName"], "small-shards");
    let engine = &leader["spec"]["template"]["spec"]["containers"][0];
    let args = engine["args"].as_array().unwrap();
    let at = args.iter().position(|arg| arg == "--rpc").unwrap();
    let address = format!("{}w-0.small-shards.team.svc:50052", group.name);
    assert_eq!(args[at + 1], address);
    let shard = &shards["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(shard["command"], json!(["ggml-rpc-server"]));
    assert_eq!(shard["ports"][0]["containerPort"], 50_052);
    // Its one connection is its leader's: a probe that went on would find no room.
    assert_eq!(shard["readinessProbe"], Value::Null);
    assert_eq!(shard["startupProbe"]["tcpSocket"]["port"], 50_052);
    let names: Vec<_> = desired
        .services
        .iter()
        .map(|s| s.metadata.name.clone().unwrap())
        .collect();
    assert_eq!(names, ["small-model", "small-shards"]);
    let policy = json_of(&desired.network);
    assert_eq!(policy["spec"]["ingress"][0]["ports"][0]["port"], 50_052);
}

#[test]
fn what_pods_run_is_their_revision_and_what_they_are_for_is_not() {
    let revision = |model: &aios_crds::ModelDeployment| {
        built(model, &found(Some(Fetched::Ready), None))
            .revision
            .unwrap()
    };
    let first = revision(&self_hosted(0));
    assert_eq!(first.len(), 6);
    assert_eq!(
        revision(&self_hosted(1)),
        first,
        "a standby more runs the same"
    );
    let mut more = self_hosted(0);
    more.spec.replicas = 7;
    assert_eq!(revision(&more), first);
    let mut changed = self_hosted(0);
    changed.spec.self_hosted.as_mut().unwrap().engine.args = vec!["--flash-attn".into()];
    assert_ne!(revision(&changed), first);
}

#[test]
fn every_child_is_owned_by_its_model() {
    let desired = built(&self_hosted(1), &found(Some(Fetched::Ready), None));
    for child in [
        json_of(&desired.account),
        json_of(desired.certificate.as_ref().unwrap()),
        json_of(&desired.services[0]),
        json_of(&desired.claim),
        json_of(&desired.prefetch),
        leader(&desired, 0),
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
    let own = changed.spec.self_hosted.as_mut().unwrap();
    own.model.as_mut().unwrap().digest = format!("sha256:{}", "cd".repeat(32));
    let second = validate(&changed).unwrap();
    let names = |model: &crate::model::validate::Model| {
        let desired = build(
            &settings(),
            model,
            &found(Some(Fetched::Missing), None),
            None,
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
    let cache = own.model.as_mut().unwrap().cache.as_mut().unwrap();
    cache.storage_class_name = Some("fast".into());
    cache.access_mode = aios_crds::weights::AccessMode::ReadWriteMany;
    let desired = built(&model, &found(Some(Fetched::Ready), None));
    let engine = &leader(&desired, 0)["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(engine["image"], "mirror/llama:2");
    assert_eq!(engine["resources"]["requests"]["memory"], "512Mi");
    assert_eq!(engine["resources"]["limits"]["memory"], "512Mi");
    let claim = json_of(&desired.claim);
    assert_eq!(claim["spec"]["storageClassName"], "fast");
    assert_eq!(claim["spec"]["resources"]["requests"]["storage"], "1Gi");
    assert_eq!(claim["spec"]["accessModes"], json!(["ReadWriteMany"]));
}

/// A model of these weights and adapters.
fn of(weights: Value, adapters: Value) -> aios_crds::ModelDeployment {
    let mut model = self_hosted(0);
    let own = model.spec.self_hosted.as_mut().unwrap();
    own.model = Some(serde_json::from_value(weights).unwrap());
    own.adapters = serde_json::from_value(adapters).unwrap();
    model
}

fn digest(byte: &str) -> String {
    format!("sha256:{}", byte.repeat(32))
}

/// Files that the prefetch is asked for.
fn wanted(job: &Value) -> Vec<Value> {
    let args = job["spec"]["template"]["spec"]["containers"][0]["args"]
        .as_array()
        .unwrap();
    let texts = args.iter().filter_map(Value::as_str);
    texts
        .filter(|text| text.starts_with('{'))
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

fn volume(workload: &Value, name: &str) -> Value {
    let volumes = &workload["spec"]["template"]["spec"]["volumes"];
    let found = volumes
        .as_array()
        .unwrap()
        .iter()
        .find(|v| v["name"] == name);
    found.cloned().unwrap_or_default()
}

fn engine(workload: &Value) -> &Value {
    &workload["spec"]["template"]["spec"]["containers"][0]
}

#[test]
fn hub_weights_are_fetched_at_their_revision_with_their_token() {
    let model = of(
        json!({"uri": "hf://org/repo/a-Q4_1.gguf", "revision": "v2", "digest": digest("ab"),
            "credentials": {"secretKeyRef": {"name": "hub", "key": "token"}},
            "cache": {"size": "1Gi"}}),
        json!([]),
    );
    let job = json_of(&built(&model, &found(Some(Fetched::Missing), None)).prefetch);
    assert_restricted(&job);
    let file = &wanted(&job)[0];
    assert_eq!(
        file["uri"],
        "https://huggingface.co/org/repo/resolve/v2/a-Q4_1.gguf"
    );
    assert_eq!(file["tokenFile"], "/var/run/aios/weights/0");
    let items = json!([{"key": "token", "path": "0"}]);
    assert_eq!(
        volume(&job, "tokens")["projected"]["sources"],
        json!([{"secret": {"name": "hub", "items": items}}])
    );
    let mounts = &job["spec"]["template"]["spec"]["containers"][0]["volumeMounts"];
    assert!(mounts.as_array().unwrap().contains(
        &json!({"name": "tokens", "mountPath": "/var/run/aios/weights", "readOnly": true})
    ));
    assert!(!job.to_string().contains("\"value\":\"token"));
}

#[test]
fn weights_on_a_claim_are_mounted_read_only_and_only_checked() {
    let model = of(
        json!({"uri": "pvc://models/small/a.gguf", "digest": digest("ab")}),
        json!([]),
    );
    let desired = built(&model, &found(Some(Fetched::Ready), None));
    assert!(desired.claim.is_none());
    let (job, workload) = (json_of(&desired.prefetch), leader(&desired, 0));
    assert_eq!(
        wanted(&job),
        [json!({"name": "model", "digest": digest("ab"), "path": "/claims/models/small/a.gguf"})]
    );
    for object in [&job, &workload] {
        let mounts = engine(object)["volumeMounts"].as_array().unwrap();
        let mount = mounts
            .iter()
            .find(|m| m["mountPath"] == "/claims/models")
            .unwrap();
        assert_eq!(mount["readOnly"], true);
        let volume = volume(object, mount["name"].as_str().unwrap());
        assert_eq!(
            volume["persistentVolumeClaim"],
            json!({"claimName": "models", "readOnly": true})
        );
        assert_restricted(object);
    }
    assert_eq!(engine(&workload)["args"][1], "/claims/models/small/a.gguf");
}

#[test]
fn weights_in_an_image_are_mounted_as_an_image_volume_and_only_checked() {
    let model = of(
        json!({"uri": "oci://r.example/models/small:1.0/a.gguf", "digest": digest("ab")}),
        json!([]),
    );
    let desired = built(&model, &found(Some(Fetched::Ready), None));
    assert!(desired.claim.is_none());
    let (job, workload) = (json_of(&desired.prefetch), leader(&desired, 0));
    let path = wanted(&job)[0]["path"].as_str().unwrap().to_owned();
    assert!(
        path.starts_with("/images/") && path.ends_with("/a.gguf"),
        "{path}"
    );
    assert_eq!(wanted(&job)[0].get("uri"), None);
    assert_eq!(engine(&workload)["args"][1], path);
    for object in [&job, &workload] {
        let mounts = engine(object)["volumeMounts"].as_array().unwrap();
        let mount = mounts
            .iter()
            .find(|m| path.starts_with(m["mountPath"].as_str().unwrap()))
            .unwrap();
        let volume = volume(object, mount["name"].as_str().unwrap());
        assert_eq!(
            volume["image"],
            json!({"reference": "r.example/models/small:1.0", "pullPolicy": "IfNotPresent"})
        );
    }
}

#[test]
fn adapters_are_brought_by_the_same_job_and_given_to_the_engine() {
    let model = of(
        json!({"uri": "pvc://models/a.gguf", "digest": digest("ab"), "cache": {"size": "1Gi"}}),
        json!([
            {"name": "style", "uri": "https://models.example/s.gguf", "digest": digest("cd"),
                "credentials": {"secretKeyRef": {"name": "styles", "key": "key"}}},
            {"name": "law", "uri": "hf://org/repo/l.gguf", "revision": "v1", "digest": digest("ef")},
        ]),
    );
    let desired = built(&model, &found(Some(Fetched::Ready), None));
    let (job, workload) = (json_of(&desired.prefetch), leader(&desired, 0));
    let names: Vec<Value> = wanted(&job).iter().map(|f| f["name"].clone()).collect();
    assert_eq!(names, ["model", "adapter style", "adapter law"]);
    assert_eq!(wanted(&job)[1]["tokenFile"], "/var/run/aios/weights/1");
    assert_eq!(wanted(&job)[2].get("tokenFile"), None);
    assert!(desired.claim.is_some());
    let args = engine(&workload)["args"].as_array().unwrap();
    let at = args.iter().position(|arg| arg == "--lora").unwrap();
    let (style, law) = ("cd".repeat(16), "ef".repeat(16));
    assert_eq!(
        args[at + 1],
        format!("/weights/{style}.gguf,/weights/{law}.gguf")
    );
}

#[test]
fn a_prefetch_can_tell_the_operator_how_far_it_is() {
    let desired = built(&self_hosted(0), &found(Some(Fetched::Missing), None));
    let job = json_of(&desired.prefetch);
    let variables = engine(&job)["env"].as_array().unwrap();
    let named = |name: &str| variables.iter().find(|v| v["name"] == name).unwrap();
    assert_eq!(named("AIOS_MODEL")["value"], "small");
    let hash = named("AIOS_WEIGHTS")["value"].as_str().unwrap();
    let name = job["metadata"]["name"].as_str().unwrap();
    assert_eq!(name, format!("small-prefetch-{hash}"));
    assert!(volume(&job, "control")["projected"].is_object());
}

#[test]
fn every_pod_of_a_model_goes_to_the_nodes_of_its_class() {
    let classes = GpuClasses::parse(
        r#"[{"name": "l4", "nodeClass": {"group": "g", "kind": "K", "name": "n"}}]"#,
    )
    .unwrap();
    let mut model = self_hosted(1);
    let own = model.spec.self_hosted.as_mut().unwrap();
    own.gpu.as_mut().unwrap().class = Some("l4".into());
    let mut valid = validate(&model).unwrap();
    assert_eq!((valid.gpu_class(), valid.groups()), (Some("l4"), 3));
    valid.placement = placement(classes.find("l4").unwrap(), "team");
    let issued = Issued {
        certificate: "c".into(),
        key: "k".into(),
    };
    let ready = found(Some(Fetched::Ready), None);
    let desired = build(&settings(), &valid, &ready, Some(&issued));
    for workload in [
        leader(&desired, 0),
        leader(&desired, 2),
        json_of(&desired.prefetch),
    ] {
        let pod = &workload["spec"]["template"]["spec"];
        let pool = pod["nodeSelector"]["karpenter.sh/nodepool"].as_str();
        assert!(pool.unwrap().starts_with("aios-l4-"), "{pod}");
        assert_eq!(pod["tolerations"][0]["key"], "nvidia.com/gpu");
    }
}

#[test]
fn the_first_prefetch_is_as_large_as_an_engine_and_a_later_one_needs_no_gpu() {
    let mut seen = found(Some(Fetched::Missing), None);
    let gpus = |seen: &Found| {
        let job = json_of(&built(&self_hosted(1), seen).prefetch);
        job["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
            .clone()
    };
    assert_eq!(gpus(&seen), "1");
    seen.groups = vec![stable(1)];
    assert_eq!(gpus(&seen), Value::Null);
}

#[test]
fn where_kserve_is_installed_the_same_pod_is_its_predictor() {
    let spec = json!({"selfHosted": {
        "engine": {"name": "KServe", "image": "mirror.example/server:1",
            "kserve": {"model": "house", "port": 8085}},
    }, "replicas": 2});
    let mut seen = found(None, None);
    let groups = built(&model("house", &spec), &seen);
    seen.kserve = true;
    let desired = built(&model("house", &spec), &seen);
    assert!(desired.groups.is_empty() && desired.hosted.is_none());
    let Wanted::Exactly(service) = &desired.inference else {
        panic!("{:?}", desired.inference);
    };
    let service = json_of(service);
    assert_eq!(service["apiVersion"], "serving.kserve.io/v1beta1");
    assert_eq!(service["metadata"]["name"], "house-engine");
    assert_eq!(service["metadata"]["ownerReferences"][0]["name"], "house");
    // KServe gives its labels to the pods: the model's Service selects by them.
    let selector = json_of(&desired.services[0])["spec"]["selector"].clone();
    for (label, value) in selector.as_object().unwrap() {
        assert_eq!(&service["metadata"]["labels"][label], value);
    }
    let predictor = &service["spec"]["predictor"];
    assert_eq!(predictor["minReplicas"], 2);
    assert_eq!(predictor["maxReplicas"], 2);
    let pod = &leader(&groups, 0)["spec"]["template"]["spec"];
    assert_eq!(predictor["initContainers"], pod["initContainers"]);
    assert_eq!(predictor["securityContext"], pod["securityContext"]);
    let server = &predictor["containers"][0];
    assert_eq!(server["name"], "kserve-container");
    assert_eq!(server["ports"][0]["containerPort"], 8085);
    assert_eq!(server["image"], pod["containers"][0]["image"]);
}

#[test]
fn kserve_runs_nothing_that_stands_by_or_is_on_trial_or_sleeps() {
    let spec = |more: Value| {
        let mut spec = json!({"selfHosted": {
            "engine": {"name": "KServe", "image": "mirror.example/server:1",
                "kserve": {"model": "house"}},
        }});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        spec
    };
    let mut seen = found(None, None);
    seen.kserve = true;
    let mut standing = spec(json!({}));
    standing["selfHosted"]["warm"] = json!({"standby": 1});
    let desired = built(&model("house", &standing), &seen);
    assert!(matches!(desired.inference, Wanted::None));
    assert_eq!(desired.groups.len(), 2);
    let mut tried = spec(json!({}));
    tried["selfHosted"]["rollout"] = json!({"evaluation":
        {"configMapRef": {"name": "inputs"}, "policyRefs": [{"name": "tone"}]}});
    let desired = built(&model("house", &tried), &seen);
    assert!(matches!(desired.inference, Wanted::None));
    assert_eq!(desired.groups.len(), 1);
    let desired = built(&model("house", &spec(json!({"replicas": 0}))), &seen);
    assert!(matches!(desired.inference, Wanted::None) && desired.groups.is_empty());
}
