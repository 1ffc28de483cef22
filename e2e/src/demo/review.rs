//! The scripted reviewer: what it decides about a document that waits. Pure.

use aios_policy::{Part, PartKind, Span, Verdict};
use kubectl_aios::client::DocumentView;

use super::campaign::{Campaign, Plant};

/// What to do with a document that waits, and as whom.
#[derive(Clone, Debug, PartialEq)]
pub enum Decision {
    /// As the reviewer.
    Approve,
    /// As the reviewer.
    Reject(String),
    /// As the editor; another person approves it afterwards.
    Edit(Vec<Part>),
}

/// A planted mistake is cut out once; where that leaves a hole, or did not help, the mail is
/// rejected. Everything else goes out as it is.
pub fn decide(campaign: &Campaign, customer: &str, view: &DocumentView, edited: bool) -> Decision {
    let Some(plant) = campaign.plant_of(customer) else {
        return Decision::Approve;
    };
    let spans = flagged(plant, view.verdict.as_ref());
    if spans.is_empty() {
        let known = view
            .verdict
            .iter()
            .flat_map(super::record::rules)
            .any(|r| r == plant.rule);
        return if known {
            reject(plant)
        } else {
            Decision::Approve
        };
    }
    if edited {
        return reject(plant);
    }
    fixed(&view.parts, &spans).map_or_else(|| reject(plant), Decision::Edit)
}

fn reject(plant: &Plant) -> Decision {
    Decision::Reject(format!("{}: {}", plant.rule, plant.what))
}

fn flagged<'a>(plant: &Plant, verdict: Option<&'a Verdict>) -> Vec<&'a Span> {
    let findings = verdict
        .into_iter()
        .flat_map(|verdict| verdict.findings.iter());
    findings
        .filter(|f| f.rule == plant.rule)
        .flat_map(|f| f.spans.iter())
        .collect()
}

/// The parts without the sentences that hold the spans; none if a part would be left empty.
fn fixed(parts: &[Part], spans: &[&Span]) -> Option<Vec<Part>> {
    let mut changed = Vec::new();
    for part in parts {
        let mut cuts: Vec<(usize, usize)> = spans
            .iter()
            .filter(|span| span.part == part.name)
            .filter_map(|span| sentence(part, span.start as usize, span.end as usize))
            .collect();
        if cuts.is_empty() {
            continue;
        }
        cuts.sort_unstable();
        let text = without(&part.text, &cuts);
        if text.trim().is_empty() {
            return None;
        }
        changed.push(Part {
            text,
            ..part.clone()
        });
    }
    (!changed.is_empty()).then_some(changed)
}

/// The bytes of the sentence around a span: it ends at a full stop before white space, at a line
/// break, and in HTML at a tag.
fn sentence(part: &Part, start: usize, end: usize) -> Option<(usize, usize)> {
    let (before, after) = (part.text.get(..start)?, part.text.get(end..)?);
    let is_html = part.kind == PartKind::Html;
    let ends_line = |c: char| c == '\n' || (is_html && matches!(c, '<' | '>'));
    let mut from = 0;
    let mut stop = false;
    for (at, c) in before.char_indices() {
        if ends_line(c) || (stop && c.is_whitespace()) {
            from = at + c.len_utf8();
        }
        stop = matches!(c, '.' | '!' | '?');
    }
    let mut to = part.text.len();
    let mut stop = part.text.get(start..end)?.ends_with(['.', '!', '?']);
    for (at, c) in after.char_indices() {
        if ends_line(c) || (stop && c.is_whitespace()) {
            to = end + at;
            break;
        }
        stop = matches!(c, '.' | '!' | '?');
    }
    Some((from, to))
}

fn without(text: &str, cuts: &[(usize, usize)]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    for (from, to) in cuts {
        kept.push_str(text.get(at..(*from).max(at)).unwrap_or_default());
        at = at.max(*to);
    }
    kept.push_str(text.get(at..).unwrap_or_default());
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, kind: &str, text: &str) -> Part {
        serde_json::from_value(serde_json::json!({"name": name, "kind": kind, "text": text}))
            .unwrap()
    }

    fn span(part: &Part, words: &str) -> Span {
        let start = part.text.find(words).unwrap();
        let (start, end) = (
            u32::try_from(start).unwrap(),
            u32::try_from(start + words.len()).unwrap(),
        );
        Span {
            part: part.name.clone(),
            start,
            end,
        }
    }

    #[test]
    fn the_sentence_around_a_flag_is_cut_out() {
        let text = part(
            "text",
            "Plain",
            "Dear Zoë,\n\nGood. Better than Goldpeak, truly! Come.\n\nBye",
        );
        let cut = fixed(std::slice::from_ref(&text), &[&span(&text, "Goldpeak")]).unwrap();
        assert_eq!(cut[0].text, "Dear Zoë,\n\nGood.  Come.\n\nBye");
    }

    #[test]
    fn in_html_the_tags_stay() {
        let html = part(
            "html",
            "Html",
            "<p>Hi</p><p>Aylin adds: see Goldpeak.</p><p>Bye</p>",
        );
        let cut = fixed(std::slice::from_ref(&html), &[&span(&html, "Goldpeak")]).unwrap();
        assert_eq!(cut[0].text, "<p>Hi</p><p></p><p>Bye</p>");
    }

    #[test]
    fn a_part_that_would_be_empty_is_not_edited() {
        let preheader = part("preheader", "Plain", "Better than Goldpeak.");
        let flag = span(&preheader, "Goldpeak");
        assert_eq!(fixed(&[preheader], &[&flag]), None);
    }

    #[test]
    fn two_flags_in_one_sentence_cut_it_once() {
        let text = part(
            "text",
            "Plain",
            "A risk-free way with guaranteed returns. Come.",
        );
        let (one, two) = (span(&text, "risk-free"), span(&text, "guaranteed"));
        assert_eq!(fixed(&[text], &[&one, &two]).unwrap()[0].text, " Come.");
    }
}
