//! One pass of all rules over one document.

use std::{cell::OnceCell, collections::BTreeSet, ops::Range, sync::Arc};

use aios_crds::policy_set::Action;

use super::Scene;
use crate::{
    compile::{CompiledPolicy, CompiledRule},
    document::{Document, PartName},
    inputs::Inputs,
    others::Others,
    redact::Edit,
    rule::{Checker, Failure, Lexicon, Links, MAX_MATCHES, Ranges},
    verdict::{Finding, InputSpan, RuleError, Scanned, Span, VerdictAction},
    view::PartView,
};

/// What a pass brings up.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) findings: Vec<Finding>,
    pub(crate) errors: Vec<RuleError>,
    /// What to put in place in the document that was read.
    pub(crate) edits: Vec<Edit>,
    pub(crate) scanned: Vec<Scanned>,
}

/// What a rule makes of a document.
enum Outcome {
    /// Its `when` does not hold.
    Silent,
    Holds,
    Fails(Vec<Span>, Vec<Edit>),
    /// Something that the document is made from fails.
    Suspect(Vec<InputSpan>),
}

/// Asks every rule of every policy.
pub(crate) fn run(
    policies: &[Arc<CompiledPolicy>],
    document: &Document,
    inputs: &Inputs<'_>,
    others: Option<&Others>,
    lexicon: Option<&Lexicon>,
) -> Found {
    let scene = Scene::new(document, inputs).among(others).with(lexicon);
    let mut found = Found::default();
    let mut readers = vec![0; document.parts().len()];
    for policy in policies {
        let before = found.findings.len();
        for rule in policy.rules.iter().filter(|rule| !rule.checker.asks()) {
            let own = found.findings.get(before..).unwrap_or_default();
            let outcome = match check(rule, &scene, own) {
                Ok(outcome) => outcome,
                Err(failure) => {
                    found.errors.push(rule_error(policy, rule, failure));
                    continue;
                }
            };
            if !matches!(outcome, Outcome::Silent) {
                for (count, part) in readers.iter_mut().zip(document.parts()) {
                    *count += u32::from(rule.checker.reads_parts() && rule.reads(&part.name));
                }
            }
            match outcome {
                Outcome::Silent | Outcome::Holds => {}
                Outcome::Fails(spans, edits) => {
                    found.findings.push(finding(policy, rule, spans));
                    found.edits.extend(edits);
                }
                Outcome::Suspect(inputs) => {
                    let suspicion = finding(policy, rule, Vec::new());
                    found.findings.push(Finding {
                        inputs,
                        ..suspicion
                    });
                }
            }
        }
    }
    let parts = document.parts().iter().zip(readers);
    found.scanned = parts
        .map(|(part, rules)| Scanned {
            part: part.name.clone(),
            bytes: position(part.text.len()),
            rules,
        })
        .collect();
    found
}

/// A rule whose check failed, in a verdict's words.
pub(crate) fn finding(policy: &CompiledPolicy, rule: &CompiledRule, spans: Vec<Span>) -> Finding {
    Finding {
        policy: policy.name().to_owned(),
        rule: rule.name.clone(),
        check: rule.checker.kind(),
        action: rule.action,
        message: rule.message.clone(),
        instruction: rule.instruction.clone(),
        spans,
        inputs: Vec::new(),
        after_redaction: false,
    }
}

pub(super) fn rule_error(
    policy: &CompiledPolicy,
    rule: &CompiledRule,
    failure: Failure,
) -> RuleError {
    RuleError {
        policy: policy.name().to_owned(),
        rule: rule.name.clone(),
        on_error: rule.on_error,
        reason: failure.reason,
        message: failure.message,
    }
}

/// `findings` are those of the rules in front.
fn check(rule: &CompiledRule, scene: &Scene<'_>, findings: &[Finding]) -> Result<Outcome, Failure> {
    if !scene.applies(rule)? {
        return Ok(Outcome::Silent);
    }
    let without_place = |holds: bool| {
        if holds {
            Outcome::Holds
        } else {
            Outcome::Fails(Vec::new(), Vec::new())
        }
    };
    match &rule.checker {
        Checker::Require(require) => Ok(without_place(require.holds(scene.parts(rule)))),
        Checker::Disclosure(disclosure) => {
            let parts: Vec<_> = scene.parts(rule).collect();
            let holds = disclosure.holds(&parts, scene.inputs)?;
            Ok(without_place(holds))
        }
        Checker::Cel(condition) => Ok(without_place(scene.holds(rule, condition, findings)?)),
        Checker::Injection(injection) => {
            let found = injection.find(scene.inputs);
            Ok(if found.is_empty() {
                Outcome::Holds
            } else {
                Outcome::Suspect(found)
            })
        }
        Checker::Length(length) => {
            let misfits = scene.parts(rule).filter(|part| !length.holds(part));
            let spans: Vec<_> = misfits
                .map(|part| span(&part.part.name, 0..part.part.text.len()))
                .collect();
            Ok(fails_at(spans, Vec::new()))
        }
        _ if rule.action == Action::Normalize => mend(rule, scene),
        _ => mark(rule, scene),
    }
}

fn fails_at(spans: Vec<Span>, edits: Vec<Edit>) -> Outcome {
    if spans.is_empty() {
        Outcome::Holds
    } else {
        Outcome::Fails(spans, edits)
    }
}

/// Spans where the check fails, and what redaction makes of them.
fn mark(rule: &CompiledRule, scene: &Scene<'_>) -> Result<Outcome, Failure> {
    let mut spans = Vec::new();
    for part in scene.parts(rule) {
        let ranges = merged(ranges(rule, part, scene)?).into_iter();
        spans.extend(ranges.map(|range| span(&part.part.name, range)));
    }
    let redacts = rule.action == Action::Redact;
    if spans.len() > MAX_MATCHES {
        if redacts {
            return Err(Failure::too_many_matches());
        }
        spans.truncate(MAX_MATCHES);
    }
    let redacted = spans.iter().filter(|_| redacts).map(Edit::redaction);
    let edits = redacted.collect();
    Ok(fails_at(spans, edits))
}

/// Spans that the check can mend, and how.
fn mend(rule: &CompiledRule, scene: &Scene<'_>) -> Result<Outcome, Failure> {
    let mut edits = Vec::new();
    for part in scene.parts(rule) {
        let mut fixes = match &rule.checker {
            Checker::Style(style) => style.fixes(part),
            Checker::Links(_) => Links::fixes(part),
            _ => Vec::new(),
        };
        fixes.sort_by_key(|fix| (fix.range.start, fix.range.end));
        let of_part = fixes.into_iter().map(|fix| Edit {
            span: span(&part.part.name, fix.range),
            text: fix.text,
        });
        edits.extend(of_part);
    }
    if edits.len() > MAX_MATCHES {
        return Err(Failure::too_many_matches());
    }
    let spans = edits.iter().map(|edit| edit.span.clone()).collect();
    Ok(fails_at(spans, edits))
}

/// Bytes of a part where the check fails, unsorted.
pub(crate) fn ranges(
    rule: &CompiledRule,
    part: &PartView<'_>,
    scene: &Scene<'_>,
) -> Result<Ranges, Failure> {
    let visible = part.visible();
    let hidden = part.hidden();
    let mut ranges = Ranges::new();
    match &rule.checker {
        Checker::Terms(terms) => {
            ranges.extend(terms.find(visible, scene.lexicon)?);
            if let Some(hidden) = hidden {
                ranges.extend(terms.find(hidden, scene.lexicon)?);
            }
        }
        Checker::Pattern(pattern) => {
            ranges.extend(pattern.find(visible)?);
            if let Some(hidden) = hidden {
                ranges.extend(pattern.find(hidden)?);
            }
        }
        Checker::Pii(pii) => {
            let cell = OnceCell::new();
            let allowed = || cell.get_or_init(|| pii.allowed(scene.inputs.variables));
            ranges.extend(pii.find(visible, false, allowed));
            ranges.extend(
                hidden
                    .into_iter()
                    .flat_map(|hidden| pii.find(hidden, true, allowed)),
            );
        }
        Checker::Leak(leak) => ranges.extend(leak.find(part, scene.inputs, scene.others)?),
        Checker::Secrets(secrets) => {
            ranges.extend(secrets.find(visible));
            ranges.extend(hidden.into_iter().flat_map(|hidden| secrets.find(hidden)));
        }
        Checker::Links(links) => ranges.extend(links.find(part)),
        // What hides in markup are addresses, full of numbers that nobody claims.
        Checker::Facts(facts) => {
            ranges.extend(facts.find(visible, scene.known()));
            ranges.extend(facts.find_names(visible, || scene.known_names()));
        }
        Checker::Style(style) => ranges.extend(style.find(part)),
        Checker::Language(language) => {
            ranges.extend(language.find(visible, scene.inputs.language)?);
        }
        Checker::Citations(citations) => ranges.extend(citations.find(visible, scene.sources())),
        Checker::Schema(schema) => ranges.extend(schema.find(&part.part.text)),
        Checker::Require(_)
        | Checker::Disclosure(_)
        | Checker::Length(_)
        | Checker::Injection(_)
        | Checker::Moderation(_)
        | Checker::Cel(_) => {}
    }
    Ok(ranges)
}

/// Sorted, overlapping ranges joined.
pub(crate) fn merged(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Ranges = Vec::with_capacity(ranges.len());
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Documents are smaller than 4 GiB, so that positions fit.
pub(crate) fn span(part: &PartName, range: Range<usize>) -> Span {
    Span {
        part: part.clone(),
        start: position(range.start),
        end: position(range.end),
    }
}

pub(crate) fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl Found {
    /// The strictest action asked for.
    pub(crate) fn action(&self) -> VerdictAction {
        let asked = self
            .findings
            .iter()
            .map(|finding| VerdictAction::from(finding.action));
        let failed = self
            .errors
            .iter()
            .map(|error| VerdictAction::from(error.on_error));
        asked.chain(failed).max().unwrap_or(VerdictAction::Pass)
    }

    pub(crate) fn blocks(&self) -> bool {
        self.action() == VerdictAction::Block
    }

    /// Adds what only the redacted document brings up.
    pub(crate) fn join(&mut self, again: Self) {
        let known: BTreeSet<_> = self
            .findings
            .iter()
            .map(|f| (f.policy.clone(), f.rule.clone()))
            .collect();
        let fresh = again
            .findings
            .into_iter()
            .filter(|finding| !known.contains(&(finding.policy.clone(), finding.rule.clone())));
        self.findings.extend(fresh.map(|finding| Finding {
            after_redaction: true,
            ..finding
        }));
        let fresh: Vec<_> = again
            .errors
            .into_iter()
            .filter(|error| !self.errors.contains(error))
            .collect();
        self.errors.extend(fresh);
    }
}
