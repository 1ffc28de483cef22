//! Rules in, an immutable evaluator out; or every mistake, each with its path.

use std::collections::BTreeSet;

use aios_crds::{
    Duration,
    check::Length as LengthSpec,
    policy_set::{Action, OnError, Review, ReviewWhen, Rule},
};

use crate::{
    canonical,
    diagnostic::Diagnostic,
    digest::Digest,
    document::PartName,
    rule::{Checker, Expression, Facts, Length, Pattern, Pii, Require, Terms, cel::Scope},
};

/// A policy whose every rule is ready to run; cheap to share between threads.
#[derive(Debug)]
pub struct CompiledPolicy {
    name: String,
    digest: Digest,
    pub(crate) rules: Vec<CompiledRule>,
    pub(crate) always_review: bool,
    pub(crate) review_due: Option<Duration>,
}

/// One rule, ready to run.
#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(crate) name: String,
    /// Parts it reads; all when empty.
    pub(crate) parts: BTreeSet<PartName>,
    pub(crate) when: Option<Expression>,
    pub(crate) action: Action,
    pub(crate) on_error: OnError,
    pub(crate) message: String,
    pub(crate) checker: Checker,
}

impl CompiledPolicy {
    /// Compiles the rules of a `PolicySet` or `ClusterPolicySet` of that name. The error lists all
    /// mistakes, with paths from `spec.` on.
    pub fn compile(name: &str, rules: &[Rule], review: &Review) -> Result<Self, Vec<Diagnostic>> {
        let mut compiled = Vec::with_capacity(rules.len());
        let mut mistakes = Vec::new();
        let mut names = BTreeSet::new();
        if rules.is_empty() {
            mistakes.push(Diagnostic::new(
                "spec.rules",
                "no rules: write at least one",
            ));
        }
        for (index, rule) in rules.iter().enumerate() {
            let path = format!("spec.rules[{index}]");
            if !names.insert(rule.name.as_str()) {
                mistakes.push(Diagnostic::new(
                    format!("{path}.name"),
                    format!("`{}` names two rules: give each its own name", rule.name),
                ));
            }
            match compile_rule(rule, &path) {
                Ok(rule) => compiled.push(rule),
                Err(found) => mistakes.extend(found),
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            name: name.to_owned(),
            digest: canonical::digest(rules, review),
            rules: compiled,
            always_review: review.when == ReviewWhen::Always,
            review_due: review.due,
        })
    }

    /// Name of the object.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the canonical form of rules and review, the name left out: equal digests mean
    /// equal behaviour under one `ENGINE_REVISION`.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Number of rules.
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }
}

fn compile_rule(rule: &Rule, path: &str) -> Result<CompiledRule, Vec<Diagnostic>> {
    let mut mistakes = Vec::new();
    let name = rule.name.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let well_named = (1..=63).contains(&name.len())
        && name.iter().all(|byte| inner(byte) || *byte == b'-')
        && name.first().is_some_and(inner)
        && name.last().is_some_and(inner);
    if !well_named {
        mistakes.push(Diagnostic::new(
            format!("{path}.name"),
            format!(
                "`{}` is no rule name: write 1 to 63 of a-z, 0-9 and inner `-`",
                rule.name
            ),
        ));
    }
    let mut parts = BTreeSet::new();
    for (index, part) in rule.parts.iter().enumerate() {
        match part.parse() {
            Ok(part) => {
                parts.insert(part);
            }
            Err(error) => mistakes.push(Diagnostic::new(
                format!("{path}.parts[{index}]"),
                format!("{error}"),
            )),
        }
    }
    let when = rule
        .when
        .as_deref()
        .map(|source| Expression::compile(source, Scope::When, &format!("{path}.when")));
    let when = collect(when.transpose(), &mut mistakes).flatten();
    let checker = collect(compile_check(rule, path), &mut mistakes);
    match checker {
        Some(checker) if mistakes.is_empty() => Ok(CompiledRule {
            name: rule.name.clone(),
            parts,
            when,
            action: rule.action,
            on_error: rule.on_error,
            message: rule
                .message
                .clone()
                .unwrap_or_else(|| checker.default_message()),
            checker,
        }),
        _ => Err(mistakes),
    }
}

fn compile_check(rule: &Rule, path: &str) -> Result<Checker, Vec<Diagnostic>> {
    let at = |field: &str| format!("{path}.{field}");
    let Rule {
        terms,
        pattern,
        pii,
        require,
        length,
        facts,
        cel,
        ..
    } = rule;
    let mut checks = Vec::new();
    checks.extend(
        terms
            .as_ref()
            .map(|s| Terms::compile(s, &at("terms")).map(Checker::Terms)),
    );
    checks.extend(
        pattern
            .as_ref()
            .map(|s| Pattern::compile(s, &at("pattern")).map(Checker::Pattern)),
    );
    checks.extend(
        pii.as_ref()
            .map(|s| Pii::compile(s, &at("pii")).map(Checker::Pii)),
    );
    checks.extend(
        require
            .as_ref()
            .map(|s| Require::compile(s, &at("require")).map(Checker::Require)),
    );
    checks.extend(
        length
            .as_ref()
            .map(|s: &LengthSpec| Length::compile(s, &at("length")).map(Checker::Length)),
    );
    checks.extend(
        facts
            .as_ref()
            .map(|s| Facts::compile(s, &at("facts")).map(Checker::Facts)),
    );
    checks.extend(
        cel.as_ref()
            .map(|s| Expression::compile(s, Scope::Check, &at("cel")).map(Checker::Cel)),
    );
    let mut mistakes = Vec::new();
    if checks.len() != 1 {
        mistakes.push(Diagnostic::new(
            path,
            format!(
                "{} checks: set exactly one of terms, pattern, pii, require, length, facts, cel",
                checks.len()
            ),
        ));
    }
    if rule.action == Action::Redact && terms.is_none() && pattern.is_none() && pii.is_none() {
        mistakes.push(Diagnostic::new(
            at("action"),
            "Redact needs a check with spans to replace: use terms, pattern or pii, or another \
             action",
        ));
    }
    let mut compiled = None;
    for check in checks {
        compiled = collect(check, &mut mistakes).or(compiled);
    }
    compiled.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

/// Keeps the value, notes the mistakes.
fn collect<T>(result: Result<T, Vec<Diagnostic>>, mistakes: &mut Vec<Diagnostic>) -> Option<T> {
    result.map_err(|found| mistakes.extend(found)).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_policy_can_be_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<super::CompiledPolicy>();
        shared::<crate::PolicyStack>();
    }
}
