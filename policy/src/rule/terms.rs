//! Words that must not occur: one automaton a rule, on the folded text.

use std::ops::Range;

use aho_corasick::AhoCorasick;
use aios_crds::check::{TermMatch, Terms as Spec};

use super::{
    Failure, MAX_MATCHES, Ranges,
    boundary::{ends_word, starts_word},
};
use crate::{
    diagnostic::Diagnostic,
    view::{Layer, folded},
};

/// Compiled terms.
#[derive(Debug)]
pub(crate) struct Terms {
    automaton: AhoCorasick,
    /// Folded, sorted, without repetitions.
    folded: Vec<String>,
    matching: TermMatch,
}

impl Terms {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let mut terms = Vec::new();
        for (index, term) in spec.list.iter().enumerate() {
            let folded = folded(term).as_str().trim().to_owned();
            if folded.is_empty() {
                mistakes.push(Diagnostic::new(
                    format!("{path}.list[{index}]"),
                    "the term holds nothing but space or invisible characters: write the word or \
                     remove the entry",
                ));
            } else {
                terms.push(folded);
            }
        }
        if spec.list.is_empty() {
            mistakes.push(Diagnostic::new(
                format!("{path}.list"),
                "the list is empty: name at least one term",
            ));
        }
        terms.sort_unstable();
        terms.dedup();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let automaton = AhoCorasick::new(&terms).map_err(|error| {
            vec![Diagnostic::new(
                format!("{path}.list"),
                format!("the list is too large to compile ({error}): split it over several rules"),
            )]
        })?;
        Ok(Self {
            automaton,
            folded: terms,
            matching: spec.matching,
        })
    }

    pub(crate) fn message(&self) -> String {
        let named: Vec<_> = self.folded.iter().take(5).map(String::as_str).collect();
        let more = if self.folded.len() > named.len() {
            ", …"
        } else {
            ""
        };
        format!("leave out: {}{more}", named.join(", "))
    }

    /// Bytes of the part where a term stands.
    pub(crate) fn find(&self, layer: &Layer<'_>) -> Result<Ranges, Failure> {
        let text = layer.folded().as_str();
        let found = self.find_folded(text)?;
        Ok(found
            .into_iter()
            .map(|range| layer.folded_source(range))
            .collect())
    }

    fn find_folded(&self, text: &str) -> Result<Ranges, Failure> {
        // Terms that contain each other can match at every byte many times over.
        let most_candidates = text.len().saturating_mul(4) + MAX_MATCHES;
        let mut found = Ranges::new();
        for (seen, candidate) in self.automaton.find_overlapping_iter(text).enumerate() {
            if seen > most_candidates {
                return Err(Failure::too_many_matches());
            }
            let range = candidate.range();
            if self.counts(text, &range) {
                found.push(range);
                if found.len() > MAX_MATCHES {
                    break;
                }
            }
        }
        Ok(found)
    }

    fn counts(&self, text: &str, range: &Range<usize>) -> bool {
        match self.matching {
            TermMatch::Word => starts_word(text, range) && ends_word(text, range),
            TermMatch::Prefix => starts_word(text, range),
            TermMatch::Substring => true,
        }
    }

    /// First byte of a folded text at which a term could begin that more text would complete or
    /// whose end more text would settle.
    pub(crate) fn frontier(&self, folded: &str) -> usize {
        let longest = self
            .folded
            .iter()
            .map(String::len)
            .max()
            .unwrap_or_default();
        let from = folded.len().saturating_sub(longest);
        (from..folded.len())
            .filter_map(|at| Some((at, folded.get(at..)?)))
            .find(|(_, tail)| {
                let next = self.folded.partition_point(|term| term.as_str() < *tail);
                self.folded
                    .get(next)
                    .is_some_and(|term| term.starts_with(tail))
            })
            .map_or(folded.len(), |(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use aios_crds::check::{TermMatch, Terms as Spec};
    use rstest::rstest;

    use super::Terms;
    use crate::view::folded;

    fn terms(list: &[&str], matching: TermMatch) -> Terms {
        let list = list.iter().map(|&term| term.to_owned()).collect();
        Terms::compile(&Spec { list, matching }, "spec.rules[0].terms").unwrap()
    }

    #[rstest]
    #[case(TermMatch::Word, "Ask ACME today", true)]
    #[case(TermMatch::Word, "Ask acme's people", true)]
    #[case(TermMatch::Word, "Acmeology", false)]
    #[case(TermMatch::Prefix, "Acmeology", true)]
    #[case(TermMatch::Prefix, "MegaAcme", false)]
    #[case(TermMatch::Substring, "MegaAcmeCorp", true)]
    #[case(TermMatch::Word, "Ａｃｍｅ", true)]
    #[case(TermMatch::Word, "A\u{ad}cme", true)]
    #[case(TermMatch::Word, "Acme\u{301}", false)]
    #[case(TermMatch::Word, "Nordbank   Plus", true)]
    #[case(TermMatch::Word, "Nordbank\nPlus", true)]
    #[case(TermMatch::Word, "Nordbank. Plus", false)]
    #[case(TermMatch::Word, "in der Große Straße", true)]
    #[case(TermMatch::Word, "GROSSE STRASSE", true)]
    #[case(TermMatch::Word, "بنك الشمال هنا", true)]
    #[case(TermMatch::Word, "", false)]
    fn terms_match_by_mode(#[case] mode: TermMatch, #[case] text: &str, #[case] found: bool) {
        let terms = terms(
            &["Acme", "Nordbank Plus", "große Straße", "بنك الشمال"],
            mode,
        );
        assert_eq!(
            !terms.find_folded(folded(text).as_str()).unwrap().is_empty(),
            found
        );
    }

    #[test]
    fn an_empty_term_is_refused_with_its_place() {
        let list = vec!["ok".to_owned(), "\u{200b} ".to_owned()];
        let spec = Spec {
            list,
            matching: TermMatch::Word,
        };
        let mistakes = Terms::compile(&spec, "spec.rules[4].terms").unwrap_err();
        assert_eq!(mistakes[0].path, "spec.rules[4].terms.list[1]");
        assert!(mistakes[0].message.contains("remove the entry"));
    }

    #[test]
    fn many_nested_terms_end_in_an_error_not_in_endless_work() {
        let list: Vec<String> = (1..=200).map(|len| "a".repeat(len)).collect();
        let spec = Spec {
            list,
            matching: TermMatch::Word,
        };
        let terms = Terms::compile(&spec, "p").unwrap();
        assert!(terms.find_folded(&"a".repeat(5000)).is_err());
    }

    #[rstest]
    #[case("hello ac", 6)]
    #[case("hello acme", 6)]
    #[case("hello acme ", 11)]
    #[case("nordbank pl", 0)]
    #[case("hello", 5)]
    fn text_is_safe_up_to_where_a_term_could_begin(#[case] text: &str, #[case] safe: usize) {
        assert_eq!(
            terms(&["Acme", "Nordbank Plus"], TermMatch::Word).frontier(text),
            safe
        );
    }
}
