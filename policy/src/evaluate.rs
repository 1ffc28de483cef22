//! Several policies, one verdict: all rules are asked, redaction is applied and asked about again,
//! the strictest action wins. Rules that need evidence come last, and name what they need.

mod among;
mod asked;
mod pass;
mod sample;
mod scene;

use std::sync::Arc;

use aios_crds::{
    Duration,
    policy_set::{Action, OnError},
};

pub(crate) use pass::{Found, finding, merged, position, ranges, span};
pub(crate) use scene::{Scene, applies};

use asked::Asked;

use crate::{
    ENGINE_REVISION,
    compile::CompiledPolicy,
    document::Document,
    evidence::{Collected, Query},
    inputs::Inputs,
    others::Others,
    redact::redact,
    rule::{Checker, Lexicon},
    verdict::{DryRun, Finding, PolicyRef, RuleError, RuleErrorReason, Verdict, VerdictAction},
};

/// Most redactions of one document: each can uncover another match.
const MAX_REDACTIONS: usize = 4;

/// Policies in the order in which they speak: the platform's first, then the namespace's.
#[derive(Clone, Debug, Default)]
pub struct PolicyStack {
    policies: Vec<Arc<CompiledPolicy>>,
    /// Those that only report.
    dry: Vec<Arc<CompiledPolicy>>,
    /// What the deciding ones look for together.
    lexicon: Option<Arc<Lexicon>>,
}

/// A verdict, and the redacted document it may speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// The answer.
    pub verdict: Verdict,
    /// The document that may go on instead of the original; its digest is `verdict.redacted`.
    pub redacted: Option<Document>,
}

/// What became of judging a document with the evidence at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// All that was needed was there.
    Reached(Box<Evaluation>),
    /// Rules ask this; each question once. With the answers, or why there are none, the document is
    /// judged again.
    Needs(Vec<Query>),
}

impl From<(Evaluation, Vec<Query>)> for Judgement {
    fn from((evaluation, needs): (Evaluation, Vec<Query>)) -> Self {
        if needs.is_empty() {
            Self::Reached(Box::new(evaluation))
        } else {
            Self::Needs(needs)
        }
    }
}

/// What is known beside a document and its inputs.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) evidence: &'a Collected,
    /// What other people's records hold, where that can be known.
    pub(crate) others: Option<&'a Others>,
}

impl<'a> Known<'a> {
    fn of(evidence: &'a Collected) -> Self {
        Self {
            evidence,
            others: None,
        }
    }
}

impl PolicyStack {
    /// Orders policies: all of them are asked, the strictest action wins. Those in dry run are asked
    /// apart.
    pub fn new(policies: Vec<Arc<CompiledPolicy>>) -> Self {
        let (dry, policies) = policies.into_iter().partition(|policy| policy.dry_run);
        Self::ordered(policies, dry)
    }

    fn ordered(policies: Vec<Arc<CompiledPolicy>>, dry: Vec<Arc<CompiledPolicy>>) -> Self {
        Self {
            lexicon: Lexicon::of(&policies).map(Arc::new),
            policies,
            dry,
        }
    }

    /// The same with another policy in the place of the one of its name, or after all others where there
    /// is none.
    #[must_use]
    pub fn with(&self, policy: Arc<CompiledPolicy>) -> Self {
        let mut policies = self.policies.clone();
        let mut named = policies.iter_mut();
        match named.find(|one| one.name() == policy.name()) {
            Some(old) => *old = policy,
            None => policies.push(policy),
        }
        Self::ordered(policies, self.dry.clone())
    }

    /// The policies that decide, in order.
    pub fn policies(&self) -> &[Arc<CompiledPolicy>] {
        &self.policies
    }

    /// Judges a document. Equal documents, inputs, evidence and policies give equal answers.
    ///
    /// Where rules with action `Redact` or `Normalize` match and nothing blocks, their spans are
    /// replaced or mended and the result is judged again, until nothing is left to do. What the
    /// redacted document breaks (a notice that was removed) counts as much as what the original did.
    ///
    /// Rules that ask what other people's records hold can't run without `others`: see `judge_among`.
    pub fn evaluate_with(
        &self,
        document: &Document,
        inputs: &Inputs<'_>,
        evidence: &Collected,
    ) -> Judgement {
        let known = Known::of(evidence);
        self.weigh(document, inputs, known).into()
    }

    /// As `evaluate_with`, where nobody else can be asked: a rule whose evidence is not there cannot
    /// run.
    pub fn conclude(
        &self,
        document: &Document,
        inputs: &Inputs<'_>,
        evidence: &Collected,
    ) -> Evaluation {
        self.weigh(document, inputs, Known::of(evidence)).0
    }

    /// As `conclude`, without any evidence.
    pub fn evaluate(&self, document: &Document, inputs: &Inputs<'_>) -> Evaluation {
        self.conclude(document, inputs, &Collected::default())
    }

    /// The answer with what is there, and what is not.
    fn weigh(
        &self,
        document: &Document,
        inputs: &Inputs<'_>,
        known: Known<'_>,
    ) -> (Evaluation, Vec<Query>) {
        let (mut evaluation, mut needs) = self.judge(document, inputs, known);
        self.sample(&mut evaluation.verdict);
        for policy in &self.dry {
            let (dry, more) = policy.would(document, inputs, known);
            evaluation.verdict.dry_run.push(dry);
            let fresh: Vec<_> = more.into_iter().filter(|q| !needs.contains(q)).collect();
            needs.extend(fresh);
        }
        (evaluation, needs)
    }

    fn judge(
        &self,
        document: &Document,
        inputs: &Inputs<'_>,
        known: Known<'_>,
    ) -> (Evaluation, Vec<Query>) {
        let Known { evidence, others } = known;
        let lexicon = self.lexicon.as_deref();
        let mut found = pass::run(&self.policies, document, inputs, others, lexicon);
        let mut redacted: Option<Document> = None;
        let mut rounds = 0;
        let mut edits = std::mem::take(&mut found.edits);
        while !edits.is_empty() && !found.blocks() {
            if rounds == MAX_REDACTIONS {
                found.errors.extend(unstable(&found.findings));
                break;
            }
            rounds += 1;
            let next = redact(redacted.as_ref().unwrap_or(document), edits);
            let mut again = pass::run(&self.policies, &next, inputs, others, lexicon);
            edits = std::mem::take(&mut again.edits);
            found.join(again);
            redacted = Some(next);
        }
        let before = found.findings.len();
        let going_on = redacted.as_ref().unwrap_or(document);
        let asked = asked::run(&self.policies, going_on, inputs, evidence, &mut found);
        for finding in found.findings.iter_mut().skip(before) {
            finding.after_redaction = redacted.is_some();
        }
        if found.blocks() {
            redacted = None;
        }
        let Asked {
            needs,
            evidence,
            idle,
        } = asked;
        let verdict = Verdict {
            unasked: idle,
            evidence,
            ..self.verdict(document, redacted.as_ref(), found)
        };
        (Evaluation { verdict, redacted }, needs)
    }

    /// Has a person see some of the documents that would go on by themselves.
    fn sample(&self, verdict: &mut Verdict) {
        let document = verdict.redacted.unwrap_or(verdict.document);
        let mut policies = self.policies.iter();
        verdict.sampled = verdict.passes() && policies.any(|one| sample::chosen(one, document));
        if verdict.sampled {
            verdict.action = VerdictAction::Review;
            verdict.review_due = self.review_due();
        }
    }

    /// Shortest time that a policy gives a person.
    fn review_due(&self) -> Option<Duration> {
        self.policies
            .iter()
            .filter_map(|policy| policy.review_due)
            .min()
    }

    /// What the rules about inputs ask for, before anything is written: `Review` and above keep the
    /// inputs from a model. They find the same once a document is judged.
    pub fn screen(&self, inputs: &Inputs<'_>) -> VerdictAction {
        let rules = self.policies.iter().flat_map(|policy| &policy.rules);
        let asked = rules.filter_map(|rule| {
            let Checker::Injection(injection) = &rule.checker else {
                return None;
            };
            match applies(rule, inputs) {
                Ok(true) => {
                    let suspect = !injection.find(inputs).is_empty();
                    suspect.then_some(VerdictAction::from(rule.action))
                }
                Ok(false) => None,
                Err(_) => Some(VerdictAction::from(rule.on_error)),
            }
        });
        asked.max().unwrap_or(VerdictAction::Pass)
    }

    fn verdict(&self, document: &Document, redacted: Option<&Document>, found: Found) -> Verdict {
        let always_reviewed = self.policies.iter().any(|policy| policy.always_review);
        let asked = if always_reviewed {
            VerdictAction::Review
        } else {
            VerdictAction::Pass
        };
        let action = found.action().max(asked);
        Verdict {
            action,
            findings: found.findings,
            errors: found.errors,
            unasked: Vec::new(),
            evidence: Vec::new(),
            scanned: found.scanned,
            document: document.digest(),
            redacted: redacted.map(Document::digest),
            policies: self
                .policies
                .iter()
                .map(|policy| policy.reference())
                .collect(),
            engine: ENGINE_REVISION.to_owned(),
            always_reviewed,
            sampled: false,
            dry_run: Vec::new(),
            review_due: self
                .review_due()
                .filter(|_| action == VerdictAction::Review),
        }
    }
}

impl CompiledPolicy {
    /// Name, digest and revisions, for verdicts and acknowledgements.
    pub fn reference(&self) -> PolicyRef {
        PolicyRef {
            name: self.name().to_owned(),
            digest: self.digest(),
            engine: self.engine().to_owned(),
        }
    }

    /// Judges a document by this policy alone, as `PolicyStack::evaluate` does, dry run or not, and
    /// samples nothing: what the rules say.
    pub fn evaluate(self: &Arc<Self>, document: &Document, inputs: &Inputs<'_>) -> Evaluation {
        self.alone(document, inputs, Known::of(&Collected::default()))
            .0
    }

    /// The same with what is known, and what more is needed.
    pub(crate) fn alone(
        self: &Arc<Self>,
        document: &Document,
        inputs: &Inputs<'_>,
        known: Known<'_>,
    ) -> (Evaluation, Vec<Query>) {
        let alone = PolicyStack {
            policies: vec![Arc::clone(self)],
            dry: Vec::new(),
            lexicon: None,
        };
        alone.judge(document, inputs, known)
    }

    /// What it would do if it were enforced, alone.
    fn would(
        self: &Arc<Self>,
        document: &Document,
        inputs: &Inputs<'_>,
        known: Known<'_>,
    ) -> (DryRun, Vec<Query>) {
        let (Evaluation { verdict, .. }, needs) = self.alone(document, inputs, known);
        let would = DryRun {
            policy: self.reference(),
            action: verdict.action,
            findings: verdict.findings,
            errors: verdict.errors,
        };
        (would, needs)
    }
}

/// Rules that go on matching whatever is replaced: they fail closed.
fn unstable(findings: &[Finding]) -> Vec<RuleError> {
    let redacts = findings
        .iter()
        .filter(|finding| matches!(finding.action, Action::Redact | Action::Normalize));
    redacts
        .map(|finding| RuleError {
            policy: finding.policy.clone(),
            rule: finding.rule.clone(),
            on_error: OnError::Closed,
            reason: RuleErrorReason::UnstableRedaction,
            message: format!(
                "still matches after {MAX_REDACTIONS} rounds of redacting and mending: no rule may \
                 match what another puts in place, as `[removed]`"
            ),
        })
        .collect()
}
