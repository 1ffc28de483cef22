//! The committed manifests, compiled as the operator compiles them, and documents judged by them.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::{collections::BTreeMap, fs, path::Path};

use aios_campaign::Customer;
use aios_compile::Resolved;
use aios_crds::{ModelDeploymentSpec, PolicySetSpec, WritingPipelineSpec, WritingRunSpec};
use aios_policy::{Document, Inputs, Part, PartName, PolicyStack, Verdict};
use aios_proto::config::{PipelineConfig, PolicyPin, PolicyScope, SkeletonConfig};
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context, value::Serde};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub struct Setting {
    pub pipeline: PipelineConfig,
    policies: PolicyStack,
    schema: jsonschema::Validator,
}

/// All objects of a file of the campaign's folder.
pub fn objects(file: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = fs::read_to_string(folder.join(file)).unwrap();
    serde_saphyr::from_multiple(&text).unwrap()
}

/// Names and specs of all objects of a kind.
pub fn specs<T: DeserializeOwned>(objects: &[Value], kind: &str) -> Vec<(String, T)> {
    let of_kind = objects.iter().filter(|object| object["kind"] == kind);
    of_kind
        .map(|object| {
            let name = object["metadata"]["name"].as_str().unwrap().to_owned();
            (
                name,
                serde_json::from_value(object["spec"].clone()).unwrap(),
            )
        })
        .collect()
}

impl Setting {
    pub fn committed() -> Self {
        let objects = objects("campaign.yaml");
        let [(policy, spec)] = specs::<PolicySetSpec>(&objects, "PolicySet")
            .try_into()
            .unwrap();
        for (name, spec) in specs::<ModelDeploymentSpec>(&objects, "ModelDeployment") {
            aios_compile::model(&name, "bank", &spec).unwrap();
        }
        let no_lists = Resolved::default();
        let compiled = aios_compile::policy(&policy, PolicyScope::Namespace, &spec, &no_lists);
        let compiled = compiled.unwrap().compiled;
        let [(name, spec)] = specs::<WritingPipelineSpec>(&objects, "WritingPipeline")
            .try_into()
            .unwrap();
        let pin = PolicyPin {
            scope: PolicyScope::Namespace,
            name: policy,
            digest: String::new(),
        };
        let resolved = Resolved {
            config_maps: config_maps(&objects),
            ..Resolved::default()
        };
        let pipeline = aios_compile::pipeline(&name, &spec, &resolved, vec![pin])
            .unwrap_or_else(|found| panic!("{found:#?}"));
        for (name, run) in specs::<WritingRunSpec>(&self::objects("run.yaml"), "WritingRun") {
            aios_compile::run(&name, "", &run).unwrap();
            assert_eq!(aios_compile::run_fits(&run, &spec), []);
        }
        let schema = jsonschema::validator_for(pipeline.variables.as_ref().unwrap()).unwrap();
        Self {
            pipeline,
            policies: PolicyStack::new(vec![compiled]),
            schema,
        }
    }

    /// Whether the record fits the pipeline's schema.
    pub fn accepts(&self, customer: &Customer) -> bool {
        self.schema.is_valid(&variables(customer))
    }

    /// The verdict on the document whose slots hold the safe wording, but for one that a model wrote.
    pub fn verdict(&self, customer: &Customer, written: Option<(&str, &str)>) -> Verdict {
        let variables = variables(customer);
        let language = customer.language.as_str();
        let skeleton = self.skeleton(language);
        let labels = ["segment", "writer"].map(|name| {
            let value = variables["customer"][name].as_str().unwrap();
            (name.to_owned(), value.to_owned())
        });
        let templates: Vec<&str> = skeleton.parts.iter().map(|p| p.template.as_str()).collect();
        let inputs = Inputs {
            variables: &variables,
            labels: &labels.into(),
            language,
            passages: &[],
            template: &templates,
            step: aios_policy::Step::Final,
        };
        let document = document(skeleton, &variables, written);
        self.policies.evaluate(&document, &inputs).verdict
    }

    /// What the model is asked.
    pub fn prompt(&self, customer: &Customer, slot: &str) -> String {
        let skeleton = self.skeleton(customer.language.as_str());
        let slot = skeleton.slots.iter().find(|s| s.name == slot).unwrap();
        environment()
            .render_str(&slot.prompt, Serde(&variables(customer)))
            .unwrap()
    }

    fn skeleton(&self, language: &str) -> &SkeletonConfig {
        let mut skeletons = self.pipeline.skeletons.iter();
        skeletons.find(|s| s.language == language).unwrap()
    }
}

fn config_maps(objects: &[Value]) -> BTreeMap<String, BTreeMap<String, String>> {
    let maps = objects
        .iter()
        .filter(|object| object["kind"] == "ConfigMap");
    maps.map(|object| {
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        (
            name,
            serde_json::from_value(object["data"].clone()).unwrap(),
        )
    })
    .collect()
}

fn variables(customer: &Customer) -> Value {
    json!({"customerId": customer.id, "customer": customer})
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|name| {
        if name == "html" {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    environment
}

fn document(
    skeleton: &SkeletonConfig,
    variables: &Value,
    written: Option<(&str, &str)>,
) -> Document {
    let environment = environment();
    let words = |slot: &aios_crds::writing_pipeline::Slot| match written {
        Some((name, text)) if name == slot.name => text.to_owned(),
        _ => environment
            .render_str(&slot.safe, Serde(variables))
            .unwrap(),
    };
    let slots: BTreeMap<&str, String> = skeleton
        .slots
        .iter()
        .map(|slot| (slot.name.as_str(), words(slot)))
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
