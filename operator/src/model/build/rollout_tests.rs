#![allow(clippy::unwrap_used)]

use aios_crds::{ModelDeployment, rollout::RolloutStatus};
use serde_json::{Value, json};

use super::{
    Desired,
    tests::{built, found},
};
use crate::{
    model::{
        build,
        fetch::Found,
        groups::{Group, Role},
        prefetch::Fetched,
        rollout::{self, Asking, Course, Outcome, Set},
        status::Standing,
        validate::validate,
    },
    testing::{assert_restricted, self_hosted, settings},
};

fn model() -> ModelDeployment {
    let mut model = self_hosted(0);
    let rollout = json!({"evaluation": {"configMapRef": {"name": "inputs"},
        "policyRefs": [{"name": "tone"}], "minScorePercent": 90}});
    let own = model.spec.self_hosted.as_mut().unwrap();
    own.rollout = Some(serde_json::from_value(rollout).unwrap());
    model
}

fn wanted(model: &ModelDeployment) -> String {
    build::revision(&settings(), &validate(model).unwrap()).unwrap()
}

pub fn stable(slot: u32) -> Group {
    Group {
        name: format!("small-aaaaaa-{slot}"),
        revision: "aaaaaa".into(),
        slot,
        role: Role::Active,
        size: 1,
        members: Vec::new(),
        recorded: None,
    }
}

/// Two stable groups, and so many on trial.
fn trial(model: &ModelDeployment, candidates: usize, due: Option<Asking>) -> Found {
    Found {
        groups: vec![stable(1), stable(2)],
        rollout: Some(rollout::Found {
            wanted: wanted(model),
            state: RolloutStatus::default(),
            course: Course::Beside {
                stable: "aaaaaa".into(),
                candidates,
            },
            set: Ok(Set {
                inputs: 1,
                inputs_digest: "sha256:inputs".into(),
                policies: r#"[{"name": "tone", "regex": "^a$"}]"#.into(),
                digest: "sha256:set".into(),
            }),
            due,
        }),
        ..found(Some(Fetched::Ready), None)
    }
}

fn json_of<T: serde::Serialize>(value: &T) -> Value {
    serde_json::to_value(value).unwrap()
}

fn services(desired: &Desired) -> Vec<String> {
    let names = desired.services.iter();
    names
        .map(|one| one.metadata.name.clone().unwrap())
        .collect()
}

#[test]
fn a_revision_on_trial_has_groups_and_a_service_of_its_own_beside_the_stable_ones() {
    let model = model();
    let found = trial(&model, 1, None);
    let desired = built(&model, &found);
    let [one, two, candidate] = desired.groups.as_slice() else {
        panic!("{} groups", desired.groups.len())
    };
    for stable in [one, two] {
        assert!(stable.kept && stable.sets.is_empty(), "{}", stable.name);
        assert_eq!(stable.place.role, Role::Active);
    }
    assert_eq!(candidate.place.revision, wanted(&model));
    let leader = json_of(&candidate.sets[0]);
    let labels = &leader["spec"]["template"]["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/component"], "candidate");
    assert_eq!(services(&desired), ["small-model", "small-next"]);
    let next = json_of(&desired.services[1]);
    let selector = next["spec"]["selector"].as_object().unwrap();
    assert!(selector.iter().all(|(key, value)| labels[key] == *value));
    let standing = Standing::of_groups(0, &found, &desired);
    assert!(standing.updated, "the stable groups are as they are to be");
    assert_eq!(standing.replicas, 2);
}

#[test]
fn a_stable_revision_grows_by_copies_of_its_groups_while_another_is_on_trial() {
    let mut old = self_hosted(1);
    let own = old.spec.self_hosted.as_mut().unwrap();
    own.shards = serde_json::from_value(json!({"pipeline": 2})).unwrap();
    old.spec.replicas = 1;
    let before = built(&old, &super::tests::found(Some(Fetched::Ready), None));
    let (active, standby) = (&before.groups[0], &before.groups[1]);
    let mut model = old.clone();
    let own = model.spec.self_hosted.as_mut().unwrap();
    own.engine.args = vec!["--other".into()];
    let mut found = trial(&model, 0, None);
    found.groups = vec![Group {
        name: active.name.clone(),
        revision: active.place.revision.clone(),
        ..stable(1)
    }];
    found.sets = active.sets.clone();
    found.rollout.as_mut().unwrap().course = Course::Beside {
        stable: active.place.revision.clone(),
        candidates: 0,
    };
    let desired = built(&model, &found);
    let [kept, copied] = desired.groups.as_slice() else {
        panic!("{} groups", desired.groups.len())
    };
    assert!(kept.sets.is_empty() && kept.name == active.name);
    assert_eq!(copied.name, standby.name);
    assert_eq!(
        json_of(&copied.sets),
        json_of(&standby.sets),
        "as if the spec made it"
    );
}

#[test]
fn without_a_trial_there_is_neither_its_service_nor_its_job() {
    let model = model();
    let mut found = trial(&model, 0, None);
    let refused = built(&model, &found);
    assert_eq!(refused.groups.len(), 2);
    found.rollout.as_mut().unwrap().course = Course::Whole { leaving: false };
    found.groups[1].role = Role::Candidate;
    let settled = built(&model, &found);
    assert_eq!(services(&settled), ["small-model"]);
    assert!(settled.evaluation.is_none());
    let left = settled
        .groups
        .iter()
        .filter(|g| g.place.revision == "aaaaaa");
    assert_eq!(left.count(), 0, "neither is loaded, and one was on trial");
}

#[test]
fn an_evaluation_asks_both_revisions_and_judges_by_the_policies_as_they_are() {
    let model = model();
    let asking = |compares| Asking {
        key: "0123456789".into(),
        compares,
        job: None,
        outcome: Outcome::Missing,
    };
    let job = built(&model, &trial(&model, 1, Some(asking(true)))).evaluation;
    let job = json_of(&job);
    assert_restricted(&job);
    assert_eq!(job["metadata"]["name"], "small-evaluate-0123456789");
    let pod = &job["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    let inputs = pod["volumes"].as_array().unwrap().iter();
    let inputs: Vec<_> = inputs.filter(|one| one["name"] == "inputs").collect();
    assert_eq!(inputs[0]["configMap"]["name"], "inputs");
    assert_eq!(
        pod["containers"][0]["args"],
        json!([
            "evaluate",
            "--model=small",
            "--candidate=https://small-next.team.svc:8443",
            "--inputs=/var/run/aios/inputs",
            "--inputs-digest=sha256:inputs",
            r#"--policies=[{"name": "tone", "regex": "^a$$"}]"#,
            "--timeout-ms=60000",
            "--stable=https://small-model.team.svc:8443",
        ])
    );
    let alone = built(&model, &trial(&model, 1, Some(asking(false)))).evaluation;
    let args = json_of(&alone)["spec"]["template"]["spec"]["containers"][0]["args"].to_string();
    assert!(!args.contains("--stable"), "{args}");
}

#[test]
fn what_an_engine_is_its_ingress_is_told_by_its_pod() {
    let desired = built(&self_hosted(0), &found(Some(Fetched::Ready), None));
    let leader = json_of(&desired.groups[0].sets[0]);
    let env = &leader["spec"]["template"]["spec"]["initContainers"][0]["env"];
    let env = env.as_array().unwrap();
    for (name, value) in [
        ("AIOS_ENGINE_MODEL", "smollm.gguf".to_owned()),
        (
            "AIOS_ENGINE_UPSTREAM",
            r#"{"baseUrl":"http://127.0.0.1:8080/v1","dialect":"OpenAI"}"#.to_owned(),
        ),
        ("AIOS_ENGINE_DIGEST", format!("sha256:{}", "ab".repeat(32))),
    ] {
        assert!(
            env.contains(&json!({"name": name, "value": value})),
            "{name}"
        );
    }
}

#[test]
fn the_certificate_of_a_model_with_a_rollout_is_good_for_its_trials() {
    let names = |model: &ModelDeployment| validate(model).unwrap().server().names();
    let next = "small-next.team.svc".to_owned();
    assert!(names(&model()).contains(&next));
    assert!(!names(&self_hosted(0)).contains(&next));
}
