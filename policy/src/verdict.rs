//! The answer: one action, the rules behind it with their spans, the rules that could not run.
//! It never holds the text, so that it can be logged, stored and signed.

use aios_crds::{
    Duration,
    policy_set::{Action, OnError},
};
use serde::{Deserialize, Serialize};

use crate::{digest::Digest, document::PartName, evidence::EvidenceRef};

/// What must happen to the document, mildest first; the strictest of all findings wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum VerdictAction {
    /// It may go on.
    Pass,
    /// It may go on; something is worth a look.
    Warn,
    /// The mended document may go on, never the original.
    Normalize,
    /// The redacted document may go on, never the original.
    Redact,
    /// A model should write it again; if none may, a person decides.
    Revise,
    /// A person decides.
    Review,
    /// It is refused.
    Block,
}

/// The answer of all policies to one document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// What must happen.
    pub action: VerdictAction,
    /// Rules whose check failed: policies in order, rules in order, those that need evidence last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Rules that could not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<RuleError>,
    /// Rules that asked nobody because others refuse the text: it is shown to no model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unasked: Vec<RuleName>,
    /// What others said that findings, and the want of them, rest on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<EvidenceRef>,
    /// What was read of the document, part by part: a part that no rule read has none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scanned: Vec<Scanned>,
    /// The document that was read.
    pub document: Digest,
    /// The document that may go on instead, where spans were mended or replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redacted: Option<Digest>,
    /// The policies that were asked, in order.
    pub policies: Vec<PolicyRef>,
    /// Behaviour of the evaluator.
    pub engine: String,
    /// Set when a policy has a person see every document.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always_reviewed: bool,
    /// Set when a policy has a person see this document although no rule holds it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sampled: bool,
    /// What policies in dry run would do, each alone. It decides nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dry_run: Vec<DryRun>,
    /// Shortest time any policy gives a person, when a person must decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_due: Option<Duration>,
}

/// What a policy that only reports would do to the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DryRun {
    /// The policy.
    pub policy: PolicyRef,
    /// What would have to happen.
    pub action: VerdictAction,
    /// Its rules whose check failed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// Its rules that could not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<RuleError>,
}

/// A policy by name and by what it says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyRef {
    /// What it was compiled as: a data plane says `cluster/NAME` of a ClusterPolicySet.
    pub name: String,
    /// Its rules digest.
    pub digest: Digest,
    /// Revisions of the checks it makes, as in `facts.2 terms.3`; empty in verdicts from before there
    /// were any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub engine: String,
}

/// A rule by its policy and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RuleName {
    /// Name of the policy.
    pub policy: String,
    /// Name of the rule.
    pub rule: String,
}

/// How a part was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scanned {
    /// The part.
    pub part: PartName,
    /// Its size.
    pub bytes: u32,
    /// Rules that applied to the document, read this part and could run.
    pub rules: u32,
}

/// One rule whose check failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Name of the policy.
    pub policy: String,
    /// Name of the rule.
    pub rule: String,
    /// What it checks.
    pub check: Check,
    /// What the rule asks for.
    pub action: Action,
    /// Words for the editor; never words of the document.
    pub message: String,
    /// Words for the model that is asked again, where they are others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
    /// Where, in document order; empty when something is missing. At most 1,000.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Span>,
    /// Where in what the document is made from, in order; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputSpan>,
    /// True when it was found in the redacted document only; the spans are of that one then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub after_redaction: bool,
}

/// Bytes `start..end` of a part's text, at character boundaries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// The part.
    pub part: PartName,
    /// First byte.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
}

/// Bytes `start..end` of an input's text, at character boundaries.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InputSpan {
    /// `passages[1]`, counted from 0, or the path of a variable, as in `vars.customer.note`.
    pub input: String,
    /// First byte.
    pub start: u32,
    /// Byte after the last.
    pub end: u32,
}

/// One rule that could not run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleError {
    /// Name of the policy.
    pub policy: String,
    /// Name of the rule.
    pub rule: String,
    /// What follows.
    pub on_error: OnError,
    /// Why, as a closed set.
    pub reason: RuleErrorReason,
    /// Why, with the remedy; never words of the document or values of the record.
    pub message: String,
}

/// Why a rule could not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RuleErrorReason {
    /// An expression names a variable, label or part that is not there.
    Missing,
    /// An expression gives something else than true or false, or mixes types.
    Type,
    /// An expression divides by zero, overflows or converts what it can't.
    Arithmetic,
    /// An expression takes more steps than allowed.
    Cost,
    /// A rule matches more often than it can replace.
    TooManyMatches,
    /// Redaction or mending makes new matches again and again.
    UnstableRedaction,
    /// The check knows nothing of the document's language.
    Unsupported,
    /// Whom the check asks did not answer.
    NoEvidence,
    /// What the check needs to know is not known here.
    Unavailable,
}

/// What a rule checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// Words that must not occur.
    Terms,
    /// A regular expression that must not match.
    Pattern,
    /// Identifying data that must not occur.
    Pii,
    /// Values of other people of the batch.
    Leak,
    /// Keys, tokens and passwords.
    Secrets,
    /// Where links lead.
    Links,
    /// Wording that must occur.
    Require,
    /// That a machine wrote.
    Disclosure,
    /// Bounds on size.
    Length,
    /// How the text is set.
    Style,
    /// The language of each paragraph.
    Language,
    /// Numbers must be known.
    Facts,
    /// Quotations must be known.
    Citations,
    /// Parts must be JSON of a schema.
    Schema,
    /// Inputs must not speak to the model.
    Injection,
    /// What a model that judges texts says.
    Moderation,
    /// A condition that must hold.
    Cel,
}

impl Verdict {
    /// True when the document, or the redacted one where there is one, may go on by itself.
    pub fn passes(&self) -> bool {
        self.action <= VerdictAction::Redact
    }

    /// What the rules ask for: that a policy has a person see every document says nothing of this one.
    pub fn by_rules(&self) -> VerdictAction {
        let findings = self.findings.iter().map(|found| found.action.into());
        let errors = self.errors.iter().map(|error| error.on_error.into());
        findings.chain(errors).max().unwrap_or(VerdictAction::Pass)
    }

    /// True when a rule asks for a revision and none blocks: worth a try before a person is asked.
    pub fn wants_revision(&self) -> bool {
        self.action < VerdictAction::Block
            && self
                .findings
                .iter()
                .any(|finding| finding.action == Action::Revise)
    }
}

impl Finding {
    /// What the model is told that is asked again.
    pub fn told_to_model(&self) -> &str {
        self.instruction.as_deref().unwrap_or(&self.message)
    }
}

impl VerdictAction {
    /// Name of the action, for metric labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "Pass",
            Self::Warn => "Warn",
            Self::Normalize => "Normalize",
            Self::Redact => "Redact",
            Self::Revise => "Revise",
            Self::Review => "Review",
            Self::Block => "Block",
        }
    }
}

impl From<Action> for VerdictAction {
    fn from(action: Action) -> Self {
        match action {
            Action::Warn => Self::Warn,
            Action::Normalize => Self::Normalize,
            Action::Redact => Self::Redact,
            Action::Revise => Self::Revise,
            Action::Review => Self::Review,
            Action::Block => Self::Block,
        }
    }
}

impl From<OnError> for VerdictAction {
    fn from(on_error: OnError) -> Self {
        match on_error {
            OnError::Closed => Self::Block,
            OnError::Review => Self::Review,
            OnError::Open => Self::Pass,
        }
    }
}

impl Check {
    /// Every check, as the documentation has them.
    pub const ALL: [Self; 17] = [
        Self::Terms,
        Self::Pattern,
        Self::Pii,
        Self::Leak,
        Self::Secrets,
        Self::Links,
        Self::Require,
        Self::Disclosure,
        Self::Length,
        Self::Style,
        Self::Language,
        Self::Facts,
        Self::Citations,
        Self::Schema,
        Self::Injection,
        Self::Moderation,
        Self::Cel,
    ];

    /// Name of the check as the rule's field, for metric labels and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Terms => "terms",
            Self::Pattern => "pattern",
            Self::Pii => "pii",
            Self::Leak => "leak",
            Self::Secrets => "secrets",
            Self::Links => "links",
            Self::Require => "require",
            Self::Disclosure => "disclosure",
            Self::Length => "length",
            Self::Style => "style",
            Self::Language => "language",
            Self::Facts => "facts",
            Self::Citations => "citations",
            Self::Schema => "schema",
            Self::Injection => "injection",
            Self::Moderation => "moderation",
            Self::Cel => "cel",
        }
    }

    /// Behaviour of the check, with its tables and the versions of Unicode that it reads texts by. It
    /// changes when any text could get other findings from the same rule.
    pub fn revision(self) -> u32 {
        match self {
            Self::Pattern | Self::Pii | Self::Facts => 3,
            Self::Terms | Self::Secrets | Self::Require | Self::Injection | Self::Leak => 2,
            Self::Links
            | Self::Disclosure
            | Self::Length
            | Self::Style
            | Self::Language
            | Self::Citations
            | Self::Schema
            | Self::Moderation
            | Self::Cel => 1,
        }
    }
}
