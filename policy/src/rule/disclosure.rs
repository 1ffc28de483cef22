//! That a machine wrote: a visible label in the document's language, a `meta` element in HTML, and what the
//! template has of such elements.

use aios_crds::check::{Disclosure as Spec, DisclosureMark};

use super::Failure;
use crate::{
    diagnostic::Diagnostic,
    document::PartKind,
    inputs::Inputs,
    verdict::RuleErrorReason,
    view::{PartView, metas, spaced},
    work::spend,
};

/// Compiled label and mark.
#[derive(Debug)]
pub(crate) struct Disclosure {
    /// Tags in lower case, and wordings as the texts are spaced.
    labels: Vec<(String, String)>,
    mark: Option<DisclosureMark>,
    /// Names of `meta` elements.
    keep: Vec<String>,
}

impl Disclosure {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        if spec.labels.is_empty() && spec.mark.is_none() && spec.keep.is_empty() {
            mistakes.push(Diagnostic::new(
                path,
                "nothing is asked for: set at least one of labels, mark, keep",
            ));
        }
        for (index, name) in spec.keep.iter().enumerate() {
            if name.trim().is_empty() || name.trim() != name {
                mistakes.push(Diagnostic::new(
                    format!("{path}.keep[{index}]"),
                    "space is no part of a name: write it as the template's `meta` element does",
                ));
            }
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
                keep: spec.keep.clone(),
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
        let told = (!asked.is_empty())
            .then(|| format!("say that a machine wrote, by {}", asked.join("; ")));
        let keep = self.keep.join("`, `");
        let kept =
            (!self.keep.is_empty()).then(|| format!("keep the template's meta elements `{keep}`"));
        let both: Vec<_> = told.into_iter().chain(kept).collect();
        both.join("; ")
    }

    /// True when one part holds the label of the language, and every HTML part the mark and what the template
    /// has of the marks that are kept.
    pub(crate) fn holds(
        &self,
        parts: &[&PartView<'_>],
        inputs: &Inputs<'_>,
    ) -> Result<bool, Failure> {
        let labelled = match self.label(inputs.language)? {
            Some(label) => parts.iter().any(|part| {
                spend(part.spaced().len());
                part.spaced().contains(label)
            }),
            None => true,
        };
        let pages = || parts.iter().filter(|part| part.part.kind == PartKind::Html);
        let mut mark = self.mark.iter();
        let marked = mark.all(|mark| pages().all(|page| has(page, mark)));
        let mut kept = self.kept(inputs).into_iter();
        Ok(labelled && marked && kept.all(|mark| pages().all(|page| has(page, &mark))))
    }

    /// The marks of the template that nobody may strip. What is filled in may be anything.
    fn kept(&self, inputs: &Inputs<'_>) -> Vec<DisclosureMark> {
        if self.keep.is_empty() {
            return Vec::new();
        }
        let is_kept = |name: &str| self.keep.iter().any(|kept| kept.eq_ignore_ascii_case(name));
        let written = inputs.template.iter().flat_map(|text| metas(text));
        let kept = written.filter(|(name, _)| is_kept(name));
        kept.map(|(name, content)| {
            let is_fixed = !content.contains("{{") && !content.contains("{%");
            DisclosureMark {
                name,
                content: is_fixed.then(|| content.trim().to_owned()),
            }
        })
        .collect()
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
    use std::collections::BTreeMap;

    use aios_crds::check::Disclosure as Spec;
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{Disclosure, Failure};
    use crate::{
        document::{Part, PartKind},
        inputs::Inputs,
        view::PartView,
    };

    fn judge(
        spec: &Value,
        part: &Part,
        language: &str,
        template: &[&str],
    ) -> Result<bool, Failure> {
        let spec: Spec = serde_json::from_value(spec.clone()).unwrap();
        let disclosure = Disclosure::compile(&spec, "p").unwrap();
        let inputs = Inputs {
            variables: &Value::Null,
            labels: &BTreeMap::new(),
            language,
            passages: &[],
            template,
            step: crate::Step::Final,
        };
        disclosure.holds(&[&PartView::new(part)], &inputs)
    }

    fn part(kind: PartKind, text: &str) -> Part {
        Part {
            name: "html".parse().unwrap(),
            kind,
            text: text.to_owned(),
        }
    }

    fn holds(kind: PartKind, text: &str, language: &str) -> Result<bool, Failure> {
        let spec = json!({
            "labels": [{"language": "en", "text": "Written with AI"},
                {"language": "de", "text": "Mit KI erstellt"}],
            "mark": {"name": "ai-generated", "content": "true"},
        });
        judge(&spec, &part(kind, text), language, &[])
    }

    const TEMPLATE: &str = "<meta name='AI-Origin' content='model'><meta name=ai-run content='{{ run }}'>\
        <meta name=viewport content=x><p>{{ body }}</p>";

    #[rstest]
    #[case::all(
        "<meta name=ai-origin content=model><META NAME=ai-run CONTENT=7><p>Hi",
        true
    )]
    #[case::in_any_order(
        "<p>Hi<meta name=ai-run content=8><meta content=' model ' name=ai-origin>",
        true
    )]
    #[case::one_stripped("<meta name=ai-origin content=model><p>Hi", false)]
    #[case::another_content(
        "<meta name=ai-origin content=person><meta name=ai-run content=7>",
        false
    )]
    #[case::in_a_comment(
        "<!-- <meta name=ai-origin content=model> --><meta name=ai-run content=7>",
        false
    )]
    #[case::all_stripped("<p>Hi", false)]
    fn what_the_template_marks_must_not_be_stripped(#[case] text: &str, #[case] expected: bool) {
        let spec = json!({"keep": ["ai-origin", "ai-run"]});
        let page = part(PartKind::Html, text);
        assert_eq!(
            judge(&spec, &page, "en", &["Hello", TEMPLATE]),
            Ok(expected)
        );
        // A template without marks, and a plain part, have nothing to keep.
        assert_eq!(judge(&spec, &page, "en", &["<p>{{ body }}</p>"]), Ok(true));
        assert_eq!(
            judge(&spec, &part(PartKind::Plain, text), "en", &[TEMPLATE]),
            Ok(true)
        );
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
