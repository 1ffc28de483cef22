//! Rules in, an immutable evaluator out; or every mistake, each with its path.

mod unfit;

use std::collections::BTreeSet;

use aios_crds::{
    Duration,
    check::Citations as CitationsSpec,
    policy_set::{Action, CallSide, OnError, Review, ReviewWhen, Rule},
};

use crate::{
    canonical,
    diagnostic::Diagnostic,
    digest::Digest,
    document::PartName,
    explain,
    rule::{
        Checker, Citations, Disclosure, Expression, Facts, Injection, Language, Leak, Length,
        Links, Moderation, Pattern, Pii, Require, Schema, Secrets, Style, Terms, cel::Scope,
    },
};
use unfit::{unfit_for_calls, uninstructed, unmendable};

/// A policy whose every rule is ready to run; cheap to share between threads.
#[derive(Debug)]
pub struct CompiledPolicy {
    name: String,
    digest: Digest,
    pub(crate) engine: String,
    pub(crate) rules: Vec<CompiledRule>,
    pub(crate) always_review: bool,
    /// Of the documents that would go on by themselves.
    pub(crate) sample_percent: u32,
    /// Whether a rule asks somebody outside.
    pub(crate) asks: bool,
    /// Whether it only reports.
    pub(crate) dry_run: bool,
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
    /// For the model, where it is another.
    pub(crate) instruction: Option<String>,
    pub(crate) checker: Checker,
}

impl CompiledRule {
    pub(crate) fn reads(&self, part: &PartName) -> bool {
        self.parts.is_empty() || self.parts.contains(part)
    }
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
        let percent = review.sample_percent.unwrap_or_default();
        let sample_percent = u32::try_from(percent)
            .ok()
            .filter(|percent| *percent <= 100);
        let Some(sample_percent) = sample_percent.filter(|_| mistakes.is_empty()) else {
            if sample_percent.is_none() {
                let message = format!("{percent} is no percentage: write 0 to 100");
                mistakes.push(Diagnostic::new("spec.review.samplePercent", message));
            }
            return Err(mistakes);
        };
        Ok(Self {
            name: name.to_owned(),
            digest: canonical::digest(rules, review),
            engine: explain::engine(&compiled),
            asks: compiled.iter().any(|rule| rule.checker.asks()),
            rules: compiled,
            always_review: review.when == ReviewWhen::Always,
            sample_percent,
            dry_run: false,
            review_due: review.due,
        })
    }

    /// The rules of such a policy that judge one side of the calls of models; none where no rule does. Nobody
    /// reviews a call.
    ///
    /// # Errors
    /// As [`Self::compile`], with paths counted over those rules.
    pub fn for_calls(
        name: &str,
        rules: &[Rule],
        side: CallSide,
    ) -> Result<Option<Self>, Vec<Diagnostic>> {
        let judging = rules.iter().filter(|rule| rule.calls.contains(&side));
        let judging: Vec<_> = judging.cloned().collect();
        if judging.is_empty() {
            return Ok(None);
        }
        Self::compile(name, &judging, &Review::default()).map(Some)
    }

    /// The same rules, which only report what they would do where that is asked for; under a digest of its
    /// own.
    #[must_use]
    pub fn into_dry_run_if(self, dry_run: bool) -> Self {
        if !dry_run || self.dry_run {
            return self;
        }
        Self {
            digest: canonical::dry_run(self.digest),
            dry_run: true,
            ..self
        }
    }

    /// Whether it only reports.
    pub fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Name of the object.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the canonical form of rules and review, the name left out: equal digests mean
    /// equal behaviour where `engine` and `ENGINE_REVISION` are equal too.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Number of rules.
    pub fn rule_count(&self) -> usize {
        self.rules.len()
    }
}

pub(crate) fn compile_rule(rule: &Rule, path: &str) -> Result<CompiledRule, Vec<Diagnostic>> {
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
            instruction: rule.instruction.clone(),
            checker,
        }),
        _ => Err(mistakes),
    }
}

fn compile_check(rule: &Rule, path: &str) -> Result<Checker, Vec<Diagnostic>> {
    let cel = |source: &String, path: &str| Expression::compile(source, Scope::Check, path);
    let citations = |spec: &CitationsSpec, _: &str| Ok(Citations::new(spec));
    let mut checks = Checks {
        path,
        compiled: Vec::new(),
    };
    checks.add("terms", rule.terms.as_ref(), Terms::compile, Checker::Terms);
    checks.add(
        "pattern",
        rule.pattern.as_ref(),
        Pattern::compile,
        |pattern| Checker::Pattern(Box::new(pattern)),
    );
    checks.add("pii", rule.pii.as_ref(), Pii::compile, Checker::Pii);
    checks.add("leak", rule.leak.as_ref(), Leak::compile, Checker::Leak);
    checks.add(
        "secrets",
        rule.secrets.as_ref(),
        Secrets::compile,
        Checker::Secrets,
    );
    checks.add("links", rule.links.as_ref(), Links::compile, Checker::Links);
    checks.add(
        "require",
        rule.require.as_ref(),
        Require::compile,
        Checker::Require,
    );
    let disclosure = rule.disclosure.as_ref();
    checks.add(
        "disclosure",
        disclosure,
        Disclosure::compile,
        Checker::Disclosure,
    );
    checks.add(
        "length",
        rule.length.as_ref(),
        Length::compile,
        Checker::Length,
    );
    checks.add("style", rule.style.as_ref(), Style::compile, Checker::Style);
    checks.add(
        "language",
        rule.language.as_ref(),
        Language::compile,
        Checker::Language,
    );
    checks.add("facts", rule.facts.as_ref(), Facts::compile, Checker::Facts);
    checks.add(
        "citations",
        rule.citations.as_ref(),
        citations,
        Checker::Citations,
    );
    checks.add(
        "schema",
        rule.schema.as_ref(),
        Schema::compile,
        Checker::Schema,
    );
    checks.add(
        "injection",
        rule.injection.as_ref(),
        Injection::compile,
        Checker::Injection,
    );
    checks.add(
        "moderation",
        rule.moderation.as_ref(),
        Moderation::compile,
        Checker::Moderation,
    );
    checks.add("cel", rule.cel.as_ref(), cel, Checker::Cel);
    checks.only(rule)
}

/// The checks of one rule, of which there must be one.
struct Checks<'a> {
    path: &'a str,
    compiled: Vec<Result<Checker, Vec<Diagnostic>>>,
}

impl Checks<'_> {
    fn add<S, C>(
        &mut self,
        field: &str,
        spec: Option<&S>,
        compile: impl FnOnce(&S, &str) -> Result<C, Vec<Diagnostic>>,
        checker: fn(C) -> Checker,
    ) {
        let compiled = spec.map(|spec| compile(spec, &format!("{}.{field}", self.path)));
        self.compiled
            .extend(compiled.map(|check| check.map(checker)));
    }

    fn only(self, rule: &Rule) -> Result<Checker, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        if self.compiled.len() != 1 {
            mistakes.push(Diagnostic::new(
                self.path,
                format!(
                    "{} checks: set exactly one of terms, pattern, pii, leak, secrets, links, require, \
                     disclosure, length, style, language, facts, citations, schema, injection, moderation, \
                     cel",
                    self.compiled.len()
                ),
            ));
        }
        let may_redact = [
            rule.terms.is_some(),
            rule.pattern.is_some(),
            rule.pii.is_some(),
            rule.leak.is_some(),
            rule.secrets.is_some(),
        ];
        if rule.action == Action::Redact && !may_redact.contains(&true) {
            mistakes.push(Diagnostic::new(
                format!("{}.action", self.path),
                "Redact needs a check with spans to replace: use terms, pattern, pii, leak or secrets, \
                 or \
                 another action",
            ));
        }
        if rule.action == Action::Revise && rule.injection.is_some() {
            mistakes.push(Diagnostic::new(
                format!("{}.action", self.path),
                "injection is found before a text is written, and no revision mends it: set Warn, \
                 Review or Block",
            ));
        }
        let mut compiled = None;
        for check in self.compiled {
            compiled = collect(check, &mut mistakes).or(compiled);
        }
        if rule.action == Action::Normalize
            && let Some(why) = compiled.as_ref().and_then(unmendable)
        {
            mistakes.push(Diagnostic::new(format!("{}.action", self.path), why));
        }
        if let Some(why) = uninstructed(rule) {
            mistakes.push(Diagnostic::new(format!("{}.instruction", self.path), why));
        }
        if !rule.calls.is_empty()
            && let Some(why) = unfit_for_calls(rule)
        {
            mistakes.push(Diagnostic::new(format!("{}.calls", self.path), why));
        }
        compiled.filter(|_| mistakes.is_empty()).ok_or(mistakes)
    }
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
