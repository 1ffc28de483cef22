//! Compiles kinds with their references resolved into the configuration that data planes run.
//! Pure: the operator and the command line call the same functions and print the same diagnostics.
//! Nothing here reads a cluster, a clock, or a file but the system's time zones.

mod checks;
mod conflicts;
mod content;
mod diagnostic;
mod engine;
mod expression;
mod input;
mod lists;
mod model;
mod pipeline;
mod policy;
pub mod references;
mod run;
mod schedule;
mod schema;
mod template;
mod text_engine;
mod times;
mod trigger;
mod weights;

pub use aios_policy::{Bounds, Trial, holding};
pub use conflicts::{Conflict, RuleRef, conflicts};
pub use diagnostic::{Diagnostic, Place};
pub use model::{
    ENGINE_PORT, INGRESS_PORT, MAX_MODEL_NAME, engine_health, hosted_at, model, model_name,
    model_service, next_endpoint, next_service, standby_service,
};
pub use pipeline::{Resolved, pipeline};
pub use policy::{Policy, PolicySource, policy};
pub use references::References;
pub use run::{MAX_NAME as MAX_RUN_NAME, run, run_fits};
pub use schedule::{Schedule, schedules};
pub use times::Times;
pub use trigger::{Trigger, triggers};
pub use weights::{Format, Source, WeightsFile, WeightsPlan, weights};
