//! Texts as the checks read them: what a reader sees of HTML, folded for comparing, counted once.
//! Every view knows which bytes of the original each of its bytes came from. Views of one part are
//! built at most once per evaluation and shared by all rules of all policies.

mod entities;
mod fold;
mod html;
mod mapped;

use std::{cell::OnceCell, ops::Range};

use unicode_segmentation::UnicodeSegmentation;

pub(crate) use fold::{compat, folded, spaced};
pub(crate) use mapped::Mapped;

use crate::document::{Part, PartKind};

/// One part under its views.
#[derive(Debug)]
pub(crate) struct PartView<'a> {
    pub(crate) part: &'a Part,
    visible: OnceCell<(Layer<'a>, Option<Layer<'a>>)>,
    counts: OnceCell<Counts>,
    spaced: OnceCell<String>,
}

/// A readable text of a part, and its folded forms.
#[derive(Debug)]
pub(crate) struct Layer<'a> {
    pub(crate) text: Mapped<'a>,
    folded: OnceCell<Mapped<'static>>,
    compat: OnceCell<Mapped<'static>>,
}

/// Sizes of what a reader sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Words by Unicode's rules (UAX #29).
    pub(crate) words: u32,
    /// Grapheme clusters; of HTML after runs of white space count as one.
    pub(crate) characters: u32,
    /// Sentences by Unicode's rules (UAX #29) that hold a letter or digit.
    pub(crate) sentences: u32,
}

impl<'a> PartView<'a> {
    pub(crate) fn new(part: &'a Part) -> Self {
        Self {
            part,
            visible: OnceCell::new(),
            counts: OnceCell::new(),
            spaced: OnceCell::new(),
        }
    }

    fn layers(&self) -> &(Layer<'a>, Option<Layer<'a>>) {
        self.visible.get_or_init(|| match self.part.kind {
            PartKind::Plain => (Layer::new(Mapped::identity(&self.part.text)), None),
            PartKind::Html => {
                let page = html::read(&self.part.text);
                (Layer::new(page.visible), Some(Layer::new(page.hidden)))
            }
        })
    }

    /// What a reader sees.
    pub(crate) fn visible(&self) -> &Layer<'a> {
        &self.layers().0
    }

    /// Attribute values, comments and titles of HTML, one a line.
    pub(crate) fn hidden(&self) -> Option<&Layer<'a>> {
        self.layers().1.as_ref()
    }

    /// What a reader sees, canonically composed, each run of white space one space, trimmed.
    pub(crate) fn spaced(&self) -> &str {
        self.spaced
            .get_or_init(|| spaced(self.visible().text.as_str()))
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.get_or_init(|| {
            let visible = self.visible().text.as_str();
            let counted = match self.part.kind {
                PartKind::Plain => visible,
                PartKind::Html => self.spaced(),
            };
            let readable = |sentence: &&str| sentence.chars().any(char::is_alphanumeric);
            Counts {
                words: count(visible.unicode_words()),
                characters: count(counted.graphemes(true)),
                sentences: count(visible.unicode_sentences().filter(readable)),
            }
        })
    }
}

impl<'a> Layer<'a> {
    fn new(text: Mapped<'a>) -> Self {
        Self {
            text,
            folded: OnceCell::new(),
            compat: OnceCell::new(),
        }
    }

    /// Without regard to case and compatibility forms, white space collapsed.
    pub(crate) fn folded(&self) -> &Mapped<'static> {
        self.folded.get_or_init(|| folded(self.text.as_str()))
    }

    /// Compatibility forms and digits of all scripts made plain, case and lines kept.
    pub(crate) fn compat(&self) -> &Mapped<'static> {
        self.compat.get_or_init(|| compat(self.text.as_str()))
    }

    /// Bytes of the part for bytes of the folded text.
    pub(crate) fn folded_source(&self, range: Range<usize>) -> Range<usize> {
        self.text.source(self.folded().source(range))
    }

    /// Bytes of the part for bytes of the compatibility text.
    pub(crate) fn compat_source(&self, range: Range<usize>) -> Range<usize> {
        self.text.source(self.compat().source(range))
    }
}

/// Not `Iterator::count`: the size hint of sentences underflows on an empty text.
fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    items.fold(0, |sum, _| sum.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Counts, PartView};
    use crate::document::{Part, PartKind};

    #[rstest]
    #[case(PartKind::Plain, "", 0, 0, 0)]
    #[case(PartKind::Plain, "Grüße, Zoë! Ça va?", 4, 18, 2)]
    #[case(PartKind::Plain, "مرحبا بكم", 2, 9, 1)]
    #[case(PartKind::Plain, "e\u{301}te\u{301}", 1, 3, 1)]
    #[case(PartKind::Html, "<p>One\n   two</p> <p>three &amp; four</p>", 4, 20, 2)]
    fn sizes_are_what_a_reader_counts(
        #[case] kind: PartKind,
        #[case] text: &str,
        #[case] words: u32,
        #[case] characters: u32,
        #[case] sentences: u32,
    ) {
        let part = Part {
            name: "text".parse().unwrap(),
            kind,
            text: text.to_owned(),
        };
        let counts = PartView::new(&part).counts();
        assert_eq!(
            counts,
            Counts {
                words,
                characters,
                sentences
            }
        );
    }
}
