//! The committed manifests catch every planted mistake by its rule and stop no clean mail, with the
//! wording that needs no model.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use aios_campaign::{Campaign, Customer, Expected, SEED, generate};
use aios_compile::Resolved;
use aios_crds::{PolicySetSpec, WritingPipelineSpec};
use aios_policy::{CompiledPolicy, Document, Inputs, Part, PartName, PolicyStack, Verdict};
use aios_proto::config::{PipelineConfig, PolicyPin, PolicyScope, SkeletonConfig};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context, value::Serde};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct ConfigMap {
    metadata: Meta,
    data: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Meta {
    name: String,
}

#[derive(Deserialize)]
struct Manifest<T> {
    spec: T,
}

struct Setting {
    pipeline: PipelineConfig,
    policies: PolicyStack,
    schema: jsonschema::Validator,
}

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn setting() -> Setting {
    let policy: Manifest<PolicySetSpec> = serde_saphyr::from_str(&read("policy.yaml")).unwrap();
    let PolicySetSpec { rules, review } = policy.spec;
    let name = "webinar-rules";
    aios_compile::policy(name, PolicyScope::Namespace, &rules, &review).unwrap();
    let compiled = CompiledPolicy::compile(name, &rules, &review).unwrap();
    let maps = ["templates.yaml", "compliance-rules.yaml"].map(|file| {
        let map: ConfigMap = serde_saphyr::from_str(&read(file)).unwrap();
        (map.metadata.name, map.data)
    });
    let spec: Manifest<WritingPipelineSpec> =
        serde_saphyr::from_str(&read("pipeline.yaml")).unwrap();
    let pin = PolicyPin {
        scope: PolicyScope::Namespace,
        name: name.into(),
        digest: String::new(),
    };
    let resolved = Resolved {
        config_maps: maps.into(),
    };
    let pipeline = aios_compile::pipeline("webinar", &spec.spec, &resolved, vec![pin])
        .unwrap_or_else(|found| {
            panic!(
                "{}",
                found
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("\n")
            )
        });
    let schema = jsonschema::validator_for(pipeline.variables.as_ref().unwrap()).unwrap();
    Setting {
        pipeline,
        policies: PolicyStack::new(vec![Arc::new(compiled)]),
        schema,
    }
}

fn variables(customer: &Customer) -> Value {
    json!({"customerId": customer.id, "customer": customer})
}

/// A document whose slots hold the safe wording, but for one that a model wrote.
fn document(
    skeleton: &SkeletonConfig,
    variables: &Value,
    written: Option<(&str, &str)>,
) -> Document {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| {
        if name == "html" {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    let slots: BTreeMap<&str, String> = skeleton
        .slots
        .iter()
        .map(|slot| match written {
            Some((name, text)) if name == slot.name => (slot.name.as_str(), text.to_owned()),
            _ => (
                slot.name.as_str(),
                environment
                    .render_str(&slot.safe, Serde(variables))
                    .unwrap(),
            ),
        })
        .collect();
    let context = context! { slots, ..minijinja::Value::from(Serde(variables)) };
    let parts = skeleton.parts.iter().map(|part| {
        let name: PartName = part.name.parse().unwrap();
        let text = environment
            .render_named_str(&part.name, &part.template, &context)
            .unwrap();
        Part {
            kind: name.kind(),
            name,
            text,
        }
    });
    Document::new(parts.collect()).unwrap()
}

impl Setting {
    fn verdict(&self, customer: &Customer, written: Option<(&str, &str)>) -> Verdict {
        let variables = variables(customer);
        let language = variables
            .pointer("/customer/language")
            .and_then(Value::as_str)
            .unwrap();
        let skeleton = self
            .pipeline
            .skeletons
            .iter()
            .find(|s| s.language == language)
            .unwrap();
        let labels = ["segment", "writer"].map(|name| {
            let value = variables
                .pointer(&format!("/customer/{name}"))
                .and_then(Value::as_str);
            (name.to_owned(), value.unwrap().to_owned())
        });
        let templates: Vec<&str> = skeleton.parts.iter().map(|p| p.template.as_str()).collect();
        let inputs = Inputs {
            variables: &variables,
            labels: &labels.into(),
            language,
            passages: &[],
            template: &templates,
        };
        self.policies
            .evaluate(&document(skeleton, &variables, written), &inputs)
            .verdict
    }

    fn valid(&self, customer: &Customer) -> bool {
        self.schema.is_valid(&variables(customer))
    }
}

fn customer<'a>(campaign: &'a Campaign, id: &str) -> &'a Customer {
    campaign
        .customers
        .iter()
        .find(|customer| customer.id == id)
        .unwrap()
}

#[test]
fn every_planted_mistake_is_caught_by_its_rule() {
    let (setting, campaign) = (setting(), generate(SEED));
    for plant in &campaign.plants {
        let customer = customer(&campaign, &plant.customer_id);
        match plant.caught_by {
            Expected::Refusal(_) => assert!(!setting.valid(customer), "{}", plant.what),
            Expected::Rule(rule) => {
                assert!(setting.valid(customer), "{}", plant.what);
                let verdict = setting.verdict(customer, plant.slot.zip(plant.answer));
                let rules: Vec<&str> = verdict.findings.iter().map(|f| f.rule.as_str()).collect();
                assert!(rules.contains(&rule), "{}: {rules:?}", plant.what);
                assert_eq!(verdict.errors, [], "{}", plant.what);
            }
        }
    }
}

#[test]
fn no_clean_mail_is_stopped_and_no_unwanted_one_passes() {
    let (setting, campaign) = (setting(), generate(SEED));
    let planted =
        |customer: &Customer| campaign.plants.iter().any(|p| p.customer_id == customer.id);
    for customer in campaign
        .customers
        .iter()
        .filter(|customer| !planted(customer))
    {
        if customer.email.is_none() {
            assert!(!setting.valid(customer), "{}", customer.id);
            continue;
        }
        assert!(setting.valid(customer), "{}", customer.id);
        let verdict = setting.verdict(customer, None);
        assert_eq!(verdict.errors, [], "{}", customer.id);
        let rules: Vec<&str> = verdict.findings.iter().map(|f| f.rule.as_str()).collect();
        let expected: &[&str] = match (customer.marketing_consent, customer.suppressed) {
            (false, _) => &["marketing-consent"],
            (true, true) => &["suppression-list"],
            (true, false) => &[],
        };
        assert_eq!(rules, expected, "{}", customer.id);
    }
}

#[test]
fn what_the_model_often_gets_wrong_is_sent_back() {
    let (setting, campaign) = (setting(), generate(SEED));
    let customer = campaign
        .customers
        .iter()
        .find(|c| c.may_be_written_to() && c.language == aios_campaign::Language::En)
        .unwrap();
    for (words, rule) in [
        ("Here is a revised version: We invite you.", "no-asides"),
        ("Dear [Your Name], join us.", "no-asides"),
        ("Join us at https://save.example today.", "no-asides"),
        ("I am SmolLM, trained by Hugging Face.", "no-asides"),
        ("Save 500 euros with us.", "no-invented-numbers"),
    ] {
        let verdict = setting.verdict(customer, Some(("opening", words)));
        assert!(verdict.wants_revision(), "{words}");
        assert!(
            verdict.findings.iter().any(|finding| finding.rule == rule),
            "{words}"
        );
    }
}
