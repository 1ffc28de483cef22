//! Decides whether a document may pass: rules are compiled once, a verdict is a pure function.
//! No I/O, no clock, no randomness, no hash order: equal inputs give equal verdicts, byte for byte.
//! Rules come from `aios-crds`; this room parses them into evaluators and never prints a text.

#![deny(clippy::disallowed_types)]

mod bounds;
mod bytes;
mod canonical;
mod compile;
mod diagnostic;
mod digest;
mod document;
mod evaluate;
mod evidence;
mod explain;
mod inputs;
mod others;
mod redact;
mod rule;
mod scan;
mod trial;
mod verdict;
mod view;
mod work;

pub use bounds::{Bounds, Place, revisions_within};
pub use compile::CompiledPolicy;
pub use diagnostic::Diagnostic;
pub use digest::{Digest, InvalidDigest};
pub use document::{Document, DocumentError, InvalidPartName, Part, PartKind, PartName};
pub use evaluate::{Evaluation, Judgement, PolicyStack};
pub use evidence::{Answer, Collected, Evidence, EvidenceRef, FULL_SCORE, MAX_CATEGORIES, Query};
pub use explain::{Class, RuleSummary, holding, revisions};
pub use inputs::{Inputs, Step};
pub use others::{Asked, Others};
pub use rule::leak::Identifiers;
pub use scan::{Finished, Pushed, StreamScanner};
pub use trial::{Difference, PolicyTests, Trial};
pub use verdict::{
    Check, DryRun, Finding, InputSpan, PolicyRef, RuleError, RuleErrorReason, RuleName, Scanned,
    Span, Verdict, VerdictAction,
};

/// Behaviour of what surrounds the checks: actions, redaction, the reading of HTML. It changes when any
/// text could get another verdict from the same findings. What single checks find has revisions of
/// its own (`Check::revision`).
pub const ENGINE_REVISION: &str = "3";
