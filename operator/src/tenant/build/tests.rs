#![allow(clippy::unwrap_used)]

use aios_crds::WritingPipeline;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Desired, GatewayObjects, Workload, build};
use crate::{
    ca::Authority,
    tenant::{
        build::bootstrap,
        fetch::Found,
        validate::{papers, validate},
    },
    testing::{assert_restricted, pipeline, self_hosted, settings, share},
};

fn found(pipelines: Vec<WritingPipeline>) -> Found {
    Found {
        pipelines,
        models: vec![self_hosted(0)],
        ..Found::default()
    }
}

fn built(found: &Found) -> Desired {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let authority = Authority::open(&Authority::generate(now).unwrap()).unwrap();
    let tenant = validate("team", found).unwrap();
    let papers = papers(&tenant, found, &authority, now).unwrap();
    build((&settings(), &share()), &tenant, &papers, found)
}

fn json_of<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap()
}

fn workload(gateway: &GatewayObjects) -> Value {
    match &gateway.workload {
        Workload::Alone(set) => json_of(set),
        Workload::Replicated { deployment, .. } => json_of(deployment),
    }
}

fn owners(value: &Value) -> Vec<String> {
    let owners = value
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array);
    let uids = owners.into_iter().flatten().map(|owner| {
        assert!(
            owner.get("controller").is_none(),
            "a shared object has no controller"
        );
        owner["uid"].as_str().unwrap().to_owned()
    });
    uids.collect()
}

#[test]
fn models_alone_need_trust_but_no_gateway() {
    let desired = built(&found(Vec::new()));
    assert!(desired.gateway.is_none());
    assert_eq!(owners(&json_of(&desired.trust)), ["uid-small"]);
}

#[test]
fn an_empty_namespace_needs_nothing() {
    let nothing = Found {
        models: Vec::new(),
        ..found(Vec::new())
    };
    assert!(validate("team", &nothing).is_none());
}

#[test]
fn the_gateway_is_owned_by_every_pipeline() {
    let pipelines = vec![
        pipeline("a", false, "Retain"),
        pipeline("b", false, "Retain"),
    ];
    let desired = built(&found(pipelines));
    let gateway = desired.gateway.unwrap();
    for child in [
        workload(&gateway),
        json_of(&gateway.service),
        json_of(&gateway.role),
        json_of(&gateway.binding),
        json_of(&gateway.account),
        json_of(&gateway.worker),
        json_of(&gateway.policy),
        json_of(&gateway.serving),
    ] {
        assert_eq!(owners(&child), ["uid-a", "uid-b"]);
    }
    assert_eq!(
        owners(&json_of(&desired.client)),
        ["uid-a", "uid-b", "uid-small"]
    );
}

#[test]
fn volume_and_keys_belong_to_nobody_unless_all_pipelines_say_delete() {
    let mixed = vec![
        pipeline("a", false, "Delete"),
        pipeline("b", false, "Retain"),
    ];
    let gateway = built(&found(mixed)).gateway.unwrap();
    assert!(owners(&json_of(&gateway.keys_meta)).is_empty());
    assert!(owners(&json_of(&gateway.claim)).is_empty());
    let gateway = built(&found(vec![pipeline("a", false, "Delete")]))
        .gateway
        .unwrap();
    assert_eq!(owners(&json_of(&gateway.keys_meta)), ["uid-a"]);
    assert_eq!(owners(&json_of(&gateway.claim)), ["uid-a"]);
    assert!(
        json_of(&gateway.keys_meta).get("data").is_none(),
        "an apply never touches keys"
    );
}

#[test]
fn the_gateway_is_one_restricted_pod_on_a_retained_volume() {
    let built = built(&found(vec![pipeline("a", false, "Retain")]));
    let workload = workload(&built.gateway.unwrap());
    assert_restricted(&workload);
    let spec = &workload["spec"];
    assert_eq!(spec["replicas"], 1);
    assert_eq!(
        spec["persistentVolumeClaimRetentionPolicy"],
        json!({"whenDeleted": "Retain", "whenScaled": "Retain"})
    );
    let pod = &spec["template"]["spec"];
    assert_eq!(pod["initContainers"][0]["restartPolicy"], "Always");
    assert_eq!(pod["containers"][0]["args"], json!(["serve"]));
    let mounts = |container: &Value| -> Vec<String> {
        let mounts = container["volumeMounts"].as_array().unwrap().iter();
        mounts
            .map(|mount| mount["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert!(mounts(&pod["containers"][0]).contains(&"tenant".to_owned()));
    assert!(!mounts(&pod["initContainers"][0]).contains(&"tenant".to_owned()));
    let token = &pod["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
    assert_eq!(token["audience"], "aios-control");
}

#[test]
fn a_living_gateway_keeps_size_and_class_of_its_volume() {
    let mut found = found(vec![pipeline("a", false, "Retain")]);
    let Workload::Alone(mut live) = built(&found).gateway.unwrap().workload else {
        unreachable!("it has a volume");
    };
    let claim = &mut live
        .spec
        .as_mut()
        .unwrap()
        .volume_claim_templates
        .as_mut()
        .unwrap()[0];
    let spec = claim.spec.as_mut().unwrap();
    spec.storage_class_name = Some("fast".into());
    let requests = spec.resources.as_mut().unwrap().requests.as_mut().unwrap();
    requests.get_mut("storage").unwrap().0 = "5Gi".into();
    found.gateway = Some(*live);
    let again = workload(&built(&found).gateway.unwrap());
    let spec = &again["spec"]["volumeClaimTemplates"][0]["spec"];
    assert_eq!(spec["storageClassName"], "fast");
    assert_eq!(spec["resources"]["requests"]["storage"], "5Gi");
}

#[test]
fn with_postgres_the_gateway_is_restricted_pods_that_roll_one_by_one_and_have_no_volume() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let authority = Authority::open(&Authority::generate(now).unwrap()).unwrap();
    let secret = json!({"metadata": {"name": "db"}, "data": {"uri": "cG9zdGdyZXNxbDovL2g="}});
    let found = Found {
        postgres: Some(serde_json::from_value(secret).unwrap()),
        ..found(vec![pipeline("a", false, "Retain")])
    };
    let mut settings = settings();
    settings.gateway_postgres_secret = Some("db".into());
    let tenant = validate("team", &found).unwrap();
    let papers = papers(&tenant, &found, &authority, now).unwrap();
    let gateway = build((&settings, &share()), &tenant, &papers, &found)
        .gateway
        .unwrap();
    let deployment = workload(&gateway);
    assert_restricted(&deployment);
    assert_eq!(owners(&deployment), ["uid-a"]);
    let spec = &deployment["spec"];
    assert_eq!(spec["replicas"], 2);
    assert_eq!(spec["strategy"]["rollingUpdate"]["maxUnavailable"], 0);
    let pod = &spec["template"]["spec"];
    let volumes = pod["volumes"].as_array().unwrap();
    assert!(
        volumes
            .iter()
            .any(|volume| volume["secret"]["secretName"] == "db")
    );
    assert!(
        pod["containers"][0]["volumeMounts"]
            .as_array()
            .unwrap()
            .iter()
            .all(|mount| mount["name"] != "data")
    );
    let Workload::Replicated { budget, .. } = &gateway.workload else {
        unreachable!("it has PostgreSQL");
    };
    let budget = json_of(budget);
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(
        budget["spec"]["selector"]["matchLabels"],
        spec["template"]["metadata"]["labels"]
    );
}

#[test]
fn the_gateway_reads_only_the_secrets_that_publishers_name() {
    let role = json_of(
        &built(&found(vec![pipeline("a", false, "Retain")]))
            .gateway
            .unwrap()
            .role,
    );
    assert_eq!(
        role["rules"][0]["resources"],
        json!(["localsubjectaccessreviews"])
    );
    assert_eq!(role["rules"][1]["resourceNames"], json!(["signing"]));
    assert_eq!(role["rules"][1]["verbs"], json!(["get"]));
    let mut silent = pipeline("a", false, "Retain");
    silent.spec.publish.clear();
    let role = json_of(&built(&found(vec![silent])).gateway.unwrap().role);
    assert_eq!(role["rules"].as_array().unwrap().len(), 1);
}

#[test]
fn a_good_certificate_is_kept_byte_for_byte() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let authority = Authority::open(&Authority::generate(now).unwrap()).unwrap();
    let mut found = found(vec![pipeline("a", false, "Retain")]);
    let tenant = validate("team", &found).unwrap();
    let first = papers(&tenant, &found, &authority, now).unwrap();
    let desired = build((&settings(), &share()), &tenant, &first, &found);
    found.client = Some(desired.client.clone());
    found.serving = Some(desired.gateway.unwrap().serving.clone());
    let second = papers(&tenant, &found, &authority, now).unwrap();
    assert!(first.client == second.client && first.serving == second.serving);
}

#[test]
fn what_is_offered_is_kept_for_starts_without_the_operator() {
    use aios_proto::{
        config::{Owner, pack},
        control::{ItemKind, Snapshot},
    };
    let owner = Owner {
        name: "small".into(),
        uid: "u".into(),
        generation: 1,
    };
    let items = vec![pack(ItemKind::Model, owner, &json!({"name": "small"})).unwrap()];
    let written = |sequence: u64| {
        let items = items.clone();
        bootstrap::config_map("team", &[], &Snapshot { sequence, items }).unwrap()
    };
    let first = written(7);
    let text = first.data.clone().unwrap().remove("snapshot.json").unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["sequence"], 1, "what an operator says is newer");
    assert_eq!(file["items"][0]["kind"], "ITEM_KIND_MODEL");
    assert_eq!(file["items"][0]["body"]["name"], "small");
    assert_eq!(written(9), first, "a new leader writes nothing new");
}
