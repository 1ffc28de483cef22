//! Texts as the checks read them: what a reader sees of HTML or JSON, folded for comparing, counted once.
//! Every view knows which bytes of the original each of its bytes came from. Views of one part are
//! built at most once per evaluation and shared by all rules of all policies.

mod clusters;
mod counts;
mod entities;
mod fold;
mod html;
mod json;
mod mapped;
mod skeleton;
mod walk;
mod words;

use std::{cell::OnceCell, ops::Range};

use aios_crds::check::TermView;

pub(crate) use clusters::{cluster_start, widened};
pub(crate) use fold::{ascii_digit, compat, folded, spaced, unaccented};
pub(crate) use html::{PageLink, address};
pub(crate) use json::{Prefix as JsonPrefix, escaped};
pub(crate) use mapped::{Builder as MappedBuilder, Mapped};
pub(crate) use skeleton::{Skeleton, skeleton};

use crate::{
    bytes::digit_runs,
    document::{Part, PartKind},
    rule::Occurrences,
};
use fold::other_compat;

/// One part under its views.
#[derive(Debug)]
pub(crate) struct PartView<'a> {
    pub(crate) part: &'a Part,
    /// Only some of a text, which is read as it stands.
    is_window: bool,
    layers: OnceCell<Layers<'a>>,
    words: OnceCell<u32>,
    characters: OnceCell<u32>,
    sentences: OnceCell<u32>,
    spaced: OnceCell<String>,
    wording: OnceCell<String>,
}

/// What a part says, and to whom.
#[derive(Debug)]
struct Layers<'a> {
    visible: Layer<'a>,
    hidden: Option<Layer<'a>>,
    links: Vec<PageLink>,
    metas: Vec<(String, String)>,
    /// Bytes of the part that are numbers of JSON; `None` where it is none.
    numbers: Option<Vec<Range<usize>>>,
}

/// A readable text of a part, and its folded forms.
#[derive(Debug)]
pub(crate) struct Layer<'a> {
    pub(crate) text: Mapped<'a>,
    folded: OnceCell<Mapped<'static>>,
    unaccented: OnceCell<Mapped<'static>>,
    /// `None` where the text is its own.
    compat: OnceCell<Option<Mapped<'static>>>,
    digits: OnceCell<Vec<Range<usize>>>,
    skeleton: OnceCell<Option<Skeleton>>,
    /// Which rules' terms stand in it, as far as that was asked.
    pub(crate) occurrences: Occurrences,
}

impl<'a> PartView<'a> {
    pub(crate) fn new(part: &'a Part) -> Self {
        Self {
            part,
            is_window: false,
            layers: OnceCell::new(),
            words: OnceCell::new(),
            characters: OnceCell::new(),
            sentences: OnceCell::new(),
            spaced: OnceCell::new(),
            wording: OnceCell::new(),
        }
    }

    /// Of some of a text that is no JSON, whatever this piece of it looks like.
    pub(crate) fn of_window(part: &'a Part) -> Self {
        Self {
            is_window: true,
            ..Self::new(part)
        }
    }

    fn layers(&self) -> &Layers<'a> {
        self.layers.get_or_init(|| match self.part.kind {
            PartKind::Plain => {
                let text = &self.part.text;
                let json = if self.is_window {
                    None
                } else {
                    json::read(text)
                };
                json.map_or_else(|| Layers::as_written(text), Layers::of_json)
            }
            PartKind::Html => {
                let page = html::read(&self.part.text);
                Layers {
                    visible: Layer::new(page.visible),
                    hidden: Some(Layer::new(page.hidden)),
                    links: page.links,
                    metas: page.metas,
                    numbers: None,
                }
            }
        })
    }

    /// What a reader sees.
    pub(crate) fn visible(&self) -> &Layer<'a> {
        &self.layers().visible
    }

    /// Whether the text is read as it stands.
    pub(crate) fn is_as_written(&self) -> bool {
        self.part.kind == PartKind::Plain && self.layers().numbers.is_none()
    }

    /// Bytes that are numbers of JSON, in order; `None` where the part is none.
    pub(crate) fn json_numbers(&self) -> Option<&[Range<usize>]> {
        self.layers().numbers.as_deref()
    }

    /// Attribute values, comments and titles of HTML, keys of JSON, one a line.
    pub(crate) fn hidden(&self) -> Option<&Layer<'a>> {
        self.layers().hidden.as_ref()
    }

    /// Addresses in the attributes of HTML.
    pub(crate) fn links(&self) -> &[PageLink] {
        &self.layers().links
    }

    /// Names and contents of the `meta` elements of HTML.
    pub(crate) fn metas(&self) -> &[(String, String)] {
        &self.layers().metas
    }

    /// What a reader sees, canonically composed, each run of white space one space, trimmed.
    pub(crate) fn spaced(&self) -> &str {
        self.spaced
            .get_or_init(|| spaced(self.visible().text.as_str()))
    }

    /// The same as `wording` writes it.
    pub(crate) fn wording(&self) -> &str {
        let words = || words::words(self.visible().view(TermView::Unaccented).as_str());
        self.wording.get_or_init(words)
    }

    /// Words that a reader sees, by Unicode's rules (UAX #29).
    pub(crate) fn words(&self) -> u32 {
        let visible = || self.visible().text.as_str();
        *self.words.get_or_init(|| counts::words(visible()))
    }

    /// Grapheme clusters that a reader sees; of HTML after runs of white space count as one.
    pub(crate) fn characters(&self) -> u32 {
        *self.characters.get_or_init(|| {
            counts::characters(match self.part.kind {
                PartKind::Plain => self.visible().text.as_str(),
                PartKind::Html => self.spaced(),
            })
        })
    }

    /// Sentences that a reader sees, by Unicode's rules (UAX #29), that hold a letter or digit.
    pub(crate) fn sentences(&self) -> u32 {
        let visible = || self.visible().text.as_str();
        *self.sentences.get_or_init(|| counts::sentences(visible()))
    }
}

impl<'a> Layers<'a> {
    fn as_written(text: &'a str) -> Self {
        Self {
            visible: Layer::new(Mapped::identity(text)),
            hidden: None,
            links: Vec::new(),
            metas: Vec::new(),
            numbers: None,
        }
    }

    fn of_json(json: json::Json) -> Self {
        Self {
            visible: Layer::new(json.visible),
            hidden: Some(Layer::new(json.hidden)),
            links: Vec::new(),
            metas: Vec::new(),
            numbers: Some(json.numbers),
        }
    }
}

/// The words of a text without accents, one space in front of each and behind the last.
pub(crate) fn wording(text: &str) -> String {
    words::words(unaccented(text).as_str())
}

/// What a text says where it is read as HTML: to a reader, and in its markup.
pub(crate) fn page(text: &str) -> [Layer<'_>; 2] {
    let page = html::read(text);
    [Layer::new(page.visible), Layer::new(page.hidden)]
}

/// Names and contents of the `meta` elements of a text that is read as HTML.
pub(crate) fn metas(text: &str) -> Vec<(String, String)> {
    html::read(text).metas
}

impl<'a> Layer<'a> {
    /// A text that is read as it stands.
    pub(crate) fn of(text: &'a str) -> Self {
        Self::new(Mapped::identity(text))
    }

    fn new(text: Mapped<'a>) -> Self {
        Self {
            text,
            folded: OnceCell::new(),
            unaccented: OnceCell::new(),
            compat: OnceCell::new(),
            digits: OnceCell::new(),
            skeleton: OnceCell::new(),
            occurrences: Occurrences::default(),
        }
    }

    /// The text as terms of that view are compared with it.
    pub(crate) fn view(&self, view: TermView) -> &Mapped<'_> {
        let text = self.text.as_str();
        match view {
            TermView::Raw => &self.text,
            TermView::Folded => self.folded.get_or_init(|| folded(text)),
            TermView::Unaccented => self.unaccented.get_or_init(|| unaccented(text)),
        }
    }

    /// Words of mixed scripts as the Latin they look like; `None` when there are none.
    pub(crate) fn skeleton(&self) -> Option<&Skeleton> {
        let text = self.text.as_str();
        self.skeleton.get_or_init(|| skeleton(text, false)).as_ref()
    }

    /// Compatibility forms and digits of all scripts made plain, case and lines kept.
    pub(crate) fn compat(&self) -> &str {
        let text = self.text.as_str();
        self.compat_form().map_or(text, Mapped::as_str)
    }

    fn compat_form(&self) -> Option<&Mapped<'static>> {
        let form = self.compat.get_or_init(|| other_compat(self.text.as_str()));
        form.as_ref()
    }

    /// Every run of digits in the compatibility text.
    pub(crate) fn digits(&self) -> &[Range<usize>] {
        self.digits.get_or_init(|| digit_runs(self.compat()))
    }

    /// Bytes of the part for bytes of the text, widened so that no letter loses its accents.
    pub(crate) fn widened_sources(&self, ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
        let wide = widened(self.text.as_str(), ranges).into_iter();
        wide.map(|range| self.text.source(range)).collect()
    }

    /// Bytes of the part for bytes of the compatibility text.
    pub(crate) fn compat_source(&self, range: Range<usize>) -> Range<usize> {
        let range = self
            .compat_form()
            .map_or(range.clone(), |form| form.source(range));
        self.text.source(range)
    }

    /// Byte of the text for a byte of the compatibility text; its end for the end.
    pub(crate) fn compat_start(&self, at: usize) -> usize {
        let text = self.text.as_str();
        self.compat_form()
            .map_or(at, |form| form.source_start(at, text.len()))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::PartView;
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
        let view = PartView::new(&part);
        assert_eq!(
            (view.words(), view.characters(), view.sentences()),
            (words, characters, sentences)
        );
    }
}
