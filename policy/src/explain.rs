//! What a policy does, for people: each rule with its check, what it reads, and what it means for text
//! that is still being written.

use std::collections::BTreeMap;

use aios_crds::policy_set::{Action, CallSide, OnError, Rule};
use serde::Serialize;

use crate::{
    ENGINE_REVISION,
    compile::{CompiledPolicy, CompiledRule, compile_rule},
    document::PartName,
    verdict::Check,
};

/// How much of a text must be seen before a part of it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Class {
    /// Matches are bounded: text streams up to where one could begin.
    Windowed,
    /// Once broken it stays broken: text is held, and a writer is stopped as soon as it breaks.
    Monotone,
    /// Only the end decides: text is held.
    WholeText,
}

/// One rule in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleSummary {
    /// Its name.
    pub name: String,
    /// What it checks.
    pub check: Check,
    /// What follows when the check fails.
    pub action: Action,
    /// What follows when the check cannot run.
    pub on_error: OnError,
    /// Parts it reads, in the order of their names; all when empty.
    pub parts: Vec<PartName>,
    /// True when it has a `when`.
    pub conditional: bool,
    /// What it means for streams of plain text.
    pub class: Class,
    /// What the editor is told, and the model.
    pub message: String,
    /// What the model is told instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instruction: Option<String>,
}

impl Class {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Windowed => "Windowed",
            Self::Monotone => "Monotone",
            Self::WholeText => "WholeText",
        }
    }
}

impl CompiledPolicy {
    /// The rules in order.
    pub fn explain(&self) -> Vec<RuleSummary> {
        let rules = self.rules.iter().map(|rule| RuleSummary {
            name: rule.name.clone(),
            check: rule.checker.kind(),
            action: rule.action,
            on_error: rule.on_error,
            parts: rule.parts.iter().cloned().collect(),
            conditional: rule.when.is_some(),
            class: rule.checker.class(),
            message: rule.message.clone(),
            instruction: rule.instruction.clone(),
        });
        rules.collect()
    }

    /// Revisions of the checks it makes, as in `facts.2 terms.3`: equal digests and equal revisions
    /// mean equal behaviour.
    pub fn engine(&self) -> &str {
        &self.engine
    }

    /// All that a verdict of these rules depends on beside their digest: [`ENGINE_REVISION`] and
    /// [`Self::engine`], as in `engine.2 facts.2 terms.3`.
    pub fn revisions(&self) -> String {
        format!("engine.{ENGINE_REVISION} {}", self.engine)
    }
}

impl Check {
    /// What a rule checks, if it checks anything.
    fn of(rule: &Rule) -> Option<Self> {
        let set = [
            (rule.terms.is_some(), Self::Terms),
            (rule.pattern.is_some(), Self::Pattern),
            (rule.pii.is_some(), Self::Pii),
            (rule.leak.is_some(), Self::Leak),
            (rule.secrets.is_some(), Self::Secrets),
            (rule.links.is_some(), Self::Links),
            (rule.require.is_some(), Self::Require),
            (rule.disclosure.is_some(), Self::Disclosure),
            (rule.length.is_some(), Self::Length),
            (rule.style.is_some(), Self::Style),
            (rule.language.is_some(), Self::Language),
            (rule.facts.is_some(), Self::Facts),
            (rule.citations.is_some(), Self::Citations),
            (rule.schema.is_some(), Self::Schema),
            (rule.injection.is_some(), Self::Injection),
            (rule.moderation.is_some(), Self::Moderation),
            (rule.cel.is_some(), Self::Cel),
        ];
        set.into_iter()
            .find(|(is_set, _)| *is_set)
            .map(|(_, check)| check)
    }
}

/// [`CompiledPolicy::revisions`] of rules that are not compiled here, as where none of them judges calls.
pub fn revisions(rules: &[Rule]) -> String {
    let engine = named(rules.iter().filter_map(Check::of));
    format!("engine.{ENGINE_REVISION} {engine}")
}

/// Names of the rules that hold streamed answers of models to their end.
pub fn holding(rules: &[Rule]) -> Vec<String> {
    let judging =
        |rule: &&Rule| rule.calls.contains(&CallSide::Answer) && rule.action != Action::Warn;
    let holds = |rule: &&Rule| {
        let compiled = compile_rule(rule, "");
        compiled.is_ok_and(|rule| rule.checker.class() != Class::Windowed)
    };
    let holding = rules.iter().filter(judging).filter(holds);
    holding.map(|rule| rule.name.clone()).collect()
}

/// Revisions of the checks that rules make, by name.
pub(crate) fn engine(rules: &[CompiledRule]) -> String {
    named(rules.iter().map(|rule| rule.checker.kind()))
}

fn named(kinds: impl Iterator<Item = Check>) -> String {
    let kinds: BTreeMap<_, _> = kinds.map(|kind| (kind.as_str(), kind.revision())).collect();
    let named = kinds
        .iter()
        .map(|(name, revision)| format!("{name}.{revision}"));
    named.collect::<Vec<_>>().join(" ")
}
