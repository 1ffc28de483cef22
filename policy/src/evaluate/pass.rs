//! One pass of all rules over one document.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use aios_crds::policy_set::Action;

use super::Scene;
use crate::{
    compile::{CompiledPolicy, CompiledRule},
    document::{Document, PartName},
    inputs::Inputs,
    rule::{Checker, Failure, MAX_MATCHES, Ranges},
    verdict::{Finding, RuleError, Span, VerdictAction},
    view::PartView,
};

/// What a pass brings up.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) findings: Vec<Finding>,
    pub(crate) errors: Vec<RuleError>,
}

/// Asks every rule of every policy.
pub(crate) fn run(
    policies: &[Arc<CompiledPolicy>],
    document: &Document,
    inputs: &Inputs<'_>,
) -> Found {
    let scene = Scene::new(document, inputs);
    let mut found = Found::default();
    for policy in policies {
        for rule in &policy.rules {
            match check(rule, &scene) {
                Ok(None) => {}
                Ok(Some(spans)) => found.findings.push(finding(policy, rule, spans)),
                Err(failure) => found.errors.push(rule_error(policy, rule, failure)),
            }
        }
    }
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
        spans,
        after_redaction: false,
    }
}

fn rule_error(policy: &CompiledPolicy, rule: &CompiledRule, failure: Failure) -> RuleError {
    RuleError {
        policy: policy.name().to_owned(),
        rule: rule.name.clone(),
        on_error: rule.on_error,
        reason: failure.reason,
        message: failure.message,
    }
}

/// The spans of a failed check; `None` when the rule holds or does not apply.
fn check(rule: &CompiledRule, scene: &Scene<'_>) -> Result<Option<Vec<Span>>, Failure> {
    if !scene.applies(rule)? {
        return Ok(None);
    }
    match &rule.checker {
        Checker::Require(require) => Ok((!require.holds(scene.parts(rule))).then(Vec::new)),
        Checker::Cel(condition) => Ok((!condition.holds(&scene.bindings(rule))?).then(Vec::new)),
        Checker::Length(length) => {
            let misfits = scene.parts(rule).filter(|part| !length.holds(part));
            let spans: Vec<_> = misfits
                .map(|part| span(&part.part.name, 0..part.part.text.len()))
                .collect();
            Ok((!spans.is_empty()).then_some(spans))
        }
        Checker::Terms(_) | Checker::Pattern(_) | Checker::Pii(_) | Checker::Facts(_) => {
            let mut spans = Vec::new();
            for part in scene.parts(rule) {
                let ranges = ranges(rule, part, scene)?;
                let parts_spans = merged(ranges)
                    .into_iter()
                    .map(|range| span(&part.part.name, range));
                spans.extend(parts_spans);
            }
            if spans.len() > MAX_MATCHES {
                if rule.action == Action::Redact {
                    return Err(Failure::too_many_matches());
                }
                spans.truncate(MAX_MATCHES);
            }
            Ok((!spans.is_empty()).then_some(spans))
        }
    }
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
            ranges.extend(terms.find(visible)?);
            if let Some(hidden) = hidden {
                ranges.extend(terms.find(hidden)?);
            }
        }
        Checker::Pattern(pattern) => {
            ranges.extend(pattern.find(visible));
            ranges.extend(hidden.into_iter().flat_map(|hidden| pattern.find(hidden)));
        }
        Checker::Pii(pii) => {
            let allowed = pii.allowed(scene.inputs.variables);
            ranges.extend(pii.find(visible, false, &allowed));
            ranges.extend(
                hidden
                    .into_iter()
                    .flat_map(|hidden| pii.find(hidden, true, &allowed)),
            );
        }
        // What hides in markup are addresses, full of numbers that nobody claims.
        Checker::Facts(facts) => ranges.extend(facts.find(visible, scene.known())),
        Checker::Require(_) | Checker::Length(_) | Checker::Cel(_) => {}
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
    let position = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Span {
        part: part.clone(),
        start: position(range.start),
        end: position(range.end),
    }
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

    /// Spans to replace, of the document that was read last.
    pub(crate) fn redactions(&self) -> Vec<Span> {
        let redacts = self
            .findings
            .iter()
            .filter(|finding| finding.action == Action::Redact);
        redacts
            .flat_map(|finding| finding.spans.iter().cloned())
            .collect()
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
