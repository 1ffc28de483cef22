//! What users write: the schema of every kind, its conditions and reasons, defined once.
//! Specs and statuses are plain serde types; feature `kube` adds the Kubernetes kinds around them.
//! `crdgen` writes the committed YAML and the tables of conditions; nothing here decides or connects.

pub mod budget;
pub mod check;
pub mod cold_start;
mod condition_list;
pub mod conditions;
pub mod data_bounds;
pub mod decimal;
pub mod duration;
pub mod experiment;
pub mod fired;
pub mod json;
pub mod model_deployment;
pub mod moderation;
pub mod page;
pub mod policy_set;
pub mod policy_test;
pub mod reference;
pub mod rollout;
pub mod status;
pub mod text_engine;
pub mod trigger;
pub mod warm_schedule;
pub mod weights;
pub mod writing_pipeline;
pub mod writing_run;
#[cfg(feature = "kube")]
pub mod yaml;

pub use condition_list::Conditions;
pub use conditions::{ConditionType, Reason};
pub use decimal::Decimal;
pub use duration::Duration;
pub use fired::{RuleFired, coarse};
pub use json::Json;
#[cfg(feature = "kube")]
pub use model_deployment::ModelDeployment;
pub use model_deployment::{ModelDeploymentSpec, ModelDeploymentStatus};
#[cfg(feature = "kube")]
pub use policy_set::{ClusterPolicySet, PolicySet};
pub use policy_set::{ClusterPolicySetSpec, OperatorSeen, PolicySetSpec, PolicySetStatus};
#[cfg(feature = "kube")]
pub use writing_pipeline::WritingPipeline;
pub use writing_pipeline::{WritingPipelineSpec, WritingPipelineStatus};
#[cfg(feature = "kube")]
pub use writing_run::WritingRun;
pub use writing_run::{WritingRunSpec, WritingRunStatus};

/// API group of every kind.
pub const GROUP: &str = "aios.dev";
/// The only served and stored version.
pub const VERSION: &str = "v1alpha1";
