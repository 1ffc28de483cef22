//! What only a compiler sees, and references among the files.

use std::collections::{BTreeMap, BTreeSet};

use aios_compile::{Diagnostic, PolicySource, References, Resolved, references};
use aios_crds::{
    ClusterPolicySetSpec, ModelDeploymentSpec, PolicySetSpec, WritingPipelineSpec, WritingRunSpec,
    rollout::EvaluationInput,
};
use aios_policy::Bounds;
use aios_proto::config::{HostedAt, PolicyPin, PolicyScope};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Finding, Kind, Options, Report, sources::Manifest};

/// Compiles every object beside the others of its namespace.
pub(super) fn check(manifests: &[Manifest], options: &Options, report: &mut Report) {
    let mut known = BTreeMap::new();
    for manifest in manifests {
        if known.insert(manifest.key(), manifest).is_some() {
            report.findings.push(finding(
                manifest,
                Diagnostic::new(
                    "metadata.name",
                    format!("`{}` stands in these files twice", manifest.name),
                    "keep one of them, or give each its own name or namespace",
                ),
            ));
        }
    }
    let world = World { known, options };
    for manifest in manifests {
        let Some(kind) = manifest.kind else { continue };
        let (found, named) = match kind {
            Kind::ModelDeployment => world.model(manifest, report),
            Kind::PolicySet => {
                world.policy::<PolicySetSpec>(manifest, report, PolicyScope::Namespace)
            }
            Kind::ClusterPolicySet => {
                world.policy::<ClusterPolicySetSpec>(manifest, report, PolicyScope::Cluster)
            }
            Kind::WritingPipeline => world.pipeline(manifest, report),
            Kind::WritingRun => world.run(manifest, report),
        };
        for (secret, key) in named.secrets {
            report.secrets.entry(secret).or_default().insert(key);
        }
        report
            .findings
            .extend(found.into_iter().map(|d| finding(manifest, d)));
    }
}

const EVALUATION: &str = "spec.selfHosted.rollout.evaluation";

/// All objects of the files.
struct World<'a> {
    known: BTreeMap<super::Key, &'a Manifest>,
    options: &'a Options,
}

type Found = (Vec<Diagnostic>, References);

impl World<'_> {
    fn pipeline(&self, manifest: &Manifest, report: &Report) -> Found {
        let spec: WritingPipelineSpec = match spec(manifest) {
            Ok(spec) => spec,
            Err(found) => return (vec![found], References::default()),
        };
        let named = references::of_pipeline(&spec);
        // A policy with mistakes of its own is reported once, where they are.
        let pins = named
            .policies
            .iter()
            .filter(|name| self.exists(report, "PolicySet", manifest, name))
            .map(|name| PolicyPin {
                scope: PolicyScope::Namespace,
                name: name.clone(),
                digest: String::new(),
            })
            .collect();
        let resolved = Resolved {
            hosted: self.hosted(&named.models, manifest),
            bounds: self.bounds(&named.policies, manifest),
            ..self.resolved(manifest)
        };
        let compiled = aios_compile::pipeline(&manifest.name, &spec, &resolved, pins);
        let mut found: Vec<_> = compiled.err().unwrap_or_default();
        self.forgive(manifest, &named, &mut found);
        for (path, model) in models(&spec) {
            if !self.exists(report, "ModelDeployment", manifest, model) {
                found.push(absent(path, "ModelDeployment", model));
            }
        }
        (found, named)
    }

    fn policy<S>(&self, manifest: &Manifest, report: &Report, scope: PolicyScope) -> Found
    where
        S: DeserializeOwned,
        for<'s> PolicySource<'s>: From<&'s S>,
    {
        let spec: S = match spec(manifest) {
            Ok(spec) => spec,
            Err(found) => return (vec![found], References::default()),
        };
        let source = PolicySource::from(&spec);
        let named = references::of_rules(source.rules);
        let resolved = self.resolved(manifest);
        let compiled = aios_compile::policy(&manifest.name, scope, source, &resolved);
        let mut found = compiled.err().unwrap_or_default();
        self.forgive(manifest, &named, &mut found);
        // The platform's policies ask models of the namespaces that they select.
        if scope == PolicyScope::Namespace {
            found.extend(source.rules.iter().enumerate().filter_map(|(index, rule)| {
                let model = &rule.moderation.as_ref()?.model;
                let path = format!("spec.rules[{index}].moderation.model");
                let exists = self.exists(report, "ModelDeployment", manifest, model);
                (!exists).then(|| absent(path, "ModelDeployment", model))
            }));
        }
        (found, named)
    }

    /// Drops what is said of ConfigMaps that the cluster may have.
    fn forgive(&self, manifest: &Manifest, named: &References, found: &mut Vec<Diagnostic>) {
        if !self.options.partial {
            return;
        }
        let elsewhere = |name: &&String| self.get("ConfigMap", manifest, name).is_none();
        let absent: Vec<_> = named.config_maps.iter().filter(elsewhere).collect();
        found.retain(|d| {
            !absent
                .iter()
                .any(|name| d.message.starts_with(&format!("ConfigMap `{name}` does")))
        });
    }

    fn model(&self, manifest: &Manifest, report: &Report) -> Found {
        let spec: ModelDeploymentSpec = match spec(manifest) {
            Ok(spec) => spec,
            Err(found) => return (vec![found], References::default()),
        };
        let compiled = aios_compile::model(&manifest.name, &manifest.namespace, &spec);
        let mut found = compiled.err().unwrap_or_default();
        let named = references::of_model(&spec);
        for (field, kind, names) in [
            ("configMapRef", "ConfigMap", &named.config_maps),
            ("policyRefs", "PolicySet", &named.policies),
        ] {
            let absent_ones = names
                .iter()
                .filter(|name| !self.exists(report, kind, manifest, name));
            found.extend(
                absent_ones.map(|name| absent(format!("{EVALUATION}.{field}"), kind, name)),
            );
        }
        let resolved = self.resolved(manifest);
        for name in &named.config_maps {
            let inputs = resolved.config_maps.get(name).into_iter().flatten();
            found.extend(inputs.filter_map(|(key, text)| {
                let error = EvaluationInput::parse(text).err()?;
                let path = format!("{EVALUATION}.configMapRef");
                let remedy = "write a prompt, or a JSON object with prompt";
                let problem = format!("ConfigMap `{name}`, key `{key}`: {error}");
                Some(Diagnostic::new(path, problem, remedy))
            }));
        }
        (found, named)
    }

    fn run(&self, manifest: &Manifest, report: &Report) -> Found {
        let spec: WritingRunSpec = match spec(manifest) {
            Ok(spec) => spec,
            Err(found) => return (vec![found], References::default()),
        };
        let compiled = aios_compile::run(&manifest.name, "", &spec);
        let mut found = compiled.err().unwrap_or_default();
        let name = &spec.pipeline_ref.name;
        match self
            .get("WritingPipeline", manifest, name)
            .map(self::spec::<WritingPipelineSpec>)
        {
            Some(Ok(pipeline)) => found.extend(aios_compile::run_fits(&spec, &pipeline)),
            Some(Err(_)) => {}
            None if self.exists(report, "WritingPipeline", manifest, name) => {}
            None => found.push(absent(
                "spec.pipelineRef.name".into(),
                "WritingPipeline",
                name,
            )),
        }
        (found, references::of_run(&spec))
    }

    fn get(&self, kind: &str, beside: &Manifest, name: &str) -> Option<&Manifest> {
        let key = (kind.to_owned(), beside.namespace.clone(), name.to_owned());
        self.known.get(&key).copied()
    }

    /// In the files, sound or not; or taken to be in the cluster.
    fn exists(&self, report: &Report, kind: &str, beside: &Manifest, name: &str) -> bool {
        let key = (kind.to_owned(), beside.namespace.clone(), name.to_owned());
        self.options.partial || self.known.contains_key(&key) || report.broken.contains(&key)
    }

    fn hosted(&self, models: &BTreeSet<String>, beside: &Manifest) -> BTreeMap<String, HostedAt> {
        let hosted = models.iter().filter_map(|name| {
            let found = self.get("ModelDeployment", beside, name)?;
            let spec: ModelDeploymentSpec = spec(found).ok()?;
            Some((name.clone(), aios_compile::hosted_at(&spec)?))
        });
        hosted.collect()
    }

    /// Of the policies that a pipeline names, and of the platform's that select every namespace: the
    /// labels of namespaces stand in no file.
    fn bounds(&self, policies: &BTreeSet<String>, beside: &Manifest) -> Bounds {
        let manifests = self.known.values();
        let platforms = manifests.filter(|one| one.kind == Some(Kind::ClusterPolicySet));
        let platforms = platforms.filter_map(|manifest| {
            let spec: ClusterPolicySetSpec = spec(manifest).ok()?;
            let selects_all = spec.namespace_selector.match_labels.is_empty();
            let bounds = PolicySource::from(&spec).bounds();
            selects_all.then(|| (manifest.name.clone(), bounds))
        });
        let own = policies.iter().filter_map(|name| {
            let found = self.get("PolicySet", beside, name)?;
            let spec: PolicySetSpec = spec(found).ok()?;
            Some((name.clone(), PolicySource::from(&spec).bounds()))
        });
        Bounds::new(platforms.chain(own))
    }

    fn resolved(&self, beside: &Manifest) -> Resolved {
        let maps = self.known.iter().filter(|((kind, namespace, _), _)| {
            kind == "ConfigMap" && *namespace == beside.namespace
        });
        Resolved {
            config_maps: maps
                .map(|((_, _, name), m)| (name.clone(), texts(&m.value)))
                .collect(),
            ..Resolved::default()
        }
    }
}

/// Texts of a ConfigMap, by key.
pub fn texts(config_map: &Value) -> BTreeMap<String, String> {
    let data = config_map.get("data").and_then(Value::as_object);
    let data = data.into_iter().flatten();
    data.filter_map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned())))
        .collect()
}

/// The structure was checked by the schema, so what is left is rare: numbers out of a type's range.
fn spec<S: DeserializeOwned>(manifest: &Manifest) -> Result<S, Diagnostic> {
    let spec = manifest.value.get("spec").cloned().unwrap_or_default();
    serde_json::from_value(spec)
        .map_err(|error| Diagnostic::new("spec", error.to_string(), "correct the value"))
}

/// Models of every route and variant with their paths.
fn models(spec: &WritingPipelineSpec) -> Vec<(String, &str)> {
    let steps = [
        ("draft", Some(&spec.models.draft)),
        ("final", spec.models.finish.as_ref()),
    ];
    let mut models = Vec::new();
    for (name, step) in steps {
        for (index, route) in step.into_iter().flat_map(|step| &step.routes).enumerate() {
            models.push((
                format!("spec.models.{name}.routes[{index}].model"),
                route.model.as_str(),
            ));
        }
        let experiment = step.and_then(|step| step.experiment.as_ref());
        let variants = experiment
            .iter()
            .flat_map(|experiment| &experiment.variants);
        for (index, variant) in variants.enumerate() {
            models.push((
                format!("spec.models.{name}.experiment.variants[{index}].model"),
                variant.model.as_str(),
            ));
        }
    }
    models
}

fn absent(path: String, kind: &str, name: &str) -> Diagnostic {
    Diagnostic::new(
        path,
        format!("{kind} `{name}` is not in these files"),
        "correct the name, add its file, or pass --partial if the cluster has it",
    )
}

fn finding(manifest: &Manifest, diagnostic: Diagnostic) -> Finding {
    let place = match (diagnostic.line, diagnostic.column) {
        (Some(line), Some(column)) => Some(format!("line {line}, column {column}")),
        (Some(line), None) => Some(format!("line {line}")),
        (None, _) => None,
    };
    Finding {
        file: manifest.file.clone(),
        object: format!("{}/{}", manifest.kind_name, manifest.name),
        path: diagnostic.path,
        place,
        message: diagnostic.message,
        remedy: diagnostic.remedy,
    }
}
