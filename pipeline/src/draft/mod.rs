//! Has slots written and texts judged: prompts, the call to the pod's own egress, and the steps that a worker and the
//! gateway carry out alike.

mod batch;
mod check;
mod egress;
mod moderation;
mod prompt;
mod steps;

pub use batch::Batch;
pub use check::judge;
pub use egress::{Answer, Ask, Egress, EgressError};
pub use prompt::Message;
pub use steps::{StepError, write_step};
