//! Phrases that no text may open with.

use std::ops::Range;

use crate::{diagnostic::Diagnostic, rule::boundary::ends_word, view::folded};

/// Most characters of a first line that is a salutation.
const SALUTATION: usize = 80;

/// Folded phrases.
#[derive(Debug)]
pub(super) struct Openings(Vec<String>);

impl Openings {
    pub(super) fn compile(phrases: &[String], path: &str) -> Result<Self, Vec<Diagnostic>> {
        let folded: Vec<_> = phrases
            .iter()
            .map(|phrase| folded(phrase).as_str().trim().to_owned())
            .collect();
        let empty = folded.iter().enumerate().filter(|(_, f)| f.is_empty());
        let mistakes: Vec<_> = empty
            .map(|(index, _)| {
                Diagnostic::new(
                    format!("{path}[{index}]"),
                    "the phrase holds nothing but space or invisible characters: write its words \
                     or remove the entry",
                )
            })
            .collect();
        if mistakes.is_empty() {
            Ok(Self(folded))
        } else {
            Err(mistakes)
        }
    }

    /// At the beginning of the text, and of what follows a salutation.
    pub(super) fn find(&self, text: &str) -> Vec<Range<usize>> {
        starts(text)
            .into_iter()
            .filter_map(|start| self.at(text, start))
            .collect()
    }

    fn at(&self, text: &str, start: usize) -> Option<Range<usize>> {
        let longest = self.0.iter().map(String::len).max().unwrap_or_default();
        // Folding shortens little; white space is the rest.
        let end = text.ceil_char_boundary(start.saturating_add(longest * 4).min(text.len()));
        let head = folded(text.get(start..end)?);
        let opening = self.0.iter().find(|phrase| {
            head.as_str().starts_with(phrase.as_str())
                && ends_word(head.as_str(), &(0..phrase.len()))
        })?;
        let source = head.source(0..opening.len());
        Some(start + source.start..start + source.end)
    }
}

/// Where a reader starts: at the first letter, and behind a first line that ends in a comma, a colon
/// or an exclamation mark, as salutations do.
fn starts(text: &str) -> Vec<usize> {
    let first_letter = |from: usize| {
        let rest = text.get(from..)?;
        rest.find(char::is_alphanumeric).map(|at| from + at)
    };
    let Some(start) = first_letter(0) else {
        return Vec::new();
    };
    let line = text.get(start..).and_then(|rest| rest.lines().next());
    let line = line.unwrap_or_default().trim_end();
    let salutes = line.ends_with([',', '!', ':', '،', '，']) && line.chars().count() <= SALUTATION;
    let body = first_letter(start + line.len()).filter(|_| salutes);
    std::iter::once(start).chain(body).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::Openings;

    #[rstest]
    #[case(
        "I hope this email finds you well.",
        Some("I hope this email finds you well")
    )]
    #[case(
        "Dear Zoë,\n\n I hope  this EMAIL finds you well!",
        Some("I hope  this EMAIL finds you well")
    )]
    #[case("Dear Zoë, I hope this email finds you well", None)]
    #[case("I hope this email finds you wellness", None)]
    #[case("Today.\n\nI hope this email finds you well.", None)]
    #[case("", None)]
    fn openings_are_found_with_and_without_salutation(
        #[case] text: &str,
        #[case] expected: Option<&str>,
    ) {
        let phrases = vec!["I hope this email finds you well".to_owned()];
        let openings = Openings::compile(&phrases, "p").unwrap();
        let found = openings.find(text);
        assert_eq!(found.first().map(|range| &text[range.clone()]), expected);
    }
}
