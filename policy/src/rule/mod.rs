//! The checks a rule can make, each in its own file: compiled from its schema, run on views.

mod ahead;
mod boundary;
pub(crate) mod cel;
pub(crate) mod citations;
mod disclosure;
pub(crate) mod facts;
mod injection;
mod language;
pub(crate) mod leak;
mod length;
mod lexicon;
mod links;
mod literals;
mod moderation;
mod pattern;
pub(crate) mod pii;
mod require;
mod schema;
mod search;
mod secrets;
mod stem;
mod style;
mod terms;

use std::ops::Range;

pub(crate) use boundary::{char_after, char_before, in_word};
pub(crate) use cel::Expression;
pub(crate) use citations::Citations;
pub(crate) use disclosure::Disclosure;
pub(crate) use facts::Facts;
pub(crate) use injection::Injection;
pub(crate) use language::Language;
pub(crate) use leak::Leak;
pub(crate) use length::Length;
pub(crate) use lexicon::{Lexicon, Occurrences};
pub(crate) use links::Links;
pub(crate) use moderation::Moderation;
pub(crate) use pattern::Pattern;
pub(crate) use pii::Pii;
pub(crate) use require::Require;
pub(crate) use schema::Schema;
pub(crate) use secrets::Secrets;
pub(crate) use style::Style;
pub(crate) use terms::Terms;

use crate::{
    explain::Class,
    verdict::{Check, RuleErrorReason},
};

/// Most matches a rule reports, all parts together.
pub(crate) const MAX_MATCHES: usize = 1000;

/// One compiled check.
#[derive(Debug)]
pub(crate) enum Checker {
    Terms(Terms),
    Pattern(Box<Pattern>),
    Pii(Pii),
    Leak(Leak),
    Secrets(Secrets),
    Links(Links),
    Require(Require),
    Disclosure(Disclosure),
    Length(Length),
    Style(Style),
    Language(Language),
    Facts(Facts),
    Citations(Citations),
    Schema(Schema),
    Injection(Injection),
    Moderation(Moderation),
    Cel(Expression),
}

impl Checker {
    pub(crate) fn kind(&self) -> Check {
        match self {
            Self::Terms(_) => Check::Terms,
            Self::Pattern(_) => Check::Pattern,
            Self::Pii(_) => Check::Pii,
            Self::Leak(_) => Check::Leak,
            Self::Secrets(_) => Check::Secrets,
            Self::Links(_) => Check::Links,
            Self::Require(_) => Check::Require,
            Self::Disclosure(_) => Check::Disclosure,
            Self::Length(_) => Check::Length,
            Self::Style(_) => Check::Style,
            Self::Language(_) => Check::Language,
            Self::Facts(_) => Check::Facts,
            Self::Citations(_) => Check::Citations,
            Self::Schema(_) => Check::Schema,
            Self::Injection(_) => Check::Injection,
            Self::Moderation(_) => Check::Moderation,
            Self::Cel(_) => Check::Cel,
        }
    }

    /// False for what reads inputs alone.
    pub(crate) fn reads_parts(&self) -> bool {
        !matches!(self, Self::Injection(_))
    }

    /// Whether somebody outside is asked.
    pub(crate) fn asks(&self) -> bool {
        matches!(self, Self::Moderation(_))
    }

    /// How much of a text must be seen before a part of it is settled.
    pub(crate) fn class(&self) -> Class {
        match self {
            // Addresses in running text are settled word by word; HTML is held to its end anyway.
            // What inputs hold is known before the text is: nothing is held where nothing is found.
            Self::Terms(_)
            | Self::Pii(_)
            | Self::Secrets(_)
            | Self::Links(_)
            | Self::Injection(_) => Class::Windowed,
            Self::Pattern(pattern) if pattern.is_bounded() => Class::Windowed,
            Self::Length(length) if length.only_grows() => Class::Monotone,
            Self::Pattern(_)
            | Self::Leak(_)
            | Self::Require(_)
            | Self::Disclosure(_)
            | Self::Length(_)
            | Self::Style(_)
            | Self::Language(_)
            | Self::Facts(_)
            | Self::Citations(_)
            | Self::Schema(_)
            | Self::Moderation(_)
            | Self::Cel(_) => Class::WholeText,
        }
    }

    /// What to tell the editor and the model where the rule says nothing itself.
    pub(crate) fn default_message(&self) -> String {
        match self {
            Self::Terms(terms) => terms.message(),
            Self::Pattern(_) => "leave out the marked wording".to_owned(),
            Self::Pii(pii) => pii.message(),
            Self::Leak(_) => "leave out what belongs to another person".to_owned(),
            Self::Secrets(_) => "leave out keys, tokens and passwords".to_owned(),
            Self::Links(links) => links.message(),
            Self::Require(require) => require.message(),
            Self::Disclosure(disclosure) => disclosure.message(),
            Self::Length(length) => length.message(),
            Self::Style(style) => style.message(),
            Self::Language(language) => language.message(),
            Self::Facts(facts) => facts.message().to_owned(),
            Self::Citations(_) => "quote only what the given texts say".to_owned(),
            Self::Schema(_) => {
                "write one JSON value that fits the schema, and nothing else".to_owned()
            }
            Self::Injection(_) => {
                "an input speaks to the model: look at the marked place".to_owned()
            }
            Self::Moderation(moderation) => moderation.message(),
            Self::Cel(_) => "a condition of the policy does not hold".to_owned(),
        }
    }
}

/// What belongs at a place of the part instead of what stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fix {
    pub(crate) range: Range<usize>,
    /// Never a character that markup would need escaped.
    pub(crate) text: String,
}

impl Fix {
    pub(crate) fn removal(range: Range<usize>) -> Self {
        Self {
            range,
            text: String::new(),
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
