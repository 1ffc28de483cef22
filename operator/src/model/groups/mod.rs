//! A replica is one group of pods: started, promoted, replaced and deleted together. What exists
//! comes in, what is to exist goes out. Pure.

mod plan;
mod seen;

pub use plan::{Place, Want, beside, whole};
#[cfg(test)]
pub use seen::group;
pub use seen::{Group, SPREAD, seen};

use crate::names::Component;

/// What a group is for. It stands as the component label of the leader's pod, by which Services
/// select; a change needs no restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Takes traffic.
    Active,
    /// Loaded, and waits.
    Standby,
    /// On trial: takes the part of the traffic that its rollout gives it.
    Candidate,
}

impl Role {
    pub const fn component(self) -> Component {
        match self {
            Self::Active => Component::Engine,
            Self::Standby => Component::Standby,
            Self::Candidate => Component::Candidate,
        }
    }

    fn parse(label: &str) -> Option<Self> {
        match Component::parse(label)? {
            Component::Engine => Some(Self::Active),
            Component::Standby => Some(Self::Standby),
            Component::Candidate => Some(Self::Candidate),
            _ => None,
        }
    }
}
