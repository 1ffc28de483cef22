//! Releases a text while it is still being written, up to where no match could begin any more.
//!
//! Rules with bounded matches (terms, bounded patterns, identifying data) are windowed: text before
//! their frontier is settled. All others, and HTML, hold the text to its end. The scanner reads the
//! whole text again whenever it has grown by a sixty-fourth, which keeps the work near linear.

use unicode_segmentation::UnicodeSegmentation;

use aios_crds::policy_set::{Action, OnError};

use crate::{
    compile::{CompiledPolicy, CompiledRule},
    document::{Document, DocumentError, Part, PartKind, PartName},
    evaluate::{Evaluation, PolicyStack, Scene, applies, finding, merged, ranges, span},
    inputs::Inputs,
    rule::Checker,
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
    windowed: Vec<(&'a CompiledPolicy, &'a CompiledRule)>,
    text: String,
    released: usize,
    scanned: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    Flowing,
    /// Nothing more is released before the end.
    Holding,
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
        let rules = stack
            .policies()
            .iter()
            .flat_map(|policy| policy.rules.iter().map(move |rule| (policy.as_ref(), rule)));
        let classed: Vec<_> = rules
            .map(|(policy, rule)| (policy, rule, class(rule, &part, inputs)))
            .collect();
        let holds = part.kind() == PartKind::Html
            || stack.policies().iter().any(|policy| policy.always_review)
            || classed.iter().any(|(.., class)| *class == Class::WholeText);
        let windowed = classed
            .into_iter()
            .filter(|(.., class)| *class == Class::Windowed)
            .map(|(policy, rule, _)| (policy, rule))
            .collect();
        let state = if holds {
            State::Holding
        } else {
            State::Flowing
        };
        Self {
            stack,
            inputs,
            part,
            windowed,
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
        if matches!(self.state, State::Flowing) && self.text.len() >= due {
            self.scanned = self.text.len();
            return self.scan();
        }
        match &self.state {
            State::Blocked(finding) => Pushed::Blocked(finding.clone()),
            State::Flowing | State::Holding => Pushed::Held,
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
            self.state = State::Holding;
            return Pushed::Held;
        };
        let mut settled = stable;
        let mut first_match = stable;
        let scene = Scene::new(&document, self.inputs);
        for (policy, rule) in &self.windowed {
            for view in scene.parts(rule) {
                let frontier = frontier(&rule.checker, view);
                settled = settled.min(frontier);
                let Ok(found) = ranges(rule, view, &scene) else {
                    self.state = State::Holding;
                    return Pushed::Held;
                };
                let found: Vec<_> = merged(found)
                    .into_iter()
                    .filter(|range| range.start < frontier)
                    .collect();
                let Some(first) = found.first().filter(|_| rule.action != Action::Warn) else {
                    continue;
                };
                first_match = first_match.min(first.start);
                if rule.action == Action::Block {
                    let spans = found
                        .into_iter()
                        .map(|range| span(&self.part, range))
                        .collect();
                    let finding = Box::new(finding(policy, rule, spans));
                    self.state = State::Blocked(finding.clone());
                    return Pushed::Blocked(finding);
                }
            }
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

/// What a rule means for text that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// It can't keep this text from going on.
    Silent,
    Windowed,
    WholeText,
}

fn class(rule: &CompiledRule, part: &PartName, inputs: &Inputs<'_>) -> Class {
    match applies(rule, inputs) {
        Ok(true) => {}
        Err(_) if rule.on_error != OnError::Open => return Class::WholeText,
        Ok(false) | Err(_) => return Class::Silent,
    }
    let reads = rule.parts.is_empty() || rule.parts.contains(part);
    let warns = rule.action == Action::Warn;
    let harmless = warns && rule.on_error == OnError::Open;
    let silent = match &rule.checker {
        Checker::Cel(_) => harmless,
        Checker::Require(_) => warns,
        Checker::Length(_) | Checker::Facts(_) | Checker::Pattern(_) => warns || !reads,
        Checker::Terms(_) | Checker::Pii(_) => harmless || !reads,
    };
    let windowed = match &rule.checker {
        Checker::Terms(_) | Checker::Pii(_) => true,
        Checker::Pattern(pattern) => pattern.is_bounded(),
        Checker::Cel(_) | Checker::Require(_) | Checker::Length(_) | Checker::Facts(_) => false,
    };
    match (silent, windowed) {
        (true, _) => Class::Silent,
        (_, true) => Class::Windowed,
        _ => Class::WholeText,
    }
}

/// First byte of the part at which a match could begin that more text would settle.
fn frontier(checker: &Checker, view: &PartView<'_>) -> usize {
    let layer = view.visible();
    let text = layer.text.as_str();
    match checker {
        Checker::Terms(terms) => {
            let folded = layer.folded();
            folded.source_start(terms.frontier(folded.as_str()), text.len())
        }
        Checker::Pii(pii) => {
            let compat = layer.compat();
            compat.source_start(pii.frontier(compat.as_str()), text.len())
        }
        Checker::Pattern(pattern) => pattern.frontier(text),
        Checker::Require(_) | Checker::Length(_) | Checker::Facts(_) | Checker::Cel(_) => 0,
    }
}

impl Evaluation {
    fn refuse(&mut self) {
        self.redacted = None;
        let Verdict {
            action,
            redacted,
            review_due,
            ..
        } = &mut self.verdict;
        *action = VerdictAction::Block;
        *redacted = None;
        *review_due = None;
    }
}
