//! Bounds on the size of each part, in words, sentences and characters as a reader counts them.

use aios_crds::check::Length as Spec;

use crate::{diagnostic::Diagnostic, view::PartView};

/// Bounds that leave room.
#[derive(Debug)]
pub(crate) struct Length {
    words: Bounds,
    sentences: Bounds,
    characters: Bounds,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    min: Option<u32>,
    max: Option<u32>,
}

impl Length {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let length = Self {
            words: Bounds {
                min: spec.min_words,
                max: spec.max_words,
            },
            sentences: Bounds {
                min: spec.min_sentences,
                max: spec.max_sentences,
            },
            characters: Bounds {
                min: spec.min_characters,
                max: spec.max_characters,
            },
        };
        let mut mistakes = Vec::new();
        for (bounds, unit) in [
            (length.words, "Words"),
            (length.sentences, "Sentences"),
            (length.characters, "Characters"),
        ] {
            if let (Some(min), Some(max)) = (bounds.min, bounds.max)
                && min > max
            {
                mistakes.push(Diagnostic::new(
                    format!("{path}.min{unit}"),
                    format!("{min} is more than max{unit} {max}: no text can be both; swap them"),
                ));
            }
        }
        if *spec == Spec::default() {
            mistakes.push(Diagnostic::new(
                path,
                "no bound is set: set at least one of minWords, maxWords, minSentences, \
                 maxSentences, minCharacters, maxCharacters",
            ));
        }
        if mistakes.is_empty() {
            Ok(length)
        } else {
            Err(mistakes)
        }
    }

    /// True when a text that breaks it goes on breaking it, however it continues. Sentences do not: the `a`
    /// in `No. 1a` joins what `No. 1` parts.
    pub(crate) fn only_grows(&self) -> bool {
        self.words.min.is_none() && self.characters.min.is_none() && self.sentences.is_open()
    }

    pub(crate) fn message(&self) -> String {
        let bounds = [
            (self.words, "words"),
            (self.sentences, "sentences"),
            (self.characters, "characters"),
        ];
        let said: Vec<_> = bounds
            .iter()
            .filter_map(|(bounds, unit)| bounds.say(unit))
            .collect();
        format!("write {}", said.join(" and "))
    }

    /// True when the part's size is within bounds.
    pub(crate) fn holds(&self, part: &PartView<'_>) -> bool {
        self.words.hold(|| part.words())
            && self.sentences.hold(|| part.sentences())
            && self.characters.hold(|| part.characters())
    }
}

impl Bounds {
    fn is_open(self) -> bool {
        (self.min, self.max) == (None, None)
    }

    /// Counts only where there is a bound.
    fn hold(self, count: impl FnOnce() -> u32) -> bool {
        if self.is_open() {
            return true;
        }
        let count = count();
        self.min.is_none_or(|min| count >= min) && self.max.is_none_or(|max| count <= max)
    }

    fn say(self, unit: &str) -> Option<String> {
        match (self.min, self.max) {
            (None, None) => None,
            (Some(min), None) => Some(format!("at least {min} {unit}")),
            (None, Some(max)) => Some(format!("at most {max} {unit}")),
            (Some(min), Some(max)) => Some(format!("{min} to {max} {unit}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use aios_crds::check::Length as Spec;
    use rstest::rstest;

    use super::Length;
    use crate::{
        document::{Part, PartKind},
        view::PartView,
    };

    #[rstest]
    #[case(Spec { max_words: Some(3), ..Spec::default() }, "Grüße an Zoë", true)]
    #[case(Spec { max_words: Some(2), ..Spec::default() }, "Grüße an Zoë", false)]
    #[case(Spec { min_words: Some(1), ..Spec::default() }, "… !", false)]
    #[case(Spec { max_characters: Some(4), ..Spec::default() }, "Zoe\u{308}!", true)]
    #[case(Spec { max_characters: Some(1), ..Spec::default() }, "👨‍👩‍👧", true)]
    #[case(Spec { max_sentences: Some(2), ..Spec::default() }, "Hello. Good bye!", true)]
    #[case(Spec { max_sentences: Some(1), ..Spec::default() }, "Hello. Good bye!", false)]
    #[case(Spec { max_sentences: Some(1), ..Spec::default() }, "It costs 3.5 euros, e.g. in May …", true)]
    #[case(Spec { min_sentences: Some(1), ..Spec::default() }, "… !", false)]
    #[case(Spec { max_sentences: Some(1), ..Spec::default() }, "我去银行了。他也去了！", false)]
    #[case(Spec { min_sentences: Some(2), ..Spec::default() }, "我去银行了。他也去了！", true)]
    #[case(Spec { max_sentences: Some(1), ..Spec::default() }, "ไปธนาคารวันนี้ แล้วกลับบ้าน", true)]
    #[case(Spec { min_characters: Some(5), ..Spec::default() }, "مرحبا", true)]
    fn sizes_are_held_to_their_bounds(#[case] spec: Spec, #[case] text: &str, #[case] holds: bool) {
        let length = Length::compile(&spec, "p").unwrap();
        assert_eq!(self::holds(&length, text), holds);
    }

    fn holds(length: &Length, text: &str) -> bool {
        let part = Part {
            name: "text".parse().unwrap(),
            kind: PartKind::Plain,
            text: text.to_owned(),
        };
        length.holds(&PartView::new(&part))
    }

    #[test]
    fn bounds_without_room_or_without_number_are_refused() {
        let spec = Spec {
            min_words: Some(9),
            max_words: Some(3),
            ..Spec::default()
        };
        let mistakes = Length::compile(&spec, "spec.rules[1].length").unwrap_err();
        assert_eq!(mistakes[0].path, "spec.rules[1].length.minWords");
        assert!(Length::compile(&Spec::default(), "p").is_err());
        let spec = Spec {
            min_sentences: Some(2),
            max_sentences: Some(1),
            ..Spec::default()
        };
        let mistakes = Length::compile(&spec, "p").unwrap_err();
        assert_eq!(mistakes[0].path, "p.minSentences");
    }

    #[test]
    fn a_text_that_goes_on_can_have_fewer_sentences() {
        let spec = Spec {
            max_sentences: Some(1),
            ..Spec::default()
        };
        let length = Length::compile(&spec, "p").unwrap();
        assert!(!holds(&length, "No. 1"));
        assert!(holds(&length, "No. 1a"));
        assert!(!length.only_grows());
    }
}
