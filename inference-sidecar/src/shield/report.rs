//! What was scanned of a call and what rules said of it, for the caller's headers.

use std::fmt::Write as _;

use aios_policy::{Evaluation, VerdictAction};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::channel::Channel;

/// Digest of the policies that judged.
pub const POLICY: HeaderName = HeaderName::from_static("aios-policy-judged");
/// Bytes that were scanned, by channel.
pub const SCANNED: HeaderName = HeaderName::from_static("aios-policy-scanned");
/// The strictest action, and the rules that spoke.
pub const VERDICT: HeaderName = HeaderName::from_static("aios-policy-verdict");
/// Of those, what is known at a stream's end.
pub const AT_THE_END: &str = "aios-policy-scanned, aios-policy-verdict";

/// Rules that a header names.
const NAMED: usize = 8;

/// What was found so far.
#[derive(Clone, Debug, Default)]
pub struct Report {
    bytes: [usize; Channel::ALL.len()],
    stripped: usize,
    action: Option<VerdictAction>,
    /// As in `house/no-keys`.
    rules: Vec<String>,
}

impl Report {
    pub fn scanned(&mut self, channel: Channel, bytes: usize) {
        let mut counts = Channel::ALL.iter().zip(&mut self.bytes);
        if let Some((_, count)) = counts.find(|(known, _)| **known == channel) {
            *count += bytes;
        }
    }

    pub fn stripped(&mut self, values: usize) {
        self.stripped += values;
    }

    /// Takes what rules said of one text.
    pub fn judged(&mut self, evaluation: &Evaluation) {
        let verdict = &evaluation.verdict;
        self.action = self.action.max(Some(verdict.action));
        for found in &verdict.findings {
            self.spoke(&found.policy, &found.rule);
        }
        for error in &verdict.errors {
            self.spoke(&error.policy, &error.rule);
        }
    }

    /// A rule refused what came so far.
    pub fn blocked(&mut self, policy: &str, rule: &str) {
        self.action = Some(VerdictAction::Block);
        self.spoke(policy, rule);
    }

    fn spoke(&mut self, policy: &str, rule: &str) {
        let rule = format!("{policy}/{rule}");
        if self.rules.len() < NAMED && !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
    }

    /// Writes it down.
    pub fn write(&self, headers: &mut HeaderMap) {
        let mut scanned = String::new();
        let counted = Channel::ALL.iter().zip(self.bytes);
        let counted = counted.filter(|(_, bytes)| *bytes > 0);
        for (channel, bytes) in counted {
            add(&mut scanned, channel.as_str(), bytes);
        }
        if self.stripped > 0 {
            add(&mut scanned, "stripped", self.stripped);
        }
        let action = self.action.unwrap_or(VerdictAction::Pass);
        let mut verdict = action.as_str().to_owned();
        for rule in &self.rules {
            verdict.push(' ');
            verdict.push_str(rule);
        }
        for (name, value) in [(SCANNED, scanned), (VERDICT, verdict)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
    }
}

fn add(list: &mut String, name: &str, count: usize) {
    let comma = if list.is_empty() { "" } else { ", " };
    // Writing to a text does not fail.
    let _ = write!(list, "{comma}{name}={count}");
}
