//! What goes wrong on purpose.

use serde::{Deserialize, Serialize};

use super::request::Request;
use crate::SimulatorError;

/// When a fault happens; the first rule that is due wins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultRule {
    /// Text in the last user or the system message; without it every call matches.
    #[serde(rename = "match", default, skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// Only every n-th matching call, the n-th first.
    #[serde(default = "one")]
    pub every: u64,
    /// How often in all; without it for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    pub fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", deny_unknown_fields, rename_all_fields = "camelCase")]
pub enum Fault {
    /// 429 with Retry-After.
    RateLimit { retry_after_seconds: u64 },
    /// 500.
    ServerError,
    /// 529 from Anthropic, 503 from OpenAI.
    Overloaded,
    /// Answers nothing more after so many tokens, until the client goes. Without a stream, or at 0,
    /// not even a status comes.
    Stall { after_tokens: u64 },
    /// Breaks the connection after so many tokens; without a stream in the middle of the body.
    Cut { after_tokens: u64 },
    /// A slow start, in addition to the usual pace.
    Delay { ms: u64 },
}

impl Fault {
    pub const fn name(self) -> &'static str {
        match self {
            Self::RateLimit { .. } => "RateLimit",
            Self::ServerError => "ServerError",
            Self::Overloaded => "Overloaded",
            Self::Stall { .. } => "Stall",
            Self::Cut { .. } => "Cut",
            Self::Delay { .. } => "Delay",
        }
    }
}

/// The rules with what they have seen so far.
#[derive(Debug, Default)]
pub struct Faults(Vec<Armed>);

#[derive(Debug)]
struct Armed {
    rule: FaultRule,
    matched: u64,
    happened: u64,
}

impl Faults {
    pub fn new(rules: Vec<FaultRule>) -> Result<Self, SimulatorError> {
        if let Some(index) = rules.iter().position(|rule| rule.every == 0) {
            let why = "`every` must be 1 or more".into();
            return Err(SimulatorError::Rule { index, why });
        }
        let armed = |rule| Armed {
            rule,
            matched: 0,
            happened: 0,
        };
        Ok(Self(rules.into_iter().map(armed).collect()))
    }

    pub fn from_json(bytes: &[u8]) -> Result<Self, SimulatorError> {
        let rules = serde_json::from_slice(bytes).map_err(|error| SimulatorError::Format {
            what: "list of faults".into(),
            why: error.to_string(),
        })?;
        Self::new(rules)
    }

    pub fn rules(&self) -> Vec<FaultRule> {
        self.0.iter().map(|armed| armed.rule.clone()).collect()
    }

    /// The fault of this call, if one is due.
    pub fn take(&mut self, request: &Request) -> Option<Fault> {
        self.0.iter_mut().find_map(|armed| armed.take(request))
    }
}

impl Armed {
    fn take(&mut self, request: &Request) -> Option<Fault> {
        let matches =
            self.rule.contains.as_ref().is_none_or(|part| {
                request.last_user.contains(part) || request.system.contains(part)
            });
        let spent = self.rule.times.is_some_and(|times| self.happened >= times);
        if !matches || spent {
            return None;
        }
        self.matched += 1;
        if !self.matched.is_multiple_of(self.rule.every) {
            return None;
        }
        self.happened += 1;
        Some(self.rule.fault)
    }
}

fn one() -> u64 {
    1
}
