//! What was scanned of a call and what rules said of it, for the caller's headers and the call's record.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use aios_audit::Judged;
use aios_policy::{Evaluation, VerdictAction};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::channel::Channel;
use crate::lock::lock;

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

/// What was found so far: shared with who writes the record, however the call ends.
#[derive(Clone, Debug, Default)]
pub struct Report(Arc<Mutex<Found>>);

#[derive(Debug, Default)]
struct Found {
    bytes: [usize; Channel::ALL.len()],
    stripped: usize,
    action: Option<VerdictAction>,
    /// As in `house/no-keys`.
    rules: Vec<String>,
}

impl Report {
    pub fn scanned(&self, channel: Channel, bytes: usize) {
        let mut found = lock(&self.0);
        let mut counts = Channel::ALL.iter().zip(&mut found.bytes);
        if let Some((_, count)) = counts.find(|(known, _)| **known == channel) {
            *count += bytes;
        }
    }

    pub fn stripped(&self, values: usize) {
        lock(&self.0).stripped += values;
    }

    /// Takes what rules said of one text.
    pub fn judged(&self, evaluation: &Evaluation) {
        let verdict = &evaluation.verdict;
        let mut found = lock(&self.0);
        found.action = found.action.max(Some(verdict.action));
        for finding in &verdict.findings {
            found.spoke(&finding.policy, &finding.rule);
        }
        for error in &verdict.errors {
            found.spoke(&error.policy, &error.rule);
        }
    }

    /// A rule refused what came so far.
    pub fn blocked(&self, policy: &str, rule: &str) {
        let mut found = lock(&self.0);
        found.action = Some(VerdictAction::Block);
        found.spoke(policy, rule);
    }

    /// Whether a rule refused the call.
    pub fn is_blocked(&self) -> bool {
        lock(&self.0).action == Some(VerdictAction::Block)
    }

    /// Writes it down for the caller.
    pub fn write(&self, headers: &mut HeaderMap) {
        lock(&self.0).write(headers);
    }

    /// The same for the record, under the digest of the policies.
    pub fn record(&self, policies: &str) -> Judged<'static> {
        let found = lock(&self.0);
        let name = |channel: Channel| channel.as_str().into();
        let scanned = found.scanned();
        Judged {
            policies: policies.to_owned().into(),
            scanned: scanned
                .map(|(channel, bytes)| (name(channel), bytes as u64))
                .collect(),
            stripped: found.stripped as u64,
            action: found.action().as_str().into(),
            rules: found.rules.iter().cloned().map(Into::into).collect(),
        }
    }
}

impl Found {
    /// Where something was scanned, and how many bytes.
    fn scanned(&self) -> impl Iterator<Item = (Channel, usize)> {
        let counted = Channel::ALL.into_iter().zip(self.bytes);
        counted.filter(|(_, bytes)| *bytes > 0)
    }

    fn action(&self) -> VerdictAction {
        self.action.unwrap_or(VerdictAction::Pass)
    }

    fn spoke(&mut self, policy: &str, rule: &str) {
        let rule = format!("{policy}/{rule}");
        if self.rules.len() < NAMED && !self.rules.contains(&rule) {
            self.rules.push(rule);
        }
    }

    fn write(&self, headers: &mut HeaderMap) {
        let mut scanned = String::new();
        for (channel, bytes) in self.scanned() {
            add(&mut scanned, channel.as_str(), bytes);
        }
        if self.stripped > 0 {
            add(&mut scanned, "stripped", self.stripped);
        }
        let mut verdict = self.action().as_str().to_owned();
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
