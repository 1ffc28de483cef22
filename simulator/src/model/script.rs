//! Answers that were decided beforehand.

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::request::Request;
use crate::SimulatorError;

/// One rule: the first that matches gives the answer. A rule without `match` and `regex` is refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScriptRule {
    /// Text that must occur.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Regular expression that must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    #[serde(rename = "in", default)]
    pub place: Place,
    /// Only for this model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    pub answer: String,
}

/// Where a rule looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// The last user message or the system message.
    #[default]
    Any,
    LastUser,
    System,
}

/// Rules with their expressions compiled.
#[derive(Debug, Default)]
pub struct Script(Vec<(ScriptRule, Option<Regex>)>);

impl ScriptRule {
    /// Answers everything.
    pub fn always(answer: &str) -> Self {
        Self {
            contains: Some(String::new()),
            regex: None,
            place: Place::Any,
            model: None,
            answer: answer.to_owned(),
        }
    }
}

impl Script {
    pub fn new(rules: Vec<ScriptRule>) -> Result<Self, SimulatorError> {
        let compiled = rules.into_iter().enumerate().map(|(index, rule)| {
            let problem = |why: String| SimulatorError::Rule { index, why };
            if rule.contains.is_none() && rule.regex.is_none() {
                return Err(problem("set `match` or `regex`".into()));
            }
            let regex = rule.regex.as_deref().map(Regex::new).transpose();
            Ok((rule, regex.map_err(|error| problem(error.to_string()))?))
        });
        compiled.collect::<Result<_, _>>().map(Self)
    }

    pub fn from_json(bytes: &[u8]) -> Result<Self, SimulatorError> {
        let rules = serde_json::from_slice(bytes).map_err(|error| SimulatorError::Format {
            what: "script".into(),
            why: error.to_string(),
        })?;
        Self::new(rules)
    }

    pub fn rules(&self) -> Vec<ScriptRule> {
        self.0.iter().map(|(rule, _)| rule.clone()).collect()
    }

    /// Index and answer of the first rule that matches.
    pub fn answer(&self, request: &Request) -> Option<(usize, &str)> {
        let found = self.0.iter().enumerate().find(|(_, (rule, regex))| {
            let model = rule
                .model
                .as_ref()
                .is_none_or(|model| *model == request.model);
            model
                && rule
                    .place
                    .texts(request)
                    .any(|text| matches(rule, regex.as_ref(), text))
        });
        found.map(|(index, (rule, _))| (index, rule.answer.as_str()))
    }
}

impl Place {
    fn texts(self, request: &Request) -> impl Iterator<Item = &str> {
        let user = (self != Self::System).then_some(request.last_user.as_str());
        let system = (self != Self::LastUser).then_some(request.system.as_str());
        user.into_iter().chain(system)
    }
}

fn matches(rule: &ScriptRule, regex: Option<&Regex>, text: &str) -> bool {
    rule.contains
        .as_ref()
        .is_none_or(|part| text.contains(part))
        && regex.is_none_or(|regex| regex.is_match(text))
}
