//! Releases a text while it is still being written, up to where no match could begin any more.
//!
//! Windowed rules (`Class`) settle text before their frontier. All others, and HTML, hold the text to
//! its end; a monotone one that blocks stops the writer as soon as it is broken. The scanner reads the
//! whole text again whenever it has grown by a sixty-fourth, which keeps the work near linear.

use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use aios_crds::policy_set::{Action, OnError};

use crate::{
    compile::{CompiledPolicy, CompiledRule},
    document::{Document, DocumentError, Part, PartKind, PartName},
    evaluate::{Evaluation, PolicyStack, Scene, applies, finding, merged, ranges, span},
    explain::Class,
    inputs::Inputs,
    rule::{Checker, Failure, Links, Ranges, Secrets},
    verdict::{Finding, Verdict, VerdictAction},
    view::PartView,
};

/// New bytes that are worth a look, beside a sixty-fourth of the text.
const LEAST_GROWTH: usize = 16;

/// Judges one part of a document while it arrives.
#[derive(Debug)]
pub struct StreamScanner<'a> {
    stack: &'a PolicyStack,
    inputs: &'a Inputs<'a>,
    part: PartName,
    watched: Vec<Watched<'a>>,
    text: String,
    released: usize,
    scanned: usize,
    state: State,
}

/// A rule that is asked while the text is written.
#[derive(Debug)]
struct Watched<'a> {
    policy: &'a CompiledPolicy,
    rule: &'a CompiledRule,
    class: Class,
}

#[derive(Debug)]
enum State {
    Flowing,
    /// Nothing more is released before the end, which may come early.
    Holding,
    /// The same, and nothing is looked at any more.
    Waiting,
    Blocked(Box<Finding>),
}

/// What became of the text after a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// This text may be shown; it follows what was released before.
    Released(String),
    /// Nothing may be shown for now.
    Held,
    /// The text is refused; stop the writer. What was released holds nothing of the match.
    Blocked(Box<Finding>),
}

/// The end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The answer to the whole text, as `PolicyStack::evaluate` gives it; but `Block` where a
    /// redaction would have to replace what was released.
    pub evaluation: Evaluation,
    /// What may be shown after what was released, when the text may go on by itself.
    pub rest: Option<String>,
}

impl<'a> StreamScanner<'a> {
    /// Starts on an empty part.
    pub fn new(stack: &'a PolicyStack, part: PartName, inputs: &'a Inputs<'a>) -> Self {
        let html = part.kind() == PartKind::Html;
        // Who is sampled is known once the whole text is.
        let asks = |policy: &Arc<CompiledPolicy>| policy.always_review || policy.sample_percent > 0;
        let mut holds = html || stack.policies().iter().any(asks);
        let mut watched = Vec::new();
        for policy in stack.policies() {
            for rule in &policy.rules {
                let Some(class) = class(rule, &part, inputs) else {
                    continue;
                };
                holds |= class != Class::Windowed;
                watched.push(Watched {
                    policy,
                    rule,
                    class,
                });
            }
        }
        let state = if holds {
            // What can't stop the writer need not be asked before the end.
            let stops = |watched: &Watched<'_>| watched.rule.action == Action::Block;
            watched.retain(|watched| stops(watched) && watched.class != Class::WholeText);
            if html || watched.is_empty() {
                State::Waiting
            } else {
                State::Holding
            }
        } else {
            State::Flowing
        };
        Self {
            stack,
            inputs,
            part,
            watched,
            text: String::new(),
            released: 0,
            scanned: 0,
            state,
        }
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, piece: &str) -> Pushed {
        self.text.push_str(piece);
        let due = self.scanned + LEAST_GROWTH + self.scanned / 64;
        if matches!(self.state, State::Flowing | State::Holding) && self.text.len() >= due {
            self.scanned = self.text.len();
            return self.scan();
        }
        match &self.state {
            State::Blocked(finding) => Pushed::Blocked(finding.clone()),
            State::Flowing | State::Holding | State::Waiting => Pushed::Held,
        }
    }

    /// Judges the whole text.
    pub fn finish(self) -> Result<Finished, DocumentError> {
        let kind = self.part.kind();
        let shown = self
            .text
            .get(..self.released)
            .unwrap_or_default()
            .to_owned();
        let part = Part {
            name: self.part,
            kind,
            text: self.text,
        };
        let document = Document::new(vec![part])?;
        let mut evaluation = self.stack.evaluate(&document, self.inputs);
        let last = evaluation.redacted.as_ref().unwrap_or(&document);
        let text = last
            .parts()
            .first()
            .map(|part| part.text.as_str())
            .unwrap_or_default();
        let rest = text.strip_prefix(shown.as_str()).map(str::to_owned);
        if rest.is_none() {
            // A later redaction reached back into what was shown: too late to replace.
            evaluation.refuse();
        }
        let rest = rest.filter(|_| evaluation.verdict.passes());
        Ok(Finished { evaluation, rest })
    }

    /// Bytes released so far.
    pub fn released(&self) -> usize {
        self.released
    }

    fn scan(&mut self) -> Pushed {
        // The last cluster may still grow.
        let stable = self
            .text
            .grapheme_indices(true)
            .next_back()
            .map_or(0, |(at, _)| at);
        let text = self.text.get(..stable).unwrap_or_default().to_owned();
        let part = Part {
            name: self.part.clone(),
            kind: self.part.kind(),
            text,
        };
        let Ok(document) = Document::new(vec![part]) else {
            self.state = State::Waiting;
            return Pushed::Held;
        };
        let mut settled = stable;
        let mut first_match = stable;
        let scene = Scene::new(&document, self.inputs);
        for watched in &self.watched {
            for view in scene.parts(watched.rule) {
                let Ok((frontier, found)) = seen(watched, view, &scene) else {
                    self.state = State::Waiting;
                    return Pushed::Held;
                };
                settled = settled.min(frontier);
                let warns = watched.rule.action == Action::Warn;
                let Some(first) = found.first().filter(|_| !warns) else {
                    continue;
                };
                first_match = first_match.min(first.start);
                if watched.rule.action == Action::Block {
                    let spans = found
                        .into_iter()
                        .map(|range| span(&self.part, range))
                        .collect();
                    let finding = Box::new(finding(watched.policy, watched.rule, spans));
                    self.state = State::Blocked(finding.clone());
                    return Pushed::Blocked(finding);
                }
            }
        }
        if matches!(self.state, State::Holding) {
            return Pushed::Held;
        }
        if first_match < stable {
            self.state = State::Holding;
        }
        self.release(settled.min(first_match))
    }

    fn release(&mut self, until: usize) -> Pushed {
        let until = self.text.floor_char_boundary(until);
        match self.text.get(self.released..until) {
            Some(text) if !text.is_empty() => {
                self.released = until;
                Pushed::Released(text.to_owned())
            }
            _ => Pushed::Held,
        }
    }
}

/// What a rule means for text that has not ended; `None` where it can't keep this text from going on.
fn class(rule: &CompiledRule, part: &PartName, inputs: &Inputs<'_>) -> Option<Class> {
    match applies(rule, inputs) {
        Ok(true) => {}
        Err(_) if rule.on_error != OnError::Open => return Some(Class::WholeText),
        Ok(false) | Err(_) => return None,
    }
    let warns = rule.action == Action::Warn;
    let harmless = warns && rule.on_error == OnError::Open;
    let silent = match &rule.checker {
        // A condition, and what must occur, can fail without this part.
        Checker::Cel(_) | Checker::Disclosure(_) => harmless,
        Checker::Injection(injection) => warns || injection.find(inputs).is_empty(),
        Checker::Require(_) => warns,
        Checker::Language(_) | Checker::Terms(_) | Checker::Pii(_) => harmless || !rule.reads(part),
        Checker::Length(_)
        | Checker::Facts(_)
        | Checker::Pattern(_)
        | Checker::Secrets(_)
        | Checker::Links(_)
        | Checker::Style(_)
        | Checker::Citations(_)
        | Checker::Schema(_) => warns || !rule.reads(part),
    };
    let class = match &rule.checker {
        Checker::Injection(_) => Class::WholeText,
        checker => checker.class(),
    };
    (!silent).then_some(class)
}

/// Up to where the text is settled for a rule, and where its check fails before that.
fn seen(
    watched: &Watched<'_>,
    view: &PartView<'_>,
    scene: &Scene<'_>,
) -> Result<(usize, Ranges), Failure> {
    if let Checker::Length(length) = &watched.rule.checker {
        let all = 0..view.part.text.len();
        let broken = !length.holds(view);
        return Ok((0, broken.then_some(all).into_iter().collect()));
    }
    let frontier = frontier(&watched.rule.checker, view);
    let mut found = merged(ranges(watched.rule, view, scene)?);
    found.retain(|range| range.start < frontier);
    Ok((frontier, found))
}

/// First byte of the part at which a match could begin that more text would settle.
fn frontier(checker: &Checker, view: &PartView<'_>) -> usize {
    let layer = view.visible();
    let text = layer.text.as_str();
    match checker {
        Checker::Terms(terms) => terms.frontier(layer),
        Checker::Pii(pii) => {
            let compat = layer.compat();
            compat.source_start(pii.frontier(compat.as_str()), text.len())
        }
        Checker::Secrets(_) => {
            let compat = layer.compat();
            compat.source_start(Secrets::frontier(compat.as_str()), text.len())
        }
        Checker::Links(_) => Links::frontier(text),
        Checker::Pattern(pattern) => pattern.frontier(text),
        Checker::Require(_)
        | Checker::Disclosure(_)
        | Checker::Length(_)
        | Checker::Style(_)
        | Checker::Language(_)
        | Checker::Facts(_)
        | Checker::Citations(_)
        | Checker::Schema(_)
        | Checker::Injection(_)
        | Checker::Cel(_) => 0,
    }
}

impl Evaluation {
    fn refuse(&mut self) {
        self.redacted = None;
        let Verdict {
            action,
            redacted,
            sampled,
            review_due,
            ..
        } = &mut self.verdict;
        *action = VerdictAction::Block;
        *redacted = None;
        *sampled = false;
        *review_due = None;
    }
}
