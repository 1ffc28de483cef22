//! Many words, looked for at once.

use std::ops::ControlFlow;

use aho_corasick::{
    AhoCorasick, Anchored, BuildError, Input, Match,
    automaton::{Automaton, StateID},
    dfa::DFA,
};

use crate::work::spend;

/// Bytes of a list up to which it is worth a table: that takes some 200 bytes for each of them and steps
/// several times faster.
const MOST_IN_TABLE: usize = 16 << 10;
/// Stretches of a text that are walked at the same time.
const LANES: usize = 4;
/// Longest words in a stretch below which the stretches would overlap too much.
const LEAST_IN_LANE: usize = 4;

/// An automaton over words, and how long they are.
#[derive(Debug)]
pub(super) struct Literals {
    automaton: Kind,
    longest: usize,
}

#[derive(Debug)]
enum Kind {
    Table(Box<DFA>),
    Graph(AhoCorasick),
}

impl Literals {
    pub(super) fn of<T: AsRef<[u8]>>(
        words: impl Iterator<Item = T> + Clone,
    ) -> Result<Self, BuildError> {
        let sizes = words.clone().map(|word| word.as_ref().len());
        let bytes: usize = sizes.clone().sum();
        Ok(Self {
            longest: sizes.max().unwrap_or_default(),
            automaton: if bytes <= MOST_IN_TABLE {
                Kind::Table(Box::new(DFA::new(words)?))
            } else {
                Kind::Graph(AhoCorasick::new(words)?)
            },
        })
    }

    /// Bytes of the longest word.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Shows every place where a word stands, those within others as well, by their ends from left to right and
    /// longer ones first.
    pub(super) fn each(&self, text: &str, mut show: impl FnMut(Match) -> ControlFlow<()>) {
        spend(text.len());
        // Breaking off is no failure, and neither automaton refuses such a search.
        let _ = match &self.automaton {
            Kind::Table(table) if is_silent(table, text.as_bytes(), self.longest) => return,
            Kind::Table(table) => table
                .try_find_overlapping_iter(Input::new(text))
                .map(|mut found| found.try_for_each(&mut show)),
            Kind::Graph(graph) => Ok(graph.find_overlapping_iter(text).try_for_each(&mut show)),
        };
    }
}

/// True where no word stands in the text. Every step of an automaton waits for the one before it, so that
/// several stretches are walked in the time of one.
fn is_silent(table: &DFA, text: &[u8], longest: usize) -> bool {
    // Few words have a faster way, which skips to where one may begin.
    if table.prefilter().is_some() {
        return false;
    }
    let Ok(start) = table.start_state(Anchored::No) else {
        return false;
    };
    let len = text.len().div_ceil(LANES);
    if len < longest.saturating_mul(LEAST_IN_LANE) {
        return false;
    }
    // A word that begins in a stretch is walked to its end.
    let lane = |index: usize| {
        let end = text.len().min((index + 1) * len + longest);
        text.get(index * len..end).unwrap_or_default()
    };
    let [one, two, three, four] = [lane(0), lane(1), lane(2), lane(3)];
    let step = |state: StateID, byte: u8| table.next_state(Anchored::No, state, byte);
    let mut states = [start; LANES];
    for (((one, two), three), four) in one.iter().zip(two).zip(three).zip(four) {
        let [first, second, third, fourth] = states;
        states = [
            step(first, *one),
            step(second, *two),
            step(third, *three),
            step(fourth, *four),
        ];
        if states.iter().any(|state| table.is_special(*state)) {
            return false;
        }
    }
    let walked = four.len();
    [one, two, three].iter().zip(states).all(|(lane, state)| {
        let mut rest = lane.get(walked..).unwrap_or_default().iter();
        let end = rest.try_fold(state, |state, byte| {
            let next = step(state, *byte);
            (!table.is_special(next)).then_some(next)
        });
        end.is_some()
    })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use proptest::prelude::*;

    use super::Literals;

    /// As many words as have no faster way.
    fn literals() -> Literals {
        let words = (b'a'..=b'z').map(|first| format!("{}xy", char::from(first)));
        Literals::of(words.chain(["x".repeat(9)])).unwrap()
    }

    fn found(literals: &Literals, text: &str) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        literals.each(text, |word| {
            found.push((word.start(), word.end()));
            ControlFlow::Continue(())
        });
        found
    }

    #[test]
    fn a_word_is_found_wherever_it_stands() {
        let literals = literals();
        for len in [0, 3, 40, 150, 151, 152, 153, 400] {
            let text = ".".repeat(len);
            assert_eq!(found(&literals, &text), []);
            for at in 0..=len {
                let (before, behind) = text.split_at(at);
                let text = format!("{before}qxy{behind}");
                assert_eq!(found(&literals, &text), [(at, at + 3)], "{len}");
                let text = format!("{before}{}{behind}", "x".repeat(9));
                assert_eq!(found(&literals, &text), [(at, at + 9)], "{len}");
            }
        }
    }

    proptest! {
        #[test]
        fn words_are_found_as_one_by_one(text in "([abxy.]|xy|xxxxxx|\\.{40}){0,40}") {
            let literals = literals();
            let mut expected = Vec::new();
            for end in 0..=text.len() {
                for len in [9, 3] {
                    let word = end.checked_sub(len).map(|start| &text[start..end]);
                    let is_word = |word: &str| word == "x".repeat(9)
                        || (len == 3 && word.ends_with("xy") && word.starts_with(|c: char| c.is_ascii_lowercase()));
                    if word.is_some_and(is_word) {
                        expected.push((end - len, end));
                    }
                }
            }
            prop_assert_eq!(found(&literals, &text), expected);
        }
    }
}
