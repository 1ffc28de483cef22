//! Releases a text while it is still being written, up to where no match could begin any more.
//!
//! Windowed rules (`Class`) settle text before their frontier. All others, and HTML, hold the text to
//! its end, and so is what may still become JSON: its escapes are read as a whole. A monotone rule that
//! blocks stops the writer as soon as it is broken.
//!
//! What is settled for every rule is not read again: a look costs what the bytes since then cost, and some
//! in front of them by which the checks see where they stand. Only sizes are counted over the whole text,
//! when it has grown by a sixty-fourth; and a text without white space has no place to begin anew.

use std::{iter, ops::Range};

use std::sync::Arc;

use unicode_segmentation::UnicodeSegmentation;

use aios_crds::policy_set::{Action, OnError};

use crate::{
    compile::{CompiledPolicy, CompiledRule},
    document::{Document, DocumentError, Part, PartKind, PartName},
    evaluate::{Evaluation, PolicyStack, Scene, applies, finding, merged, ranges, span},
    explain::Class,
    inputs::Inputs,
    rule::{Checker, Length, Links, Ranges, Secrets},
    verdict::{Finding, Verdict, VerdictAction},
    view::{JsonPrefix, PartView},
    work::spend,
};

/// New bytes that are worth a look, beside a sixty-fourth of what is to be read for it.
const LEAST_GROWTH: usize = 16;
/// Bytes in front of what is settled that decide what follows: the longest account number, or a word
/// that announces a password and the gap behind it.
const CONTEXT: usize = 160;

/// Judges one part of a document while it arrives.
#[derive(Debug)]
pub struct StreamScanner<'a> {
    stack: PolicyStack,
    inputs: &'a Inputs<'a>,
    part: PartName,
    watched: Vec<Watched>,
    text: String,
    released: usize,
    /// Length at the last look.
    scanned: usize,
    /// Length at which sizes were counted last.
    counted: usize,
    /// No rule's match begins before this that has not been seen.
    settled: usize,
    /// Where the next look begins.
    begin: usize,
    state: State,
    /// While the text may become JSON.
    json: Option<JsonPrefix>,
}

/// A rule that is asked while the text is written.
#[derive(Debug)]
struct Watched {
    policy: Arc<CompiledPolicy>,
    /// Index of the rule in it.
    rule: usize,
    class: Class,
}

impl Watched {
    fn rule(&self) -> Option<&CompiledRule> {
        self.policy.rules.get(self.rule)
    }
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

/// What a look brings up while nothing stops the text.
#[derive(Debug)]
struct Seen {
    settled: usize,
    first_match: usize,
}

/// Why nothing more is released.
#[derive(Debug)]
enum Stop {
    Blocked(Box<Finding>),
    /// A rule can't run on what there is so far: the end decides.
    Undecided,
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
    pub fn new(stack: &PolicyStack, part: PartName, inputs: &'a Inputs<'a>) -> Self {
        let html = part.kind() == PartKind::Html;
        // Who is sampled is known once the whole text is.
        let asks = |policy: &Arc<CompiledPolicy>| policy.always_review || policy.sample_percent > 0;
        let mut holds = html || stack.policies().iter().any(asks);
        let mut watched = Vec::new();
        for policy in stack.policies() {
            for (index, rule) in policy.rules.iter().enumerate() {
                let Some(class) = class(rule, &part, inputs) else {
                    continue;
                };
                holds |= class != Class::Windowed;
                watched.push(Watched {
                    policy: policy.clone(),
                    rule: index,
                    class,
                });
            }
        }
        let state = if holds {
            // What can't stop the writer need not be asked before the end.
            let blocks = |rule: &CompiledRule| rule.action == Action::Block;
            let stops = |watched: &Watched| watched.rule().is_some_and(blocks);
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
            stack: stack.clone(),
            inputs,
            part,
            watched,
            text: String::new(),
            released: 0,
            scanned: 0,
            counted: 0,
            settled: 0,
            begin: 0,
            state,
            json: Some(JsonPrefix::default()),
        }
    }

    /// Takes the next piece of text.
    pub fn push(&mut self, piece: &str) -> Pushed {
        self.text.push_str(piece);
        if self.json.as_mut().is_some_and(|json| json.goes_on(piece)) {
            return Pushed::Held;
        }
        self.json = None;
        let due = self.scanned + LEAST_GROWTH + (self.scanned - self.begin) / 64;
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
        let shown = self.shown().to_owned();
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

    /// What was released so far.
    pub fn shown(&self) -> &str {
        self.text.get(..self.released).unwrap_or_default()
    }

    /// Bytes released so far.
    pub fn released(&self) -> usize {
        self.released
    }

    /// Bytes that came so far.
    pub fn received(&self) -> usize {
        self.text.len()
    }

    /// Bytes that came and are not released.
    pub fn held(&self) -> usize {
        self.text.len() - self.released
    }

    fn scan(&mut self) -> Pushed {
        let Some(stable) = self.stable() else {
            return Pushed::Held;
        };
        match self.look(stable) {
            Ok(Seen {
                settled,
                first_match,
            }) => {
                self.settled = settled.max(self.settled);
                self.begin = self.next_begin();
                if matches!(self.state, State::Holding) {
                    return Pushed::Held;
                }
                if first_match < stable {
                    self.state = State::Holding;
                }
                self.release(settled.min(first_match))
            }
            Err(Stop::Blocked(finding)) => {
                self.state = State::Blocked(finding.clone());
                Pushed::Blocked(finding)
            }
            Err(Stop::Undecided) => {
                self.state = State::Waiting;
                Pushed::Held
            }
        }
    }

    /// Where the last cluster begins: it may still grow.
    fn stable(&self) -> Option<usize> {
        let tail = self.text.get(self.begin..)?;
        let last = tail.grapheme_indices(true).next_back();
        last.map(|(at, _)| self.begin + at)
    }

    /// White space between ASCII, some way in front of what is settled: no word, cluster or number goes on
    /// across it that matters behind.
    fn next_begin(&self) -> usize {
        let bytes = self.text.as_bytes();
        let latest = self.settled.saturating_sub(CONTEXT);
        let parts = |at: &usize| {
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            before.is_some_and(u8::is_ascii_graphic) && matches!(bytes.get(*at), Some(b' ' | b'\n'))
        };
        let found = (self.begin..latest).rev().find(parts);
        let begin = found.unwrap_or(self.begin);
        spend(latest.saturating_sub(begin));
        begin
    }

    /// Asks every watched rule about what is not settled.
    fn look(&mut self, stable: usize) -> Result<Seen, Stop> {
        let begin = self.begin;
        let window = self.document(begin..stable)?;
        let scene = Scene::of_window(&window, self.inputs);
        let counts = stable >= self.counted + LEAST_GROWTH + self.counted / 64;
        let mut seen = Seen {
            settled: stable,
            first_match: stable,
        };
        for watched in &self.watched {
            let Some(rule) = watched.rule().filter(|rule| rule.reads(&self.part)) else {
                continue;
            };
            let policy = &watched.policy;
            if let Checker::Length(length) = &rule.checker {
                if counts && !self.is_within(length, stable)? {
                    return Err(self.blocked(policy, rule, iter::once(0..stable)));
                }
                continue;
            }
            let (frontier, found) = self.windowed(rule, &scene, begin..stable)?;
            seen.settled = seen.settled.min(frontier);
            let mut found = found.into_iter().peekable();
            let warns = rule.action == Action::Warn;
            if let Some(first) = found.peek().filter(|_| !warns) {
                seen.first_match = seen.first_match.min(first.start);
                if rule.action == Action::Block {
                    return Err(self.blocked(policy, rule, found));
                }
            }
        }
        if counts {
            self.counted = stable;
        }
        Ok(seen)
    }

    fn document(&self, range: Range<usize>) -> Result<Document, Stop> {
        spend(range.len());
        let part = Part {
            name: self.part.clone(),
            kind: self.part.kind(),
            text: self.text.get(range).unwrap_or_default().to_owned(),
        };
        Document::new(vec![part]).map_err(|_| Stop::Undecided)
    }

    fn is_within(&self, length: &Length, stable: usize) -> Result<bool, Stop> {
        let whole = self.document(0..stable)?;
        Ok(whole
            .parts()
            .iter()
            .map(PartView::of_window)
            .all(|view| length.holds(&view)))
    }

    /// Up to where the text is settled for a rule, and where its check fails between what was settled
    /// before and that.
    fn windowed(
        &self,
        rule: &CompiledRule,
        scene: &Scene<'_>,
        window: Range<usize>,
    ) -> Result<(usize, Ranges), Stop> {
        let Some(view) = scene.parts(rule).next() else {
            return Ok((window.end, Ranges::new()));
        };
        let begin = window.start;
        let (frontier, found) = if let Checker::Pattern(pattern) = &rule.checker {
            // Its assertions look at all that stands in front.
            let text = self.text.get(..window.end).unwrap_or_default();
            (pattern.frontier(text), pattern.find_from(text, begin))
        } else {
            let found = ranges(rule, view, scene).map_err(|_| Stop::Undecided)?;
            let found = found
                .into_iter()
                .map(|range| range.start + begin..range.end + begin);
            let frontier = begin + frontier(&rule.checker, view);
            (frontier, found.collect())
        };
        let mut found = merged(found);
        found.retain(|range| (self.settled..frontier).contains(&range.start));
        Ok((frontier, found))
    }

    fn blocked(
        &self,
        policy: &CompiledPolicy,
        rule: &CompiledRule,
        found: impl Iterator<Item = Range<usize>>,
    ) -> Stop {
        let spans = found.map(|range| span(&self.part, range)).collect();
        Stop::Blocked(Box::new(finding(policy, rule, spans)))
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
        Checker::Cel(_) | Checker::Disclosure(_) | Checker::Moderation(_) => harmless,
        Checker::Injection(injection) => warns || injection.find(inputs).is_empty(),
        Checker::Require(_) => warns,
        Checker::Language(_) | Checker::Terms(_) | Checker::Pii(_) | Checker::Leak(_) => {
            harmless || !rule.reads(part)
        }
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

/// First byte of the part at which a match could begin that more text would settle.
fn frontier(checker: &Checker, view: &PartView<'_>) -> usize {
    let layer = view.visible();
    let text = layer.text.as_str();
    match checker {
        Checker::Terms(terms) => terms.frontier(layer),
        Checker::Pii(pii) => layer.compat_start(pii.frontier(layer.compat())),
        Checker::Secrets(_) => layer.compat_start(Secrets::frontier(layer.compat())),
        Checker::Links(_) => Links::frontier(text),
        Checker::Pattern(pattern) => pattern.frontier(text),
        Checker::Leak(_)
        | Checker::Require(_)
        | Checker::Disclosure(_)
        | Checker::Length(_)
        | Checker::Style(_)
        | Checker::Language(_)
        | Checker::Facts(_)
        | Checker::Citations(_)
        | Checker::Schema(_)
        | Checker::Injection(_)
        | Checker::Moderation(_)
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
