//! The document machine: which step comes next, and what an event does to a document.
//! No I/O, no clock: the time comes in as an argument, steps are carried out elsewhere, and the
//! same events give the same state.

mod apply;
mod effect;
mod error;
mod event;
mod provenance;
mod publication;
mod reason;
mod slot;
mod state;
mod writing;

#[cfg(test)]
mod tests;

pub use apply::{Applied, Entry, apply};
pub use effect::{Effect, PipelineView, TargetView, next};
pub use error::MachineError;
pub use event::{Checked, Drafted, Event, FellBack, Retrieved, Usage};
pub use provenance::provenance;
pub use publication::{Publication, PublicationPhase, Receipt};
pub use reason::{Origin, ParkReason, RefuseReason, SafeReason, Status, Step};
pub use slot::{OpenSlot, Slot, SlotOrigin, SlotText, UnusableAnswer, clean};
pub use state::{Decision, DecisionKind, Material, Passage, Phase, RunItem, State, Version};
pub use writing::rules as verdict_rules;
