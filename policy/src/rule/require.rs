//! Wording that must occur in at least one of the rule's parts: to the letter, or near.

use aios_crds::check::{Position, Require as Spec};

use crate::{
    diagnostic::Diagnostic,
    view::{PartView, spaced, wording},
    work::spend,
};

/// The wording, as the texts are read.
#[derive(Debug)]
pub(crate) struct Require {
    /// To the letter but for its spacing.
    text: String,
    /// Its words, where near wording will do.
    near: Option<String>,
    position: Option<Position>,
}

impl Require {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let text = spaced(&spec.text);
        let near = spec.near.then(|| wording(&spec.text));
        let mistake = if text.is_empty() {
            Some(
                "the wording holds nothing but space or invisible characters: write the sentence \
                 that must occur",
            )
        } else if near.as_ref().is_some_and(String::is_empty) {
            Some(
                "near wording is compared by its words, and there is none: write the sentence that must \
                 occur, or leave out near",
            )
        } else {
            None
        };
        match mistake {
            Some(why) => Err(vec![Diagnostic::new(format!("{path}.text"), why)]),
            None => Ok(Self {
                text,
                near,
                position: spec.position,
            }),
        }
    }

    pub(crate) fn message(&self) -> String {
        let verb = match self.position {
            None => "contain",
            Some(Position::Start) => "begin with",
            Some(Position::End) => "end with",
        };
        format!("must {verb}: {}", self.text)
    }

    /// True when one of the parts holds the wording where it must stand.
    pub(crate) fn holds<'v, 'a: 'v>(
        &self,
        parts: impl IntoIterator<Item = &'v PartView<'a>>,
    ) -> bool {
        parts.into_iter().any(|part| {
            let (text, wanted) = match &self.near {
                Some(near) => (part.wording(), near),
                None => (part.spaced(), &self.text),
            };
            spend(text.len());
            match self.position {
                None => text.contains(wanted),
                Some(Position::Start) => text.starts_with(wanted),
                Some(Position::End) => text.ends_with(wanted),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use aios_crds::check::{Position, Require as Spec};
    use rstest::rstest;

    use super::Require;
    use crate::{
        document::{Part, PartKind},
        view::PartView,
    };

    #[rstest]
    #[case(
        PartKind::Plain,
        "Note: Deposits are protected up to 100,000 EUR.",
        true
    )]
    #[case(
        PartKind::Plain,
        "Deposits are\n  protected up to 100,000\u{a0}EUR",
        true
    )]
    #[case(PartKind::Plain, "deposits are protected up to 100,000 EUR", false)]
    #[case(PartKind::Plain, "Deposits are protected up to 10,000 EUR", false)]
    #[case(
        PartKind::Html,
        "<p>Deposits are <b>protected</b>\nup to 100&#44;000&nbsp;EUR</p>",
        true
    )]
    #[case(
        PartKind::Html,
        "<!-- Deposits are protected up to 100,000 EUR -->",
        false
    )]
    fn wording_counts_whatever_its_spacing(
        #[case] kind: PartKind,
        #[case] text: &str,
        #[case] holds: bool,
    ) {
        assert_eq!(self::holds(&spec(false, None), kind, text), holds);
    }

    fn spec(near: bool, position: Option<Position>) -> Spec {
        Spec {
            text: "Deposits are protected up to 100,000 EUR".to_owned(),
            near,
            position,
        }
    }

    fn holds(spec: &Spec, kind: PartKind, text: &str) -> bool {
        let part = Part {
            name: "text".parse().unwrap(),
            kind,
            text: text.to_owned(),
        };
        let require = Require::compile(spec, "p").unwrap();
        require.holds(&[PartView::new(&part)])
    }

    #[rstest]
    #[case("DEPOSITS are protected — up to 100.000\u{a0}Eur!", true)]
    #[case("(deposits, are: protécted up-to １００'000 EUR)", true)]
    #[case("Ｄｅｐｏｓｉｔｓ are pro\u{ad}tected up to 100\u{202f}000 EUR", true)]
    #[case("Deposits are not protected up to 100,000 EUR", false)]
    #[case("Deposits are protected up to 100000 EUR", false)]
    #[case("Deposits are protected up to 100,000 EUROS", false)]
    #[case("Bank-deposits are protected up to 100,000 EUR", true)]
    #[case("Bankdeposits are protected up to 100,000 EUR", false)]
    #[case("Deposits are protected up to 2,100,000 EUR", false)]
    #[case("Deposits are protected up to 100,000 % EUR", false)]
    fn near_wording_is_its_words_in_their_order(#[case] text: &str, #[case] holds: bool) {
        let spec = spec(true, None);
        assert_eq!(self::holds(&spec, PartKind::Plain, text), holds);
        let page = format!("<p>{}</p>", text.replace(' ', " <i></i>"));
        assert_eq!(self::holds(&spec, PartKind::Html, &page), holds);
    }

    #[rstest]
    #[case(
        Position::Start,
        " Deposits are protected up to 100,000 EUR. Bye.",
        true,
        true
    )]
    #[case(
        Position::Start,
        "“deposits are protected up to 100,000 EUR”",
        false,
        true
    )]
    #[case(
        Position::Start,
        "Our deposits are protected up to 100,000 EUR",
        false,
        false
    )]
    #[case(
        Position::End,
        "Hi. Deposits are protected up to 100,000 EUR\n",
        true,
        true
    )]
    #[case(
        Position::End,
        "Hi. Deposits are protected up to 100,000 EUR.",
        false,
        true
    )]
    #[case(
        Position::End,
        "Deposits are protected up to 100,000 EUR. Bye",
        false,
        false
    )]
    fn wording_stands_where_it_must(
        #[case] position: Position,
        #[case] text: &str,
        #[case] exact: bool,
        #[case] near: bool,
    ) {
        for (is_near, expected) in [(false, exact), (true, near)] {
            let spec = spec(is_near, Some(position));
            assert_eq!(holds(&spec, PartKind::Plain, text), expected);
        }
    }

    #[test]
    fn near_wording_of_no_words_is_refused() {
        let spec = Spec {
            text: "…".to_owned(),
            ..spec(true, None)
        };
        let mistakes = Require::compile(&spec, "p").unwrap_err();
        assert!(mistakes[0].message.contains("leave out near"));
    }

    #[test]
    fn composed_and_decomposed_accents_are_equal() {
        let require = Require::compile(
            &Spec {
                text: "Dépôt garanti".to_owned(),
                ..spec(false, None)
            },
            "p",
        )
        .unwrap();
        let text = "De\u{301}po\u{302}t garanti".to_owned();
        let part = Part {
            name: "text".parse().unwrap(),
            kind: PartKind::Plain,
            text,
        };
        assert!(require.holds(&[PartView::new(&part)]));
    }
}
