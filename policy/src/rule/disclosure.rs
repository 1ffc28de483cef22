//! That a machine wrote: a visible label in the document's language, and a `meta` element in HTML.

use aios_crds::check::{Disclosure as Spec, DisclosureMark};

use super::Failure;
use crate::{
    diagnostic::Diagnostic,
    document::PartKind,
    verdict::RuleErrorReason,
    view::{PartView, spaced},
    work::spend,
};

/// Compiled label and mark.
#[derive(Debug)]
pub(crate) struct Disclosure {
    /// Tags in lower case, and wordings as the texts are spaced.
    labels: Vec<(String, String)>,
    mark: Option<DisclosureMark>,
}

impl Disclosure {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        if spec.labels.is_empty() && spec.mark.is_none() {
            mistakes.push(Diagnostic::new(
                path,
                "nothing is asked for: set at least one of labels, mark",
            ));
        }
        let mut labels: Vec<(String, String)> = Vec::new();
        for (index, label) in spec.labels.iter().enumerate() {
            let tag = label.language.to_ascii_lowercase();
            let text = spaced(&label.text);
            if text.is_empty() {
                mistakes.push(Diagnostic::new(
                    format!("{path}.labels[{index}].text"),
                    "the label holds nothing but space or invisible characters: write its words",
                ));
            }
            if labels.iter().any(|(known, _)| *known == tag) {
                mistakes.push(Diagnostic::new(
                    format!("{path}.labels[{index}].language"),
                    format!("`{tag}` has two labels: keep one"),
                ));
            }
            labels.push((tag, text));
        }
        if mistakes.is_empty() {
            Ok(Self {
                labels,
                mark: spec.mark.clone(),
            })
        } else {
            Err(mistakes)
        }
    }

    pub(crate) fn message(&self) -> String {
        let labels = self
            .labels
            .iter()
            .map(|(tag, text)| format!("{tag}: {text}"));
        let mark = self
            .mark
            .iter()
            .map(|mark| format!("a meta element `{}`", mark.name));
        let asked: Vec<_> = labels.chain(mark).collect();
        format!("say that a machine wrote, by {}", asked.join("; "))
    }

    /// True when one part holds the label of the language, and every HTML part the mark.
    pub(crate) fn holds(&self, parts: &[&PartView<'_>], language: &str) -> Result<bool, Failure> {
        let labelled = match self.label(language)? {
            Some(label) => parts.iter().any(|part| {
                spend(part.spaced().len());
                part.spaced().contains(label)
            }),
            None => true,
        };
        let mut pages = parts.iter().filter(|part| part.part.kind == PartKind::Html);
        let marked = self
            .mark
            .as_ref()
            .is_none_or(|mark| pages.all(|page| has(page, mark)));
        Ok(labelled && marked)
    }

    /// The wording of the language, or of what it is a variant of; `None` where no label is asked for.
    fn label(&self, language: &str) -> Result<Option<&str>, Failure> {
        if self.labels.is_empty() {
            return Ok(None);
        }
        let tag = language.to_ascii_lowercase();
        let mut wider = Some(tag.as_str());
        while let Some(wanted) = wider {
            if let Some((_, text)) = self.labels.iter().find(|(known, _)| known == wanted) {
                return Ok(Some(text));
            }
            wider = wanted.rsplit_once('-').map(|(wider, _)| wider);
        }
        Err(Failure::new(
            RuleErrorReason::Unsupported,
            "no label is written for the document's language: add one to `labels`",
        ))
    }
}

fn has(page: &PartView<'_>, mark: &DisclosureMark) -> bool {
    page.metas().iter().any(|(name, content)| {
        spend(1 + content.len());
        name.eq_ignore_ascii_case(&mark.name)
            && mark
                .content
                .as_ref()
                .is_none_or(|wanted| content.trim() == wanted)
    })
}

#[cfg(test)]
mod tests {
    use aios_crds::check::Disclosure as Spec;
    use rstest::rstest;
    use serde_json::json;

    use super::Disclosure;
    use crate::{
        document::{Part, PartKind},
        view::PartView,
    };

    fn holds(kind: PartKind, text: &str, language: &str) -> Result<bool, super::Failure> {
        let spec: Spec = serde_json::from_value(json!({
            "labels": [{"language": "en", "text": "Written with AI"},
                {"language": "de", "text": "Mit KI erstellt"}],
            "mark": {"name": "ai-generated", "content": "true"},
        }))
        .unwrap();
        let disclosure = Disclosure::compile(&spec, "p").unwrap();
        let part = Part {
            name: "html".parse().unwrap(),
            kind,
            text: text.to_owned(),
        };
        disclosure.holds(&[&PartView::new(&part)], language)
    }

    #[rstest]
    #[case(PartKind::Plain, "Hello. Written  with AI.", "en", true)]
    #[case(PartKind::Plain, "Hallo. Mit KI erstellt.", "de-AT", true)]
    #[case(PartKind::Plain, "Hello. Written with AI.", "de", false)]
    #[case(
        PartKind::Html,
        "<meta name=AI-generated content='true'><p>Written <b>with</b> AI",
        "en",
        true
    )]
    #[case(
        PartKind::Html,
        "<meta name=ai-generated content=false><p>Written with AI",
        "en",
        false
    )]
    #[case(PartKind::Html, "<p>Written with AI", "en", false)]
    fn label_and_mark_must_stand(
        #[case] kind: PartKind,
        #[case] text: &str,
        #[case] language: &str,
        #[case] expected: bool,
    ) {
        assert_eq!(holds(kind, text, language), Ok(expected));
    }

    #[test]
    fn a_language_without_label_is_an_error() {
        let error = holds(PartKind::Plain, "x", "fr").unwrap_err();
        assert!(error.message.contains("`labels`"));
    }

    #[test]
    fn empty_and_repeated_labels_are_refused() {
        let spec: Spec = serde_json::from_value(json!({"labels": [
            {"language": "en", "text": "\u{200b}"}, {"language": "EN", "text": "x"}]}))
        .unwrap();
        let mistakes = Disclosure::compile(&spec, "p").unwrap_err();
        let paths: Vec<_> = mistakes
            .iter()
            .map(|mistake| mistake.path.as_str())
            .collect();
        assert_eq!(paths, ["p.labels[0].text", "p.labels[1].language"]);
        assert!(Disclosure::compile(&Spec::default(), "p").is_err());
    }
}
