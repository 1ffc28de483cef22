//! Rules that need evidence from outside: they read the text that would go on, once the others have
//! spoken, so that what is refused or removed is shown to nobody.

use std::{collections::BTreeSet, sync::Arc};

use super::{Found, Scene, finding, pass::rule_error, span};
use crate::{
    compile::{CompiledPolicy, CompiledRule},
    document::{Document, PartKind},
    evidence::{Collected, EvidenceRef, Query},
    inputs::Inputs,
    rule::{Checker, Failure, Moderation},
    verdict::{Finding, RuleErrorReason, RuleName},
    view::PartView,
};

/// What asking brings up.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Questions that nobody was asked yet; the rules behind them count as if they could not run.
    pub(super) needs: Vec<Query>,
    /// What the findings rest on, each once.
    pub(super) evidence: Vec<EvidenceRef>,
    /// Rules that had nothing to ask: others refuse the text.
    pub(super) idle: Vec<RuleName>,
}

/// Asks about the text that would go on. Findings and errors are added to those of the others.
pub(super) fn run(
    policies: &[Arc<CompiledPolicy>],
    document: &Document,
    inputs: &Inputs<'_>,
    evidence: &Collected,
    found: &mut Found,
) -> Asked {
    let mut asking = Asking {
        evidence,
        seen: BTreeSet::new(),
        asked: Asked::default(),
    };
    if !policies.iter().any(|policy| policy.asks) {
        return asking.asked;
    }
    let is_refused = found.blocks();
    let scene = Scene::new(document, inputs);
    let rules = policies
        .iter()
        .flat_map(|policy| policy.rules.iter().map(move |rule| (policy, rule)));
    for (policy, rule) in rules {
        let Checker::Moderation(moderation) = &rule.checker else {
            continue;
        };
        match scene.applies(rule) {
            Ok(false) => continue,
            Ok(true) if is_refused => {
                asking.asked.idle.push(RuleName {
                    policy: policy.name().to_owned(),
                    rule: rule.name.clone(),
                });
                continue;
            }
            Ok(true) => {}
            Err(failure) => {
                found.errors.push(rule_error(policy, rule, failure));
                continue;
            }
        }
        match asking.rule(rule, moderation, &scene) {
            Err(failure) => found.errors.push(rule_error(policy, rule, failure)),
            Ok(failed) => {
                for (count, view) in found.scanned.iter_mut().zip(&scene.views) {
                    count.rules += u32::from(rule.reads(&view.part.name));
                }
                found.findings.extend(told(policy, rule, &failed));
            }
        }
    }
    asking.asked
}

struct Asking<'a> {
    evidence: &'a Collected,
    /// Digests of questions that are needed already.
    seen: BTreeSet<crate::Digest>,
    asked: Asked,
}

/// Parts to which a model objects, with the categories.
type Failed<'s, 'a> = Vec<(&'s PartView<'a>, Vec<&'s str>)>;

impl Asking<'_> {
    /// Every part is asked about, also where one cannot be judged: the caller fetches once.
    fn rule<'s, 'a>(
        &mut self,
        rule: &'s CompiledRule,
        moderation: &'s Moderation,
        scene: &'s Scene<'a>,
    ) -> Result<Failed<'s, 'a>, Failure> {
        let (mut failed, mut failure) = (Vec::new(), None);
        for view in scene.parts(rule) {
            match self.part(moderation, shown(view)) {
                Ok(categories) if categories.is_empty() => {}
                Ok(categories) => failed.push((view, categories)),
                Err(why) => failure = failure.or(Some(why)),
            }
        }
        failure.map_or(Ok(failed), Err)
    }

    fn part<'s>(
        &mut self,
        moderation: &'s Moderation,
        text: &str,
    ) -> Result<Vec<&'s str>, Failure> {
        if text.is_empty() {
            return Ok(Vec::new());
        }
        let query = moderation.query(text);
        let no_evidence = |why: &str| {
            let message = format!("`{}` did not judge the text: {why}", moderation.model());
            Failure::new(RuleErrorReason::NoEvidence, message)
        };
        match self.evidence.get(query.digest()) {
            Some(Ok(evidence)) => {
                let used = evidence.reference();
                if !self.asked.evidence.contains(&used) {
                    self.asked.evidence.push(used);
                }
                moderation.fails(evidence)
            }
            Some(Err(why)) => Err(no_evidence(why)),
            None => {
                if self.seen.insert(query.digest()) {
                    self.asked.needs.push(query);
                }
                Err(no_evidence("nobody was asked"))
            }
        }
    }
}

/// What a reader sees of a part.
fn shown<'s>(view: &'s PartView<'_>) -> &'s str {
    match view.part.kind {
        PartKind::Plain => view.visible().text.as_str().trim(),
        PartKind::Html => view.spaced(),
    }
}

/// The finding, with the categories for the editor and the model.
fn told(policy: &CompiledPolicy, rule: &CompiledRule, failed: &Failed<'_, '_>) -> Option<Finding> {
    if failed.is_empty() {
        return None;
    }
    let categories: BTreeSet<_> = failed.iter().flat_map(|(_, names)| names).collect();
    let named: Vec<&str> = categories
        .into_iter()
        .copied()
        .filter(|name| !name.is_empty())
        .collect();
    let spans = failed
        .iter()
        .map(|(view, _)| span(&view.part.name, 0..view.part.text.len()))
        .collect();
    let finding = finding(policy, rule, spans);
    let message = if named.is_empty() {
        finding.message
    } else {
        format!("{} ({})", finding.message, named.join(", "))
    };
    Some(Finding { message, ..finding })
}
