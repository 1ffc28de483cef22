//! Which namespaces an operator is for, by their labels: a LabelSelector of Kubernetes, read strictly.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::core::{ParseExpressionError, Selector, SelectorExt};
use serde::{Deserialize, Serialize};

/// Kubernetes sets it on every namespace, and nobody can take it off.
const LABEL_OWN_NAME: &str = "kubernetes.io/metadata.name";

/// A selector as it is written, and as it selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceSelector {
    /// Canonical JSON.
    text: String,
    selector: Selector,
}

#[derive(Debug, thiserror::Error)]
pub enum SelectorError {
    #[error("not a LabelSelector as JSON, as {{\"matchLabels\": {{\"team\": \"a\"}}}}: {0}")]
    Json(#[from] serde_json::Error),
    #[error("matchExpressions[{key}]: {problem}")]
    Expression { key: String, problem: &'static str },
    #[error(transparent)]
    Kube(#[from] ParseExpressionError),
}

/// Kubernetes' own type takes a misspelled field for none, and so would select everything.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Written {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    match_labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    match_expressions: Vec<Requirement>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Requirement {
    key: String,
    operator: Operator,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    values: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl NamespaceSelector {
    /// Namespaces by their names; every one if none is named.
    pub fn of_names(names: &BTreeSet<String>) -> Result<Self, SelectorError> {
        let requirement = Requirement {
            key: LABEL_OWN_NAME.into(),
            operator: Operator::In,
            values: names.clone(),
        };
        let by_name = (!names.is_empty()).then_some(requirement);
        Self::of(Written {
            match_labels: BTreeMap::new(),
            match_expressions: by_name.into_iter().collect(),
        })
    }

    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector.matches(labels)
    }

    /// As JSON, always the same for the same selector.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As the API server takes it.
    pub fn query(&self) -> &Selector {
        &self.selector
    }

    fn of(written: Written) -> Result<Self, SelectorError> {
        let text = serde_json::to_string(&written)?;
        for requirement in &written.match_expressions {
            requirement.check()?;
        }
        let expressions = written.match_expressions.into_iter().map(Requirement::kube);
        let selector = LabelSelector {
            match_labels: Some(written.match_labels),
            match_expressions: Some(expressions.collect()),
        };
        Ok(Self {
            text,
            selector: selector.try_into()?,
        })
    }
}

impl Default for NamespaceSelector {
    /// Selects everything.
    fn default() -> Self {
        Self {
            text: "{}".into(),
            selector: Selector::default(),
        }
    }
}

impl FromStr for NamespaceSelector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Self, SelectorError> {
        Self::of(serde_json::from_str(text)?)
    }
}

impl Requirement {
    fn check(&self) -> Result<(), SelectorError> {
        let wants_values = matches!(self.operator, Operator::In | Operator::NotIn);
        let problem = match (wants_values, self.values.is_empty()) {
            (true, true) => "In and NotIn need values",
            (false, false) => "Exists and DoesNotExist have no values",
            _ => return Ok(()),
        };
        Err(SelectorError::Expression {
            key: self.key.clone(),
            problem,
        })
    }

    fn kube(self) -> LabelSelectorRequirement {
        let operator = match self.operator {
            Operator::In => "In",
            Operator::NotIn => "NotIn",
            Operator::Exists => "Exists",
            Operator::DoesNotExist => "DoesNotExist",
        };
        LabelSelectorRequirement {
            key: self.key,
            operator: operator.into(),
            values: (!self.values.is_empty()).then(|| self.values.into_iter().collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::NamespaceSelector;
    use std::collections::BTreeMap;

    fn parse(text: &str) -> NamespaceSelector {
        text.parse().unwrap()
    }

    fn labels(of: &[(&str, &str)]) -> BTreeMap<String, String> {
        of.iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn namespaces_are_chosen_by_labels_and_expressions_together() {
        let selector = parse(
            r#"{"matchLabels": {"team": "a"},
                "matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["test"]}]}"#,
        );
        assert!(selector.matches(&labels(&[("team", "a")])));
        assert!(!selector.matches(&labels(&[("team", "a"), ("tier", "test")])));
        assert!(!selector.matches(&labels(&[])));
        assert_eq!(selector.query().to_string(), "team=a,tier notin (test)");
        assert!(parse("{}").matches(&labels(&[])));
        let others =
            parse(r#"{"matchExpressions": [{"key": "team", "operator": "DoesNotExist"}]}"#);
        assert!(others.matches(&labels(&[])) && !others.matches(&labels(&[("team", "a")])));
    }

    #[test]
    fn a_selector_is_written_the_same_however_it_was_spelled() {
        let one = parse(
            r#"{"matchExpressions":[{"operator":"In","values":["b","a"],"key":"team"}],"matchLabels":{}}"#,
        );
        assert_eq!(
            one.text(),
            r#"{"matchExpressions":[{"key":"team","operator":"In","values":["a","b"]}]}"#
        );
        assert_eq!(parse(one.text()), one);
    }

    #[test]
    fn named_namespaces_are_a_selector_too() {
        let named = NamespaceSelector::of_names(&["one".to_owned()].into()).unwrap();
        assert!(named.matches(&labels(&[("kubernetes.io/metadata.name", "one")])));
        assert!(!named.matches(&labels(&[("kubernetes.io/metadata.name", "two")])));
        let all = NamespaceSelector::of_names(&[].into()).unwrap();
        assert_eq!((all.text(), all.matches(&labels(&[]))), ("{}", true));
    }

    #[test]
    fn a_misspelled_selector_is_refused_and_never_selects_everything() {
        for (wrong, says) in [
            (r#"{"matchLabel": {"team": "a"}}"#, "matchLabel"),
            ("team=a", "as JSON"),
            (
                r#"{"matchExpressions": [{"key": "team", "operator": "In"}]}"#,
                "need values",
            ),
            (
                r#"{"matchExpressions": [{"key": "team", "operator": "Exists", "values": ["a"]}]}"#,
                "have no values",
            ),
            (
                r#"{"matchExpressions": [{"key": "team", "operator": "Is", "values": ["a"]}]}"#,
                "Is",
            ),
        ] {
            let error = wrong.parse::<NamespaceSelector>().unwrap_err().to_string();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }
}
