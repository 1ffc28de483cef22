//! Words cut to their stems, so that a term stands for its inflected forms: Snowball's algorithms, by the
//! name of a language. A newer version of them would be another revision of the check.

use aios_crds::check::Stemmer as Language;
use rust_stemmers::{Algorithm, Stemmer};

use super::in_word;
use crate::{
    view::{Mapped, MappedBuilder},
    work::spend,
};

/// Bytes of the longest word that is cut: longer ones are no words.
const LONGEST: usize = 64;

/// The text with every word cut to its stem. It is a folded one: the algorithms know lower case alone.
pub(crate) fn stemmed(text: &str, language: Language) -> Mapped<'static> {
    let stemmer = Stemmer::create(algorithm(language));
    let mut out = MappedBuilder::with_capacity(text.len());
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let word = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        spend(word);
        if word == 0 {
            let gap = rest.find(in_word).unwrap_or(rest.len());
            spend(gap);
            out.linear(at, rest.get(..gap).unwrap_or_default());
            at += gap;
            continue;
        }
        let written = rest.get(..word).unwrap_or_default();
        let stem = (word <= LONGEST).then(|| stemmer.stem(written));
        // A word keeps its place, whatever is left of it.
        let stem = stem.filter(|stem| !stem.is_empty());
        out.atom(at..at + word, stem.as_deref().unwrap_or(written));
        at += word;
    }
    out.finish()
}

fn algorithm(language: Language) -> Algorithm {
    match language {
        Language::Arabic => Algorithm::Arabic,
        Language::Danish => Algorithm::Danish,
        Language::Dutch => Algorithm::Dutch,
        Language::English => Algorithm::English,
        Language::French => Algorithm::French,
        Language::German => Algorithm::German,
        Language::Italian => Algorithm::Italian,
        Language::Norwegian => Algorithm::Norwegian,
        Language::Portuguese => Algorithm::Portuguese,
        Language::Russian => Algorithm::Russian,
        Language::Spanish => Algorithm::Spanish,
        Language::Swedish => Algorithm::Swedish,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Language, stemmed};
    use crate::view::folded;

    const ALL: [Language; 12] = [
        Language::Arabic,
        Language::Danish,
        Language::Dutch,
        Language::English,
        Language::French,
        Language::German,
        Language::Italian,
        Language::Norwegian,
        Language::Portuguese,
        Language::Russian,
        Language::Spanish,
        Language::Swedish,
    ];

    #[test]
    fn forms_of_a_word_have_one_stem() {
        for (language, forms) in [
            (Language::English, ["guarantee", "guarantees", "guaranteed"]),
            (Language::German, ["garantie", "garantien", "Garantie"]),
            (Language::French, ["garantie", "garanties", "Garantie"]),
            (Language::Spanish, ["garantía", "garantías", "Garantía"]),
            (Language::Russian, ["гарантия", "гарантии", "гарантией"]),
        ] {
            let stems =
                forms.map(|form| stemmed(folded(form).as_str(), language).as_str().to_owned());
            assert!(stems.iter().all(|stem| *stem == stems[0]), "{stems:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_has_stems_that_lead_back(text in "[a-zß-ÿа-яء-ي'’ \\-\u{200c}]{0,24}|\\PC{0,24}") {
            let text = folded(&text);
            let text = text.as_str();
            for language in ALL {
                let stems = stemmed(text, language);
                let mut before = 0;
                for (at, c) in stems.as_str().char_indices() {
                    let source = stems.source(at..at + c.len_utf8());
                    prop_assert!(text.get(source.clone()).is_some() && source.start >= before);
                    before = source.start;
                }
            }
        }
    }
}
