//! What a policy does, for people: each rule with its check, what it reads, and what it means for text
//! that is still being written.

use std::collections::BTreeMap;

use aios_crds::policy_set::{Action, OnError};
use serde::Serialize;

use crate::{
    ENGINE_REVISION,
    compile::{CompiledPolicy, CompiledRule},
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
    /// What the editor and the model are told.
    pub message: String,
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

/// Revisions of the checks that rules make, by name.
pub(crate) fn engine(rules: &[CompiledRule]) -> String {
    let kinds: BTreeMap<_, _> = rules
        .iter()
        .map(|rule| rule.checker.kind())
        .map(|kind| (kind.as_str(), kind.revision()))
        .collect();
    let named = kinds
        .iter()
        .map(|(name, revision)| format!("{name}.{revision}"));
    named.collect::<Vec<_>>().join(" ")
}
