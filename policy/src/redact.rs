//! Puts other text in place of spans: a marker for what is redacted, the right form for what is mended.
//! Neither needs escaping in text, HTML or attribute values; what JSON needs is done here.

use std::{borrow::Cow, cmp::Reverse, ops::Range};

use crate::{
    document::{Document, Part},
    verdict::Span,
    view::{PartView, escaped},
    work::spend,
};

/// What stands where something was removed.
const MARKER: &str = "[removed]";

/// Another text for a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    pub(crate) span: Span,
    pub(crate) text: String,
}

impl Edit {
    pub(crate) fn redaction(span: &Span) -> Self {
        Self {
            span: span.clone(),
            text: MARKER.to_owned(),
        }
    }

    fn redacts(&self) -> bool {
        self.text == MARKER
    }

    fn range(&self) -> Range<usize> {
        to_usize(self.span.start)..to_usize(self.span.end)
    }
}

/// The document with the edits made. Tags inside a span stay, so that HTML keeps its shape, and so do quotes,
/// commas and keys of JSON.
pub(crate) fn redact(document: &Document, edits: Vec<Edit>) -> Document {
    let edits = apart(edits);
    spend(edits.len() * document.parts().len());
    let parts = document.parts().iter().map(|part| {
        let of_part = edits.iter().filter(|edit| edit.span.part == part.name);
        Part {
            text: edited(part, of_part),
            ..part.clone()
        }
    });
    Document::from_redacted(parts.collect())
}

/// Edits without overlap, in order: redactions that overlap become one, and what is to be mended inside
/// or across another edit waits for the next round.
fn apart(mut edits: Vec<Edit>) -> Vec<Edit> {
    edits.sort_by_key(|edit| (Reverse(edit.redacts()), edit.span.clone()));
    let redactions = edits.iter().take_while(|edit| edit.redacts()).count();
    let mending = edits.split_off(redactions);
    let mut kept: Vec<Edit> = Vec::with_capacity(edits.len() + mending.len());
    for edit in edits {
        match kept.last_mut() {
            Some(last) if overlap(last, &edit) => last.span.end = last.span.end.max(edit.span.end),
            _ => kept.push(edit),
        }
    }
    let redacted = kept.clone();
    let mut last: Option<&Edit> = None;
    for edit in &mending {
        let place = redacted.partition_point(|other| other.span < edit.span);
        let around = [place.checked_sub(1), Some(place)];
        let neighbours = around.iter().flatten().filter_map(|at| redacted.get(*at));
        if neighbours.chain(last).all(|other| !overlap(other, edit)) {
            last = Some(edit);
            kept.push(edit.clone());
        }
    }
    kept.sort_by(|a, b| a.span.cmp(&b.span));
    kept
}

fn overlap(one: &Edit, other: &Edit) -> bool {
    let (one, other) = (&one.span, &other.span);
    one.part == other.part && one.start < other.end && other.start < one.end
}

fn edited<'e>(part: &Part, edits: impl Iterator<Item = &'e Edit>) -> String {
    let view = PartView::new(part);
    let mut text = String::with_capacity(part.text.len());
    spend(part.text.len());
    let mut at = 0;
    for edit in edits {
        let range = edit.range();
        let mut pieces = if view.is_as_written() {
            vec![range.clone()]
        } else {
            view.visible().text.readable_source(&range)
        };
        if pieces.is_empty() {
            pieces.push(range.clone());
        }
        spend(pieces.len());
        for (index, piece) in pieces.into_iter().enumerate() {
            text.push_str(part.text.get(at..piece.start).unwrap_or_default());
            let other = if index == 0 { edit.text.as_str() } else { "" };
            text.push_str(&written(&view, &piece, other));
            at = piece.end.max(at);
        }
    }
    text.push_str(part.text.get(at..).unwrap_or_default());
    text
}

/// How a text stands in the place of bytes of the part: in JSON for a number, it needs quotes of its own.
fn written<'t>(view: &PartView<'_>, place: &Range<usize>, text: &'t str) -> Cow<'t, str> {
    let Some(numbers) = view.json_numbers() else {
        return Cow::Borrowed(text);
    };
    let number = numbers.binary_search_by_key(&place.start, |number| number.start);
    let text = escaped(text);
    Cow::Owned(if number.is_ok() {
        format!("\"{text}\"")
    } else {
        text
    })
}

fn to_usize(position: u32) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Edit, redact};
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
    #[case(PartKind::Plain, r#"{"a": "x\u0040y.de\n", "b": 49171}"#, &[r"x\u0040y.de", "49171"],
        r#"{"a": "[removed]\n", "b": "[removed]"}"#)]
    #[case(PartKind::Plain, r#"{"a": ["Main St. 5", "Berlin", 10115]}"#,
        &[r#"Main St. 5", "Berlin", 10115"#], r#"{"a": ["[removed]", "", ""]}"#)]
    #[case(PartKind::Plain, r#"{"a@b.de": 1}"#, &["a@b.de"], r#"{"[removed]": 1}"#)]
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
        let edits: Vec<_> = remove
            .iter()
            .map(|piece| {
                let start = u32::try_from(text.find(piece).unwrap()).unwrap();
                let end = start + u32::try_from(piece.len()).unwrap();
                Edit::redaction(&Span {
                    part: name.clone(),
                    start,
                    end,
                })
            })
            .collect();
        let document = Document::new(vec![part]).unwrap();
        assert_eq!(redact(&document, edits).parts()[0].text, expected);
    }

    #[test]
    fn what_is_redacted_is_not_mended_in_the_same_round() {
        let name: crate::PartName = "text".parse().unwrap();
        let edit = |start, end, text: Option<&str>| {
            let span = Span {
                part: name.clone(),
                start,
                end,
            };
            let redaction = Edit::redaction(&span);
            text.map_or(redaction, |text| Edit {
                span,
                text: text.to_owned(),
            })
        };
        let part = Part {
            name: name.clone(),
            kind: PartKind::Plain,
            text: "abc  def!!".to_owned(),
        };
        let document = Document::new(vec![part]).unwrap();
        let edits = vec![
            edit(8, 10, Some("!")),
            edit(3, 5, Some(" ")),
            edit(4, 5, Some("")),
            edit(7, 9, None),
        ];
        assert_eq!(redact(&document, edits).parts()[0].text, "abc de[removed]!");
    }
}
