//! From an object that changed to the objects of its namespace that refer to it.

use std::{collections::BTreeSet, sync::Arc};

use aios_compile::references;
use aios_crds::{ModelDeployment, PolicySet, WritingPipeline, WritingRun};
use kube::{
    Resource, ResourceExt,
    runtime::reflector::{ObjectRef, Store},
};

use crate::{
    conditions::is_finished,
    names::LABEL_TRIGGER,
    triggers::{Guarded, Triggers},
    watch::valid,
};

/// Puts a namespace's objects into their queues, for a change that does not say whom it concerns.
pub fn everything_of(
    triggers: &Triggers,
    (models, policies): (&Store<Guarded<ModelDeployment>>, &Store<Guarded<PolicySet>>),
    pipelines: &Store<Guarded<WritingPipeline>>,
    runs: &Store<Guarded<WritingRun>>,
) -> Arc<dyn Fn(&str) + Send + Sync> {
    let queues = triggers.clone();
    let (models, policies) = (models.clone(), policies.clone());
    let (pipelines, runs) = (pipelines.clone(), runs.clone());
    Arc::new(move |namespace| {
        queues.tenant(namespace);
        queue_those(
            &models,
            namespace,
            |_| true,
            |name| queues.model(namespace, name),
        );
        let lists = |spec: &references::References| !spec.config_maps.is_empty();
        policies_that(&policies, namespace, lists, |name| {
            queues.policy(namespace, name);
        });
        queue_those(
            &pipelines,
            namespace,
            |_| true,
            |name| queues.pipeline(namespace, name),
        );
        queue_those(
            &runs,
            namespace,
            |_| true,
            |name| queues.run(namespace, name),
        );
    })
}

pub fn pipelines_that(
    pipelines: &Store<Guarded<WritingPipeline>>,
    namespace: &str,
    refer: impl Fn(&references::References) -> bool,
    queue: impl FnMut(&str),
) {
    let refers = |object: &WritingPipeline| refer(&references::of_pipeline(&object.spec));
    queue_those(pipelines, namespace, refers, queue);
}

/// Pipelines whose routes name a model, or whose own policies ask it.
pub fn pipelines_with(
    (pipelines, policies): (&Store<Guarded<WritingPipeline>>, &Store<Guarded<PolicySet>>),
    namespace: &str,
    model: &str,
    queue: impl FnMut(&str),
) {
    let names = |spec: &references::References| spec.models.contains(model);
    let mut asking = BTreeSet::new();
    policies_that(policies, namespace, names, |policy| {
        asking.insert(policy.to_owned());
    });
    let concerns =
        |spec: &references::References| names(spec) || !asking.is_disjoint(&spec.policies);
    pipelines_that(pipelines, namespace, concerns, queue);
}

pub fn models_that(
    models: &Store<Guarded<ModelDeployment>>,
    namespace: &str,
    refer: impl Fn(&references::References) -> bool,
    queue: impl FnMut(&str),
) {
    let refers = |object: &ModelDeployment| refer(&references::of_model(&object.spec));
    queue_those(models, namespace, refers, queue);
}

pub fn policies_that(
    policies: &Store<Guarded<PolicySet>>,
    namespace: &str,
    refer: impl Fn(&references::References) -> bool,
    queue: impl FnMut(&str),
) {
    let refers = |object: &PolicySet| refer(&references::of_rules(&object.spec.rules));
    queue_those(policies, namespace, refers, queue);
}

pub fn runs_of(
    runs: &Store<Guarded<WritingRun>>,
    namespace: &str,
    pipeline: &str,
    queue: impl FnMut(&str),
) {
    let of_pipeline = |run: &WritingRun| run.spec.pipeline_ref.name == pipeline;
    queue_those(runs, namespace, of_pipeline, queue);
}

/// The pipeline whose trigger made a run that is finished: another one may have waited for that.
pub fn awaiting(runs: &Store<Guarded<WritingRun>>, namespace: &str, run: &str) -> Option<String> {
    let guarded = runs.get(&ObjectRef::new(run).within(namespace))?;
    let run = valid(&guarded)?;
    let is_triggered = run.labels().contains_key(LABEL_TRIGGER);
    (is_triggered && is_finished(run)).then(|| run.spec.pipeline_ref.name.clone())
}

/// Models that are woken before a pipeline's triggers start its runs.
pub fn warmed_by(
    pipelines: &Store<Guarded<WritingPipeline>>,
    namespace: &str,
    pipeline: &str,
) -> BTreeSet<String> {
    let guarded = pipelines.get(&ObjectRef::new(pipeline).within(namespace));
    let found = guarded.as_deref().and_then(valid);
    let found = found.filter(|pipeline| !pipeline.spec.triggers.is_empty());
    found.map_or_else(BTreeSet::new, |pipeline| {
        references::of_pipeline(&pipeline.spec).models
    })
}

/// Readable objects of a namespace that `concerns` holds for.
fn queue_those<K>(
    objects: &Store<Guarded<K>>,
    namespace: &str,
    concerns: impl Fn(&K) -> bool,
    mut queue: impl FnMut(&str),
) where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    for guarded in objects.state() {
        if let Some(object) = valid(&guarded)
            && object.meta().namespace.as_deref() == Some(namespace)
            && concerns(object)
        {
            queue(&object.name_any());
        }
    }
}
