//! Words that must not occur: one automaton a rule, on the view of the text that the rule names.

use std::ops::{ControlFlow, Range};

use aios_crds::check::{Stemmer, TermMatch, TermView, Terms as Spec};

use super::{
    Failure, MAX_MATCHES, Ranges,
    boundary::{ends_word, starts_word},
    in_word,
    lexicon::Lexicon,
    literals::Literals,
    stem::stemmed,
};
use crate::{
    diagnostic::Diagnostic,
    view::{Layer, Skeleton, cluster_start, folded, skeleton, unaccented},
    work::spend,
};

/// Terms that a message names.
const NAMED: usize = 5;

/// Compiled terms.
#[derive(Debug)]
pub(crate) struct Terms {
    literals: Literals,
    /// As the view has them, sorted, without repetitions.
    pub(super) list: Vec<String>,
    /// Some of the terms as they are named, without endings.
    named: String,
    pub(super) matching: TermMatch,
    pub(super) view: TermView,
    pub(super) stem: Option<Stemmer>,
}

impl Terms {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        if spec.list_ref.is_some() {
            return Err(vec![Diagnostic::new(
                format!("{path}.listRef"),
                "the list is not at hand: add its ConfigMap, or write `list` out",
            )]);
        }
        let stems = spec.stem.is_some();
        let cuts_words = matches!(spec.matching, TermMatch::Prefix | TermMatch::Substring);
        if stems && (cuts_words || spec.view == TermView::Raw) {
            return Err(vec![Diagnostic::new(
                format!("{path}.stem"),
                "stems are of whole words in lower case: use match Word or Suffix, and a view other than \
                 Raw",
            )]);
        }
        if !spec.endings.is_empty() && (cuts_words || stems) {
            return Err(vec![Diagnostic::new(
                format!("{path}.endings"),
                "endings are of whole words as they stand: use match Word or Suffix, and no stem",
            )]);
        }
        let mut mistakes = Vec::new();
        let mut terms = Vec::new();
        for (index, term) in spec.list.iter().enumerate() {
            let term = normal(term, spec);
            if term.is_empty() {
                mistakes.push(Diagnostic::new(
                    format!("{path}.list[{index}]"),
                    "the term holds nothing but space or invisible characters: write the word or \
                     remove the entry",
                ));
            } else {
                terms.push(term);
            }
        }
        if spec.list.is_empty() {
            mistakes.push(Diagnostic::new(
                format!("{path}.list"),
                "the list is empty: name at least one term",
            ));
        }
        for (index, ending) in spec.endings.iter().enumerate() {
            if normal(ending, spec).is_empty() {
                mistakes.push(Diagnostic::new(
                    format!("{path}.endings[{index}]"),
                    "the ending holds nothing but space or invisible characters: remove the entry",
                ));
            }
        }
        terms.sort_unstable();
        let named = named(&terms);
        terms.extend(ended(&terms, spec));
        terms.sort_unstable();
        terms.dedup();
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let literals = Literals::of(terms.iter()).map_err(|error| {
            vec![Diagnostic::new(
                format!("{path}.list"),
                format!("the list is too large to compile ({error}): split it over several rules"),
            )]
        })?;
        Ok(Self {
            literals,
            list: terms,
            named,
            matching: spec.matching,
            view: spec.view,
            stem: spec.stem,
        })
    }

    pub(crate) fn message(&self) -> String {
        format!("leave out: {}", self.named)
    }

    /// Bytes of the part where a term stands. What other rules of the stack look for in the same form is
    /// looked for with it.
    pub(crate) fn find(
        &self,
        layer: &Layer<'_>,
        lexicon: Option<&Lexicon>,
    ) -> Result<Ranges, Failure> {
        let form = layer.view(self.view);
        let found = if lexicon.is_none_or(|lexicon| lexicon.may_hold(self, layer)) {
            self.find_form(form.as_str())?
        } else {
            Ranges::new()
        };
        if self.view == TermView::Raw {
            return Ok(layer.widened_sources(found));
        }
        let mut ranges: Ranges = found
            .into_iter()
            .map(|range| layer.text.source(form.source(range)))
            .collect();
        if let Some(skeleton) = layer.skeleton() {
            let form = self.form_of(skeleton);
            let disguised = self.find_form(form.as_str())?.into_iter();
            ranges.extend(
                disguised.map(|range| layer.text.source(skeleton.source(form.source(range)))),
            );
        }
        Ok(ranges)
    }

    fn form_of<'s>(&self, skeleton: &'s Skeleton) -> &'s crate::view::Mapped<'static> {
        match self.view {
            TermView::Unaccented => &skeleton.unaccented,
            TermView::Raw | TermView::Folded => &skeleton.folded,
        }
    }

    /// Bytes of a form of the text, by whole words where terms are compared by their stems.
    fn find_form(&self, text: &str) -> Result<Ranges, Failure> {
        let Some(language) = self.stem else {
            return self.find_in(text);
        };
        let stems = stemmed(text, language);
        let found = self.find_in(stems.as_str())?.into_iter();
        Ok(found.map(|range| stems.source(range)).collect())
    }

    fn find_in(&self, text: &str) -> Result<Ranges, Failure> {
        let mut left = most_candidates(text);
        let mut found = Ok(Ranges::new());
        self.literals.each(text, |candidate| {
            let (Some(fewer), Ok(counted)) = (left.checked_sub(1), &mut found) else {
                found = Err(Failure::too_many_matches());
                return ControlFlow::Break(());
            };
            left = fewer;
            spend(1);
            let range = candidate.range();
            if counts(self.matching, text, &range) {
                counted.push(range);
            }
            if counted.len() > MAX_MATCHES {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        found
    }

    /// First byte of the layer's text at which a term could begin that more text would complete or
    /// whose end more text would settle.
    pub(crate) fn frontier(&self, layer: &Layer<'_>) -> usize {
        let text = layer.text.as_str();
        let form = layer.view(self.view);
        let live = self.live_form(form.as_str());
        if self.view == TermView::Raw {
            return cluster_start(text, live);
        }
        let own = form.source_start(live, text.len());
        let Some(skeleton) = skeleton(text, true) else {
            return own;
        };
        let form = self.form_of(&skeleton);
        let disguised = skeleton.source_start(form, self.live_form(form.as_str()), text.len());
        own.min(disguised)
    }

    /// First byte of a form of the text from which on more text could settle a term. The stem of a word
    /// that goes on is unknown.
    fn live_form(&self, text: &str) -> usize {
        let Some(language) = self.stem else {
            return self.live(text);
        };
        let settled = text.trim_end_matches(in_word);
        let stems = stemmed(settled, language);
        stems.source_start(self.live(stems.as_str()), settled.len())
    }

    /// First byte of a text from which on everything begins a term.
    fn live(&self, text: &str) -> usize {
        let from = text.len().saturating_sub(self.literals.longest());
        (from..text.len())
            .filter_map(|at| Some((at, text.get(at..)?)))
            .find(|(_, tail)| {
                let next = self.list.partition_point(|term| term.as_str() < *tail);
                self.list
                    .get(next)
                    .is_some_and(|term| term.starts_with(tail))
            })
            .map_or(text.len(), |(at, _)| at)
    }
}

/// Most places where terms stand, whether they count there or not: terms that contain each other can match at
/// every byte many times over.
pub(super) fn most_candidates(text: &str) -> usize {
    text.len().saturating_mul(4) + MAX_MATCHES + 1
}

/// Whether a term that stands at a range counts there.
pub(super) fn counts(matching: TermMatch, text: &str, range: &Range<usize>) -> bool {
    match matching {
        TermMatch::Word => starts_word(text, range) && ends_word(text, range),
        TermMatch::Prefix => starts_word(text, range),
        TermMatch::Suffix => ends_word(text, range),
        TermMatch::Substring => true,
    }
}

/// The first of sorted terms, for people.
fn named(terms: &[String]) -> String {
    let mut distinct: Vec<_> = terms.iter().map(String::as_str).collect();
    distinct.dedup();
    let first = distinct.get(..NAMED).unwrap_or(&distinct).join(", ");
    let more = if distinct.len() > NAMED { ", …" } else { "" };
    format!("{first}{more}")
}

/// Every term with every ending, as the view has them.
fn ended(terms: &[String], spec: &Spec) -> Vec<String> {
    let with = |ending: &String| {
        let terms = terms.iter();
        let whole = terms.map(|term| normal(&format!("{term}{ending}"), spec));
        whole.collect::<Vec<_>>()
    };
    spec.endings.iter().flat_map(with).collect()
}

/// A term as the view has it, by its stems where those are compared, without space around it.
fn normal(term: &str, spec: &Spec) -> String {
    let form = match spec.view {
        TermView::Raw => return term.trim().to_owned(),
        TermView::Folded => folded(term),
        TermView::Unaccented => unaccented(term),
    };
    let form = form.as_str().trim();
    match spec.stem {
        Some(language) => stemmed(form, language).as_str().to_owned(),
        None => form.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use aios_crds::check::{Stemmer, TermMatch, TermView, Terms as Spec};
    use rstest::rstest;

    use super::Terms;
    use crate::{
        document::{Part, PartKind},
        view::PartView,
    };

    fn terms(list: &[&str], matching: TermMatch, view: TermView) -> Terms {
        let list = list.iter().map(|&term| term.to_owned()).collect();
        let spec = Spec {
            list,
            matching,
            view,
            ..Spec::default()
        };
        Terms::compile(&spec, "spec.rules[0].terms").unwrap()
    }

    fn part(text: &str) -> Part {
        Part {
            name: "text".parse().unwrap(),
            kind: PartKind::Plain,
            text: text.to_owned(),
        }
    }

    fn found(terms: &Terms, text: &str) -> Vec<String> {
        let part = part(text);
        let ranges = terms.find(PartView::new(&part).visible(), None).unwrap();
        ranges.into_iter().map(|r| text[r].to_owned()).collect()
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
    fn terms_match_by_mode(#[case] mode: TermMatch, #[case] text: &str, #[case] matches: bool) {
        let list = ["Acme", "Nordbank Plus", "große Straße", "بنك الشمال"];
        let terms = terms(&list, mode, TermView::Folded);
        assert_eq!(!found(&terms, text).is_empty(), matches);
    }

    #[rstest]
    #[case::case_counts(TermView::Raw, "IT", "our IT and it", &["IT"])]
    #[case::forms_count(TermView::Raw, "Acme", "ACME Ａｃｍｅ Acme", &["Acme"])]
    #[case::letters_keep_their_accents(TermView::Raw, "e", "e\u{301} e", &["e"])]
    #[case::accents_count(TermView::Folded, "schon", "Schön schon", &["schon"])]
    #[case::accents_go(TermView::Unaccented, "ete", "L'ÉTÉ l'été", &["ÉTÉ", "été"])]
    #[case::spelled_either_way(TermView::Unaccented, "Łódź", "lodz Łódź", &["lodz", "Łódź"])]
    fn a_view_says_what_is_compared(
        #[case] view: TermView,
        #[case] term: &str,
        #[case] text: &str,
        #[case] expected: &[&str],
    ) {
        assert_eq!(
            found(&terms(&[term], TermMatch::Word, view), text),
            expected
        );
    }

    #[rstest]
    #[case::look_alike(&["Acme"], "bei \u{410}cme heute", &["\u{410}cme"])]
    #[case::look_alike_in_a_phrase(&["Nordbank Plus"], "Nоrdbank  Plus", &["Nоrdbank  Plus"])]
    #[case::pure_cyrillic_is_no_disguise(&["Acme"], "Асме", &[])]
    #[case::rn_is_not_m(&["modem"], "a modern bank", &[])]
    #[case::joiner_hides_nothing(&["Acme"], "Ac\u{200c}me", &["Ac\u{200c}me"])]
    #[case::persian_word_is_one(&["می"], "می\u{200c}خواهم", &[])]
    #[case::persian_word_with_its_joiner(&["می\u{200c}خواهم"], "من می\u{200c}خواهم",
        &["می\u{200c}خواهم"])]
    #[case::longer_when_folded(&["STRASSE"], "Die Straße!", &["Straße"])]
    #[case::shorter_when_folded(&["istanbul"], "İSTANBUL'da", &["İSTANBUL"])]
    #[case::thai_has_no_spaces(&["ธนาคาร"], "ไปธนาคารวันนี้", &["ธนาคาร"])]
    #[case::chinese_has_no_spaces(&["银行"], "我去银行了", &["银行"])]
    #[case::compounds_are_other_words(&["Bank"], "Bankgeheimnis der Hausbank", &[])]
    fn known_traps_of_scripts_are_passed(
        #[case] list: &[&str],
        #[case] text: &str,
        #[case] expected: &[&str],
    ) {
        let terms = terms(list, TermMatch::Word, TermView::Folded);
        assert_eq!(found(&terms, text), expected);
    }

    #[rstest]
    #[case(TermMatch::Suffix, None, "Hausbank", &["bank"])]
    #[case(TermMatch::Suffix, None, "Bankhaus", &[])]
    #[case(TermMatch::Word, Some(Stemmer::German), "Banken, Bank und Hausbank", &["Banken", "Bank"])]
    #[case(TermMatch::Suffix, Some(Stemmer::German), "die Hausbanken", &["Hausbanken"])]
    #[case(TermMatch::Word, Some(Stemmer::German), "sicheren Renditen", &["sicheren Renditen"])]
    #[case(TermMatch::Word, Some(Stemmer::German), "sicher ist die Rendite", &[])]
    fn forms_and_compounds_count_where_the_rule_says_so(
        #[case] matching: TermMatch,
        #[case] stem: Option<Stemmer>,
        #[case] text: &str,
        #[case] expected: &[&str],
    ) {
        let spec = Spec {
            list: vec!["Bank".to_owned(), "sichere Rendite".to_owned()],
            matching,
            stem,
            ..Spec::default()
        };
        assert_eq!(found(&Terms::compile(&spec, "p").unwrap(), text), expected);
    }

    #[rstest]
    #[case(TermMatch::Word, "Veloras, VELORA'S Karte und Nordkap Banken", &["Veloras", "VELORA", "Nordkap Banken"])]
    #[case(TermMatch::Word, "Veloranda, Velorasse, Nordkaps Bank, Nordkap Bankens", &[])]
    #[case(TermMatch::Suffix, "Mevelora und Meveloras", &["velora", "veloras"])]
    fn a_term_may_end_as_the_rule_says(
        #[case] matching: TermMatch,
        #[case] text: &str,
        #[case] expected: &[&str],
    ) {
        let spec = Spec {
            list: vec!["Velora".to_owned(), "Nordkap Bank".to_owned()],
            endings: vec!["s".to_owned(), "EN".to_owned()],
            matching,
            ..Spec::default()
        };
        let terms = Terms::compile(&spec, "p").unwrap();
        assert_eq!(found(&terms, text), expected);
        assert_eq!(terms.message(), "leave out: nordkap bank, velora");
    }

    #[test]
    fn an_empty_term_is_refused_with_its_place() {
        let spec = Spec {
            list: vec!["ok".to_owned(), "\u{200b} ".to_owned()],
            ..Spec::default()
        };
        let mistakes = Terms::compile(&spec, "spec.rules[4].terms").unwrap_err();
        assert_eq!(mistakes[0].path, "spec.rules[4].terms.list[1]");
        assert!(mistakes[0].message.contains("remove the entry"));
    }

    #[test]
    fn ten_thousand_terms_are_one_automaton() {
        let list: Vec<String> = (0..10_000).map(|n| format!("product {n} plus")).collect();
        let spec = Spec {
            list,
            ..Spec::default()
        };
        let terms = Terms::compile(&spec, "p").unwrap();
        let text = "Product 4711 Plus and Product 4711 Minus";
        assert_eq!(found(&terms, text), ["Product 4711 Plus"]);
    }

    #[test]
    fn many_nested_terms_end_in_an_error_not_in_endless_work() {
        let list: Vec<String> = (1..=200).map(|len| "a".repeat(len)).collect();
        let spec = Spec {
            list,
            ..Spec::default()
        };
        let terms = Terms::compile(&spec, "p").unwrap();
        assert!(terms.find_in(&"a".repeat(5000)).is_err());
    }

    #[rstest]
    #[case("hello ac", 6)]
    #[case("hello acme", 6)]
    #[case("hello acme ", 11)]
    #[case("nordbank pl", 0)]
    #[case("hello", 5)]
    #[case::may_become_mixed("hello \u{430}", 6)]
    #[case::settled_russian("hello \u{430} ", 9)]
    fn text_is_safe_up_to_where_a_term_could_begin(#[case] text: &str, #[case] safe: usize) {
        let terms = terms(
            &["Acme", "Nordbank Plus"],
            TermMatch::Word,
            TermView::Folded,
        );
        let part = part(text);
        assert_eq!(terms.frontier(PartView::new(&part).visible()), safe);
    }
}
