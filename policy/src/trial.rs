//! A policy's own tests: fixed documents, and whether the policy says of them what it must.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use aios_crds::{
    moderation::TestModeration,
    policy_test::{ExpectedAction, PolicyTest, TestPart},
};
use serde::Serialize;
use serde_json::Value;

use crate::{
    compile::CompiledPolicy,
    diagnostic::Diagnostic,
    document::{Document, Part, PartName},
    evaluate::{Evaluation, Known},
    evidence::{Collected, Evidence},
    inputs::Inputs,
    others::Others,
    rule::Checker,
    verdict::{Verdict, VerdictAction},
};

/// The part of a test that has nothing but a text.
const TEXT: &str = "text";

/// The tests of one policy, ready to run.
#[derive(Clone, Debug, Default)]
pub struct PolicyTests {
    cases: Vec<Case>,
}

#[derive(Clone, Debug)]
struct Case {
    name: String,
    document: Document,
    variables: Value,
    labels: BTreeMap<String, String>,
    language: String,
    passages: Vec<String>,
    template: Vec<String>,
    moderation: Vec<TestModeration>,
    others: Vec<Value>,
    action: VerdictAction,
    rules: Option<BTreeSet<String>>,
}

/// What became of one test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trial {
    /// Name of the test.
    pub name: String,
    /// What the policy says of the document.
    pub verdict: Verdict,
    /// How that differs from what was expected; nothing when the test passes.
    pub differences: Vec<Difference>,
}

/// One way in which a verdict is not as expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Difference {
    /// Something else follows.
    Action {
        /// As the test has it.
        expected: VerdictAction,
        /// As it is.
        found: VerdictAction,
    },
    /// A rule should have fired.
    Silent {
        /// Its name.
        rule: String,
    },
    /// A rule should not have fired.
    Fired {
        /// Its name.
        rule: String,
        /// Why it could not run, if it is that.
        error: Option<String>,
    },
}

impl PolicyTests {
    /// Reads the tests of a policy. The error lists all mistakes, with paths from `spec.` on.
    pub fn compile(tests: &[PolicyTest], policy: &CompiledPolicy) -> Result<Self, Vec<Diagnostic>> {
        let known: BTreeSet<_> = policy.rules.iter().map(|rule| rule.name.as_str()).collect();
        let (mut cases, mut mistakes) = (Vec::new(), Vec::new());
        let mut names = BTreeSet::new();
        for (index, test) in tests.iter().enumerate() {
            let path = format!("spec.tests[{index}]");
            if !names.insert(test.name.as_str()) {
                mistakes.push(Diagnostic::new(
                    format!("{path}.name"),
                    format!("`{}` names two tests: give each its own name", test.name),
                ));
            }
            let rules = test.expect.rules.iter().flatten().enumerate();
            mistakes.extend(
                rules
                    .filter(|(_, rule)| !known.contains(rule.as_str()))
                    .map(|(at, rule)| {
                        Diagnostic::new(
                            format!("{path}.expect.rules[{at}]"),
                            format!("`{rule}` is no rule of this policy: name one of spec.rules"),
                        )
                    }),
            );
            mistakes.extend(unasked(test, policy, &path));
            match document(test, &path) {
                Ok(document) => cases.push(case(test, document)),
                Err(mistake) => mistakes.push(mistake),
            }
        }
        if mistakes.is_empty() {
            Ok(Self { cases })
        } else {
            Err(mistakes)
        }
    }

    /// Judges every test's document by the policy alone, in order.
    pub fn run(&self, policy: &Arc<CompiledPolicy>) -> Vec<Trial> {
        self.cases.iter().map(|case| case.run(policy)).collect()
    }
}

/// What models say of which no rule asks, and what is no score.
fn unasked(test: &PolicyTest, policy: &CompiledPolicy, path: &str) -> Vec<Diagnostic> {
    let asked = |model: &str| {
        let mut rules = policy.rules.iter();
        rules.any(|rule| matches!(&rule.checker, Checker::Moderation(one) if one.model() == model))
    };
    let mut mistakes = Vec::new();
    for (at, said) in test.moderation.iter().enumerate() {
        let path = format!("{path}.moderation[{at}]");
        if !asked(&said.model) {
            mistakes.push(Diagnostic::new(
                format!("{path}.model"),
                format!("no rule asks `{}`: name the model of a rule", said.model),
            ));
        }
        let mut scores = said.scores.iter();
        if let Some((name, score)) = scores.find(|(_, score)| !(0..=100).contains(*score)) {
            mistakes.push(Diagnostic::new(
                format!("{path}.scores"),
                format!("{score} is no score of `{name}`: write a percentage of 0 to 100"),
            ));
        }
    }
    mistakes
}

fn case(test: &PolicyTest, document: Document) -> Case {
    let rules = test.expect.rules.as_ref();
    let variables = test.variables.as_ref().map(aios_crds::Json::value);
    Case {
        name: test.name.clone(),
        document,
        variables: variables.unwrap_or_else(|| Value::Object(serde_json::Map::new())),
        labels: test.labels.clone(),
        language: test.language.clone(),
        passages: test.passages.clone(),
        template: test.template.clone(),
        moderation: test.moderation.clone(),
        others: test.others.iter().map(aios_crds::Json::value).collect(),
        action: test.expect.action.into(),
        rules: rules.map(|rules| rules.iter().cloned().collect()),
    }
}

fn document(test: &PolicyTest, path: &str) -> Result<Document, Diagnostic> {
    let parts = match (&test.text, test.parts.as_slice()) {
        (Some(text), []) => vec![part(TEXT, text, &format!("{path}.text"))?],
        (None, [_, ..]) => {
            let parts = test.parts.iter().enumerate();
            let read = |(index, TestPart { name, text }): (usize, &TestPart)| {
                part(name, text, &format!("{path}.parts[{index}].name"))
            };
            parts.map(read).collect::<Result<_, _>>()?
        }
        _ => {
            let message = "a test judges exactly one document: set one of text, parts";
            return Err(Diagnostic::new(path, message));
        }
    };
    Document::new(parts).map_err(|error| Diagnostic::new(path, error.to_string()))
}

fn part(name: &str, text: &str, path: &str) -> Result<Part, Diagnostic> {
    let name: PartName = name
        .parse()
        .map_err(|error| Diagnostic::new(path, format!("{error}")))?;
    Ok(Part {
        kind: name.kind(),
        name,
        text: text.to_owned(),
    })
}

impl Case {
    fn run(&self, policy: &Arc<CompiledPolicy>) -> Trial {
        let passages: Vec<_> = self.passages.iter().map(String::as_str).collect();
        let template: Vec<_> = self.template.iter().map(String::as_str).collect();
        let inputs = Inputs {
            variables: &self.variables,
            labels: &self.labels,
            language: &self.language,
            passages: &passages,
            template: &template,
            step: crate::Step::Final,
        };
        let others = Others::of(&self.others, &policy.identifiers());
        let others = Some(&others);
        let mut evidence = Collected::default();
        let known = Known {
            evidence: &evidence,
            others,
        };
        let (_, queries) = policy.alone(&self.document, &inputs, known);
        for query in queries {
            match Evidence::told(&self.moderation, &query) {
                Ok(said) => evidence.add(said),
                Err(why) => evidence.fail(&query, why),
            }
        }
        let known = Known {
            evidence: &evidence,
            others,
        };
        let (Evaluation { verdict, .. }, _) = policy.alone(&self.document, &inputs, known);
        Trial {
            name: self.name.clone(),
            differences: self.differences(&verdict),
            verdict,
        }
    }

    fn differences(&self, verdict: &Verdict) -> Vec<Difference> {
        let mut found = Vec::new();
        if verdict.action != self.action {
            found.push(Difference::Action {
                expected: self.action,
                found: verdict.action,
            });
        }
        let Some(expected) = &self.rules else {
            return found;
        };
        let failed = verdict.findings.iter().map(|one| (one.rule.clone(), None));
        let errors = verdict
            .errors
            .iter()
            .map(|one| (one.rule.clone(), Some(one.message.clone())));
        let fired: BTreeMap<_, _> = failed.chain(errors).collect();
        let silent = expected.iter().filter(|rule| !fired.contains_key(*rule));
        found.extend(silent.map(|rule| Difference::Silent { rule: rule.clone() }));
        let unexpected = fired
            .into_iter()
            .filter(|(rule, _)| !expected.contains(rule));
        found.extend(unexpected.map(|(rule, error)| Difference::Fired { rule, error }));
        found
    }
}

impl Trial {
    /// Whether the policy says what it must.
    pub fn passes(&self) -> bool {
        self.differences.is_empty()
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Action { expected, found } => {
                write!(f, "expected {}, got {}", expected.as_str(), found.as_str())
            }
            Self::Silent { rule } => write!(f, "rule {rule} did not fire"),
            Self::Fired { rule, error: None } => write!(f, "rule {rule} fired"),
            Self::Fired {
                rule,
                error: Some(error),
            } => write!(f, "rule {rule} could not run: {error}"),
        }
    }
}

impl From<ExpectedAction> for VerdictAction {
    fn from(action: ExpectedAction) -> Self {
        match action {
            ExpectedAction::Pass => Self::Pass,
            ExpectedAction::Warn => Self::Warn,
            ExpectedAction::Normalize => Self::Normalize,
            ExpectedAction::Redact => Self::Redact,
            ExpectedAction::Revise => Self::Revise,
            ExpectedAction::Review => Self::Review,
            ExpectedAction::Block => Self::Block,
        }
    }
}
