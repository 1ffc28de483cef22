//! A part's text with what policy found in it.

use std::collections::BTreeSet;

use aios_policy::{Part, Verdict};

use super::html::escape;

/// Marks every finding's span; where several meet, all their rules are named.
pub fn marked(part: &Part, verdict: Option<&Verdict>) -> String {
    let findings = verdict
        .into_iter()
        .flat_map(|verdict| verdict.findings.iter());
    let spans: Vec<(usize, usize, &str)> = findings
        .flat_map(|f| f.spans.iter().map(move |span| (span, f.rule.as_str())))
        .filter(|(span, _)| span.part == part.name)
        .map(|(span, rule)| (span.start as usize, span.end as usize, rule))
        .filter(|(start, end, _)| {
            part.text
                .get(*start..*end)
                .is_some_and(|text| !text.is_empty())
        })
        .collect();
    let ends = spans.iter().flat_map(|(start, end, _)| [*start, *end]);
    let borders: BTreeSet<usize> = ends.chain([0, part.text.len()]).collect();
    let borders: Vec<usize> = borders.into_iter().collect();
    let mut markup = String::new();
    for (from, to) in borders.iter().zip(borders.iter().skip(1)) {
        let text = escape(part.text.get(*from..*to).unwrap_or_default());
        let rules: BTreeSet<&str> = spans
            .iter()
            .filter(|(start, end, _)| start <= from && to <= end)
            .map(|(_, _, rule)| *rule)
            .collect();
        if rules.is_empty() {
            markup.push_str(&text);
        } else {
            let rules = escape(&rules.into_iter().collect::<Vec<_>>().join(", "));
            markup.extend(["<mark title=\"", &rules, "\">", &text, "</mark>"]);
        }
    }
    markup
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn verdict(spans: &[(&str, &str, u32, u32)]) -> Verdict {
        let digest = format!("sha256:{}", "0".repeat(64));
        let findings: Vec<_> = spans
            .iter()
            .map(|(rule, part, start, end)| {
                json!({"policy": "p", "rule": rule, "check": "terms", "action": "Review",
                       "message": "m", "spans": [{"part": part, "start": start, "end": end}]})
            })
            .collect();
        serde_json::from_value(json!({"action": "Review", "findings": findings,
            "document": digest, "policies": [], "engine": "1"}))
        .unwrap()
    }

    fn part(text: &str) -> Part {
        serde_json::from_value(json!({"name": "text", "kind": "Plain", "text": text})).unwrap()
    }

    #[test]
    fn spans_are_marked_with_their_rules_and_escaped() {
        let found = verdict(&[("no-<x>", "text", 2, 5), ("other", "subject", 0, 1)]);
        let markup = marked(&part("a <b> c"), Some(&found));
        assert_eq!(markup, "a <mark title=\"no-&lt;x&gt;\">&lt;b&gt;</mark> c");
    }

    #[test]
    fn where_spans_overlap_all_rules_are_named() {
        let found = verdict(&[("one", "text", 0, 3), ("two", "text", 2, 4)]);
        let markup = marked(&part("abcde"), Some(&found));
        let both = "<mark title=\"one\">ab</mark><mark title=\"one, two\">c</mark>";
        assert_eq!(markup, format!("{both}<mark title=\"two\">d</mark>e"));
    }

    #[test]
    fn a_span_that_does_not_fit_the_text_is_left_out() {
        let found = verdict(&[("one", "text", 1, 2), ("two", "text", 1, 90)]);
        assert_eq!(marked(&part("éa"), Some(&found)), "éa");
    }
}
