//! Whether a policy is fit to be offered: it compiles, and says of its own tests what it must. Pure.

use aios_compile::{Diagnostic, Policy, PolicySource, Trial, holding};
use aios_proto::control::Item;

/// Failed tests in one message.
const SHOWN: usize = 3;
/// Differences of one test in one message.
const DIFFERENCES: usize = 3;

/// A policy that is fit to be offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    pub digest: String,
    /// By which revisions this operator judges.
    pub engine: String,
    pub rules: usize,
    /// Whether they only report.
    pub dry_run: bool,
    /// Rules that hold streamed answers of models to their end.
    pub holding: Vec<String>,
    /// Own tests, all of which pass.
    pub tests: usize,
}

/// Why a policy is not offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    Mistakes {
        found: Vec<Diagnostic>,
        /// Whether it has tests, which could not be run.
        has_tests: bool,
    },
    /// It compiles, and fails its own tests.
    Tests { rules: usize, told: String },
}

impl Fit {
    /// What an item was made of that was found fit before.
    pub fn of(item: &Item, source: PolicySource<'_>) -> Self {
        Self {
            digest: item.digest.clone(),
            engine: item.engine.clone(),
            rules: source.rules.len(),
            dry_run: source.dry_run,
            holding: holding(source.rules),
            tests: source.tests.len(),
        }
    }
}

/// Runs the policy's own tests.
pub fn tried(policy: &Policy) -> Result<(), Unfit> {
    let trials = policy.tests.run(&policy.compiled);
    let failed: Vec<_> = trials.iter().filter(|trial| !trial.passes()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Unfit::Tests {
        rules: policy.config.rules.len(),
        told: told(&failed, trials.len()),
    })
}

/// As in `1 of 4 tests fails: names-acme: expected Block, got Pass`.
fn told(failed: &[&Trial], total: usize) -> String {
    let shown = failed.iter().take(SHOWN).map(|trial| {
        let differences = trial.differences.iter().take(DIFFERENCES);
        let differences: Vec<_> = differences.map(ToString::to_string).collect();
        format!("{}: {}", trial.name, differences.join(", "))
    });
    let shown: Vec<_> = shown.collect();
    let verb = if failed.len() == 1 { "fails" } else { "fail" };
    format!(
        "{} of {total} tests {verb}: {}; `kubectl aios policy test -f FILE` shows all",
        failed.len(),
        shown.join(" | ")
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Unfit, tried};
    use aios_compile::{Policy, Resolved, policy};
    use aios_crds::PolicySetSpec;
    use aios_proto::config::PolicyScope;
    use serde_json::{Value, json};

    fn with(tests: &Value) -> Policy {
        let spec: PolicySetSpec = serde_json::from_value(json!({
            "rules": [{"name": "no-acme", "action": "Block", "terms": {"list": ["Acme"]}}],
            "tests": tests,
        }))
        .unwrap();
        policy("tone", PolicyScope::Namespace, &spec, &Resolved::default()).unwrap()
    }

    #[test]
    fn a_policy_that_says_what_its_tests_expect_is_fit() {
        let tests = json!([
            {"name": "acme", "text": "Unlike Acme", "expect": {"action": "Block", "rules": ["no-acme"]}},
            {"name": "plain", "text": "Hello", "expect": {"action": "Pass", "rules": []}},
        ]);
        assert_eq!(tried(&with(&tests)), Ok(()));
        assert_eq!(tried(&with(&json!([]))), Ok(()));
    }

    #[test]
    fn a_failed_test_is_named_with_what_the_policy_says_instead_and_without_its_text() {
        let tests = json!([
            {"name": "missed", "text": "Hello Ms Secret", "expect": {"action": "Block", "rules": ["no-acme"]}},
            {"name": "plain", "text": "Hello", "expect": {"action": "Pass"}},
        ]);
        let Err(Unfit::Tests { rules: 1, told }) = tried(&with(&tests)) else {
            panic!("it is fit");
        };
        assert_eq!(
            told,
            "1 of 2 tests fails: missed: expected Block, got Pass, rule no-acme did not fire; \
             `kubectl aios policy test -f FILE` shows all"
        );
    }
}
