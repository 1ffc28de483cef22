//! Bad input of every sort gets a refusal that names the field and the remedy, and nothing of it
//! happens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
#![allow(
    clippy::too_many_lines,
    reason = "tables are as long as what they list"
)]

#[path = "support/desk.rs"]
mod desk;
#[path = "support/scene.rs"]
mod scene;

use aios_crds::{ModelDeployment, PolicySet, WritingPipeline, WritingRun};
use aios_e2e::testing::install;
use aios_e2e::{Cluster, TestNamespace, eventually};
use anyhow::{Context, Result, ensure};
use desk::{Answer, Ask, Desk, token, token_for};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use kube::api::ListParams;
use reqwest::Method;
use scene::{DEADLINE, Scene};
use serde_json::{Value, json};

const QUICKSTART: &str = include_str!("../../examples/quickstart/quickstart.yaml");
const PIPELINE: &str = "/v1/pipelines/welcome";
const DOCUMENTS: &str = "/v1/pipelines/welcome/documents";
const CONTEXT: &str = "/v1/pipelines/welcome/context/customer";

/// An object, and what its refusal must say: field first, remedy second.
type Bad = (Value, &'static str, &'static str);

async fn namespace(prefix: &str) -> TestNamespace {
    let cluster = Cluster::shared().await.unwrap();
    install(&cluster).await.unwrap();
    TestNamespace::new(&cluster, prefix).await.unwrap()
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "aios.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec})
}

fn model(spec: &Value) -> Value {
    object("ModelDeployment", "bad-model", spec)
}

fn policy(rule: &Value) -> Value {
    object("PolicySet", "bad-policy", &json!({"rules": [rule]}))
}

fn run(input: &Value) -> Value {
    let spec = json!({"pipelineRef": {"name": "welcome"}, "input": input});
    object("WritingRun", "bad-run", &spec)
}

/// The quickstart's pipeline, with one place changed.
fn pipeline(at: &str, to: &Value) -> Value {
    let documents: Vec<Value> = serde_saphyr::from_multiple(QUICKSTART).unwrap();
    let mut pipeline = documents
        .into_iter()
        .find(|document| document["kind"] == "WritingPipeline")
        .unwrap();
    pipeline["metadata"]["name"] = json!("bad-pipeline");
    *pipeline.pointer_mut(at).unwrap_or_else(|| panic!("{at}")) = to.clone();
    pipeline
}

fn weights(digest: &str) -> Value {
    json!({"uri": "http://weights/m.gguf", "digest": digest, "cache": {"size": "1Gi"}})
}

/// A model with good weights but for one field.
fn weights_with(field: &str, value: &Value) -> Value {
    let mut weights = weights(&format!("sha256:{}", "a".repeat(64)));
    weights["credentials"] = json!({"secretKeyRef": {"name": "hub", "key": "token"}});
    weights[field] = value.clone();
    if value.is_null() {
        weights.as_object_mut().unwrap().remove(field);
    }
    model(&json!({"selfHosted": {"engine": {"name": "LlamaCpp"}, "model": weights}}))
}

/// A model with a rollout in these steps, and with more.
fn rollout(steps: &Value, more: &Value) -> Value {
    let good = weights(&format!("sha256:{}", "a".repeat(64)));
    let evaluation = json!({"configMapRef": {"name": "inputs"}, "policyRefs": [{"name": "tone"}]});
    let rollout = json!({"steps": steps, "evaluation": evaluation});
    let mut spec = more.clone();
    spec["selfHosted"] = json!({"engine": {"name": "LlamaCpp"}, "model": good, "rollout": rollout});
    model(&spec)
}

/// What the API server refuses by schema and rules.
fn refused_at_apply() -> Vec<Bad> {
    let hosted = json!({"provider": "OpenAI", "model": "m"});
    let engine = json!({"name": "LlamaCpp"});
    let good = weights(&format!("sha256:{}", "a".repeat(64)));
    let own = json!({"engine": engine, "model": good});
    vec![
        (model(&json!({})), "spec", "set exactly one of hosted"),
        (
            model(&json!({"hosted": hosted, "selfHosted": own})),
            "spec",
            "set exactly one of hosted",
        ),
        (
            model(&json!({"hosted": hosted, "replicas": 2})),
            "spec",
            "replicas above 1 need selfHosted",
        ),
        (
            model(&json!({"hosted": hosted, "scaling": {"max": 2}})),
            "spec",
            "scaling needs selfHosted",
        ),
        (
            model(&json!({"hosted": hosted, "slo": {"coldStart": "5m"}})),
            "spec",
            "slo needs selfHosted",
        ),
        (
            model(
                &json!({"selfHosted": {"engine": engine, "model": good, "warm": {"schedules": [
                {"name": "mornings", "cron": "0 9 * * *", "for": "2h"}]}}}),
            ),
            "spec",
            "selfHosted.warm.schedules need scaling of mode Builtin",
        ),
        (
            model(&json!({"selfHosted": own, "scaling": {"mode": "External", "max": 2}})),
            "spec.scaling",
            "leaves the number of groups to HPA or KEDA",
        ),
        (
            model(&json!({"selfHosted": own, "scaling": {"min": 3, "max": 2}})),
            "spec.scaling",
            "min is above max",
        ),
        (
            rollout(&json!([25, 5, 100]), &json!({})),
            "spec.selfHosted.rollout",
            "steps must rise, as in [5, 25, 100]",
        ),
        (
            rollout(&json!([5, 25]), &json!({})),
            "spec.selfHosted.rollout",
            "the last step must be 100",
        ),
        (
            rollout(&json!([5, 100]), &json!({"scaling": {"max": 2}})),
            "spec",
            "set scaling.min to 1 or more",
        ),
        (
            model(&json!({"hosted": {"provider": "OpenAICompatible", "model": "m"}})),
            "spec.hosted",
            "as in https://models.example.com/v1",
        ),
        (
            model(&json!({"hosted": {"provider": "Mistral", "model": "m"}})),
            "spec.hosted.provider",
            "supported values: \"OpenAI\", \"Anthropic\", \"OpenAICompatible\"",
        ),
        (
            model(&json!({"hosted": {"provider": "OpenAI", "model": "m", "temprature": 1}})),
            "spec.hosted.temprature",
            "unknown field",
        ),
        (
            model(&json!({"hosted": hosted, "resilience": {"timeout": "5 minutes"}})),
            "spec.resilience.timeout",
            "should match '^([0-9]{1,5}h)?",
        ),
        (
            model(&json!({"hosted": hosted, "pricing":
                {"inputPerMillion": "1", "outputPerMillion": "1", "currency": "Euro"}})),
            "spec.pricing.currency",
            "should match '^[A-Z]{3}$'",
        ),
        (
            model(&json!({"selfHosted": {"engine": engine, "model": weights("sha256:abc")}})),
            "spec.selfHosted.model.digest",
            "should match '^sha256:[0-9a-f]{64}$'",
        ),
        (
            weights_with("uri", &json!("s3://bucket/m.gguf")),
            "spec.selfHosted.model",
            "begin uri with https://, http://, hf://, pvc:// or oci://",
        ),
        (
            weights_with("revision", &json!("main")),
            "spec.selfHosted.model",
            "leave revision out",
        ),
        (
            weights_with("uri", &json!("hf://org/repo")),
            "spec.selfHosted.model",
            "set revision to its commit",
        ),
        (
            weights_with("cache", &Value::Null),
            "spec.selfHosted.model",
            "set cache, the volume that keeps the fetched file",
        ),
        (
            weights_with("uri", &json!("pvc://models/m.gguf")),
            "spec.selfHosted.model",
            "leave credentials out",
        ),
        (
            model(&json!({"selfHosted": {"engine": engine, "model": good,
                "warm": {"standby": 1, "mode": "Asleep"}}})),
            "spec.selfHosted",
            "warm.mode Asleep needs engine VLLM",
        ),
        (
            model(&json!({"selfHosted": {"engine": {"name": "VLLM"}}})),
            "spec.selfHosted",
            "set model, the weights",
        ),
        (
            model(
                &json!({"selfHosted": {"engine": {"name": "Custom", "image": "server"},
                "model": good}}),
            ),
            "spec.selfHosted.engine",
            "engine Custom needs custom, as in custom: {port: 8000}",
        ),
        (
            model(
                &json!({"selfHosted": {"engine": {"name": "Custom", "custom": {"port": 8000}},
                "model": good}}),
            ),
            "spec.selfHosted.engine",
            "set image, the server of your own",
        ),
        (
            model(
                &json!({"selfHosted": {"engine": {"name": "Custom", "image": "server",
                "custom": {"port": 9090}}, "model": good}}),
            ),
            "spec.selfHosted.engine.custom",
            "let the server listen on another",
        ),
        (
            model(
                &json!({"selfHosted": {"engine": {"name": "Custom", "image": "server",
                "custom": {"port": 8000}}}}),
            ),
            "spec.selfHosted",
            "set engine.custom.model",
        ),
        (
            model(
                &json!({"selfHosted": {"engine": {"name": "Custom", "image": "server",
                "custom": {"port": 8000}}, "model": good, "quantization": {"method": "AWQ"}}}),
            ),
            "spec.selfHosted",
            "leave quantization and adapters out",
        ),
        (
            model(&json!({"selfHosted": {"engine": {"name": "KServe", "image": "server"}}})),
            "spec.selfHosted",
            "set engine.kserve.model",
        ),
        (
            model(&json!({"selfHosted": {"engine": {"name": "BentoML", "image": "server"}}})),
            "spec.selfHosted",
            "set engine.bentoml.model",
        ),
        (
            model(
                &json!({"selfHosted": {"engine": {"name": "KServe", "image": "server",
                "bentoml": {"model": "m"}}, "model": good}}),
            ),
            "spec.selfHosted.engine",
            "bentoml is for engine BentoML",
        ),
        (
            model(&json!({"selfHosted": {"engine": {"name": "KServe",
                "kserve": {"model": "m"}}}})),
            "spec.selfHosted.engine",
            "set image, the server of your own",
        ),
        (
            model(
                &json!({"selfHosted": {"engine": {"name": "KServe", "image": "server",
                "kserve": {"model": "m", "port": 9090}}}}),
            ),
            "spec.selfHosted.engine.kserve",
            "let the server listen on another",
        ),
        (
            model(
                &json!({"selfHosted": {"engine": {"name": "BentoML", "image": "server",
                "bentoml": {"model": "m", "settings": ["stop"]}}}}),
            ),
            "spec.selfHosted.engine.bentoml.settings[0]",
            "max_tokens",
        ),
        (
            policy(&json!({"name": "a", "action": "Block"})),
            "spec.rules[0]",
            "set one of terms, pattern, pii, leak, secrets, links, require",
        ),
        (
            policy(&json!({"name": "a", "action": "Block", "facts": {}, "cel": "true"})),
            "spec.rules[0]",
            "set one of terms, pattern, pii, leak, secrets, links, require",
        ),
        (
            policy(&json!({"name": "a", "action": "Redact", "facts": {}})),
            "spec.rules[0]",
            "needs a check with spans: terms, pattern, pii, leak or secrets",
        ),
        (
            policy(
                &json!({"name": "a", "action": "Block", "leak": {"variables": ["a"]}, "calls": ["Answer"]}),
            ),
            "spec.rules[0]",
            "set calls with terms, pattern, pii, secrets or links",
        ),
        (
            policy(&json!({"name": "a", "action": "Review", "secrets": {}, "calls": ["Prompt"]})),
            "spec.rules[0]",
            "with calls set action Warn, Redact or Block",
        ),
        (
            policy(
                &json!({"name": "a", "action": "Block", "secrets": {}, "instruction": "Leave it out."}),
            ),
            "spec.rules[0]",
            "set action Revise, or leave instruction out",
        ),
        (
            policy(&json!({"name": "a", "action": "Review", "disclosure": {}})),
            "spec.rules[0].disclosure",
            "set at least one of labels, mark, keep",
        ),
        (
            policy(&json!({"name": "a", "action": "Normalize", "facts": {}})),
            "spec.rules[0]",
            "needs a check that can mend: style or links",
        ),
        (
            policy(&json!({"name": "a", "action": "Warn", "style": {}})),
            "spec.rules[0].style",
            "set at least one of quotes, spacing, exclamations, capitals, openings",
        ),
        (
            object(
                "PolicySet",
                "bad-policy",
                &json!({"rules": [{"name": "a", "action": "Block", "facts": {}}],
                    "tests": [{"name": "b", "expect": {"action": "Block"}}]}),
            ),
            "spec.tests[0]",
            "set one of text, parts",
        ),
        (
            policy(&json!({"name": "a", "action": "Deny", "facts": {}})),
            "spec.rules[0].action",
            "supported values: \"Warn\", \"Normalize\", \"Redact\", \"Revise\", \"Review\", \"Block\"",
        ),
        (
            pipeline("/spec/content/skeletons", &json!([])),
            "spec.content.skeletons",
            "at least 1 items",
        ),
        (
            pipeline("/spec/content/skeletons/0/language", &json!("English")),
            "spec.content.skeletons[0].language",
            "should match '^[a-z]{2,3}",
        ),
        (
            pipeline("/spec/content/skeletons/0/parts/0/template", &json!({})),
            "spec.content.skeletons[0].parts[0].template",
            "set exactly one of inline and configMapKeyRef",
        ),
        (
            pipeline("/spec/publish/0/webhook/url", &json!("ftp://receiver/x")),
            "spec.publish[0].webhook.url",
            "should match '^https?://",
        ),
        (
            run(&json!({})),
            "spec.input",
            "set exactly one of pointers and upload",
        ),
        (
            run(&json!({"pointers": [{"customerId": 1}], "upload": {"context": "customer"}})),
            "spec.input",
            "set exactly one of pointers and upload",
        ),
    ]
}

#[tokio::test]
async fn the_api_server_refuses_what_the_schema_forbids() {
    let namespace = namespace("schema").await;
    for (object, field, remedy) in refused_at_apply() {
        let said = apply(&namespace, &object).await.unwrap_err().to_string();
        assert!(
            said.contains(field) && said.contains(remedy),
            "{field}, {remedy}: {said}"
        );
    }
    let left = namespace
        .kubectl(&[
            "get",
            "mdep,polset,writingpipelines,writingruns",
            "-o",
            "name",
        ])
        .await
        .unwrap();
    assert_eq!(left.trim(), "", "nothing was made");
}

#[tokio::test]
async fn a_run_cannot_become_another() {
    let namespace = namespace("immutable").await;
    let mut held = run(&json!({"pointers": [{"customerId": 1}]}));
    held["spec"]["suspend"] = json!(true);
    apply(&namespace, &held).await.unwrap();
    held["spec"]["pipelineRef"]["name"] = json!("another");
    let said = apply(&namespace, &held).await.unwrap_err().to_string();
    assert!(
        said.contains(
            "pipelineRef, input, author and deadline are immutable: create another WritingRun"
        ),
        "{said}"
    );
    let kept = namespace.api::<WritingRun>().get("bad-run").await.unwrap();
    assert_eq!(kept.spec.pipeline_ref.name, "welcome");
}

#[tokio::test]
async fn variants_of_an_experiment_do_not_change_under_its_name() {
    let namespace = namespace("variants").await;
    let variant = json!({"name": "warm", "model": "writer", "percent": 30});
    let mut models = json!({"draft": {"routes": [{"model": "writer"}],
        "experiment": {"name": "tone", "variants": [variant]}}});
    let with = |models: &Value| pipeline("/spec/models", models);
    apply(&namespace, &with(&models)).await.unwrap();
    models["draft"]["experiment"]["variants"][0]["percent"] = json!(40);
    let said = apply(&namespace, &with(&models)).await.unwrap_err();
    let said = said.to_string();
    assert!(said.contains("give the experiment another name"), "{said}");
    models["draft"]["experiment"]["name"] = json!("tone-2");
    apply(&namespace, &with(&models)).await.unwrap();
}

/// As people do it: strictly.
async fn apply(namespace: &TestNamespace, object: &Value) -> Result<String> {
    let arguments = ["-n", namespace.name(), "apply", "-f", "-"];
    namespace
        .cluster()
        .kubectl_stdin(&arguments, &object.to_string())
        .await
}

/// What only compiling finds out: it stalls, and the condition says why.
fn stalled() -> Vec<Bad> {
    let opening = "/spec/content/skeletons/0/slots/0/name";
    let template = "/spec/content/skeletons/0/parts/1/template/inline";
    let text = |more: &str| {
        json!(format!(
            "Dear {{{{ customer.name }}}}\n{more} {{{{ slots.opening }}}}"
        ))
    };
    let inline = "spec.content.skeletons[0].parts[1].template.inline (line 2";
    vec![
        (
            pipeline(template, &text("{{ customer.name")),
            inline,
            "correct the Jinja",
        ),
        (
            pipeline(template, &text("{{ customer.nmae }}")),
            inline,
            "correct the name, or declare it",
        ),
        (
            pipeline(template, &text("{{ customer.name | shout }}")),
            inline,
            "use a filter of Jinja's standard set",
        ),
        (
            pipeline(template, &text("{{ slots.closing }}")),
            inline,
            "add it under slots, or use one of: opening",
        ),
        (
            pipeline(opening, &json!("unused")),
            "spec.content.skeletons[0].slots[0].name",
            "or remove the slot",
        ),
        (
            pipeline("/spec/content/skeletons/0/parts/0/name", &json!("title")),
            "spec.content.skeletons[0].parts",
            "add a part with name `subject`",
        ),
        (
            pipeline("/spec/content/variables", &json!({"type": "objekt"})),
            "spec.content.variables.type",
            "write JSON Schema",
        ),
        (
            pipeline("/spec/content/subjectVariable", &json!("customer.nobody")),
            "spec.content.subjectVariable",
            "correct the name, or declare it under spec.content.variables.properties",
        ),
        (
            pipeline(
                "/spec/models/draft/routes",
                &json!([{"model": "writer", "when": "labels.x = 1"}]),
            ),
            "spec.models.draft.routes[0].when (line 1",
            "write a CEL condition over labels, language and tokens",
        ),
        (
            pipeline("/spec/models/draft/routes", &json!([{"model": "nobody"}])),
            "ModelDeployment nobody does not exist",
            "create it",
        ),
        (
            pipeline("/spec/policyRefs", &json!([{"name": "no-rules"}])),
            "PolicySet `no-rules` does not exist",
            "create it",
        ),
        (
            pipeline(
                "/spec/publish/0/webhook/url",
                &json!("https://me:secret@receiver/x"),
            ),
            "spec.publish[0].webhook.url",
            "keep them in a Secret and refer to it",
        ),
        (
            policy(&json!({"name": "a", "action": "Block", "pattern": {"regex": "x[0-9"}})),
            "spec.rules[0].pattern.regex (line 1, column 2)",
            "see the syntax of the Rust `regex` crate",
        ),
        (
            policy(&json!({"name": "a", "action": "Block", "cel": "text.size( >"})),
            "spec.rules[0].cel (line 1, column 12)",
            "write CEL, see https://cel.dev",
        ),
        (
            model(&json!({"hosted": {"provider": "OpenAI", "model": "m",
                "credentials": {"secretKeyRef": {"name": "openai", "key": "token"}}}})),
            "openai",
            "create",
        ),
        (
            run(&json!({"pointers": [{"customerId": 1, "customer": {"name": "Zoë"}}]})),
            "spec.input.pointers[0].customer",
            "upload the record itself",
        ),
        (
            run(&json!({"pointers": [{"customerId": 1}]})),
            "welcome",
            "create",
        ),
    ]
}

#[tokio::test]
async fn what_does_not_compile_stalls_and_says_how_to_mend_it() {
    let namespace = namespace("stalled").await;
    let writer = object(
        "ModelDeployment",
        "writer",
        &json!({"hosted":
        {"provider": "OpenAICompatible", "model": "sim", "baseURL": "http://nowhere:8080/v1"}}),
    );
    apply(&namespace, &writer).await.unwrap();
    let cases: Vec<_> = stalled()
        .into_iter()
        .enumerate()
        .map(|(index, (mut object, field, remedy))| {
            object["metadata"]["name"] = json!(format!("bad-{index}"));
            // What is bad about a pipeline is one thing at a time.
            let references = &mut object["spec"]["policyRefs"];
            if references.is_array() && references[0]["name"] == "house-rules" {
                *references = json!([]);
            }
            (object, field, remedy)
        })
        .collect();
    for (object, ..) in &cases {
        apply(&namespace, object).await.unwrap();
    }
    for (object, field, remedy) in &cases {
        let (kind, name) = (text(object, "kind"), text(&object["metadata"], "name"));
        let said = eventually(&format!("{kind} {name} is stalled"), DEADLINE, async || {
            let status = read(&namespace, &kind, &name).await?["status"].take();
            let conditions = status["conditions"]
                .as_array()
                .context("no conditions")?
                .clone();
            let is = |one: &Value, kind: &str, status: &str| {
                one["type"] == kind && one["status"] == status
            };
            ensure!(
                conditions.iter().any(|one| is(one, "Ready", "False")),
                "{conditions:?}"
            );
            let stalled = conditions.iter().find(|one| is(one, "Stalled", "True"));
            let stalled = stalled.with_context(|| format!("{conditions:?}"))?;
            // A pipeline whose model is missing serves: it falls back to the safe wording.
            let is_offered = !status["configDigest"].is_null() || !status["digest"].is_null();
            ensure!(
                !is_offered || stalled["reason"] != "InvalidSpec",
                "{status}"
            );
            Ok(Some(text(stalled, "message")))
        })
        .await
        .unwrap();
        assert!(
            said.contains(field) && said.contains(remedy),
            "{name} {field}, {remedy}: {said}"
        );
    }
    let jobs = namespace
        .api::<Job>()
        .list(&ListParams::default())
        .await
        .unwrap();
    assert_eq!(jobs.items.len(), 0, "no run was begun");
    let deployments = namespace
        .api::<Deployment>()
        .list(&ListParams::default())
        .await
        .unwrap();
    let bad = deployments
        .items
        .iter()
        .filter_map(|one| one.metadata.name.as_deref());
    assert_eq!(
        bad.collect::<Vec<_>>(),
        ["writer-model"],
        "no model was begun"
    );
}

async fn read(namespace: &TestNamespace, kind: &str, name: &str) -> Result<Value> {
    Ok(match kind {
        "ModelDeployment" => {
            serde_json::to_value(namespace.api::<ModelDeployment>().get(name).await?)?
        }
        "PolicySet" => serde_json::to_value(namespace.api::<PolicySet>().get(name).await?)?,
        "WritingPipeline" => {
            serde_json::to_value(namespace.api::<WritingPipeline>().get(name).await?)?
        }
        _ => serde_json::to_value(namespace.api::<WritingRun>().get(name).await?)?,
    })
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_default().to_owned()
}

/// A request, its status, and what the refusal must say: field first, remedy second.
type BadRequest = (&'static str, Ask, u16, &'static str, &'static str);

fn bad_requests(desk: &Desk, author: &str, reviewer: &str) -> Vec<BadRequest> {
    let pointer = json!({"pointer": {"customerId": 1}});
    let create = |body: &Value| desk.post(DOCUMENTS, body).token(author);
    let upload = |body: &'static str| desk.ask(Method::PUT, CONTEXT).token(author).body(body);
    let decide = |what: &str, body: &Value| {
        desk.post(&format!("{DOCUMENTS}/no-such-id/{what}"), body)
            .token(reviewer)
    };
    vec![
        (
            "unknown pipeline",
            desk.post("/v1/pipelines/farewell/documents", &pointer)
                .key("a")
                .token(author),
            404,
            "farewell",
            "apply a WritingPipeline of that name",
        ),
        (
            "no JSON",
            desk.ask(Method::POST, DOCUMENTS)
                .json("{")
                .key("a")
                .token(author),
            400,
            "body",
            "parse",
        ),
        (
            "unknown member",
            create(&json!({"pointer": {}, "priority": 1})).key("a"),
            400,
            "priority",
            "expected",
        ),
        (
            "no pointer",
            create(&json!({})).key("a"),
            400,
            "pointer",
            "missing field",
        ),
        (
            "no key",
            create(&pointer),
            400,
            "Idempotency-Key",
            "send header",
        ),
        (
            "empty key",
            create(&pointer).key(""),
            400,
            "Idempotency-Key",
            "1 to 255 characters",
        ),
        (
            "unknown status",
            desk.get(&format!("{DOCUMENTS}?status=Lost")).token(author),
            400,
            "status",
            "use one of Accepted",
        ),
        (
            "unknown query",
            desk.get(&format!("{DOCUMENTS}?colour=red")).token(author),
            400,
            "colour",
            "expected one of",
        ),
        (
            "unknown document",
            decide("approve", &json!({"digest": "x"})),
            404,
            "no-such-id",
            "does not exist",
        ),
        (
            "no digest",
            decide("approve", &json!({})),
            400,
            "digest",
            "missing field",
        ),
        (
            "reader uploads",
            desk.ask(Method::PUT, CONTEXT)
                .token(reviewer)
                .body("{\"id\":1}"),
            403,
            "`create`",
            "a Role needs verb",
        ),
        (
            "unknown context",
            desk.ask(Method::PUT, &format!("{PIPELINE}/context/orders"))
                .token(author)
                .body("{\"id\":1}"),
            400,
            "orders",
            "customer",
        ),
        (
            "broken line",
            upload("{\"id\":1}\n{\"id\":"),
            400,
            "line 2",
            "one JSON object a line is wanted",
        ),
        (
            "no object",
            upload("[1,2]"),
            400,
            "body",
            "an array of objects is wanted",
        ),
        (
            "record without a key",
            upload("{\"name\":\"Zoë\"}"),
            400,
            "line 1.id",
            "which is its key",
        ),
        (
            "key twice",
            upload("{\"id\":1}\n{\"id\":1}"),
            400,
            "line 2.id",
            "keys are unique",
        ),
    ]
}

#[tokio::test]
async fn bad_tokens_intents_and_records_are_refused_and_leave_no_trace() {
    let scene = scene("intents", str::to_owned).await;
    let namespace = &scene.namespace;
    scene
        .upload("{\"id\":1,\"name\":\"Zoë\",\"topic\":\"saving\"}")
        .await;
    let desk = Desk::of(namespace).await;
    let (author, reviewer) = (
        token(namespace, "author").await,
        token(namespace, "reviewer").await,
    );

    let elsewhere = token_for(namespace, "author", "https://elsewhere.example").await;
    let stranger = token(namespace, "default").await;
    let list = || desk.get(DOCUMENTS);
    let tokens = [
        (list(), 401, "Authorization: Bearer TOKEN"),
        (
            list().header("authorization", "Basic YTpi"),
            401,
            "Authorization: Bearer TOKEN",
        ),
        (list().token("not.a.token"), 401, "audience `aios`"),
        (list().token(&elsewhere), 401, "audience `aios`"),
        (
            list().token(&stranger),
            403,
            "a Role needs verb `list` on `writingpipelines/documents`",
        ),
    ];
    for (ask, status, remedy) in tokens {
        let answer = ask.answer().await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(
            answer.text_of("detail").contains(remedy),
            "{remedy}: {}",
            answer.text
        );
    }
    for (case, ask, status, field, remedy) in bad_requests(&desk, &author, &reviewer) {
        refused(case, &ask.answer().await, status, field, remedy);
    }
    assert!(
        scene.documents(None).await.unwrap().is_empty(),
        "no document was made"
    );
    // The records are those of before the refused uploads.
    let pointer = json!({"pointer": {"customerId": 1}});
    let preview = desk
        .post(&format!("{PIPELINE}/preview"), &pointer)
        .token(&author)
        .answer();
    assert!(preview.await.accepted().text.contains("Zoë"));

    // One key is one request.
    let once = desk.post(DOCUMENTS, &pointer).key("once").token(&author);
    let id = once.answer().await.accepted().text_of("id").to_owned();
    let other = json!({"pointer": {"customerId": 2}});
    let again = desk
        .post(DOCUMENTS, &other)
        .key("once")
        .token(&author)
        .answer()
        .await;
    refused(
        "key reused",
        &again,
        422,
        "idempotency key",
        "use a new key",
    );
    scene.documents_in("Published", 1).await;
    assert_eq!(scene.documents(None).await.unwrap()[0].id, id);
    assert_eq!(scene.received().await.posts, 1);
}

/// It is a problem (RFC 9457), and it says where and what to do.
fn refused(case: &str, answer: &Answer, status: u16, field: &str, remedy: &str) {
    assert_eq!(answer.status, status, "{case}: {}", answer.text);
    assert!(
        answer.body["title"].is_string(),
        "{case} is no problem document: {}",
        answer.text
    );
    let said = format!("{} {}", answer.text_of("field"), answer.text_of("detail"));
    assert!(
        said.contains(field) && said.contains(remedy),
        "{case} {field}, {remedy}: {said}"
    );
}

#[tokio::test]
async fn records_that_do_not_fit_become_refused_documents_that_name_the_field_not_the_value() {
    let scene = scene("records", str::to_owned).await;
    let records = [
        (
            1,
            json!({"id": 1, "name": "", "topic": "saving"}),
            "customer.name",
            "does not fit the schema",
        ),
        (
            2,
            json!({"id": 2, "topic": "saving"}),
            "customer.name",
            "is missing",
        ),
        (
            3,
            json!({"id": 3, "name": ["Zoë"], "topic": "saving"}),
            "customer.name",
            "does not fit the schema",
        ),
        (4, Value::Null, "customer", "upload it first"),
    ];
    let lines: Vec<_> = records
        .iter()
        .filter(|one| !one.1.is_null())
        .map(|one| one.1.to_string())
        .collect();
    scene.upload(&lines.join("\n")).await;
    scene.run("misfits", scene::pointers(4)).await;
    let items = scene.finished("misfits").await;
    assert_eq!((items.accepted, items.refused, items.published), (4, 4, 0));
    for listed in scene.documents(None).await.unwrap() {
        let document = serde_json::to_value(scene.document(&listed.id).await.unwrap()).unwrap();
        let customer = document["pointer"]["customerId"].as_u64().unwrap();
        let (_, _, field, remedy) = records.iter().find(|one| one.0 == customer).unwrap();
        assert_eq!(document["reason"], "InvalidVariables");
        let said = text(&document, "detail");
        assert!(
            said.contains(field) && said.contains(remedy),
            "{field}, {remedy}: {said}"
        );
        assert!(!said.contains("Zoë"), "{said}");
    }
    assert_eq!(scene.received().await.posts, 0);
}

/// What a model may answer, and the rule that stops it.
#[tokio::test]
async fn bad_answers_of_a_model_never_get_out() {
    let answers = [
        ("an empty answer", ""),
        ("a blank answer", "  \n\n "),
        ("an invented number", "Save 73 percent until Friday."),
        ("a competitor", "Unlike Goldpeak we listen."),
        (
            "a template",
            "Hello {{ customer.name }} and {% for a in b %}.",
        ),
        ("a long answer", &"very ".repeat(400)),
    ];
    let scene = scene("answers", str::to_owned).await;
    let mut rules: Vec<_> = answers
        .iter()
        .map(|(topic, answer)| json!({"match": topic, "answer": answer}))
        .collect();
    // Asked again with the rule's message, it invents another.
    let message = "Use no numbers but those you were given.";
    rules.push(json!({"match": message, "answer": "Then make it 74 percent."}));
    let simulator = scene
        .namespace
        .forward_service("model-simulator", 8080)
        .await
        .unwrap();
    let script = format!("http://{}/simulator/script", simulator.address());
    let set = reqwest::Client::new()
        .post(script)
        .json(&rules)
        .send()
        .await
        .unwrap();
    assert!(set.status().is_success());
    let records = scene::records(answers.len(), |id| answers[id - 1].0);
    scene.upload(&records).await;
    scene.run("answers", scene::pointers(answers.len())).await;
    scene.finished("answers").await;

    let mut found = std::collections::BTreeMap::new();
    for listed in scene.documents(None).await.unwrap() {
        let document = serde_json::to_value(scene.document(&listed.id).await.unwrap()).unwrap();
        let customer = document["pointer"]["customerId"].as_u64().unwrap();
        let topic = answers[usize::try_from(customer).unwrap() - 1].0;
        found.insert(topic, document);
    }
    let safe = "We are glad to have you with us.";
    for topic in ["an empty answer", "a blank answer", "an invented number"] {
        let document = &found[topic];
        assert_eq!(document["status"], "Published", "{topic}: {document:#}");
        assert_eq!(document["origin"], "Template", "{topic}: {document:#}");
        assert!(
            document["parts"].to_string().contains(safe),
            "{topic}: {document:#}"
        );
    }
    let invented = found["an invented number"]["verdicts"].to_string();
    assert!(
        invented.contains("no-invented-numbers")
            && invented.contains("Use no numbers but those you were given."),
        "{invented}"
    );
    let rival = &found["a competitor"];
    assert_eq!(rival["status"], "Review", "{rival:#}");
    let verdict = rival["verdict"].to_string();
    assert!(
        verdict.contains("no-competitors") && verdict.contains("A competitor is named."),
        "{verdict}"
    );
    // Words of a model are words: never a template, and never more than was asked for.
    let template = found["a template"]["parts"].to_string();
    assert!(!template.contains("Hello Customer"), "{template}");
    assert!(
        found["a long answer"]["parts"].to_string().len() < 1500,
        "{:#}",
        found["a long answer"]
    );
}

async fn scene(prefix: &str, change: impl Fn(&str) -> String) -> Scene {
    install(&Cluster::shared().await.unwrap()).await.unwrap();
    Scene::with(prefix, change).await
}
