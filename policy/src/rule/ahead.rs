//! How far a search reads. One that may yet find a longer match, or one that begins earlier, reads on behind
//! what it finds, and the next search reads the same again: all matches of an expression are not found in line
//! with the text, unless what is read is counted.

use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::{
    Input,
    hybrid::dfa::{Cache, DFA},
    util::pool::Pool,
};

use crate::work::spend;

type MakeCache = Box<dyn Fn() -> Cache + Send + Sync + UnwindSafe + RefUnwindSafe>;

/// The expression's automaton, built while it is walked.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    automaton: DFA,
    caches: Pool<Cache, MakeCache>,
}

impl ReadAhead {
    /// `None` where no automaton can be built; the expression is known to be valid.
    pub(crate) fn new(expression: &str) -> Option<Self> {
        let config = DFA::config()
            .unicode_word_boundary(true)
            .skip_cache_capacity_check(true);
        let automaton = DFA::builder().configure(config).build(expression).ok()?;
        let for_cache = automaton.clone();
        let make: MakeCache = Box::new(move || for_cache.create_cache());
        Some(Self {
            automaton,
            caches: Pool::new(make),
        })
    }

    /// Bytes that a search from a byte on reads before nothing can change what it finds. `None` where the
    /// automaton can't tell: boundaries of words beside letters that are not ASCII.
    pub(crate) fn bytes(&self, text: &str, from: usize) -> Option<usize> {
        let mut cache = self.caches.get();
        let input = Input::new(text).range(from..);
        let start = self.automaton.start_state_forward(&mut cache, &input);
        let mut state = start.ok()?;
        let rest = text.as_bytes().get(from..)?;
        for (read, byte) in rest.iter().enumerate() {
            let next = self.automaton.next_state(&mut cache, state, *byte);
            state = next.ok()?;
            if state.is_dead() {
                spend(read);
                return Some(read);
            }
            if state.is_quit() {
                return None;
            }
        }
        spend(rest.len());
        Some(rest.len())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::ReadAhead;

    #[rstest]
    #[case(r"\w+x", "abx, and so on", 4)]
    #[case("a[^x]*x|a", "a b c", 5)]
    #[case("a[^x]*x|b", "ab c", 4)]
    #[case("a[^x]*x|b", "bb c", 2)]
    #[case(r"ab+\b", "abb, c", 4)]
    fn what_is_read_is_known(#[case] expression: &str, #[case] text: &str, #[case] read: usize) {
        let ahead = ReadAhead::new(expression).unwrap();
        assert_eq!(ahead.bytes(text, 0), Some(read));
    }

    #[test]
    fn boundaries_beside_other_letters_are_not_known() {
        let ahead = ReadAhead::new(r"a\b").unwrap();
        assert_eq!(ahead.bytes("é a b", 0), None);
    }
}
