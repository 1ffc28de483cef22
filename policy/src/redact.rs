//! Replaces spans by a marker that needs no escaping in text, HTML or attribute values.

use std::ops::Range;

use crate::{
    document::{Document, Part, PartKind},
    evaluate::merged,
    verdict::Span,
    view::PartView,
};

/// What stands where something was removed.
const MARKER: &str = "[removed]";

/// The document without the spans. Tags inside a span stay, so that HTML keeps its shape.
pub(crate) fn redact(document: &Document, spans: &[Span]) -> Document {
    let parts = document.parts().iter().map(|part| {
        let of_part = spans.iter().filter(|span| span.part == part.name);
        let ranges = of_part
            .map(|span| to_usize(span.start)..to_usize(span.end))
            .collect();
        Part {
            text: redact_part(part, &merged(ranges)),
            ..part.clone()
        }
    });
    Document::from_redacted(parts.collect())
}

fn redact_part(part: &Part, ranges: &[Range<usize>]) -> String {
    let view = PartView::new(part);
    let mut text = String::with_capacity(part.text.len());
    let mut at = 0;
    for range in ranges {
        let mut pieces = match part.kind {
            PartKind::Plain => vec![range.clone()],
            PartKind::Html => view.visible().text.readable_source(range),
        };
        if pieces.is_empty() {
            pieces.push(range.clone());
        }
        for (index, piece) in pieces.into_iter().enumerate() {
            text.push_str(part.text.get(at..piece.start).unwrap_or_default());
            if index == 0 {
                text.push_str(MARKER);
            }
            at = piece.end.max(at);
        }
    }
    text.push_str(part.text.get(at..).unwrap_or_default());
    text
}

fn to_usize(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::redact;
    use crate::{Document, Part, PartKind, Span};

    #[rstest]
    #[case(PartKind::Plain, "mail a@b.de now", &["a@b.de"], "mail [removed] now")]
    #[case(PartKind::Plain, "abc", &["ab", "bc"], "[removed]")]
    #[case(PartKind::Plain, "abc", &["a", "b"], "[removed][removed]c")]
    #[case(PartKind::Html, "<b>a@</b>b.de<i>!</i>", &["a@</b>b.de"], "<b>[removed]</b><i>!</i>")]
    #[case(PartKind::Html, "<a href=\"mailto:a@b.de\">x</a>", &["a@b.de"],
        "<a href=\"mailto:[removed]\">x</a>")]
    #[case(PartKind::Html, "x &lt;a@b.de&gt;", &["a@b.de"], "x &lt;[removed]&gt;")]
    #[case(PartKind::Plain, "nothing", &[], "nothing")]
    fn spans_are_replaced_and_tags_stay(
        #[case] kind: PartKind,
        #[case] text: &str,
        #[case] remove: &[&str],
        #[case] expected: &str,
    ) {
        let name: crate::PartName = "text".parse().unwrap();
        let part = Part {
            name: name.clone(),
            kind,
            text: text.to_owned(),
        };
        let spans: Vec<_> = remove
            .iter()
            .map(|piece| {
                let start = u32::try_from(text.find(piece).unwrap()).unwrap();
                let end = start + u32::try_from(piece.len()).unwrap();
                Span {
                    part: name.clone(),
                    start,
                    end,
                }
            })
            .collect();
        let document = Document::new(vec![part]).unwrap();
        assert_eq!(redact(&document, &spans).parts()[0].text, expected);
    }
}
