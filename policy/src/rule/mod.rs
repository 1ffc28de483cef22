//! The checks a rule can make, each in its own file: compiled from its schema, run on views.

mod boundary;
pub(crate) mod cel;
pub(crate) mod facts;
mod length;
mod pattern;
pub(crate) mod pii;
mod require;
mod terms;

use std::ops::Range;

pub(crate) use boundary::{char_after, char_before};
pub(crate) use cel::Expression;
pub(crate) use facts::Facts;
pub(crate) use length::Length;
pub(crate) use pattern::Pattern;
pub(crate) use pii::Pii;
pub(crate) use require::Require;
pub(crate) use terms::Terms;

use crate::verdict::{Check, RuleErrorReason};

/// Most matches a rule reports, all parts together.
pub(crate) const MAX_MATCHES: usize = 1000;

/// One compiled check.
#[derive(Debug)]
pub(crate) enum Checker {
    Terms(Terms),
    Pattern(Pattern),
    Pii(Pii),
    Require(Require),
    Length(Length),
    Facts(Facts),
    Cel(Expression),
}

impl Checker {
    pub(crate) fn kind(&self) -> Check {
        match self {
            Self::Terms(_) => Check::Terms,
            Self::Pattern(_) => Check::Pattern,
            Self::Pii(_) => Check::Pii,
            Self::Require(_) => Check::Require,
            Self::Length(_) => Check::Length,
            Self::Facts(_) => Check::Facts,
            Self::Cel(_) => Check::Cel,
        }
    }

    /// What to tell the editor and the model where the rule says nothing itself.
    pub(crate) fn default_message(&self) -> String {
        match self {
            Self::Terms(terms) => terms.message(),
            Self::Pattern(_) => "leave out the marked wording".to_owned(),
            Self::Pii(pii) => pii.message(),
            Self::Require(require) => require.message(),
            Self::Length(length) => length.message(),
            Self::Facts(_) => "use only numbers that the given facts contain".to_owned(),
            Self::Cel(_) => "a condition of the policy does not hold".to_owned(),
        }
    }
}

/// Bytes of one part where a check fails.
pub(crate) type Ranges = Vec<Range<usize>>;

/// Why a rule could not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: RuleErrorReason,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(reason: RuleErrorReason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
        }
    }

    pub(crate) fn too_many_matches() -> Self {
        Self::new(
            RuleErrorReason::TooManyMatches,
            format!("more than {MAX_MATCHES} matches: make the rule more specific"),
        )
    }
}
