//! Where rules of several policies ask for what cannot be had together, and which word stands. Pure.

use std::{collections::BTreeMap, fmt};

use aios_crds::policy_set::{Action, Review, Rule};
use aios_policy::{CompiledPolicy, Document, Inputs, Part, PartName};
use aios_proto::config::PolicyScope;
use serde_json::{Map, Value};

use crate::Policy;

/// Lists by which a check lets something pass.
const ALLOWANCES: [&str; 2] = ["allow", "allowVariables"];

/// A rule by the policy it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleRef {
    pub policy: String,
    pub rule: String,
}

/// Two rules that do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// One demands a wording that the other fails: no text satisfies both.
    Wording {
        demands: RuleRef,
        fails: RuleRef,
        action: Action,
    },
    /// One demands more words, sentences or characters than the other lets through.
    Length {
        demands: RuleRef,
        fails: RuleRef,
        unit: &'static str,
    },
    /// A namespace's rule lets pass what the platform's same check does not: the platform's stands.
    Allowance {
        own: RuleRef,
        platform: RuleRef,
        items: Vec<String>,
    },
}

/// A rule, and who wrote it.
struct Known<'a> {
    scope: PolicyScope,
    policy: &'a str,
    rule: &'a Rule,
}

/// Conflicts among policies that one pipeline would run, in their order. Dry runs decide nothing and have
/// none. A rule with `when` counts as if it applied.
pub fn conflicts(policies: &[Policy]) -> Vec<Conflict> {
    let enforced = policies.iter().filter(|policy| !policy.config.dry_run);
    let known: Vec<_> = enforced
        .flat_map(|policy| {
            policy.config.rules.iter().map(|rule| Known {
                scope: policy.config.scope,
                policy: policy.compiled.name(),
                rule,
            })
        })
        .collect();
    let mut found = Vec::new();
    for one in &known {
        for other in &known {
            if std::ptr::eq(one.rule, other.rule) || !share_parts(one.rule, other.rule) {
                continue;
            }
            found.extend(wording(one, other));
            found.extend(length(one, other));
            found.extend(allowance(one, other));
        }
    }
    found
}

impl Conflict {
    /// The two rules.
    pub fn rules(&self) -> [&RuleRef; 2] {
        match self {
            Self::Wording { demands, fails, .. } | Self::Length { demands, fails, .. } => {
                [demands, fails]
            }
            Self::Allowance { own, platform, .. } => [own, platform],
        }
    }
}

impl Known<'_> {
    fn name(&self) -> RuleRef {
        RuleRef {
            policy: self.policy.to_owned(),
            rule: self.rule.name.clone(),
        }
    }
}

fn share_parts(one: &Rule, other: &Rule) -> bool {
    one.parts.is_empty()
        || other.parts.is_empty()
        || one.parts.iter().any(|part| other.parts.contains(part))
}

/// Whether a wording that `one` demands is what `other` fails.
fn wording(one: &Known<'_>, other: &Known<'_>) -> Option<Conflict> {
    let required = one.rule.require.iter().map(|check| check.text.as_str());
    let labels = one.rule.disclosure.iter().flat_map(|check| &check.labels);
    let mut texts = required.chain(labels.map(|label| label.text.as_str()));
    let alone = alone(other.rule)?;
    let fails = texts.any(|text| fires(&alone, text));
    fails.then(|| Conflict::Wording {
        demands: one.name(),
        fails: other.name(),
        action: other.rule.action,
    })
}

/// A rule that forbids, by itself and wherever it stands.
fn alone(rule: &Rule) -> Option<std::sync::Arc<CompiledPolicy>> {
    let forbids = rule.terms.is_some() || rule.pattern.is_some() || rule.pii.is_some();
    if !forbids || rule.action == Action::Warn {
        return None;
    }
    let bare = Rule {
        parts: Vec::new(),
        when: None,
        ..rule.clone()
    };
    let compiled = CompiledPolicy::compile("alone", &[bare], &Review::default());
    compiled.ok().map(std::sync::Arc::new)
}

fn fires(policy: &std::sync::Arc<CompiledPolicy>, text: &str) -> bool {
    let Ok(name) = "text".parse::<PartName>() else {
        return false;
    };
    let part = Part {
        kind: name.kind(),
        name,
        text: text.to_owned(),
    };
    let Ok(document) = Document::new(vec![part]) else {
        return false;
    };
    let inputs = Inputs {
        variables: &Value::Object(Map::new()),
        labels: &BTreeMap::new(),
        language: "",
        passages: &[],
        template: &[],
        step: aios_policy::Step::Final,
    };
    !policy
        .evaluate(&document, &inputs)
        .verdict
        .findings
        .is_empty()
}

fn length(one: &Known<'_>, other: &Known<'_>) -> Option<Conflict> {
    let (lower, upper) = (one.rule.length.as_ref()?, other.rule.length.as_ref()?);
    let above = |least: Option<_>, most: Option<_>| matches!((least, most), (Some(least), Some(most)) if least > most);
    let unit = if above(lower.min_words, upper.max_words) {
        "words"
    } else if above(lower.min_sentences, upper.max_sentences) {
        "sentences"
    } else if above(lower.min_characters, upper.max_characters) {
        "characters"
    } else {
        return None;
    };
    Some(Conflict::Length {
        demands: one.name(),
        fails: other.name(),
        unit,
    })
}

fn allowance(own: &Known<'_>, platform: &Known<'_>) -> Option<Conflict> {
    if (own.scope, platform.scope) != (PolicyScope::Namespace, PolicyScope::Cluster) {
        return None;
    }
    let (mine, theirs) = (check(own.rule)?, check(platform.rule)?);
    if mine.0 != theirs.0 || !share_kinds(&mine.1, &theirs.1) {
        return None;
    }
    let allowed = |check: &Value, list: &str| -> Vec<String> {
        let items = check.get(list).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str);
        texts.map(str::to_owned).collect()
    };
    let lists = ALLOWANCES.iter().flat_map(|list| {
        let theirs = allowed(&theirs.1, list);
        let mine = allowed(&mine.1, list);
        mine.into_iter().filter(move |item| !theirs.contains(item))
    });
    let items: Vec<_> = lists.collect();
    (!items.is_empty()).then(|| Conflict::Allowance {
        own: own.name(),
        platform: platform.name(),
        items,
    })
}

/// Whether two checks of identifying data look for a common kind; others always do.
fn share_kinds(one: &Value, other: &Value) -> bool {
    let kinds = |check: &Value| check.get("detect").and_then(Value::as_array).cloned();
    match (kinds(one), kinds(other)) {
        (Some(one), Some(other)) => one.iter().any(|kind| other.contains(kind)),
        _ => true,
    }
}

/// The checks that let something pass by a list.
fn check(rule: &Rule) -> Option<(&'static str, Value)> {
    let of = |name, check: Result<Value, _>| {
        check
            .ok()
            .filter(|check| !check.is_null())
            .map(|check| (name, check))
    };
    of("pii", serde_json::to_value(&rule.pii))
        .or_else(|| of("secrets", serde_json::to_value(&rule.secrets)))
        .or_else(|| of("links", serde_json::to_value(&rule.links)))
        .or_else(|| of("language", serde_json::to_value(&rule.language)))
        .or_else(|| of("facts", serde_json::to_value(&rule.facts)))
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.policy, self.rule)
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wording {
                demands,
                fails,
                action,
            } => write!(
                f,
                "{demands} demands a wording that {fails} answers with {action:?}: no text satisfies both"
            ),
            Self::Length {
                demands,
                fails,
                unit,
            } => write!(
                f,
                "{demands} demands more {unit} than {fails} lets through: no text satisfies both"
            ),
            Self::Allowance {
                own,
                platform,
                items,
            } => write!(
                f,
                "{own} lets {} pass and {platform} does not: the platform's word stands",
                items.join(", ")
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::conflicts;
    use crate::{Policy, Resolved, policy};
    use aios_crds::PolicySetSpec;
    use aios_proto::config::PolicyScope;
    use serde_json::{Value, json};

    fn of(scope: PolicyScope, name: &str, rules: &Value, dry_run: bool) -> Policy {
        let spec = json!({"rules": rules, "dryRun": dry_run});
        let spec: PolicySetSpec = serde_json::from_value(spec).unwrap();
        policy(name, scope, &spec, &Resolved::default()).unwrap()
    }

    fn told(platform: &Value, own: &Value, dry_run: bool) -> Vec<String> {
        let policies = [
            of(PolicyScope::Cluster, "platform", platform, false),
            of(PolicyScope::Namespace, "own", own, dry_run),
        ];
        conflicts(&policies)
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_demanded_wording_that_another_rule_fails_is_found() {
        let platform =
            json!([{"name": "no-promises", "action": "Block", "terms": {"list": ["guaranteed"]}}]);
        let own = json!([{"name": "notice", "action": "Revise", "require": {"text": "Returns are not guaranteed."}}]);
        assert_eq!(
            told(&platform, &own, false),
            [
                "own/notice demands a wording that cluster/platform/no-promises answers with Block: no text satisfies both"
            ]
        );
        assert!(told(&platform, &own, true).is_empty());
        let elsewhere = json!([{"name": "notice", "action": "Revise", "parts": ["text"],
            "require": {"text": "Returns are not guaranteed."}}]);
        let subject = json!([{"name": "no-promises", "action": "Block", "parts": ["subject"],
            "terms": {"list": ["guaranteed"]}}]);
        assert!(told(&subject, &elsewhere, false).is_empty());
    }

    #[test]
    fn bounds_that_exclude_each_other_are_found() {
        let platform = json!([{"name": "short", "action": "Block", "length": {"maxWords": 50}}]);
        let own = json!([{"name": "long", "action": "Revise", "length": {"minWords": 80}}]);
        assert_eq!(
            told(&platform, &own, false),
            [
                "own/long demands more words than cluster/platform/short lets through: no text satisfies both"
            ]
        );
        let platform = json!([{"name": "short", "action": "Block", "length": {"maxSentences": 2}}]);
        let own = json!([{"name": "long", "action": "Revise", "length": {"minSentences": 3}}]);
        assert!(told(&platform, &own, false)[0].contains("more sentences than"));
    }

    #[test]
    fn an_allowance_that_the_platform_does_not_make_has_no_effect() {
        let platform = json!([{"name": "pii", "action": "Block", "pii": {"detect": ["Email", "Iban"],
            "allow": ["help@bank.example"]}}]);
        let own = json!([{"name": "mine", "action": "Redact", "pii": {"detect": ["Email"],
            "allow": ["help@bank.example"], "allowVariables": ["customer.email"]}}]);
        assert_eq!(
            told(&platform, &own, false),
            [
                "own/mine lets customer.email pass and cluster/platform/pii does not: the platform's word stands"
            ]
        );
        let other = json!([{"name": "phones", "action": "Redact", "pii": {"detect": ["Phone"],
            "allowVariables": ["customer.phone"]}}]);
        assert!(told(&platform, &other, false).is_empty());
    }
}
