//! Compiles a WritingPipeline with its ConfigMaps resolved.

use std::collections::{BTreeMap, BTreeSet};

use aios_crds::{
    WritingPipelineSpec,
    experiment::{CONTROL, Experiment},
    writing_pipeline::Step,
};
use aios_policy::{Bounds, Place};
use aios_proto::config::{
    HostedAt, PipelineConfig, PolicyPin, PolicyScope, PublisherConfig, RetrievalConfig,
    SourceConfig,
};

use crate::{
    Diagnostic, checks, content, expression,
    schema::Variables,
    template::{self, RESERVED, Scope},
    trigger,
};

/// Longest name of a pipeline: labels and paths of the API are made of it.
const MAX_NAME: usize = 52;
/// Bytes of all texts of one pipeline, so that its configuration fits into one message.
const MAX_TEXTS: usize = 2 * 1024 * 1024;

/// Objects that the spec refers to, as the caller found them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// ConfigMaps by name: their texts by key.
    pub config_maps: BTreeMap<String, BTreeMap<String, String>>,
    /// ModelDeployments that a provider serves, by name.
    pub hosted: BTreeMap<String, HostedAt>,
    /// What the policies that a pipeline must run say of models.
    pub bounds: Bounds,
}

/// Compiles a WritingPipeline. `pins` are the policies it must run: its own and the platform's.
///
/// # Errors
/// Every mistake found, in the order of the spec.
pub fn pipeline(
    name: &str,
    spec: &WritingPipelineSpec,
    resolved: &Resolved,
    pins: Vec<PolicyPin>,
) -> Result<PipelineConfig, Vec<Diagnostic>> {
    let mut found: Vec<_> = checks::object_name("WritingPipeline", name, MAX_NAME)
        .into_iter()
        .collect();
    let declared = Variables::of(spec);
    found.extend(declared.mistake());
    content::variables(&spec.content, &declared, &mut found);
    let skeletons = content::skeletons(spec, resolved, &declared, &mut found);
    context(spec, &declared, &mut found);
    let retrieval = retrieval(spec, resolved, &declared, &mut found);
    models(spec, resolved, &mut found);
    let budget = spec.budget.as_ref();
    found.extend(budget.and_then(|budget| checks::time_zone("spec.budget", budget)));
    policies(spec, &pins, &mut found);
    found.extend(trigger::triggers(spec).err().unwrap_or_default());
    let publish = publish(spec, &mut found);
    found.extend(checks::doubled(
        spec.reporters.iter().map(|reporter| reporter.name.as_str()),
        |index| format!("spec.reporters[{index}].name"),
    ));
    found.extend(size(&skeletons, retrieval.as_ref()));
    if !found.is_empty() {
        return Err(found);
    }
    Ok(PipelineConfig {
        name: name.to_owned(),
        kind: spec.content.kind,
        variables: declared.into_schema(),
        language_variable: spec.content.language_variable.clone(),
        subject_variable: spec.content.subject_variable.clone(),
        labels: spec.content.labels.clone(),
        skeletons,
        context: spec.context.clone(),
        retrieval,
        models: spec.models.clone(),
        policies: pins,
        publish,
        reporters: spec.reporters.clone(),
        execution: spec.execution.clone(),
        budget: spec.budget.as_deref().cloned(),
    })
}

impl Resolved {
    /// A ConfigMap, or what to say about its absence.
    pub(crate) fn config_map(
        &self,
        path: &str,
        name: &str,
    ) -> Result<&BTreeMap<String, String>, Diagnostic> {
        self.config_maps.get(name).ok_or_else(|| {
            Diagnostic::new(
                format!("{path}.name"),
                format!("ConfigMap `{name}` does not exist in this namespace"),
                "create it, or correct the name",
            )
        })
    }
}

fn context(spec: &WritingPipelineSpec, declared: &Variables<'_>, found: &mut Vec<Diagnostic>) {
    let path = "spec.context";
    found.extend(checks::doubled(
        spec.context.iter().map(|c| c.name.as_str()),
        |index| format!("{path}[{index}].name"),
    ));
    for (index, source) in spec.context.iter().enumerate() {
        if RESERVED.contains(&source.name.as_str()) {
            found.push(Diagnostic::new(
                format!("{path}[{index}].name"),
                format!("`{}` is a name of AIOS's own in templates", source.name),
                "choose another, as in customer",
            ));
        }
        if source.name == source.upload.pointer {
            found.push(Diagnostic::new(
                format!("{path}[{index}].upload.pointer"),
                format!(
                    "the record `{}` would replace the pointer's field",
                    source.name
                ),
                "name the field after the key it holds, as in customerId",
            ));
        }
        found.extend(declared.check_path(
            &format!("{path}[{index}].upload.pointer"),
            &source.upload.pointer,
        ));
    }
}

fn retrieval(
    spec: &WritingPipelineSpec,
    resolved: &Resolved,
    declared: &Variables<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<RetrievalConfig> {
    let retrieval = spec.retrieval.as_ref()?;
    let path = "spec.retrieval";
    found.extend(checks::doubled(
        retrieval.sources.iter().map(|s| s.name.as_str()),
        |index| format!("{path}.sources[{index}].name"),
    ));
    let mut sources = Vec::new();
    for (index, source) in retrieval.sources.iter().enumerate() {
        let path = format!("{path}.sources[{index}].configMapRef");
        match resolved.config_map(&path, &source.config_map_ref.name) {
            Ok(texts) if texts.values().all(|text| text.trim().is_empty()) => {
                found.push(Diagnostic::new(
                    format!("{path}.name"),
                    format!("ConfigMap `{}` holds no text", source.config_map_ref.name),
                    "add one key a document under data, passages parted by blank lines",
                ));
            }
            Ok(texts) => {
                sources.push(SourceConfig {
                    name: source.name.clone(),
                    texts: texts.clone(),
                });
            }
            Err(missing) => found.push(missing),
        }
    }
    let scope = Scope {
        variables: declared,
        slots: None,
        passages: false,
    };
    let mut none = BTreeSet::new();
    let query = format!("{path}.query.text");
    found.extend(template::check(
        &query,
        &retrieval.query.text,
        scope,
        &mut none,
    ));
    Some(RetrievalConfig {
        sources,
        query: retrieval.query.clone(),
    })
}

fn models(spec: &WritingPipelineSpec, resolved: &Resolved, found: &mut Vec<Diagnostic>) {
    let labels: Vec<&str> = spec
        .content
        .labels
        .iter()
        .map(|label| label.name.as_str())
        .collect();
    let steps: [(&str, Option<&Step>); 2] = [
        ("draft", Some(&spec.models.draft)),
        ("final", spec.models.finish.as_ref()),
    ];
    for (name, step) in steps {
        let Some(step) = step else { continue };
        let path = format!("spec.models.{name}.routes");
        if step.routes.is_empty() {
            found.push(Diagnostic::new(
                path.as_str(),
                "is empty",
                "add a route to a ModelDeployment",
            ));
        }
        if let Some(cache) = step.cache.filter(|cache| !cache.is_bounded()) {
            found.push(Diagnostic::new(
                format!("spec.models.{name}.cache.ttl"),
                format!("an answer cannot be kept for {}", cache.ttl),
                "name a span of 1s to 1h",
            ));
        }
        if let Some(experiment) = &step.experiment {
            found.extend(self::experiment(
                &format!("spec.models.{name}.experiment"),
                experiment,
                resolved,
            ));
        }
        for (index, route) in step.routes.iter().enumerate() {
            found.extend(out_of_bounds(
                || format!("{path}[{index}].model"),
                &route.model,
                resolved,
            ));
            let path = format!("{path}[{index}].when");
            let when = route.when.as_deref();
            found.extend(when.and_then(|when| expression::condition(&path, when, &labels)));
        }
    }
}

fn out_of_bounds(
    path: impl Fn() -> String,
    model: &str,
    resolved: &Resolved,
) -> Option<Diagnostic> {
    let hosted = resolved.hosted.get(model)?;
    let region = hosted.region.as_deref();
    let refused = resolved.bounds.admit(Place::Hosted { region }).err()?;
    Some(Diagnostic::new(
        path(),
        format!("ModelDeployment `{model}` is out of bounds: {refused}"),
        "route to a model within them, or have the policy changed by who owns it",
    ))
}

fn experiment(path: &str, experiment: &Experiment, resolved: &Resolved) -> Vec<Diagnostic> {
    let variants = &experiment.variants;
    let names = variants.iter().map(|variant| variant.name.as_str());
    let mut found = checks::doubled(names, |index| format!("{path}.variants[{index}].name"));
    let percent = experiment.percent();
    if percent > 100 {
        found.push(Diagnostic::new(
            format!("{path}.variants"),
            format!("the variants take {percent} percent of the documents"),
            "lower their percents to 100 in all, or less: the rest goes by the routes",
        ));
    }
    for (index, variant) in variants.iter().enumerate() {
        found.extend(out_of_bounds(
            || format!("{path}.variants[{index}].model"),
            &variant.model,
            resolved,
        ));
        if variant.name == CONTROL {
            found.push(Diagnostic::new(
                format!("{path}.variants[{index}].name"),
                format!("`{CONTROL}` is the name of the documents that no variant takes"),
                "give the variant another",
            ));
        }
    }
    found
}

fn policies(spec: &WritingPipelineSpec, pins: &[PolicyPin], found: &mut Vec<Diagnostic>) {
    found.extend(checks::doubled(
        spec.policy_refs.iter().map(|p| p.name.as_str()),
        |index| format!("spec.policyRefs[{index}].name"),
    ));
    for (index, policy) in spec.policy_refs.iter().enumerate() {
        let pinned =
            |pin: &PolicyPin| pin.scope == PolicyScope::Namespace && pin.name == policy.name;
        if !pins.iter().any(pinned) {
            found.push(Diagnostic::new(
                format!("spec.policyRefs[{index}].name"),
                format!(
                    "PolicySet `{}` does not exist in this namespace or does not compile",
                    policy.name
                ),
                "create it, correct the name, or mend the PolicySet",
            ));
        }
    }
}

fn publish(spec: &WritingPipelineSpec, found: &mut Vec<Diagnostic>) -> Vec<PublisherConfig> {
    found.extend(checks::doubled(
        spec.publish.iter().map(|p| p.name.as_str()),
        |index| format!("spec.publish[{index}].name"),
    ));
    for (index, publisher) in spec.publish.iter().enumerate() {
        let path = format!("spec.publish[{index}].webhook.url");
        found.extend(checks::address(&path, &publisher.webhook.url));
    }
    let config = spec.publish.iter().map(|publisher| PublisherConfig {
        name: publisher.name.clone(),
        url: publisher.webhook.url.clone(),
        signing_secret: publisher.webhook.signing_secret.clone(),
        read_back: publisher.webhook.read_back,
    });
    config.collect()
}

fn size(
    skeletons: &[aios_proto::config::SkeletonConfig],
    retrieval: Option<&RetrievalConfig>,
) -> Option<Diagnostic> {
    let templates = skeletons
        .iter()
        .flat_map(|s| &s.parts)
        .map(|part| part.template.len());
    let texts = retrieval
        .into_iter()
        .flat_map(|r| &r.sources)
        .flat_map(|s| s.texts.values());
    let bytes: usize = templates.sum::<usize>() + texts.map(String::len).sum::<usize>();
    (bytes > MAX_TEXTS).then(|| {
        Diagnostic::new(
            "spec",
            format!("templates and retrieval texts hold {bytes} bytes, more than {MAX_TEXTS}"),
            "index fewer texts, or split the pipeline",
        )
    })
}
