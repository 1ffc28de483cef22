//! A pipeline as it runs: configuration, templates, schema, index and policies, compiled once.

use std::sync::Arc;

use aios_policy::{CompiledPolicy, PolicyStack};
use aios_proto::{
    canonical,
    config::{PipelineConfig, RetrievalConfig, SkeletonConfig},
};
use minijinja::Environment;
use serde_json::Value;

use crate::{
    machine::{Passage, PipelineView, State, TargetView},
    render::{RenderError, Schema, SchemaError, SkeletonTemplates, compile_one, render_one},
    retrieve::Index,
};

/// A compiled pipeline.
#[derive(Debug)]
pub struct Pipeline {
    pub config: PipelineConfig,
    /// Digest of its control item.
    pub digest: String,
    pub skeletons: Vec<Skeleton>,
    pub policies: PolicyStack,
    /// Documents that it accepts in a day.
    pub documents_per_day: Option<u64>,
    schema: Option<Schema>,
    retrieval: Option<(Environment<'static>, Index, u32)>,
}

/// A compiled skeleton.
#[derive(Debug)]
pub struct Skeleton {
    pub config: SkeletonConfig,
    pub templates: SkeletonTemplates,
    /// Digest of its configuration, for provenance.
    pub digest: String,
}

/// Why a pipeline cannot be enforced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompileError {
    #[error("skeleton `{language}`: {error}")]
    Skeleton {
        language: String,
        error: RenderError,
    },
    #[error("retrieval.query: {0}")]
    Query(RenderError),
    #[error(transparent)]
    Schema(#[from] SchemaError),
    #[error("content.skeletons: at least one is needed")]
    NoSkeleton,
    #[error("reporters: `{name}`: {error}")]
    Reporter {
        name: String,
        error: aios_audit::AuditError,
    },
    #[error("the skeleton has no canonical form: {0}")]
    Encode(String),
}

const QUERY: &str = "query";

impl Pipeline {
    /// Compiles everything; `policies` in the order in which they speak.
    pub fn compile(
        config: PipelineConfig,
        digest: String,
        policies: Vec<Arc<CompiledPolicy>>,
    ) -> Result<Self, CompileError> {
        let skeletons: Vec<Skeleton> = config
            .skeletons
            .iter()
            .map(skeleton)
            .collect::<Result<_, _>>()?;
        if skeletons.is_empty() {
            return Err(CompileError::NoSkeleton);
        }
        for reporter in &config.reporters {
            let key = reporter.public_key.parse::<aios_audit::SenderKey>();
            key.map_err(|error| CompileError::Reporter {
                name: reporter.name.clone(),
                error,
            })?;
        }
        let schema = config.variables.as_ref().map(Schema::compile).transpose()?;
        let retrieval = config.retrieval.as_ref().map(retrieval).transpose()?;
        let policies = PolicyStack::new(policies);
        Ok(Self {
            config,
            digest,
            skeletons,
            policies,
            documents_per_day: None,
            schema,
            retrieval,
        })
    }

    /// The skeleton of a language: its own, else that of its primary subtag.
    pub fn skeleton(&self, language: &str) -> Option<&Skeleton> {
        let of = |wanted: &str| {
            self.skeletons
                .iter()
                .find(|s| s.config.language.eq_ignore_ascii_case(wanted))
        };
        of(language).or_else(|| of(language.split('-').next().unwrap_or(language)))
    }

    /// The skeleton a document uses; the first before its language is known.
    pub fn skeleton_of(&self, state: &State) -> Option<&Skeleton> {
        match &state.material {
            Some(material) => self.skeleton(&material.language),
            None => self.skeletons.first(),
        }
    }

    /// What the machine needs to know for a document in this language.
    pub fn view(&self, language: Option<&str>) -> PipelineView {
        let skeleton = match language {
            Some(language) => self.skeleton(language),
            None => self.skeletons.first(),
        };
        let targets = self.config.publish.iter().map(|target| TargetView {
            name: target.name.clone(),
            read_back: target.read_back,
        });
        PipelineView {
            writer: skeleton
                .map(|skeleton| skeleton.config.writer)
                .unwrap_or_default(),
            slots: skeleton
                .map(|s| {
                    s.config
                        .slots
                        .iter()
                        .map(|slot| slot.name.clone())
                        .collect()
                })
                .unwrap_or_default(),
            finish: self.config.models.finish.is_some(),
            revisions: self.config.execution.revisions,
            targets: targets.collect(),
        }
    }

    /// The view of a document.
    pub fn view_of(&self, state: &State) -> PipelineView {
        self.view(
            state
                .material
                .as_ref()
                .map(|material| material.language.as_str()),
        )
    }

    /// Checks variables against the schema, if there is one.
    pub fn check_variables(&self, variables: &Value) -> Result<(), SchemaError> {
        self.schema
            .as_ref()
            .map_or(Ok(()), |schema| schema.check(variables))
    }

    /// Passages for these variables; none without retrieval.
    pub fn passages(&self, variables: &Value) -> Result<Vec<Passage>, RenderError> {
        let Some((query, index, top_k)) = &self.retrieval else {
            return Ok(Vec::new());
        };
        Ok(index.search(&render_one(query, QUERY, variables)?, *top_k))
    }
}

fn skeleton(config: &SkeletonConfig) -> Result<Skeleton, CompileError> {
    let templates = SkeletonTemplates::compile(config).map_err(|error| CompileError::Skeleton {
        language: config.language.clone(),
        error,
    })?;
    let bytes =
        canonical::to_vec(config).map_err(|error| CompileError::Encode(error.to_string()))?;
    Ok(Skeleton {
        config: config.clone(),
        templates,
        digest: canonical::digest(&bytes),
    })
}

fn retrieval(config: &RetrievalConfig) -> Result<(Environment<'static>, Index, u32), CompileError> {
    let query = compile_one(QUERY, &config.query.text).map_err(CompileError::Query)?;
    Ok((query, Index::build(&config.sources), config.query.top_k))
}

/// A variable by its path, as in `customer.segment`.
pub fn lookup<'a>(variables: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(variables, |value, key| value.get(key))
}

/// A scalar as text; none for objects, lists and null.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
