//! Terms of all rules of a stack, looked for in one walk of the text: a rule of whose terms none stands there
//! needs no walk of its own, and most texts hold no term at all.

use std::{
    cell::OnceCell,
    collections::BTreeMap,
    ops::{ControlFlow, Range},
    sync::Arc,
};

use aios_crds::check::{Stemmer, TermMatch, TermView};

use super::{Checker, Terms, literals::Literals, stem::stemmed, terms};
use crate::{
    compile::CompiledPolicy,
    view::{Layer, Mapped},
};

/// Automata over the terms of rules that read the same form of a text.
#[derive(Debug)]
pub(crate) struct Lexicon {
    groups: Vec<Group>,
    /// By the address of a rule's terms, which stay where they are while the stack holds their policy.
    seats: BTreeMap<usize, Seat>,
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug)]
struct Seat {
    group: usize,
    place: usize,
}

#[derive(Debug)]
struct Group {
    view: TermView,
    stem: Option<Stemmer>,
    literals: Literals,
    /// The rules, by their places, that look for each of them.
    seekers: Vec<Vec<usize>>,
    matching: Vec<TermMatch>,
}

/// What was found out about a text: of each group, which rules' terms stand in it.
#[derive(Debug, Default)]
pub(crate) struct Occurrences(OnceCell<Box<[OnceCell<Holds>]>>);

/// By the places of rules, whether a term of each counts.
type Holds = Box<[bool]>;

impl Lexicon {
    /// `None` where no two rules read the same form.
    pub(crate) fn of(policies: &[Arc<CompiledPolicy>]) -> Option<Self> {
        let rules = policies.iter().flat_map(|policy| &policy.rules);
        let all = rules.filter_map(|rule| match &rule.checker {
            Checker::Terms(terms) => Some(terms),
            _ => None,
        });
        Self::of_terms(all)
    }

    fn of_terms<'t>(all: impl Iterator<Item = &'t Terms>) -> Option<Self> {
        let mut alike: Vec<Vec<&Terms>> = Vec::new();
        for terms in all {
            let reads_the_same = |others: &&mut Vec<&Terms>| {
                let first = others.first();
                first.is_some_and(|first| (first.view, first.stem) == (terms.view, terms.stem))
            };
            match alike.iter_mut().find(reads_the_same) {
                Some(others) => others.push(terms),
                None => alike.push(vec![terms]),
            }
        }
        let (mut groups, mut seats) = (Vec::new(), BTreeMap::new());
        for rules in alike.iter().filter(|rules| rules.len() > 1) {
            // Too large for one automaton: each rule walks by itself.
            let Some(group) = Group::of(rules) else {
                continue;
            };
            let places = rules.iter().enumerate();
            seats.extend(places.map(|(place, terms)| {
                let group = groups.len();
                (address(terms), Seat { group, place })
            }));
            groups.push(group);
        }
        (!groups.is_empty()).then_some(Self { groups, seats })
    }

    /// False where none of the rule's terms stands in the layer, and walking it would find nothing else.
    pub(super) fn may_hold(&self, terms: &Terms, layer: &Layer<'_>) -> bool {
        let Some(seat) = self.seats.get(&address(terms)) else {
            return true;
        };
        let unasked = || self.groups.iter().map(|_| OnceCell::new()).collect();
        let asked = layer.occurrences.0.get_or_init(unasked).get(seat.group);
        let holds = asked
            .zip(self.groups.get(seat.group))
            .map(|(asked, group)| {
                let holds = asked.get_or_init(|| group.occurring(layer));
                holds.get(seat.place).copied().unwrap_or(true)
            });
        holds.unwrap_or(true)
    }
}

impl Group {
    fn of(rules: &[&Terms]) -> Option<Self> {
        let first = rules.first()?;
        let mut seekers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, terms) in rules.iter().enumerate() {
            for term in &terms.list {
                seekers.entry(term).or_default().push(place);
            }
        }
        Some(Self {
            view: first.view,
            stem: first.stem,
            literals: Literals::of(seekers.keys()).ok()?,
            seekers: seekers.into_values().collect(),
            matching: rules.iter().map(|terms| terms.matching).collect(),
        })
    }

    /// Of a text full of terms that contain each other, each rule is to find out by itself.
    fn occurring(&self, layer: &Layer<'_>) -> Holds {
        let text = layer.view(self.view).as_str();
        let stems = self.stem.map(|language| stemmed(text, language));
        let text = stems.as_ref().map_or(text, Mapped::as_str);
        let mut left = terms::most_candidates(text);
        let mut holds = vec![false; self.matching.len()].into_boxed_slice();
        let mut silent = holds.len();
        self.literals.each(text, |candidate| {
            let Some(fewer) = left.checked_sub(1) else {
                holds.fill(true);
                return ControlFlow::Break(());
            };
            left = fewer;
            let seekers = self.seekers.get(candidate.pattern().as_usize());
            let seekers = seekers.map_or(&[][..], Vec::as_slice);
            silent -= self.note(text, &candidate.range(), seekers, &mut holds);
            if silent == 0 {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        holds
    }

    /// Notes for whom a candidate is the first that counts; gives how many these are.
    fn note(
        &self,
        text: &str,
        range: &Range<usize>,
        seekers: &[usize],
        holds: &mut [bool],
    ) -> usize {
        let mut noted = 0;
        for place in seekers {
            if let (Some(hold), Some(matching)) = (holds.get_mut(*place), self.matching.get(*place))
                && !*hold
                && terms::counts(*matching, text, range)
            {
                *hold = true;
                noted += 1;
            }
        }
        noted
    }
}

fn address(terms: &Terms) -> usize {
    std::ptr::from_ref(terms).addr()
}

#[cfg(test)]
mod tests {
    use aios_crds::check::{Stemmer, TermMatch, TermView, Terms as Spec};
    use proptest::prelude::*;

    use super::{super::Terms, Lexicon};
    use crate::view::Layer;

    fn terms(list: &[&str], matching: TermMatch, view: TermView, stem: Option<Stemmer>) -> Terms {
        let spec = Spec {
            list: list.iter().map(|&term| term.to_owned()).collect(),
            matching,
            view,
            stem,
            ..Spec::default()
        };
        Terms::compile(&spec, "p").unwrap()
    }

    /// Rules that share words, and read texts in several ways.
    fn rules() -> Vec<Terms> {
        use TermMatch::{Prefix, Substring, Suffix, Word};
        use TermView::{Folded, Raw, Unaccented};
        let stem = Some(Stemmer::German);
        vec![
            terms(&["acme", "bank"], Word, Folded, None),
            terms(&["bank", "ba b"], Substring, Folded, None),
            terms(&["ban"], Prefix, Folded, None),
            terms(&["nk", "bank"], Suffix, Folded, None),
            terms(&["Bank"], Word, Raw, None),
            terms(&["an"], Substring, Raw, None),
            terms(&["bänk"], Word, Unaccented, None),
            terms(&["Banken"], Word, Folded, stem),
            terms(&["sichere Bank", "bank"], Suffix, Folded, stem),
        ]
    }

    #[test]
    fn rules_alone_in_how_they_read_share_nothing() {
        let rules = rules();
        assert!(Lexicon::of_terms(rules.iter().skip(6).take(2)).is_none());
        assert_eq!(Lexicon::of_terms(rules.iter()).unwrap().groups.len(), 3);
    }

    #[test]
    fn a_text_of_nested_terms_fails_each_rule_as_it_does_alone() {
        let list: Vec<String> = (1..=200).map(|len| "a".repeat(len)).collect();
        let list: Vec<_> = list.iter().map(String::as_str).collect();
        let nested = terms(&list, TermMatch::Word, TermView::Raw, None);
        let plain = terms(&["acme"], TermMatch::Word, TermView::Raw, None);
        let lexicon = Lexicon::of_terms([&nested, &plain].into_iter()).unwrap();
        let text = "a".repeat(5000);
        let layer = Layer::of(&text);
        assert!(nested.find(&layer, Some(&lexicon)).is_err());
        assert_eq!(plain.find(&layer, Some(&lexicon)), Ok(Vec::new()));
    }

    proptest! {
        #[test]
        fn rules_find_together_what_they_find_alone(
            text in "([abknBE ]|bank|Banken|acme|bänk|sicheren|b\u{430}nk|\u{301}){0,16}",
        ) {
            let rules = rules();
            let lexicon = Lexicon::of_terms(rules.iter()).unwrap();
            let together = Layer::of(&text);
            for rule in &rules {
                let alone = rule.find(&Layer::of(&text), None);
                prop_assert_eq!(rule.find(&together, Some(&lexicon)), alone);
            }
        }
    }
}
