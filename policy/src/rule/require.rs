//! Wording that must occur in at least one of the rule's parts.

use aios_crds::check::Require as Spec;

use crate::{
    diagnostic::Diagnostic,
    view::{PartView, spaced},
};

/// The wording, spaced as the texts are.
#[derive(Debug)]
pub(crate) struct Require {
    text: String,
}

impl Require {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let text = spaced(&spec.text);
        if text.is_empty() {
            return Err(vec![Diagnostic::new(
                format!("{path}.text"),
                "the wording holds nothing but space or invisible characters: write the sentence \
                 that must occur",
            )]);
        }
        Ok(Self { text })
    }

    pub(crate) fn message(&self) -> String {
        format!("must contain: {}", self.text)
    }

    /// True when one of the parts holds the wording.
    pub(crate) fn holds<'v, 'a: 'v>(
        &self,
        parts: impl IntoIterator<Item = &'v PartView<'a>>,
    ) -> bool {
        parts
            .into_iter()
            .any(|part| part.spaced().contains(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use aios_crds::check::Require as Spec;
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
        let spec = Spec {
            text: "Deposits are protected up to 100,000 EUR".to_owned(),
        };
        let require = Require::compile(&spec, "p").unwrap();
        let part = Part {
            name: "text".parse().unwrap(),
            kind,
            text: text.to_owned(),
        };
        assert_eq!(require.holds(&[PartView::new(&part)]), holds);
    }

    #[test]
    fn composed_and_decomposed_accents_are_equal() {
        let require = Require::compile(
            &Spec {
                text: "Dépôt garanti".to_owned(),
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
