//! The language of each paragraph, told from its script and its commonest words.
//! A paragraph that is too short to tell passes: names, figures and single words have no language.

mod tell;
mod words;

use std::ops::Range;

use aios_crds::check::Language as Spec;

use super::{Failure, MAX_MATCHES, Ranges};
use crate::{diagnostic::Diagnostic, verdict::RuleErrorReason, view::Layer};
use tell::Tongue;

/// Compiled permissions.
#[derive(Debug)]
pub(crate) struct Language {
    /// The document's own when empty.
    allow: Vec<Tongue>,
}

impl Language {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut allow = Vec::new();
        let mut mistakes = Vec::new();
        for (index, tag) in spec.allow.iter().enumerate() {
            match Tongue::of_tag(tag) {
                Some(tongue) => allow.push(tongue),
                None => mistakes.push(Diagnostic::new(
                    format!("{path}.allow[{index}]"),
                    format!(
                        "`{tag}` can't be told apart: write one of {}",
                        Tongue::all()
                    ),
                )),
            }
        }
        if mistakes.is_empty() {
            Ok(Self { allow })
        } else {
            Err(mistakes)
        }
    }

    pub(crate) fn message(&self) -> String {
        match self.allow.as_slice() {
            [] => "write in the language of the document".to_owned(),
            allow => {
                let named: Vec<_> = allow.iter().map(Tongue::tag).collect();
                format!("write in {}", named.join(" or "))
            }
        }
    }

    /// Bytes of the part where paragraphs in another language stand.
    pub(crate) fn find(&self, layer: &Layer<'_>, document: &str) -> Result<Ranges, Failure> {
        let own = Tongue::of_tag(document);
        let allowed = match (self.allow.as_slice(), &own) {
            ([], None) => {
                return Err(Failure::new(
                    RuleErrorReason::Unsupported,
                    format!(
                        "the document's language can't be told apart: name languages in `allow`, \
                         or restrict the rule by `when` to {}",
                        Tongue::all()
                    ),
                ));
            }
            ([], Some(own)) => std::slice::from_ref(own),
            (allow, _) => allow,
        };
        let text = layer.text.as_str();
        Ok(paragraphs(text)
            .filter(|range| {
                let paragraph = text.get(range.clone()).unwrap_or_default();
                tell::is_other(paragraph, allowed)
            })
            .take(MAX_MATCHES + 1)
            .map(|range| layer.text.source(range))
            .collect())
    }
}

/// Lines, without the space around them.
fn paragraphs(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = at + line.len() - line.trim_start().len();
        at += line.len();
        let trimmed = line.trim();
        (!trimmed.is_empty()).then(|| start..start + trimmed.len())
    })
}

#[cfg(test)]
mod tests {
    use aios_crds::check::Language as Spec;
    use rstest::rstest;

    use super::Language;
    use crate::{
        document::{Part, PartKind},
        verdict::RuleErrorReason,
        view::PartView,
    };

    fn found(allow: &[&str], own: &str, text: &str) -> Vec<String> {
        let allow = allow.iter().map(|&tag| tag.to_owned()).collect();
        let language = Language::compile(&Spec { allow }, "p").unwrap();
        let part = part(text);
        let ranges = language.find(PartView::new(&part).visible(), own).unwrap();
        ranges
            .into_iter()
            .map(|range| text[range].to_owned())
            .collect()
    }

    fn part(text: &str) -> Part {
        Part {
            name: "text".parse().unwrap(),
            kind: PartKind::Plain,
            text: text.to_owned(),
        }
    }

    const ENGLISH: &str =
        "We are happy to welcome you to our webinar, and you can ask what you want.";
    const GERMAN: &str =
        "Wir freuen uns, Sie zu unserem Webinar zu begrüßen, und Sie können alles fragen.";
    const FRENCH: &str = "Nous sommes heureux de vous accueillir dans notre webinaire et vous pouvez poser des questions.";
    const SPANISH: &str = "Estamos encantados de darle la bienvenida a nuestro seminario y puede preguntar lo que quiera.";
    const ARABIC: &str = "يسعدنا أن نرحب بكم في ندوتنا ويمكنكم طرح جميع الأسئلة التي تريدونها.";
    const RUSSIAN: &str =
        "Мы рады приветствовать вас на нашем вебинаре, и вы можете задать любые вопросы.";
    const JAPANESE: &str = "ウェビナーへようこそ。ご質問は何でもお気軽にどうぞ。";
    const CHINESE: &str = "欢迎参加我们的网络研讨会，您可以提出任何问题。";

    #[rstest]
    #[case("en", ENGLISH)]
    #[case("de-AT", GERMAN)]
    #[case("fr", FRENCH)]
    #[case("es", SPANISH)]
    #[case("ar", ARABIC)]
    #[case("ru", RUSSIAN)]
    #[case("ja", JAPANESE)]
    #[case("zh-Hant", CHINESE)]
    fn a_paragraph_in_another_language_is_marked(#[case] own: &str, #[case] text: &str) {
        for other in [
            ENGLISH, GERMAN, FRENCH, SPANISH, ARABIC, RUSSIAN, JAPANESE, CHINESE,
        ] {
            let both = format!("{text}\n\n{other}");
            let expected: Vec<_> = (other != text)
                .then(|| other.to_owned())
                .into_iter()
                .collect();
            assert_eq!(found(&[], own, &both), expected, "{other} in {own}");
        }
    }

    #[rstest]
    #[case("de", "Nordbank Plus\n+49 30 1234567\nDe la Cruz")]
    #[case("en", "Zoë Müller, Straße 7")]
    #[case("en", "Le Monde reported that we are a bank of the people.")]
    #[case(
        "de",
        "Unser Feedback-Meeting ist am Freitag, und das Team ist für Sie da."
    )]
    fn names_and_loans_have_no_language(#[case] own: &str, #[case] text: &str) {
        assert_eq!(found(&[], own, text), Vec::<String>::new());
    }

    #[test]
    fn several_languages_may_be_allowed() {
        let text = format!("{ENGLISH}\n{GERMAN}\n{FRENCH}");
        assert_eq!(found(&["en", "de"], "it", &text), [FRENCH]);
    }

    #[test]
    fn a_language_that_cannot_be_told_is_refused_or_an_error() {
        let spec = Spec {
            allow: vec!["tlh".to_owned()],
        };
        let mistakes = Language::compile(&spec, "spec.rules[0].language").unwrap_err();
        assert_eq!(mistakes[0].path, "spec.rules[0].language.allow[0]");
        let language = Language::compile(&Spec::default(), "p").unwrap();
        let part = part(ENGLISH);
        let error = language
            .find(PartView::new(&part).visible(), "tlh")
            .unwrap_err();
        assert_eq!(error.reason, RuleErrorReason::Unsupported);
    }
}
