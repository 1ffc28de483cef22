//! How a text is set: quotation marks, spaces, exclamation marks, words in capitals, openings, numbers.
//! The first three have one right form, which action Normalize puts in place.

mod numbers;
mod openings;
mod quotes;

use std::{collections::BTreeSet, ops::Range};

use aios_crds::check::{Numbers, Quotes, Style as Spec};
use memchr::memmem;
use unicode_segmentation::UnicodeSegmentation;

use super::{Fix, MAX_MATCHES, Ranges};
use crate::{
    bytes::lines_with,
    diagnostic::Diagnostic,
    view::{PartView, folded},
};
use openings::Openings;

/// Letters of an acronym.
const ACRONYM: u32 = 4;

/// Compiled aspects.
#[derive(Debug)]
pub(crate) struct Style {
    quotes: Option<Quotes>,
    spacing: bool,
    exclamations: bool,
    capitals: Option<Capitals>,
    openings: Option<Openings>,
    numbers: Option<Numbers>,
}

#[derive(Debug)]
struct Capitals {
    max_letters: usize,
    /// Folded.
    allow: BTreeSet<String>,
}

impl Style {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        if *spec == Spec::default() {
            return Err(vec![Diagnostic::new(
                path,
                "nothing is asked for: set at least one of quotes, spacing, exclamations, \
                 capitals, openings, numbers",
            )]);
        }
        let openings = (!spec.openings.is_empty())
            .then(|| Openings::compile(&spec.openings, &format!("{path}.openings")));
        let capitals = spec.capitals.as_ref().map(|capitals| Capitals {
            max_letters: usize::try_from(capitals.max_letters.unwrap_or(ACRONYM))
                .unwrap_or(usize::MAX),
            allow: capitals
                .allow
                .iter()
                .map(|word| folded(word).as_str().trim().to_owned())
                .collect(),
        });
        Ok(Self {
            quotes: spec.quotes,
            spacing: spec.spacing.is_some(),
            exclamations: spec.exclamations.is_some(),
            capitals,
            openings: openings.transpose()?,
            numbers: spec.numbers,
        })
    }

    /// Why the rule can't mend all that it finds.
    pub(crate) fn unmendable(&self) -> Option<&'static str> {
        let asks_more =
            self.capitals.is_some() || self.openings.is_some() || self.numbers.is_some();
        asks_more.then_some(
            "Normalize mends quotes, spacing and exclamations: put capitals, openings and numbers \
             into a rule of their own",
        )
    }

    pub(crate) fn message(&self) -> String {
        let aspects = [
            (self.quotes.is_some(), "quotation marks"),
            (self.spacing, "spaces"),
            (self.exclamations, "exclamation marks"),
            (self.capitals.is_some(), "words in capitals"),
            (self.openings.is_some(), "the opening"),
            (self.numbers.is_some(), "numbers"),
        ];
        let named: Vec<_> = aspects
            .iter()
            .filter_map(|(asked, name)| asked.then_some(*name))
            .collect();
        let example = match self.numbers {
            None => "",
            Some(Numbers::English) => ", as in 1,234.5",
            Some(Numbers::German) => ", as in 1.234,5",
            Some(Numbers::French) => ", as in 1\u{a0}234,5",
            Some(Numbers::Swiss) => ", as in 1'234.5",
        };
        format!("correct {}{example}", named.join(", "))
    }

    /// Bytes of the part that are set otherwise.
    pub(crate) fn find(&self, part: &PartView<'_>) -> Ranges {
        let visible = &part.visible().text;
        let text = visible.as_str();
        let mendable = self.wrong(part).into_iter().map(|(range, _)| range);
        let words = self
            .capitals
            .iter()
            .flat_map(|capitals| capitals.find(text));
        let opening = self
            .openings
            .iter()
            .flat_map(|openings| openings.find(text));
        let in_text = mendable.chain(words).chain(opening);
        let layer = part.visible();
        let numbers = self
            .numbers
            .iter()
            .flat_map(|convention| numbers::wrong(layer, *convention));
        in_text
            .map(|range| visible.source(range))
            .chain(numbers.map(|range| layer.compat_source(range)))
            .take(MAX_MATCHES + 1)
            .collect()
    }

    /// The same with what belongs there.
    pub(crate) fn fixes(&self, part: &PartView<'_>) -> Vec<Fix> {
        let visible = &part.visible().text;
        let wrong = self.wrong(part).into_iter();
        wrong
            .take(MAX_MATCHES + 1)
            .map(|(range, right)| Fix {
                range: visible.source(range),
                text: right.to_owned(),
            })
            .collect()
    }

    fn wrong(&self, part: &PartView<'_>) -> Vec<(Range<usize>, &'static str)> {
        let text = part.visible().text.as_str();
        let mut wrong = Vec::new();
        if let Some(quotes) = self.quotes {
            wrong.extend(quotes::wrong(text, quotes));
        }
        // In HTML white space is the browser's.
        if self.spacing && part.is_as_written() {
            wrong.extend(spaces(text));
        }
        if self.exclamations {
            wrong.extend(exclamations(text));
        }
        wrong
    }
}

impl Capitals {
    fn find(&self, text: &str) -> impl Iterator<Item = Range<usize>> {
        // A second capital stands behind something that ends no row of them.
        let second = |next: u8| !next.is_ascii_lowercase() && next != b' ';
        let capitals = move |one: u8, next: u8| {
            !one.is_ascii() || (one.is_ascii_uppercase() && (self.max_letters == 0 || second(next)))
        };
        let lines = lines_with(text, capitals).filter_map(move |range| {
            let line = text.get(range.clone())?;
            self.may_shout(line).then_some((range.start, line))
        });
        lines.flat_map(|(start, line)| {
            self.in_line(line)
                .map(move |range| start + range.start..start + range.end)
        })
    }

    /// Whether enough capitals stand together: words are told apart by Unicode's rules only then.
    fn may_shout(&self, line: &str) -> bool {
        let mut capitals = 0;
        line.chars().any(|c| {
            if c.is_ascii_lowercase() || c == ' ' {
                capitals = 0;
            } else if c.is_uppercase() {
                capitals += 1;
            }
            capitals > self.max_letters
        })
    }

    fn in_line(&self, line: &str) -> impl Iterator<Item = Range<usize>> {
        line.unicode_word_indices()
            .filter(move |(_, word)| {
                let letters = word.chars().filter(|c| c.is_alphabetic()).count();
                let shouts = !word.chars().any(char::is_lowercase)
                    && word.chars().filter(|c| c.is_uppercase()).count() == letters;
                letters > self.max_letters && shouts && !self.allow.contains(folded(word).as_str())
            })
            .map(|(at, word)| at..at + word.len())
    }
}

/// Runs of spaces within a line, spaces at its end, and a space before a comma or full stop. Spaces
/// that begin a line are an indent.
fn spaces(text: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut wrong = Vec::new();
    let before = |byte: u8| matches!(byte, b' ' | b',' | b'.' | b'\r' | b'\n' | 0);
    for range in lines_with(text, |one, next| one == b' ' && before(next)) {
        let at = range.start;
        let line = text.get(range).unwrap_or_default();
        let body = line.trim_end_matches(['\n', '\r']);
        let indent = body.len() - body.trim_start_matches(' ').len();
        let mut from = indent;
        while let Some(found) = body.get(from..).and_then(|rest| rest.find(' ')) {
            let start = from + found;
            let rest = body.get(start..).unwrap_or_default();
            let len = rest.len() - rest.trim_start_matches(' ').len();
            let after = rest.get(len..).unwrap_or_default();
            let mut next = after.chars();
            let mark = next.next().is_some_and(|c| matches!(c, ',' | '.'));
            // ` .5` is a number and ` ...` an omission.
            let alone = next.next().is_none_or(char::is_whitespace);
            if after.is_empty() || (mark && alone) {
                wrong.push((at + start..at + start + len, ""));
            } else if len > 1 {
                wrong.push((at + start..at + start + len, " "));
            }
            from = start + len;
        }
    }
    wrong
}

fn exclamations(text: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut wrong = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..)
        && let Some(offset) = memmem::find(rest.as_bytes(), b"!!")
    {
        let start = at + offset;
        let rest = text.get(start..).unwrap_or_default();
        let len = rest.len() - rest.trim_start_matches('!').len();
        wrong.push((start..start + len, "!"));
        at = start + len;
    }
    wrong
}

#[cfg(test)]
mod tests {
    use aios_crds::check::{Capitals, Exclamations, Numbers, Quotes, Spacing, Style as Spec};
    use rstest::rstest;

    use super::Style;
    use crate::{
        document::{Part, PartKind},
        view::PartView,
    };

    fn mended(style: &Style, text: &str) -> String {
        let part = part(text);
        let mut fixes = style.fixes(&PartView::new(&part));
        fixes.sort_by_key(|fix| fix.range.start);
        let mut out = text.to_owned();
        for fix in fixes.into_iter().rev() {
            out.replace_range(fix.range, &fix.text);
        }
        out
    }

    fn part(text: &str) -> Part {
        Part {
            name: "text".parse().unwrap(),
            kind: PartKind::Plain,
            text: text.to_owned(),
        }
    }

    #[rstest]
    #[case("a  b   c", "a b c")]
    #[case("end. \nNext  \r\n  indented stays", "end.\nNext\r\n  indented stays")]
    #[case("so , then .", "so, then.")]
    #[case("about .5 and ... so", "about .5 and ... so")]
    #[case("Great!!! Now!", "Great! Now!")]
    #[case("", "")]
    fn spaces_and_exclamation_marks_are_mended(#[case] text: &str, #[case] expected: &str) {
        let spec = Spec {
            spacing: Some(Spacing::Single),
            exclamations: Some(Exclamations::Single),
            ..Spec::default()
        };
        let style = Style::compile(&spec, "p").unwrap();
        assert_eq!(mended(&style, text), expected);
        assert_eq!(style.fixes(&PartView::new(&part(expected))), []);
    }

    #[rstest]
    #[case("ACT NOW, the GmbH of NATO and UNESCO", &["UNESCO"])]
    #[case("FINALLY it is here", &["FINALLY"])]
    #[case("the WEBINAR1 of ÜBERALL", &["WEBINAR1", "ÜBERALL"])]
    #[case("银行银行银行 مرحباا 12345", &[])]
    fn long_words_in_capitals_are_marked(#[case] text: &str, #[case] expected: &[&str]) {
        let spec = Spec {
            capitals: Some(Capitals {
                max_letters: None,
                allow: vec!["unicef".to_owned()],
            }),
            ..Spec::default()
        };
        let style = Style::compile(&spec, "p").unwrap();
        let part = part(&format!("{text} UNICEF"));
        let ranges = style.find(&PartView::new(&part));
        let found: Vec<_> = ranges.into_iter().map(|range| &part.text[range]).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_cannot_be_mended_is_told() {
        let spec = Spec {
            quotes: Some(Quotes::English),
            openings: vec!["I hope".to_owned()],
            ..Spec::default()
        };
        let style = Style::compile(&spec, "p").unwrap();
        assert!(style.unmendable().unwrap().contains("rule of their own"));
        let spec = Spec {
            numbers: Some(Numbers::German),
            ..Spec::default()
        };
        let style = Style::compile(&spec, "p").unwrap();
        assert!(style.unmendable().unwrap().contains("numbers"));
        assert_eq!(style.message(), "correct numbers, as in 1.234,5");
        assert!(Style::compile(&Spec::default(), "p").is_err());
    }
}
