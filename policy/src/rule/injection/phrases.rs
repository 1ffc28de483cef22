//! Phrases that give orders to a model: words of a few roles, close together and within one clause.
//! One automaton for all languages, one pass over the text.

use std::ops::Range;

use aho_corasick::{AhoCorasick, BuildError, MatchKind};
use aios_crds::check::TermView;

use super::{
    super::{
        Ranges,
        boundary::{char_before, ends_word, starts_word},
    },
    words::{
        AFTER, BEFORE, MARKS, NOUN, OF_MODEL, PHRASE, QUALIFIER, REVEAL, VERB, VERB_LAST, WORDS,
    },
};
use crate::{
    view::{Layer, unaccented},
    work::spend,
};

/// Most bytes between two words of one phrase.
const GAP: usize = 48;
/// Most bytes between the instructions and what they are called: `previous`, `your`.
const NEAR: usize = 24;

/// The compiled words.
#[derive(Debug)]
pub(super) struct Phrases {
    automaton: AhoCorasick,
    /// Roles of each word, and whether it may go on.
    kinds: Vec<(u8, bool)>,
}

/// Words seen in the clause so far.
#[derive(Debug, Default)]
struct Clause {
    verb: Option<Range<usize>>,
    qualifier: Option<Range<usize>>,
    noun: Option<Range<usize>>,
    reveal: Option<Range<usize>>,
}

impl Phrases {
    pub(super) fn build() -> Result<Self, BuildError> {
        let mut words = Vec::new();
        let mut kinds = Vec::new();
        for (roles, list) in WORDS {
            for word in list {
                let stem = word.strip_suffix('*');
                words.push(unaccented(stem.unwrap_or(word)).as_str().to_owned());
                kinds.push((roles, stem.is_some()));
            }
        }
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(words)?;
        Ok(Self { automaton, kinds })
    }

    /// Bytes of the layer's source where a phrase stands.
    pub(super) fn find(&self, layer: &Layer<'_>) -> Ranges {
        let form = layer.view(TermView::Unaccented);
        let mut found: Ranges = self
            .find_in(form.as_str())
            .into_iter()
            .map(|range| layer.text.source(form.source(range)))
            .collect();
        if let Some(skeleton) = layer.skeleton() {
            let form = &skeleton.unaccented;
            let disguised = self.find_in(form.as_str()).into_iter();
            found.extend(
                disguised.map(|range| layer.text.source(skeleton.source(form.source(range)))),
            );
        }
        found
    }

    fn find_in(&self, text: &str) -> Ranges {
        let mut found = Ranges::new();
        let mut clause = Clause::default();
        let mut seen = 0;
        spend(text.len());
        for hit in self.automaton.find_iter(text) {
            spend(1);
            let mut range = hit.range();
            let Some((roles, goes_on)) = self.kinds.get(hit.pattern().as_usize()) else {
                continue;
            };
            if *goes_on {
                range.end = word_end(text, &range);
            }
            if !starts_word(text, &range) || !ends_word(text, &range) {
                continue;
            }
            if parts(text.get(seen..range.start).unwrap_or_default()) {
                clause = Clause::default();
            }
            seen = range.end;
            if roles & (VERB | VERB_LAST) != 0 && negated(text, &range) {
                continue;
            }
            if let Some(phrase) = clause.take(*roles, &range) {
                found.push(phrase);
                clause = Clause::default();
            }
        }
        found
    }
}

impl Clause {
    /// Adds a word; gives the phrase that it completes.
    fn take(&mut self, roles: u8, range: &Range<usize>) -> Option<Range<usize>> {
        let is = |role: u8| roles & role != 0;
        if is(PHRASE) {
            return Some(range.clone());
        }
        if is(OF_MODEL)
            && let Some(reveal) = &self.reveal
        {
            return Some(reveal.start..range.end);
        }
        if is(QUALIFIER) {
            self.qualifier = Some(range.clone());
        }
        if is(NOUN) {
            self.noun = Some(range.clone());
        }
        let target = self.target();
        if let (Some(verb), Some(target)) = (&self.verb, &target) {
            return Some(verb.start..target.end);
        }
        if is(VERB_LAST)
            && let Some(target) = target
        {
            return Some(target.start..range.end);
        }
        if is(REVEAL) {
            self.reveal = Some(range.clone());
        }
        if is(VERB) {
            *self = Self {
                verb: Some(range.clone()),
                reveal: self.reveal.take(),
                ..Self::default()
            };
        }
        None
    }

    /// The instructions that are spoken of, in either order.
    fn target(&self) -> Option<Range<usize>> {
        let (qualifier, noun) = (self.qualifier.as_ref()?, self.noun.as_ref()?);
        let (first, last) = if qualifier.start <= noun.start {
            (qualifier, noun)
        } else {
            (noun, qualifier)
        };
        let near = last.start.saturating_sub(first.end) <= NEAR;
        near.then(|| first.start..first.end.max(last.end))
    }
}

/// Whether a verb says what not to do, as in `do not forget` and `vergessen Sie nicht`.
fn negated(text: &str, verb: &Range<usize>) -> bool {
    let before = text.get(..verb.start).unwrap_or_default().trim_end();
    spend(verb.start - before.len());
    let denied = BEFORE.iter().any(|word| {
        let at = before.len().checked_sub(word.len());
        let stands = before.ends_with(word);
        stands && at.is_some_and(|at| starts_word(before, &(at..before.len())))
    });
    let after = text.get(verb.end..).unwrap_or_default().trim_start();
    spend(text.len() - verb.end - after.len());
    denied
        || AFTER
            .iter()
            .any(|word| after.starts_with(word) && ends_word(after, &(0..word.len())))
}

/// Where the word ends that begins like this; soon, or it is none.
fn word_end(text: &str, range: &Range<usize>) -> usize {
    let rest = text.get(range.end..).unwrap_or_default();
    let ends = rest
        .char_indices()
        .take(GAP)
        .map(|(offset, _)| range.end + offset);
    let mut ends = ends
        .inspect(|_| spend(1))
        .filter(|end| ends_word(text, &(range.start..*end)));
    ends.next().unwrap_or(range.end + rest.len())
}

/// True where a clause ends between two words, or too much stands there.
fn parts(gap: &str) -> bool {
    let ends = |c: char| {
        matches!(
            c,
            '.' | ',' | ';' | ':' | '!' | '?' | '(' | ')' | '。' | '、' | '،' | '؛' | '؟' | '।'
        )
    };
    gap.len() > GAP || gap.contains(ends)
}

/// Bytes of the layer's source where a mark parts the turns of a chat.
pub(super) fn roles(layer: &Layer<'_>) -> Ranges {
    let text = layer.compat();
    let mut found = Ranges::new();
    for (mark, at_line) in MARKS {
        for at in positions(text, mark) {
            let line = text.get(..at).unwrap_or_default().trim_end_matches(' ');
            spend(at - line.len());
            if !at_line || line.is_empty() || char_before(line, line.len()) == Some('\n') {
                found.push(layer.compat_source(at..at + mark.len()));
            }
        }
    }
    found
}

/// Where an ASCII mark stands, in any case.
fn positions<'t>(text: &'t str, mark: &'t str) -> impl Iterator<Item = usize> {
    spend(text.len());
    let first = mark.as_bytes().first().copied().unwrap_or_default();
    text.as_bytes()
        .windows(mark.len())
        .enumerate()
        .filter(move |(_, window)| {
            window
                .first()
                .is_some_and(|byte| byte.eq_ignore_ascii_case(&first))
                && window.eq_ignore_ascii_case(mark.as_bytes())
        })
        .map(|(at, _)| at)
}
