//! A regular expression beside one that asks less: boundaries of words as Unicode tells them need tables that
//! the fast engines lack, and most texts already lack the letters between them.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind, Repetition, print::Printer};

/// An expression, and a faster one that matches wherever it does.
#[derive(Debug)]
pub(crate) struct Search {
    regex: Regex,
    /// `None` where the expression itself is fast on any text.
    looser: Option<Regex>,
}

impl Search {
    /// The expression as it was built, and what it was parsed into.
    pub(crate) fn new(regex: Regex, hir: &Hir, size_limit: usize) -> Self {
        let slow = hir.properties().look_set().contains_word_unicode();
        let looser = slow.then(|| looser(hir, size_limit)).flatten();
        Self { regex, looser }
    }

    /// The expression, where a match may begin at or behind a byte of the text.
    pub(crate) fn if_possible(&self, text: &str, at: usize) -> Option<&Regex> {
        let mut looser = self.looser.iter().filter(|_| !text.is_ascii());
        looser
            .all(|looser| looser.is_match_at(text, at))
            .then_some(&self.regex)
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.if_possible(text, 0)
            .is_some_and(|regex| regex.is_match(text))
    }
}

fn looser(hir: &Hir, size_limit: usize) -> Option<Regex> {
    let mut written = String::new();
    Printer::new()
        .print(&without_looks(hir), &mut written)
        .ok()?;
    RegexBuilder::new(&written)
        .size_limit(size_limit)
        .build()
        .ok()
}

/// Without assertions, all of which then hold.
fn without_looks(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) => hir.clone(),
        HirKind::Look(_) => Hir::empty(),
        HirKind::Repetition(repetition) => Hir::repetition(Repetition {
            sub: Box::new(without_looks(&repetition.sub)),
            ..repetition.clone()
        }),
        HirKind::Capture(capture) => without_looks(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(without_looks).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(without_looks).collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;
    use rstest::rstest;

    use super::Search;

    const EXPRESSIONS: [&str; 6] = [
        r"\b[A-Z]{2}-[0-9]{3}\b",
        r"(?i)\b(act now|last chance|only today)\b",
        r"(?m)^\bä+$|\Bb",
        r"a(?:\b){0,3}(?:\bb|c)*é\b",
        r"\b\w+\b",
        r"(?-u:\b)a|\bb",
    ];

    fn search(expression: &str) -> Search {
        let hir = regex_syntax::parse(expression).unwrap();
        Search::new(Regex::new(expression).unwrap(), &hir, 1 << 20)
    }

    #[rstest]
    #[case(r"\ba", true)]
    #[case(r"(?-u:\b)a", false)]
    #[case("a", false)]
    fn only_boundaries_of_unicode_need_another(#[case] expression: &str, #[case] needed: bool) {
        assert_eq!(search(expression).looser.is_some(), needed);
    }

    proptest! {
        #[test]
        fn what_matches_matches_still(text in "([abcéäÄ1 -]|AB-123|act now|ACT NOW){0,8}", at in 0..4_usize) {
            let at = text.floor_char_boundary(at.min(text.len()));
            for expression in EXPRESSIONS {
                let (search, regex) = (search(expression), Regex::new(expression).unwrap());
                prop_assert_eq!(search.is_match(&text), regex.is_match(&text));
                prop_assert!(search.if_possible(&text, at).is_some() || !regex.is_match_at(&text, at));
            }
        }
    }
}
