//! Each bad manifest gets a diagnostic that names the field and the remedy; nothing panics.
#![allow(clippy::unwrap_used, clippy::panic, clippy::too_many_lines)]

use std::collections::BTreeMap;

use aios_compile::{Bounds, Diagnostic, Policy, Resolved};
use aios_crds::{ModelDeploymentSpec, PolicySetSpec, policy_set::Rule, text_engine::CallSetting};
use aios_proto::config::{Dialect, HostedAt, PolicyPin, PolicyScope, TextShape};
use serde_json::{Value, json};

/// One change to a good spec, and what must be said about it.
struct Case {
    /// JSON pointer of the value to replace; `null` removes it.
    at: &'static str,
    value: Value,
    path: &'static str,
    says: &'static str,
    remedy: &'static str,
}

fn case(
    at: &'static str,
    value: Value,
    path: &'static str,
    says: &'static str,
    remedy: &'static str,
) -> Case {
    Case {
        at,
        value,
        path,
        says,
        remedy,
    }
}

fn pipeline() -> Value {
    json!({
        "content": {
            "kind": "Email",
            "variables": {
                "type": "object",
                "required": ["customerId", "customer"],
                "properties": {
                    "customerId": {"type": "integer"},
                    "customer": {
                        "type": "object",
                        "properties": {
                            "id": {"type": "integer"},
                            "name": {"type": "string"},
                            "language": {"type": "string", "enum": ["en", "de"]},
                            "segment": {"type": "string"}
                        }
                    }
                }
            },
            "languageVariable": "customer.language",
            "subjectVariable": "customer.id",
            "labels": [{"name": "segment", "variable": "customer.segment"}],
            "skeletons": [{
                "language": "en",
                "parts": [
                    {"name": "subject", "template": {"inline": "An invitation"}},
                    {"name": "text", "template": {"inline": "Dear {{ customer.name }},\n{{ slots.opening }}"}}
                ],
                "slots": [{"name": "opening", "prompt": "Welcome {{ customer.name }} {{ passages }}", "safe": "Welcome."}]
            }, {
                "language": "de",
                "writer": "SafeTemplate",
                "parts": [
                    {"name": "subject", "template": {"inline": "Einladung"}},
                    {"name": "text", "template": {"configMapKeyRef": {"name": "texts", "key": "de"}}}
                ]
            }]
        },
        "context": [{"name": "customer", "upload": {"pointer": "customerId", "key": "id"}}],
        "retrieval": {
            "sources": [{"name": "rules", "configMapRef": {"name": "texts"}}],
            "query": {"text": "webinar {{ customer.segment }}"}
        },
        "models": {"draft": {"routes": [{"model": "a", "when": "labels.segment == 'x'"}, {"model": "b"}]}},
        "policyRefs": [{"name": "bank"}],
        "publish": [{"name": "hook", "webhook": {"url": "https://hooks.example/v1"}}]
    })
}

fn model() -> Value {
    json!({"hosted": {"provider": "OpenAICompatible", "model": "m", "baseURL": "http://m:8080/v1"}})
}

fn own_model() -> Value {
    json!({"selfHosted": {
        "engine": {"name": "LlamaCpp"},
        "model": {
            "uri": "https://models.example/a.gguf?download=true",
            "digest": format!("sha256:{}", "0".repeat(64)),
            "cache": {"size": "1Gi"}
        },
        "warm": {"standby": 1}
    }})
}

fn resolved() -> Resolved {
    let texts = BTreeMap::from([("de".to_owned(), "Hallo {{ customer.name }}".to_owned())]);
    Resolved {
        config_maps: BTreeMap::from([
            ("texts".to_owned(), texts),
            (
                "blank".to_owned(),
                BTreeMap::from([("a".to_owned(), " ".to_owned())]),
            ),
        ]),
        ..Resolved::default()
    }
}

fn pins() -> Vec<PolicyPin> {
    vec![PolicyPin {
        scope: PolicyScope::Namespace,
        name: "bank".into(),
        digest: "sha256:0".into(),
    }]
}

fn changed(mut good: Value, case: &Case) -> Value {
    let (parent, key) = case.at.rsplit_once('/').unwrap();
    match good.pointer_mut(parent).unwrap() {
        Value::Object(map) if case.value.is_null() => {
            map.remove(key);
        }
        Value::Object(map) => {
            map.insert(key.into(), case.value.clone());
        }
        Value::Array(list) if key == "-" => list.push(case.value.clone()),
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = case.value.clone(),
        other => panic!("{}: {other}", case.at),
    }
    good
}

#[track_caller]
fn expect(case: &Case, found: &[Diagnostic]) {
    let hit = found.iter().any(|diagnostic| {
        diagnostic.path == case.path
            && diagnostic.message.contains(case.says)
            && diagnostic.remedy.contains(case.remedy)
    });
    assert!(hit, "{} = {}: {found:#?}", case.at, case.value);
    assert!(
        found
            .iter()
            .all(|d| !d.remedy.is_empty() && !d.message.contains('\n')),
        "{found:#?}"
    );
}

#[test]
fn a_good_pipeline_compiles() {
    let spec = serde_json::from_value(pipeline()).unwrap();
    let config = aios_compile::pipeline("webinar", &spec, &resolved(), pins()).unwrap();
    assert_eq!(
        config.skeletons[1].parts[1].template,
        "Hallo {{ customer.name }}"
    );
    assert_eq!(config.retrieval.unwrap().sources[0].texts.len(), 1);
}

#[test]
fn bad_pipelines_are_refused_with_field_and_remedy() {
    let text = "/content/skeletons/0/parts/1/template";
    let cases = [
        case(
            text,
            json!({"inline": "{{ customer.name"}),
            "spec.content.skeletons[0].parts[1].template.inline",
            "",
            "Jinja",
        ),
        case(
            text,
            json!({"inline": "{% include 'x' %}{{ slots.opening }}"}),
            "spec.content.skeletons[0].parts[1].template.inline",
            "include",
            "include",
        ),
        case(
            text,
            json!({"inline": "{{ customer.nmae }}{{ slots.opening }}"}),
            "spec.content.skeletons[0].parts[1].template.inline",
            "customer.nmae",
            "spec.content.variables",
        ),
        case(
            text,
            json!({"inline": "{{ client.name }}{{ slots.opening }}"}),
            "spec.content.skeletons[0].parts[1].template.inline",
            "client.name",
            "spec.content.variables",
        ),
        case(
            text,
            json!({"inline": "{{ slots.openin }}"}),
            "spec.content.skeletons[0].parts[1].template.inline",
            "openin",
            "opening",
        ),
        case(
            text,
            json!({"inline": "{{ slots.opening | shout }}"}),
            "spec.content.skeletons[0].parts[1].template.inline",
            "shout",
            "filter",
        ),
        case(
            text,
            json!({"inline": "{{ passages }}{{ slots.opening }}"}),
            "spec.content.skeletons[0].parts[1].template.inline",
            "passages",
            "spec.retrieval",
        ),
        case(
            text,
            json!({"inline": "a", "configMapKeyRef": {"name": "texts", "key": "de"}}),
            "spec.content.skeletons[0].parts[1].template",
            "both",
            "exactly one",
        ),
        case(
            text,
            json!({"configMapKeyRef": {"name": "gone", "key": "de"}}),
            "spec.content.skeletons[0].parts[1].template.configMapKeyRef.name",
            "does not exist",
            "create it",
        ),
        case(
            text,
            json!({"configMapKeyRef": {"name": "texts", "key": "fr"}}),
            "spec.content.skeletons[0].parts[1].template.configMapKeyRef.key",
            "no key `fr`",
            "add the key",
        ),
        case(
            text,
            json!({"inline": "no slot"}),
            "spec.content.skeletons[0].slots[0].name",
            "no part uses",
            "{{ slots.opening }}",
        ),
        case(
            "/content/skeletons/0/parts/0/name",
            json!("title"),
            "spec.content.skeletons[0].parts",
            "subject",
            "add a part",
        ),
        case(
            "/content/skeletons/0/parts/0/name",
            json!("text"),
            "spec.content.skeletons[0].parts[1].name",
            "twice",
            "own name",
        ),
        case(
            "/content/skeletons/0/slots/0/prompt",
            json!("{{ slots.opening }}"),
            "spec.content.skeletons[0].slots[0].prompt",
            "slots",
            "variables only",
        ),
        case(
            "/content/skeletons/0/slots/0/safe",
            json!("{{ passages }}"),
            "spec.content.skeletons[0].slots[0].safe",
            "passages",
            "prompts",
        ),
        case(
            "/content/skeletons/1/language",
            json!("en"),
            "spec.content.skeletons[1].language",
            "twice",
            "own name",
        ),
        case(
            "/content/skeletons/1/language",
            json!("fr"),
            "spec.content.skeletons",
            "`de`",
            "add a skeleton",
        ),
        case(
            "/content/languageVariable",
            Value::Null,
            "spec.content.languageVariable",
            "missing",
            "customer.language",
        ),
        case(
            "/content/languageVariable",
            json!("customer..x"),
            "spec.content.languageVariable",
            "not the path",
            "joined by dots",
        ),
        case(
            "/content/languageVariable",
            json!("customerId"),
            "spec.content.languageVariable",
            "integer",
            "string",
        ),
        case(
            "/content/subjectVariable",
            json!("customer.uid"),
            "spec.content.subjectVariable",
            "customer.uid",
            "declare it",
        ),
        case(
            "/content/labels/0/variable",
            json!("customer.id"),
            "spec.content.labels[0].variable",
            "person",
            "impersonal",
        ),
        case(
            "/content/labels/0/name",
            json!("language"),
            "spec.content.labels[0].name",
            "set by AIOS",
            "leave it out",
        ),
        case(
            "/content/variables",
            json!({"type": "obj"}),
            "spec.content.variables.type",
            "",
            "JSON Schema",
        ),
        case(
            "/content/variables",
            json!({"type": "string"}),
            "spec.content.variables.type",
            "object",
            "type: object",
        ),
        case(
            "/content/variables",
            json!({"$ref": "https://schemas.example/a.json"}),
            "spec.content.variables",
            "",
            "nothing outside",
        ),
        case(
            "/context/0/name",
            json!("slots"),
            "spec.context[0].name",
            "slots",
            "choose another",
        ),
        case(
            "/context/0/upload/pointer",
            json!("customer"),
            "spec.context[0].upload.pointer",
            "replace",
            "customerId",
        ),
        case(
            "/context/-",
            json!({"name": "customer", "upload": {"pointer": "customerId", "key": "id"}}),
            "spec.context[1].name",
            "twice",
            "own name",
        ),
        case(
            "/retrieval/sources/0/configMapRef/name",
            json!("gone"),
            "spec.retrieval.sources[0].configMapRef.name",
            "does not exist",
            "create it",
        ),
        case(
            "/retrieval/sources/0/configMapRef/name",
            json!("blank"),
            "spec.retrieval.sources[0].configMapRef.name",
            "no text",
            "data",
        ),
        case(
            "/retrieval/query/text",
            json!("{% if %}"),
            "spec.retrieval.query.text",
            "",
            "Jinja",
        ),
        case(
            "/models/draft/routes/0/when",
            json!("labels.segment = 'x'"),
            "spec.models.draft.routes[0].when",
            "",
            "CEL",
        ),
        case(
            "/models/draft/routes/0/when",
            json!("labels.tier == 'x'"),
            "spec.models.draft.routes[0].when",
            "tier",
            "segment",
        ),
        case(
            "/models/draft/routes/0/when",
            json!("customer.name == 'x'"),
            "spec.models.draft.routes[0].when",
            "customer",
            "spec.content.labels",
        ),
        case(
            "/models/draft/routes/0/when",
            json!("language"),
            "spec.models.draft.routes[0].when",
            "not true or false",
            "condition",
        ),
        case(
            "/models/draft/cache",
            json!({"ttl": "2h"}),
            "spec.models.draft.cache.ttl",
            "2h",
            "1h",
        ),
        case(
            "/models/draft/experiment",
            json!({"name": "tone", "variants": [
                {"name": "bold", "model": "m", "percent": 60},
                {"name": "calm", "model": "m", "percent": 60}]}),
            "spec.models.draft.experiment.variants",
            "120",
            "routes",
        ),
        case(
            "/models/draft/experiment",
            json!({"name": "tone", "variants": [{"name": "control", "model": "m", "percent": 1}]}),
            "spec.models.draft.experiment.variants[0].name",
            "control",
            "another",
        ),
        case(
            "/reporters",
            json!([{"name": "shop", "publicKey": "k"}, {"name": "shop", "publicKey": "l"}]),
            "spec.reporters[1].name",
            "twice",
            "own name",
        ),
        case(
            "/models/draft/routes",
            json!([]),
            "spec.models.draft.routes",
            "empty",
            "ModelDeployment",
        ),
        case(
            "/budget",
            json!({"amount": "5", "currency": "EUR", "timeZone": "Europe/Nowhere"}),
            "spec.budget.timeZone",
            "Europe/Nowhere",
            "IANA",
        ),
        case(
            "/policyRefs/0/name",
            json!("gone"),
            "spec.policyRefs[0].name",
            "gone",
            "create it",
        ),
        case(
            "/publish/0/webhook/url",
            json!("https://u:p@hooks.example/v1"),
            "spec.publish[0].webhook.url",
            "credentials",
            "Secret",
        ),
        case(
            "/publish/0/webhook/url",
            json!("https://hooks.example:x/v1"),
            "spec.publish[0].webhook.url",
            "port",
            "65535",
        ),
        case(
            "/publish/-",
            json!({"name": "hook", "webhook": {"url": "https://hooks.example/v1"}}),
            "spec.publish[1].name",
            "twice",
            "own name",
        ),
    ];
    for case in cases {
        let spec = serde_json::from_value(changed(pipeline(), &case)).unwrap();
        let found = aios_compile::pipeline("webinar", &spec, &resolved(), pins()).unwrap_err();
        expect(&case, &found);
    }
}

#[test]
fn a_route_to_a_model_that_a_policy_keeps_texts_from_is_refused() {
    let spec: aios_crds::WritingPipelineSpec = serde_json::from_value(pipeline()).unwrap();
    let model = spec.models.draft.routes[0].model.clone();
    let hosted = |region: Option<&str>| Resolved {
        hosted: BTreeMap::from([(
            model.clone(),
            HostedAt {
                region: region.map(Into::into),
            },
        )]),
        bounds: Bounds::new([(
            "bank".to_owned(),
            serde_json::from_value(json!({"regions": ["eu"]})).unwrap(),
        )]),
        ..resolved()
    };
    let compiled = |resolved: &Resolved| {
        aios_compile::pipeline("webinar", &spec, resolved, pins()).map(|_| ())
    };
    assert_eq!(compiled(&hosted(Some("eu"))), Ok(()));
    for (region, says) in [(Some("us"), "is in us"), (None, "names no hosted.region")] {
        let found = compiled(&hosted(region)).unwrap_err();
        assert_eq!(found[0].path, "spec.models.draft.routes[0].model");
        assert!(found[0].message.contains(says), "{found:?}");
        assert!(found[0].message.contains("`bank`"), "{found:?}");
    }
}

#[test]
fn a_variant_of_a_model_that_a_policy_keeps_texts_from_is_refused() {
    let mut body = pipeline();
    body["models"]["draft"]["experiment"] = json!({"name": "tone",
        "variants": [{"name": "bold", "model": "abroad", "percent": 10}]});
    let spec = serde_json::from_value(body).unwrap();
    let region = Some("us".into());
    let resolved = Resolved {
        hosted: BTreeMap::from([("abroad".to_owned(), HostedAt { region })]),
        bounds: Bounds::new([(
            "bank".to_owned(),
            serde_json::from_value(json!({"regions": ["eu"]})).unwrap(),
        )]),
        ..resolved()
    };
    let found = aios_compile::pipeline("webinar", &spec, &resolved, pins()).unwrap_err();
    assert_eq!(
        found[0].path,
        "spec.models.draft.experiment.variants[0].model"
    );
}

#[test]
fn mistakes_in_templates_have_line_and_column() {
    let case = case(
        "/content/skeletons/0/parts/1/template/inline",
        json!("{{ slots.opening }}\nDear {{ customer.nmae }}"),
        "spec.content.skeletons[0].parts[1].template.inline",
        "",
        "",
    );
    let spec = serde_json::from_value(changed(pipeline(), &case)).unwrap();
    let found = aios_compile::pipeline("webinar", &spec, &resolved(), pins()).unwrap_err();
    assert_eq!(
        (found[0].line, found[0].column),
        (Some(2), Some(9)),
        "{found:#?}"
    );
}

#[test]
fn good_models_compile() {
    let spec = serde_json::from_value(model()).unwrap();
    let config = aios_compile::model("sim", "team", &spec).unwrap();
    assert_eq!(config.endpoint, "https://sim-model.team.svc:8443");
    assert_eq!(config.standby_endpoint, None);
    let spec = serde_json::from_value(own_model()).unwrap();
    let config = aios_compile::model("smol", "team", &spec).unwrap();
    assert_eq!(config.model, "a.gguf");
    assert_eq!(
        config.standby_endpoint.as_deref(),
        Some("https://smol-standby.team.svc:8443")
    );
}

#[test]
fn a_hosted_model_is_called_in_its_providers_dialect_and_place() {
    let compiled = |hosted: Value| {
        let spec = serde_json::from_value(json!({"hosted": hosted})).unwrap();
        let config = aios_compile::model("big", "team", &spec).unwrap();
        (
            config.model,
            config.upstream.dialect,
            config.upstream.base_url,
        )
    };
    let key = json!({"secretKeyRef": {"name": "provider", "key": "token"}});
    let expected = |model: &str, dialect, base: &str| (model.to_owned(), dialect, base.to_owned());
    assert_eq!(
        compiled(json!({"provider": "OpenAI", "model": "a", "credentials": key})),
        expected("a", Dialect::OpenAI, "https://api.openai.com/v1")
    );
    assert_eq!(
        compiled(json!({"provider": "Anthropic", "model": "b", "credentials": key})),
        expected("b", Dialect::Anthropic, "https://api.anthropic.com/v1")
    );
    assert_eq!(
        compiled(json!({"provider": "Anthropic", "model": "b", "baseURL": "http://proxy:1/v1"})),
        expected("b", Dialect::Anthropic, "http://proxy:1/v1")
    );
}

#[test]
fn bad_models_are_refused_with_field_and_remedy() {
    let hosted = [
        case("/hosted", Value::Null, "spec", "neither", "exactly one"),
        case(
            "/budget",
            json!({"amount": "5", "currency": "CHF"}),
            "spec.budget.currency",
            "no price in CHF",
            "spec.pricing",
        ),
        case(
            "/budget",
            json!({"tokens": 5, "timeZone": "Europe/Nowhere"}),
            "spec.budget.timeZone",
            "Europe/Nowhere",
            "IANA",
        ),
        case(
            "/hosted/baseURL",
            Value::Null,
            "spec.hosted.baseURL",
            "no default",
            "https://",
        ),
        case(
            "/hosted/baseURL",
            json!("models.example/v1"),
            "spec.hosted.baseURL",
            "http",
            "whole",
        ),
        case(
            "/hosted",
            json!({"provider": "OpenAI", "model": "m"}),
            "spec.hosted.credentials",
            "key",
            "secretKeyRef",
        ),
        case(
            "/limits",
            json!({"contextTokens": 512}),
            "spec.limits.maxOutputTokens",
            "512",
            "contextTokens",
        ),
        case(
            "/resilience",
            json!({"timeout": "5s"}),
            "spec.resilience.firstTokenTimeout",
            "longer",
            "at most",
        ),
        case(
            "/resilience",
            json!({"timeout": "0s"}),
            "spec.resilience.timeout",
            "0s",
            "60s",
        ),
        case(
            "/resilience",
            json!({"tokenGapTimeout": "0s"}),
            "spec.resilience.tokenGapTimeout",
            "0s",
            "30s",
        ),
    ];
    for case in hosted {
        let spec = serde_json::from_value(changed(model(), &case)).unwrap();
        expect(
            &case,
            &aios_compile::model("sim", "team", &spec).unwrap_err(),
        );
    }
    let own = [
        case(
            "/selfHosted/model/uri",
            json!("https://models.example/a.safetensors"),
            "spec.selfHosted.model.uri",
            "GGUF",
            "one file",
        ),
        case(
            "/selfHosted/engine/args",
            json!(["--port=1"]),
            "spec.selfHosted.engine.args[0]",
            "--port",
            "leave it out",
        ),
        case(
            "/selfHosted/engine/args",
            json!(["--lora", "/weights/a.gguf"]),
            "spec.selfHosted.engine.args[0]",
            "--lora",
            "spec.selfHosted.adapters",
        ),
        case(
            "/scaling",
            json!({"holdFor": "16m"}),
            "spec.scaling.holdFor",
            "16m",
            "0s to 15m",
        ),
        case(
            "/scaling",
            json!({"holdFor": "0s"}),
            "spec.scaling.holdFor",
            "sleeps",
            "min to 1",
        ),
        case(
            "/scaling",
            json!({"window": "500ms"}),
            "spec.scaling.window",
            "500ms",
            "1s to 10m",
        ),
        case(
            "/scaling",
            json!({"downDelay": "25h"}),
            "spec.scaling.downDelay",
            "25h",
            "1s to 24h",
        ),
        case(
            "/slo",
            json!({"coldStart": "900ms"}),
            "spec.slo.coldStart",
            "900ms",
            "1s to 24h",
        ),
        case(
            "/selfHosted/warm/schedules",
            json!([{"name": "n", "cron": "0 9 * * *", "for": "1h"}]),
            "spec.selfHosted.warm.schedules",
            "no group goes",
            "scaling: {min: 0, max: 1}",
        ),
        case(
            "/selfHosted/rollout",
            json!({"stepFor": "25h", "evaluation": {"configMapRef": {"name": "inputs"},
                "policyRefs": [{"name": "tone"}]}}),
            "spec.selfHosted.rollout.stepFor",
            "25h",
            "0s to 24h",
        ),
    ];
    for case in own {
        let spec = serde_json::from_value(changed(own_model(), &case)).unwrap();
        expect(
            &case,
            &aios_compile::model("smol", "team", &spec).unwrap_err(),
        );
    }
}

#[test]
fn bad_schedules_are_refused_with_field_and_remedy() {
    let mut good = own_model();
    good["scaling"] = json!({"max": 2});
    good["selfHosted"]["warm"] = json!({"schedules": [{"name": "n", "cron": "0 9 * * MON-FRI",
        "timeZone": "Europe/Berlin", "for": "2h", "ahead": "10m", "min": 2}]});
    let spec = serde_json::from_value(good.clone()).unwrap();
    aios_compile::model("smol", "team", &spec).unwrap();
    let cases = [
        case(
            "/selfHosted/warm/schedules/0/cron",
            json!("61 9 * * *"),
            "spec.selfHosted.warm.schedules[0].cron",
            "no cron expression",
            "minute, hour",
        ),
        case(
            "/selfHosted/warm/schedules/0/cron",
            json!("0 0 9 * * *"),
            "spec.selfHosted.warm.schedules[0].cron",
            "no cron expression",
            "minute, hour",
        ),
        case(
            "/selfHosted/warm/schedules/0/cron",
            json!("0 9 31 2 *"),
            "spec.selfHosted.warm.schedules[0].cron",
            "never comes",
            "its months have",
        ),
        case(
            "/selfHosted/warm/schedules/0/timeZone",
            json!("Europe/Bonn"),
            "spec.selfHosted.warm.schedules[0].timeZone",
            "`Europe/Bonn`",
            "Europe/Berlin",
        ),
        case(
            "/selfHosted/warm/schedules/0/for",
            json!("30s"),
            "spec.selfHosted.warm.schedules[0].for",
            "30s",
            "1m to 168h",
        ),
        case(
            "/selfHosted/warm/schedules/0/ahead",
            json!("25h"),
            "spec.selfHosted.warm.schedules[0].ahead",
            "25h",
            "0s to 24h",
        ),
        case(
            "/selfHosted/warm/schedules/0/min",
            json!(3),
            "spec.selfHosted.warm.schedules[0].min",
            "3 groups",
            "raise spec.scaling.max",
        ),
    ];
    for case in cases {
        let spec = serde_json::from_value(changed(good.clone(), &case)).unwrap();
        expect(
            &case,
            &aios_compile::model("smol", "team", &spec).unwrap_err(),
        );
    }
}

#[test]
fn bad_weights_are_refused_with_field_and_remedy() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let adapter = |uri: &str| json!({"name": "style", "uri": uri, "digest": digest});
    let key = json!({"secretKeyRef": {"name": "hub", "key": "token"}});
    let uri = "/selfHosted/model/uri";
    let at = "spec.selfHosted.model.uri";
    let cases = [
        case(uri, json!("s3://bucket/a.gguf"), at, "no scheme", "hf://"),
        case(
            uri,
            json!("hf://org"),
            at,
            "no file of a repository",
            "hf://ORG/REPO/FILE",
        ),
        case(
            uri,
            json!("hf://org/repo"),
            "spec.selfHosted.model.revision",
            "whole repository",
            "commit, 40 hex digits",
        ),
        case(
            "/selfHosted/model",
            json!({"uri": "hf://org/repo", "revision": "ab".repeat(20), "digest": digest,
                "cache": {"size": "1Gi"}}),
            at,
            "one GGUF file",
            "name one file",
        ),
        case(
            uri,
            json!("pvc://models"),
            at,
            "no file on a claim",
            "pvc://CLAIM/FILE",
        ),
        case(
            uri,
            json!("oci://r.example/a/a.gguf"),
            at,
            "no file in an image",
            "IMAGE:TAG",
        ),
        case(
            uri,
            json!("https://me:pw@m.example/a.gguf"),
            at,
            "credentials",
            "Secret",
        ),
        case(
            uri,
            json!("hf://org/repo/a-00001-of-00002.gguf"),
            at,
            "parts",
            "--merge",
        ),
        case(
            "/selfHosted/model/revision",
            json!("v1"),
            "spec.selfHosted.model.revision",
            "only hf://",
            "leave it out",
        ),
        case(
            "/selfHosted/model/cache",
            Value::Null,
            "spec.selfHosted.model.cache",
            "model is fetched",
            "size",
        ),
        case(
            "/selfHosted/model",
            json!({"uri": "pvc://models/a.gguf", "digest": digest,
            "credentials": key}),
            "spec.selfHosted.model.credentials",
            "not fetched",
            "leave",
        ),
        case(
            "/selfHosted/adapters",
            json!([adapter("hf://org/repo/a.safetensors")]),
            "spec.selfHosted.adapters[0].uri",
            "GGUF",
            "one file",
        ),
        case(
            "/selfHosted/adapters",
            json!([adapter("pvc://a/a.gguf"), adapter("pvc://a/b.gguf")]),
            "spec.selfHosted.adapters[1].name",
            "twice",
            "its own name",
        ),
        case(
            "/selfHosted/quantization",
            json!({"method": "AWQ"}),
            "spec.selfHosted.quantization.method",
            "LlamaCpp loads no AWQ",
            "method GGUF",
        ),
        case(
            "/selfHosted/quantization",
            json!({"method": "GGUF"}),
            "spec.selfHosted.quantization.method",
            "does not say",
            "Q4_K_M",
        ),
    ];
    for case in cases {
        let spec = serde_json::from_value(changed(own_model(), &case)).unwrap();
        let found = aios_compile::model("smol", "team", &spec).unwrap_err();
        expect(&case, &found);
    }
}

/// A model of engine VLLM over two pods.
fn vllm_model() -> Value {
    let digest = format!("sha256:{}", "0".repeat(64));
    json!({"selfHosted": {
        "engine": {"name": "VLLM", "args": ["--enforce-eager"]},
        "model": {"uri": "pvc://models/llama-3.1-8b", "digest": digest},
        "adapters": [{"name": "style", "uri": "oci://r.example/style:1/lora", "digest": digest}],
        "quantization": {"method": "AWQ"},
        "shards": {"tensor": 4},
        "gpu": {"count": 2}
    }})
}

#[test]
fn what_vllm_cannot_do_is_refused_with_field_and_remedy() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let adapter = |name: &str| json!({"name": name, "uri": "pvc://a/b", "digest": digest});
    let uri = "/selfHosted/model/uri";
    let at = "spec.selfHosted.model.uri";
    let cases = [
        case(
            "/selfHosted/model",
            json!({"uri": "hf://org/repo/model.safetensors", "digest": digest,
                "cache": {"size": "1Gi"}}),
            at,
            "loads a folder",
            "pvc://CLAIM/FOLDER",
        ),
        case(
            uri,
            json!("pvc://models/a-Q4_K_M.gguf"),
            at,
            "is a file",
            "LlamaCpp",
        ),
        case(
            "/selfHosted/adapters",
            json!([adapter("style"), adapter("law")]),
            "spec.selfHosted.adapters[1]",
            "`law` would never be",
            "merge",
        ),
        case(
            "/selfHosted/quantization",
            json!({"method": "GGUF"}),
            "spec.selfHosted.quantization.method",
            "plugin",
            "LlamaCpp",
        ),
        case(
            "/selfHosted/shards",
            json!({"tensor": 3}),
            "spec.selfHosted.shards.tensor",
            "over 2 pods",
            "multiple of spec.selfHosted.gpu.count",
        ),
        case(
            "/selfHosted/engine/args",
            json!(["--seed=1", "--max_model_len=8192"]),
            "spec.selfHosted.engine.args[1]",
            "`--max_model_len` is set by AIOS",
            "spec.limits",
        ),
    ];
    let good = serde_json::from_value(vllm_model()).unwrap();
    aios_compile::model("llama", "team", &good).unwrap();
    for case in cases {
        let spec = serde_json::from_value(changed(vllm_model(), &case)).unwrap();
        let found = aios_compile::model("llama", "team", &spec).unwrap_err();
        expect(&case, &found);
    }
}

/// A server of its own without weights.
fn custom_model() -> Value {
    json!({"selfHosted": {
        "engine": {"name": "Custom", "image": "mirror.example/server:1", "args": ["--fast"],
            "custom": {"port": 8000, "healthPath": "/livez", "model": "house"}}
    }})
}

#[test]
fn a_server_of_ones_own_is_called_at_its_port_by_its_models_name() {
    let compiled = |spec: Value| {
        let spec = serde_json::from_value(spec).unwrap();
        aios_compile::model("own", "team", &spec).unwrap()
    };
    let config = compiled(custom_model());
    assert_eq!(config.upstream.base_url, "http://127.0.0.1:8000/v1");
    assert_eq!((config.model.as_str(), config.digest), ("house", None));
    let mut weighed = custom_model();
    weighed["selfHosted"]["engine"]["custom"] = json!({"port": 8000, "apiPath": "/openai/v1"});
    let digest = format!("sha256:{}", "1".repeat(64));
    weighed["selfHosted"]["model"] = json!({"uri": "pvc://models/any.bin", "digest": digest});
    let config = compiled(weighed);
    assert_eq!(config.upstream.base_url, "http://127.0.0.1:8000/openai/v1");
    assert_eq!(
        (config.model.as_str(), config.digest),
        ("any.bin", Some(digest))
    );
}

#[test]
fn what_a_server_of_ones_own_lacks_or_cannot_be_told_is_refused() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let cases = [
        case(
            "/selfHosted/engine/image",
            Value::Null,
            "spec.selfHosted.engine.image",
            "no image",
            "set image",
        ),
        case(
            "/selfHosted/engine/custom",
            Value::Null,
            "spec.selfHosted.engine.custom",
            "where engine Custom answers",
            "port: 8000",
        ),
        case(
            "/selfHosted/engine/custom/port",
            json!(9090),
            "spec.selfHosted.engine.custom.port",
            "ingress",
            "another port",
        ),
        case(
            "/selfHosted/engine/custom/model",
            Value::Null,
            "spec.selfHosted.engine.custom.model",
            "no weights",
            "set the name",
        ),
        case(
            "/selfHosted/shards",
            json!({"pipeline": 2}),
            "spec.selfHosted.shards",
            "one pod",
            "leave shards out",
        ),
        case(
            "/selfHosted/quantization",
            json!({"method": "FP8"}),
            "spec.selfHosted.quantization",
            "cannot tell",
            "engine.args",
        ),
        case(
            "/selfHosted/adapters",
            json!([{"name": "style", "uri": "pvc://a/b", "digest": digest}]),
            "spec.selfHosted.adapters",
            "cannot tell",
            "engine.args",
        ),
        case(
            "/selfHosted/engine/name",
            json!("LlamaCpp"),
            "spec.selfHosted.engine.custom",
            "is not told by it",
            "leave custom out",
        ),
        case(
            "/selfHosted/engine",
            json!({"name": "VLLM"}),
            "spec.selfHosted.model",
            "no weights to load",
            "set model",
        ),
    ];
    for case in cases {
        let spec = serde_json::from_value(changed(custom_model(), &case)).unwrap();
        let found = aios_compile::model("own", "team", &spec).unwrap_err();
        expect(&case, &found);
    }
}

/// A server of Open Inference Protocol V2, as KServe's runtimes are.
fn kserve_model() -> Value {
    json!({"selfHosted": {
        "engine": {"name": "KServe", "image": "mirror.example/server:1", "kserve": {"model": "house"}}
    }})
}

/// A BentoML service.
fn bentoml_model() -> Value {
    json!({"selfHosted": {
        "engine": {"name": "BentoML", "image": "mirror.example/server:1",
            "bentoml": {"model": "house"}}
    }})
}

#[test]
fn servers_of_texts_are_called_where_and_in_the_shape_that_the_spec_says() {
    let compiled = |spec: Value| {
        let spec: ModelDeploymentSpec = serde_json::from_value(spec).unwrap();
        let config = aios_compile::model("own", "team", &spec).unwrap();
        let health = aios_compile::engine_health(spec.self_hosted.as_ref().unwrap()).unwrap();
        (config.model, config.upstream, health)
    };
    let shape = |input: &str, output: Option<&str>, settings: &[CallSetting]| TextShape {
        input: input.into(),
        output: output.map(str::to_owned),
        settings: settings.to_vec(),
    };

    let (name, upstream, health) = compiled(kserve_model());
    assert_eq!(name, "house");
    assert_eq!(upstream.base_url, "http://127.0.0.1:8080/v2");
    let usual = Dialect::OpenInference(shape("input-0", None, &[]));
    assert_eq!(upstream.dialect, usual);
    assert_eq!(health, "http://127.0.0.1:8080/v2/models/house/ready");

    let mut told = kserve_model();
    told["selfHosted"]["engine"]["kserve"] = json!({"port": 9000, "input": "text",
        "output": "answer", "settings": ["max_tokens", "top_p"]});
    let digest = format!("sha256:{}", "1".repeat(64));
    told["selfHosted"]["model"] = json!({"uri": "pvc://models/any.bin", "digest": digest});
    let (name, upstream, health) = compiled(told);
    assert_eq!(name, "any.bin");
    let settings = [CallSetting::MaxTokens, CallSetting::TopP];
    let told = Dialect::OpenInference(shape("text", Some("answer"), &settings));
    assert_eq!(upstream.dialect, told);
    assert_eq!(health, "http://127.0.0.1:9000/v2/models/any.bin/ready");

    let mut told = kserve_model();
    told["selfHosted"]["engine"]["kserve"]["grpcPort"] = json!(8081);
    let (_, upstream, health) = compiled(told);
    let shape_of_usual = shape("input-0", None, &[]);
    let told = Dialect::OpenInferenceGrpc {
        port: 8081,
        shape: shape_of_usual,
    };
    assert_eq!(upstream.dialect, told);
    assert_eq!(health, "http://127.0.0.1:8080/v2/models/house/ready");

    let (name, upstream, health) = compiled(bentoml_model());
    assert_eq!(name, "house");
    assert_eq!(upstream.base_url, "http://127.0.0.1:3000/generate");
    assert_eq!(
        upstream.dialect,
        Dialect::BentoML(shape("prompt", None, &[]))
    );
    assert_eq!(health, "http://127.0.0.1:3000/readyz");

    let mut told = bentoml_model();
    told["selfHosted"]["engine"]["bentoml"] = json!({"port": 3001, "model": "house",
        "route": "/v1/write", "input": "ask", "output": "text", "settings": ["seed"]});
    let (_, upstream, health) = compiled(told);
    assert_eq!(upstream.base_url, "http://127.0.0.1:3001/v1/write");
    let told = Dialect::BentoML(shape("ask", Some("text"), &[CallSetting::Seed]));
    assert_eq!(upstream.dialect, told);
    assert_eq!(health, "http://127.0.0.1:3001/readyz");
}

#[test]
fn what_a_server_of_texts_lacks_or_cannot_be_told_is_refused() {
    for (good, field, engine) in [
        (kserve_model(), "kserve", "KServe"),
        (bentoml_model(), "bentoml", "BentoML"),
    ] {
        let of = |rest: &str| format!("spec.selfHosted.engine.{field}{rest}");
        let at = |rest: &str| format!("/selfHosted/engine/{field}{rest}");
        let cases = [
            (
                "/selfHosted/engine/image".to_owned(),
                Value::Null,
                "spec.selfHosted.engine.image".to_owned(),
                "no image",
                "set image",
            ),
            (
                at(""),
                Value::Null,
                of(".model"),
                "no weights",
                "set the name",
            ),
            (
                at("/port"),
                json!(9090),
                of(".port"),
                "ingress",
                "another port",
            ),
            (
                "/selfHosted/engine/name".to_owned(),
                json!("VLLM"),
                of(""),
                "is not told by it",
                engine,
            ),
            (
                "/selfHosted/shards".to_owned(),
                json!({"tensor": 2}),
                "spec.selfHosted.shards".to_owned(),
                "one pod",
                "leave shards out",
            ),
            (
                "/selfHosted/quantization".to_owned(),
                json!({"method": "FP8"}),
                "spec.selfHosted.quantization".to_owned(),
                "cannot tell",
                "engine.args",
            ),
        ];
        for (at, value, path, says, remedy) in cases {
            let [at, path] = [at, path].map(|text| &*text.leak());
            let case = case(at, value, path, says, remedy);
            let spec = serde_json::from_value(changed(good.clone(), &case)).unwrap();
            let found = aios_compile::model("own", "team", &spec).unwrap_err();
            expect(&case, &found);
        }
    }
}

#[test]
fn only_an_engine_that_can_sleep_may_be_asked_to() {
    let asleep = case(
        "/selfHosted/warm",
        json!({"standby": 1, "mode": "Asleep"}),
        "spec.selfHosted.warm.mode",
        "LlamaCpp cannot sleep",
        "mode Loaded",
    );
    let compiled = |good: Value| {
        let spec = serde_json::from_value(changed(good, &asleep)).unwrap();
        aios_compile::model("smol", "team", &spec)
    };
    expect(&asleep, &compiled(own_model()).unwrap_err());
    compiled(vllm_model()).unwrap();
}

#[test]
fn vllm_is_asked_for_the_adapter_by_its_name_and_else_for_the_folder() {
    let named = |spec: Value| {
        let spec = serde_json::from_value(spec).unwrap();
        aios_compile::model("llama", "team", &spec).unwrap().model
    };
    assert_eq!(named(vllm_model()), "style");
    let mut plain = vllm_model();
    plain["selfHosted"]["adapters"] = json!([]);
    assert_eq!(named(plain), "llama-3.1-8b");
}

#[test]
fn adapters_need_the_models_cache_only_where_they_are_fetched() {
    let digest = format!("sha256:{}", "1".repeat(64));
    let compiled = |adapter: &str| {
        let mut spec = own_model();
        spec["selfHosted"]["model"] = json!({"uri": "pvc://models/a.gguf", "digest": digest});
        spec["selfHosted"]["adapters"] =
            json!([{"name": "style", "uri": adapter, "digest": digest}]);
        let spec = serde_json::from_value(spec).unwrap();
        aios_compile::model("smol", "team", &spec)
    };
    assert!(compiled("oci://r.example/style:1/s.gguf").is_ok());
    let found = compiled("https://models.example/s.gguf").unwrap_err();
    assert_eq!(found[0].path, "spec.selfHosted.model.cache");
    assert!(found[0].message.contains("adapter style"), "{found:#?}");
}

#[test]
fn records_name_the_adapters_of_a_model_too() {
    let compiled = |adapters: Value| {
        let mut spec = own_model();
        spec["selfHosted"]["adapters"] = adapters;
        let spec = serde_json::from_value(spec).unwrap();
        aios_compile::model("smol", "team", &spec)
            .unwrap()
            .digest
            .unwrap()
    };
    let adapter = |digit: &str| {
        json!([{"name": "style", "uri": "hf://org/repo/s.gguf", "revision": "v1",
            "digest": format!("sha256:{}", digit.repeat(64))}])
    };
    assert_eq!(compiled(json!([])), format!("sha256:{}", "0".repeat(64)));
    assert_ne!(compiled(adapter("1")), compiled(adapter("2")));
    assert_ne!(compiled(adapter("1")), compiled(json!([])));
}

#[test]
fn credentials_of_weights_and_adapters_are_references() {
    let mut spec = own_model();
    let key = |name: &str| json!({"secretKeyRef": {"name": name, "key": "token"}});
    spec["selfHosted"]["model"]["credentials"] = key("hub");
    spec["selfHosted"]["adapters"] = json!([{"name": "style", "uri": "hf://org/repo/s.gguf",
        "digest": format!("sha256:{}", "1".repeat(64)), "credentials": key("styles")}]);
    let spec = serde_json::from_value(spec).unwrap();
    let named = aios_compile::references::of_model(&spec).secrets;
    let named: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(named, ["hub", "styles"]);
}

#[test]
fn calls_are_held_for_models_that_scale_and_counted_where_the_operator_scales_them() {
    let compiled = |scaling: Value| {
        let mut spec = own_model();
        spec["scaling"] = scaling;
        let spec = serde_json::from_value(spec).unwrap();
        let config = aios_compile::model("smol", "team", &spec).unwrap();
        (config.hold_ms, config.demand)
    };
    assert_eq!(compiled(Value::Null), (0, false));
    assert_eq!(compiled(json!({})), (120_000, true));
    assert_eq!(compiled(json!({"min": 1, "holdFor": "0s"})), (0, true));
    let external = json!({"mode": "External", "holdFor": "5m"});
    assert_eq!(compiled(external), (300_000, false));
}

#[test]
fn names_that_services_cannot_carry_are_refused() {
    let spec = serde_json::from_value(model()).unwrap();
    for name in ["1st", "a.b", "-a", "a-", &"a".repeat(41)] {
        let found = aios_compile::model(name, "team", &spec).unwrap_err();
        assert_eq!(found[0].path, "metadata.name", "{name}");
        assert!(found[0].remedy.contains("a-z"), "{name}");
    }
}

#[test]
fn bad_runs_are_refused_with_field_and_remedy() {
    let pipeline = serde_json::from_value(pipeline()).unwrap();
    let run = |input: Value| {
        let spec: aios_crds::WritingRunSpec =
            serde_json::from_value(json!({"pipelineRef": {"name": "webinar"}, "input": input}))
                .unwrap();
        let mut found = aios_compile::run("r", "uid", &spec)
            .err()
            .unwrap_or_default();
        found.extend(aios_compile::run_fits(&spec, &pipeline));
        found
    };
    assert_eq!(run(json!({"pointers": [{"customerId": 1}]})), []);
    assert_eq!(run(json!({"upload": {"context": "customer"}})), []);
    for (input, path, remedy) in [
        (json!({}), "spec.input", "exactly one"),
        (
            json!({"pointers": [{"customer": {"name": "x"}}]}),
            "spec.input.pointers[0].customer",
            "upload the record",
        ),
        (
            json!({"pointers": [{"id": 1}]}),
            "spec.input.pointers[0].customerId",
            "add `customerId`",
        ),
        (
            json!({"upload": {"context": "client"}}),
            "spec.input.upload.context",
            "customer",
        ),
    ] {
        let found = run(input);
        assert!(
            found
                .iter()
                .any(|d| d.path == path && d.remedy.contains(remedy)),
            "{found:#?}"
        );
    }
}

fn policy(rules: &Value, resolved: &Resolved) -> Result<Policy, Vec<Diagnostic>> {
    let spec: PolicySetSpec = serde_json::from_value(json!({"rules": rules})).unwrap();
    aios_compile::policy("bank", PolicyScope::Namespace, &spec, resolved)
}

#[test]
fn bad_policies_are_refused_with_field_and_remedy() {
    let policy = |rules: Value| policy(&rules, &Resolved::default());
    let rule = |check: Value| {
        let mut rule = json!({"name": "a", "action": "Block"});
        rule.as_object_mut()
            .unwrap()
            .extend(check.as_object().unwrap().clone());
        json!([rule])
    };
    policy(rule(json!({"terms": {"list": ["Acme"]}}))).unwrap();
    for (rules, path) in [
        (json!([]), "spec.rules"),
        (rule(json!({})), "spec.rules[0]"),
        (
            rule(json!({"terms": {"list": [" "]}})),
            "spec.rules[0].terms.list[0]",
        ),
        (
            rule(json!({"pattern": {"regex": "a("}})),
            "spec.rules[0].pattern.regex",
        ),
        (
            rule(json!({"pattern": {"regex": "(?=a)"}})),
            "spec.rules[0].pattern.regex",
        ),
        (rule(json!({"cel": "text.words <"})), "spec.rules[0].cel"),
        (rule(json!({"cel": "text.words"})), "spec.rules[0].cel"),
        (
            rule(json!({"facts": {"allow": ["many"]}})),
            "spec.rules[0].facts.allow[0]",
        ),
        (
            rule(json!({"length": {"minWords": 9, "maxWords": 3}})),
            "spec.rules[0].length.minWords",
        ),
        (
            rule(json!({"terms": {"list": ["a"]}, "when": "vars.x ="})),
            "spec.rules[0].when",
        ),
    ] {
        let found = policy(rules.clone()).unwrap_err();
        assert!(found.iter().any(|d| d.path == path), "{path}: {found:#?}");
        assert!(
            found
                .iter()
                .all(|d| !d.message.is_empty() && d.remedy.len() > 8),
            "{found:#?}"
        );
        println!("{}", found[0]);
    }
}

#[test]
fn lists_of_words_are_read_from_config_maps() {
    let rules = |key: &str| {
        json!([
            {"name": "a", "action": "Block", "terms": {"list": ["Acme"]}},
            {"name": "b", "action": "Block", "terms": {"match": "Prefix", "listRef":
                {"configMapKeyRef": {"name": "words", "key": key}}}},
        ])
    };
    let long = "x".repeat(257);
    let many: Vec<_> = (0..10_001).map(|n| format!("word {n}")).collect();
    let many = many.join("\n");
    let texts = [
        (
            "good",
            "\u{feff}# competitors\r\n Nordbank  \r\n\r\n#1 bank\r\nNordbank\r\n",
        ),
        ("none", "# nothing\n#\n\n"),
        ("long", long.as_str()),
        ("many", many.as_str()),
    ];
    let texts = texts.map(|(key, text)| (key.to_owned(), text.to_owned()));
    let resolved = Resolved {
        config_maps: BTreeMap::from([("words".to_owned(), BTreeMap::from(texts))]),
        ..Resolved::default()
    };

    let resolve = |key: &str| policy(&rules(key), &resolved);
    let mut written_out = resolve("good").unwrap().config.rules;
    let terms = written_out.remove(1).terms.unwrap();
    assert_eq!(terms.list, ["#1 bank", "Nordbank"]);
    assert_eq!(terms.list_ref, None);
    let path = "spec.rules[1].terms.listRef.configMapKeyRef";
    for (key, says) in [
        ("absent", "no key"),
        ("none", "no entry"),
        ("long", "line 1"),
        ("many", "10001 entries"),
    ] {
        let found = resolve(key).unwrap_err();
        assert_eq!(found[0].path, format!("{path}.key"));
        assert!(found[0].message.contains(says), "{found:?}");
    }
    let found = policy(&rules("good"), &Resolved::default()).unwrap_err();
    assert_eq!(found[0].path, format!("{path}.name"));
    assert!(found[0].remedy.contains("create it"), "{found:?}");

    let rules: Vec<Rule> = serde_json::from_value(rules("good")).unwrap();
    let named = aios_compile::references::of_rules(&rules);
    assert_eq!(named.config_maps, ["words".to_owned()].into());
}

/// Of a policy whose list stands in a ConfigMap that holds these keys.
fn digest_of_list(texts: &[(&str, &str)]) -> String {
    let rules = json!([{"name": "b", "action": "Block", "terms": {"listRef":
        {"configMapKeyRef": {"name": "words", "key": "list"}}}}]);
    let texts = texts.iter();
    let texts = texts.map(|(key, text)| ((*key).to_owned(), (*text).to_owned()));
    let resolved = Resolved {
        config_maps: BTreeMap::from([("words".to_owned(), texts.collect())]),
        ..Resolved::default()
    };
    let policy = policy(&rules, &resolved).unwrap();
    policy.compiled.digest().to_string()
}

#[test]
fn a_policys_digest_is_that_of_the_words_of_its_list() {
    let base = digest_of_list(&[("list", "Acme\nNordbank\n")]);
    for same in [
        &[("list", "Nordbank\nAcme\n")][..],
        &[("list", "# competitors\n Acme \r\nNordbank\nAcme")],
        &[("other", "Velora"), ("list", "Acme\nNordbank\n")],
        &[("list", "Acme\nNordbank\n"), ("other", "Velora")],
    ] {
        assert_eq!(digest_of_list(same), base, "{same:?}");
    }
    for other in [
        "Acme",
        "Acme\nNordbanks",
        "acme\nNordbank",
        "Acme\nNordbank\nVelora",
    ] {
        assert_ne!(digest_of_list(&[("list", other)]), base, "{other:?}");
    }
    let written =
        json!([{"name": "b", "action": "Block", "terms": {"list": ["Nordbank", "Acme"]}}]);
    let written = policy(&written, &Resolved::default()).unwrap();
    assert_eq!(
        written.compiled.digest().to_string(),
        base,
        "wherever the list stands"
    );
}
