//! What is quoted must stand in the passages, the variables or the template.

use std::ops::Range;

use aios_crds::check::Citations as Spec;
use unicode_segmentation::UnicodeSegmentation;

use super::{
    MAX_MATCHES, Ranges,
    boundary::{ends_word, starts_word},
};
use crate::{
    Inputs,
    view::{Layer, folded},
    work::spend,
};

/// Shorter quotations are names, titles and irony.
const LEAST_WORDS: u32 = 3;
/// Most bytes of one quotation: a mark that nothing closes is no quotation.
const LONGEST: usize = 4096;

/// Compiled bound.
#[derive(Debug)]
pub(crate) struct Citations {
    min_words: usize,
}

/// Texts that quotations may come from, folded.
#[derive(Debug)]
pub(crate) struct Sources(Vec<String>);

impl Sources {
    pub(crate) fn from_inputs(inputs: &Inputs<'_>) -> Self {
        let mut sources = Vec::new();
        for text in inputs.passages.iter().chain(inputs.template) {
            sources.push(comparable(text));
        }
        strings(inputs.variables, &mut sources);
        Self(sources)
    }

    fn hold(&self, piece: &str) -> bool {
        self.0.iter().any(|source| {
            spend(source.len());
            let mut places = source.match_indices(piece);
            places.any(|(at, _)| {
                let range = at..at + piece.len();
                starts_word(source, &range) && ends_word(source, &range)
            })
        })
    }
}

impl Citations {
    pub(crate) fn new(spec: &Spec) -> Self {
        let min_words = spec.min_words.unwrap_or(LEAST_WORDS);
        Self {
            min_words: usize::try_from(min_words).unwrap_or(usize::MAX),
        }
    }

    /// Bytes of the part where quotations stand that no source holds.
    pub(crate) fn find(&self, layer: &Layer<'_>, sources: &Sources) -> Ranges {
        let text = layer.text.as_str();
        quotations(text)
            .into_iter()
            .filter(|range| {
                let quoted = text.get(range.clone()).unwrap_or_default();
                quoted
                    .unicode_words()
                    .nth(self.min_words.saturating_sub(1))
                    .is_some()
                    && !known(quoted, sources)
            })
            .take(MAX_MATCHES + 1)
            .map(|range| layer.text.source(range))
            .collect()
    }
}

/// Every piece between omissions stands in a source.
fn known(quoted: &str, sources: &Sources) -> bool {
    let plain = comparable(quoted)
        .replace("[...]", "\n")
        .replace("(...)", "\n")
        .replace("...", "\n");
    plain
        .split('\n')
        .map(|piece| piece.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|piece| !piece.is_empty())
        .all(|piece| sources.hold(piece))
}

/// Folded, with all quotation marks alike; NFKC writes an ellipsis as three full stops.
fn comparable(text: &str) -> String {
    let folded = folded(text);
    folded
        .as_str()
        .replace(['“', '”', '„', '«', '»', '‹', '›', '"'], "'")
}

fn strings(value: &serde_json::Value, out: &mut Vec<String>) {
    use serde_json::Value;
    match value {
        Value::String(text) => out.push(comparable(text)),
        Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
        Value::Object(fields) => fields.values().for_each(|field| strings(field, out)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// What stands between quotation marks of one kind, within a paragraph.
fn quotations(text: &str) -> Vec<Range<usize>> {
    spend(text.len());
    let mut found = Vec::new();
    let mut open: Option<(char, usize)> = None;
    for (at, c) in text.char_indices() {
        match (open, c) {
            (Some((close, start)), c) if c == close || (close == '“' && c == '”') => {
                if start < at && at - start <= LONGEST {
                    found.push(start..at);
                }
                open = None;
            }
            (None, '"' | '“' | '„' | '«' | '»') => {
                let close = match c {
                    '“' => '”',
                    '„' => '“',
                    '«' => '»',
                    '»' => '«',
                    other => other,
                };
                open = Some((close, at + c.len_utf8()));
            }
            (Some(_), '\n')
                if text
                    .get(at + 1..)
                    .is_some_and(|rest| rest.starts_with('\n')) =>
            {
                open = None;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aios_crds::check::Citations as Spec;
    use rstest::rstest;
    use serde_json::json;

    use super::{Citations, Sources};
    use crate::{
        Inputs,
        document::{Part, PartKind},
        view::PartView,
    };

    #[rstest]
    #[case("They write: \"we never share your data\".", &[])]
    #[case("Es heißt: „We never share  your DATA.“", &[])]
    #[case("«we never […] your data»", &[])]
    #[case("“we never ... your data, and we don't sell it”", &[])]
    #[case("“your order of spring”", &[])]
    #[case("“yes, always”", &[])]
    #[case("They write: \"we always share your data\".", &["we always share your data"])]
    #[case("“we never share your dat”", &["we never share your dat"])]
    #[case("a 5\" screen costs\n\nnothing more than that", &[])]
    fn quotations_are_looked_up(#[case] text: &str, #[case] expected: &[&str]) {
        let variables = json!({"notes": ["Your order of spring"]});
        let inputs = Inputs {
            variables: &variables,
            labels: &BTreeMap::new(),
            language: "en",
            passages: &["Our promise: we never share your data, and we don’t sell it."],
            template: &[],
            step: crate::Step::Final,
        };
        let part = Part {
            name: "text".parse().unwrap(),
            kind: PartKind::Plain,
            text: text.to_owned(),
        };
        let citations = Citations::new(&Spec::default());
        let ranges = citations.find(
            PartView::new(&part).visible(),
            &Sources::from_inputs(&inputs),
        );
        let found: Vec<_> = ranges.into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, expected);
    }
}
