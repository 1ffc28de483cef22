use aios_proto::{
    config::{Dialect, Owner, Upstream, pack},
    control::{Item, ItemKind, Snapshot},
};
use rstest::rstest;
use serde_json::{Value, json};

use super::{Applied, Config, Engine, Scope, apply, file};

pub fn item(kind: ItemKind, name: &str, body: &Value) -> Item {
    let owner = Owner {
        name: name.into(),
        uid: "u".into(),
        generation: 1,
    };
    pack(kind, owner, body).unwrap()
}

pub fn model(name: &str) -> Value {
    json!({
        "name": name, "model": "up", "digest": null,
        "endpoint": "http://127.0.0.1:1", "standbyEndpoint": null,
        "upstream": {"dialect": "OpenAI", "baseUrl": "http://127.0.0.1:2/v1"},
        "limits": {"contextTokens": 4096, "maxOutputTokens": 64, "maxInFlight": 4},
        "resilience": {"timeout": "5s", "firstTokenTimeout": "2s", "retries": 1},
        "pricing": null,
    })
}

pub fn pipeline(name: &str, draft: &Value) -> Value {
    json!({
        "name": name, "kind": "Email", "variables": null, "languageVariable": null,
        "subjectVariable": null, "labels": [], "skeletons": [], "context": [], "retrieval": null,
        "models": {"draft": {"routes": draft}}, "policies": [], "publish": [], "execution": {},
    })
}

fn cached(ttl: &str) -> Value {
    let mut body = pipeline("p", &json!([{"model": "m"}]));
    body["models"]["draft"]["cache"] = json!({ "ttl": ttl });
    body
}

fn snapshot(sequence: u64, items: Vec<Item>) -> Snapshot {
    Snapshot { sequence, items }
}

fn good() -> Vec<Item> {
    vec![
        item(ItemKind::Model, "m", &model("m")),
        item(
            ItemKind::Pipeline,
            "p",
            &pipeline("p", &json!([{"model": "m"}])),
        ),
    ]
}

fn applied(current: &Config, snapshot: &Snapshot) -> (Config, Vec<(bool, String)>) {
    let Applied { config, acks } = apply(current, snapshot, &Scope::Egress);
    (
        config.unwrap(),
        acks.into_iter()
            .map(|ack| (ack.accepted, ack.message))
            .collect(),
    )
}

#[test]
fn good_items_come_into_force_and_missing_ones_leave() {
    let (config, acks) = applied(&Config::default(), &snapshot(1, good()));
    assert!(acks.iter().all(|ack| ack.0), "{acks:?}");
    assert_eq!((config.models.len(), config.pipelines.len()), (1, 1));
    let (config, _) = applied(&config, &snapshot(2, good().split_off(1)));
    assert_eq!((config.models.len(), config.pipelines.len()), (0, 1));
}

#[rstest]
#[case::condition(item(ItemKind::Pipeline, "p",
    &pipeline("p", &json!([{"model": "m", "when": "language =="}]))), "models.draft.routes[0].when")]
#[case::variable(item(ItemKind::Pipeline, "p",
    &pipeline("p", &json!([{"model": "m", "when": "vars.x == 1"}]))), "use labels, language and tokens")]
#[case::no_routes(item(ItemKind::Pipeline, "p", &pipeline("p", &json!([]))), "models.draft.routes")]
#[case::ttl(item(ItemKind::Pipeline, "p", &cached("2h")), "models.draft.cache.ttl")]
#[case::body(item(ItemKind::Pipeline, "p", &json!({"name": "p"})), "cannot be read")]
#[case::name(item(ItemKind::Pipeline, "p", &pipeline("q", &json!([{"model": "m"}]))), "`q`")]
#[case::format(Item { format: 99, ..good().remove(1) }, "format 99")]
#[case::digest(Item { digest: "sha256:0".into(), ..good().remove(1) }, "digest")]
fn a_bad_item_is_refused_with_the_reason_and_keeps_its_predecessor(
    #[case] bad: Item,
    #[case] reason: &str,
) {
    let (config, _) = applied(&Config::default(), &snapshot(1, good()));
    let (next, acks) = applied(&config, &snapshot(2, vec![good().remove(0), bad]));
    assert!(acks[0].0);
    assert!(!acks[1].0 && acks[1].1.contains(reason), "{acks:?}");
    assert_eq!(next.pipelines["p"].draft.list[0].model, "m");
    assert_eq!(next.to_snapshot().items.len(), 2);
}

#[rstest]
#[case::endpoint("endpoint", json!("ftp://x"), "endpoint")]
#[case::base_url("upstream", json!({"dialect": "OpenAI", "baseUrl": "models"}), "upstream.baseUrl")]
#[case::dialect("upstream", json!({"dialect": "Gemini", "baseUrl": "http://x"}), "Gemini")]
#[case::limits("limits", json!({"contextTokens": 1, "maxOutputTokens": 0, "maxInFlight": 1}), "limits")]
#[case::timeout("resilience", json!({"timeout": "0s", "firstTokenTimeout": "1s", "retries": 1}), "resilience")]
#[case::hedge("resilience", json!({"timeout": "5s", "firstTokenTimeout": "2s", "retries": 1,
    "hedge": {"afterPercentile": 100}}), "resilience.hedge")]
#[case::price("pricing", json!({"inputPerMillion": "-1", "outputPerMillion": "0", "currency": "EUR"}), "decimal")]
fn a_bad_model_is_refused_by_field(
    #[case] field: &str,
    #[case] value: Value,
    #[case] reason: &str,
) {
    let mut body = model("m");
    body[field] = value;
    let bad = item(ItemKind::Model, "m", &body);
    let (config, acks) = applied(&Config::default(), &snapshot(1, vec![bad]));
    assert!(!acks[0].0 && acks[0].1.contains(reason), "{acks:?}");
    assert!(config.models.is_empty());
}

#[test]
fn an_older_snapshot_is_left_aside() {
    let (config, _) = applied(&Config::default(), &snapshot(5, good()));
    let applied = apply(&config, &snapshot(4, good()), &Scope::Egress);
    assert!(applied.config.is_none());
    assert!(
        applied
            .acks
            .iter()
            .all(|ack| !ack.accepted && ack.message.contains("older"))
    );
}

#[test]
fn an_ingress_takes_its_own_model_alone() {
    let scope = Scope::Ingress {
        model: "m".into(),
        engine: None,
    };
    let mut items = good();
    items.push(item(ItemKind::Model, "other", &model("other")));
    let applied = apply(&Config::default(), &snapshot(1, items), &scope);
    let accepted: Vec<_> = applied.acks.iter().map(|ack| ack.accepted).collect();
    assert_eq!(accepted, [true, false, false]);
}

#[test]
fn an_ingress_knows_its_engine_whatever_revision_is_configured() {
    let scope = Scope::Ingress {
        model: "m".into(),
        engine: Some(Engine {
            model: "old.gguf".into(),
            upstream: Upstream {
                dialect: Dialect::OpenAI,
                base_url: "http://127.0.0.1:8000/v1".into(),
            },
            digest: Some("sha256:old".into()),
        }),
    };
    let mut next = model("m");
    next["upstream"] = json!({"dialect": {"BentoML": {"input": "prompt"}},
        "baseUrl": "http://127.0.0.1:3000/generate"});
    let items = vec![item(ItemKind::Model, "m", &next)];
    let config = apply(&Config::default(), &snapshot(1, items), &scope).config;
    let model = config.unwrap().models["m"].clone();
    assert_eq!(model.upstream_model, "old.gguf");
    assert_eq!(model.base_url, "http://127.0.0.1:8000/v1");
    assert_eq!(model.dialect, Dialect::OpenAI);
    assert_eq!(model.digest.as_deref(), Some("sha256:old"));
}

#[test]
fn a_snapshot_survives_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot.json");
    assert!(file::read(&path).unwrap().is_none());
    let (config, _) = applied(&Config::default(), &snapshot(7, good()));
    file::write(&path, &config.to_snapshot()).unwrap();
    let (again, acks) = applied(&Config::default(), &file::read(&path).unwrap().unwrap());
    assert!(acks.iter().all(|ack| ack.0), "{acks:?}");
    assert_eq!(again.sequence, 7);
    std::fs::write(&path, "{").unwrap();
    assert!(file::read(&path).is_err());
}

fn policy(scope: &str, name: &str, calls: &Value) -> Item {
    let kind = match scope {
        "Cluster" => ItemKind::ClusterPolicy,
        _ => ItemKind::Policy,
    };
    let rule = json!({"name": "no-keys", "secrets": {}, "action": "Block", "calls": calls});
    let body = json!({"name": name, "scope": scope, "rules": [rule], "review": {}});
    item(kind, name, &body)
}

fn pinning(policies: &[&Item]) -> Item {
    let mut body = pipeline("p", &json!([{"model": "m"}]));
    let scope = |item: &Item| match item.kind() {
        ItemKind::ClusterPolicy => "Cluster",
        _ => "Namespace",
    };
    let pin =
        |item: &&Item| json!({"scope": scope(item), "name": item.name, "digest": item.digest});
    body["policies"] = policies.iter().map(pin).collect();
    item(ItemKind::Pipeline, "p", &body)
}

#[test]
fn a_pipeline_is_in_force_with_the_policies_that_it_pins_or_not_at_all() {
    let house = policy("Namespace", "house", &json!(["Answer"]));
    let pipeline = pinning(&[&house]);
    let (config, acks) = applied(
        &Config::default(),
        &snapshot(1, vec![pipeline.clone(), house.clone()]),
    );
    assert!(acks.iter().all(|ack| ack.0), "{acks:?}");
    let guard = config.guard_of("p").unwrap();
    assert!(guard.answer.is_some() && guard.prompt.is_none());
    let other = policy("Namespace", "house", &json!(["Prompt"]));
    let (next, acks) = applied(&config, &snapshot(2, vec![pipeline, other.clone()]));
    assert!(acks[0].1.contains("policy `house` at sha256:"), "{acks:?}");
    assert!(acks[1].0);
    assert_eq!(
        next.guard_of("p").unwrap().digest,
        guard.digest,
        "the last good one"
    );
    let (next, _) = applied(&next, &snapshot(3, vec![pinning(&[&other]), other]));
    assert_ne!(next.guard_of("p").unwrap().digest, guard.digest);
}

#[test]
fn calls_are_judged_by_the_rules_that_name_them() {
    let law = policy("Cluster", "law", &json!(["Prompt"]));
    let house = policy("Namespace", "house", &json!([]));
    let of = |items: Vec<Item>| applied(&Config::default(), &snapshot(1, items)).0;
    let config = of(vec![pinning(&[&house]), house.clone()]);
    assert!(config.guard_of("p").is_none() && config.guard_of("").is_none());
    let config = of(vec![pinning(&[&law, &house]), law, house]);
    assert!(config.guard_of("p").unwrap().prompt.is_some());
    assert!(
        config.guard_of("").is_some(),
        "no pipeline, and the platform's all the same"
    );
}

#[test]
fn a_policy_is_acknowledged_with_the_revisions_that_it_judges_by() {
    let law = policy("Cluster", "law", &json!([]));
    let acks = apply(&Config::default(), &snapshot(1, vec![law]), &Scope::Egress).acks;
    assert!(acks[0].accepted);
    assert!(acks[0].engine.starts_with("engine."), "{acks:?}");
    assert!(acks[0].engine.ends_with(&format!(
        "secrets.{}",
        aios_policy::Check::Secrets.revision()
    )));
}
