//! GPU nodes of models: the platform's classes, a Karpenter NodePool for each namespace that uses one,
//! and the truth about how far its nodes are; headroom where a class asks for it. Karpenter is optional; its
//! kinds are watched while they are served.

mod answer;
mod apply;
mod build;
mod class;
mod explain;
mod headroom;
mod kinds;
mod observe;
mod sweep;
#[cfg(test)]
mod tests;
mod watch;

pub use apply::{bring, look};
pub use build::{Placement, placement};
pub use class::{ClassError, GpuClass, GpuClasses};
pub use headroom::{Buffers, keep};
pub use sweep::{leave, tidy};
pub use watch::{Karpenter, watch};
