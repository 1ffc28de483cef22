//! Has slots written: prompts, the call to the pod's own egress, and the steps that a worker and the
//! gateway carry out alike.

mod egress;
mod prompt;
mod steps;

pub use egress::{Answer, Ask, Egress, EgressError};
pub use prompt::Message;
pub use steps::{StepError, check, judge, write_step};
