//! Which other objects a spec names. The caller reads them; all are of the spec's own namespace.

use std::collections::BTreeSet;

use aios_crds::{
    ModelDeploymentSpec, WritingPipelineSpec, WritingRunSpec,
    policy_set::Rule,
    reference::{KeyRef, SecretSource},
};

/// Names of the objects that a spec refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// ModelDeployments.
    pub models: BTreeSet<String>,
    /// PolicySets.
    pub policies: BTreeSet<String>,
    /// WritingPipelines.
    pub pipelines: BTreeSet<String>,
    /// ConfigMaps.
    pub config_maps: BTreeSet<String>,
    /// Secrets, by name and key.
    pub secrets: BTreeSet<(String, String)>,
}

/// What a pipeline refers to.
pub fn of_pipeline(spec: &WritingPipelineSpec) -> References {
    let templates = spec
        .content
        .skeletons
        .iter()
        .flat_map(|skeleton| &skeleton.parts);
    let sources = spec
        .retrieval
        .iter()
        .flat_map(|retrieval| &retrieval.sources);
    let steps = std::iter::once(&spec.models.draft).chain(&spec.models.finish);
    let experiments = steps.clone().filter_map(|step| step.experiment.as_ref());
    let variants = experiments.flat_map(|experiment| &experiment.variants);
    References {
        models: steps
            .flat_map(|step| &step.routes)
            .map(|route| route.model.clone())
            .chain(variants.map(|variant| variant.model.clone()))
            .collect(),
        policies: spec
            .policy_refs
            .iter()
            .map(|policy| policy.name.clone())
            .collect(),
        pipelines: BTreeSet::new(),
        config_maps: templates
            .filter_map(|part| part.template.config_map_key_ref.as_ref())
            .map(|key| key.name.clone())
            .chain(sources.map(|source| source.config_map_ref.name.clone()))
            .collect(),
        secrets: spec
            .publish
            .iter()
            .filter_map(|publisher| publisher.webhook.signing_secret.as_ref())
            .map(secret)
            .collect(),
    }
}

/// What a model refers to.
pub fn of_model(spec: &ModelDeploymentSpec) -> References {
    let hosted = spec.hosted.iter().map(|hosted| &hosted.credentials);
    let own = spec.self_hosted.iter().flat_map(|own| {
        let adapters = own.adapters.iter().map(|adapter| &adapter.credentials);
        adapters.chain(own.model.iter().map(|model| &model.credentials))
    });
    let rollout = spec.self_hosted.iter().flat_map(|own| &own.rollout);
    let evaluations = rollout.map(|rollout| &rollout.evaluation);
    References {
        secrets: hosted.chain(own).flatten().map(secret).collect(),
        config_maps: evaluations
            .clone()
            .map(|evaluation| evaluation.config_map_ref.name.clone())
            .collect(),
        policies: evaluations
            .flat_map(|evaluation| &evaluation.policy_refs)
            .map(|policy| policy.name.clone())
            .collect(),
        ..References::default()
    }
}

/// What the rules of a policy refer to.
pub fn of_rules(rules: &[Rule]) -> References {
    let terms = rules.iter().filter_map(|rule| rule.terms.as_ref());
    let lists = terms.filter_map(|terms| terms.list_ref.as_ref());
    let judges = rules.iter().filter_map(|rule| rule.moderation.as_ref());
    References {
        models: judges.map(|judge| judge.model.clone()).collect(),
        config_maps: lists
            .map(|list| list.config_map_key_ref.name.clone())
            .collect(),
        ..References::default()
    }
}

/// What a run refers to.
pub fn of_run(spec: &WritingRunSpec) -> References {
    References {
        pipelines: BTreeSet::from([spec.pipeline_ref.name.clone()]),
        ..References::default()
    }
}

fn secret(source: &SecretSource) -> (String, String) {
    let KeyRef { name, key } = &source.secret_key_ref;
    (name.clone(), key.clone())
}
