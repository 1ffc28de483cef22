//! What a reader sees of HTML, and what hides in its markup, by a small forgiving tokenizer.
//! It follows the HTML standard's tokenizer where texts of mails do; styles that hide or add text
//! are not read. Ends of blocks become line breaks, so that words don't grow together.

use std::ops::Range;

use super::{
    entities,
    mapped::{Builder, Mapped},
};
use crate::work::spend;

/// The two texts of a page, and what its markup says of links and of itself.
#[derive(Debug)]
pub(crate) struct Page {
    /// Text between tags, entities decoded.
    pub(crate) visible: Mapped<'static>,
    /// Attribute values, comments, titles and scripts, one a line, entities and `%40` decoded.
    pub(crate) hidden: Mapped<'static>,
    /// In the order of the source.
    pub(crate) links: Vec<PageLink>,
    /// Names and contents of `meta` elements, entities decoded.
    pub(crate) metas: Vec<(String, String)>,
}

/// An address in an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageLink {
    /// Bytes of the source, entities as they stand.
    pub(crate) value: Range<usize>,
    /// Bytes of the visible text that lead there, for `a`.
    pub(crate) anchor: Option<Range<usize>>,
}

/// Attributes that hold an address.
const ADDRESSES: [&str; 8] = [
    "action",
    "background",
    "cite",
    "data",
    "formaction",
    "href",
    "poster",
    "src",
];

/// Tags inside a line: they don't separate words.
const INLINE: [&str; 30] = [
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "dfn", "em", "font",
    "i", "ins", "kbd", "mark", "q", "s", "samp", "small", "span", "strike", "strong", "sub", "sup",
    "time", "u", "var", "wbr",
];

/// Attributes that hold layout, never data.
const LAYOUT: [&str; 25] = [
    "align",
    "bgcolor",
    "border",
    "cellpadding",
    "cellspacing",
    "charset",
    "class",
    "color",
    "colspan",
    "dir",
    "height",
    "http-equiv",
    "id",
    "lang",
    "media",
    "name",
    "rel",
    "role",
    "rowspan",
    "style",
    "target",
    "type",
    "valign",
    "width",
    "xmlns",
];

/// Elements whose content is no markup.
const RAW: [&str; 4] = ["script", "style", "textarea", "title"];

pub(crate) fn read(source: &str) -> Page {
    let mut reader = Reader {
        source,
        visible: Builder::with_capacity(source.len()),
        hidden: Builder::default(),
        links: Vec::new(),
        metas: Vec::new(),
        attributes: Vec::new(),
        open: None,
    };
    let mut at = 0;
    while at < source.len() {
        at = reader.step(at);
    }
    Page {
        visible: reader.visible.finish(),
        hidden: reader.hidden.finish(),
        links: reader.links,
        metas: reader.metas,
    }
}

/// The address that an attribute's value is, entities decoded, with its way back into the source.
pub(crate) fn address(source: &str, value: Range<usize>) -> Mapped<'static> {
    let mut out = Builder::with_capacity(value.len());
    text(source, value, false, &mut out);
    out.finish()
}

struct Reader<'a> {
    source: &'a str,
    visible: Builder,
    hidden: Builder,
    links: Vec<PageLink>,
    metas: Vec<(String, String)>,
    /// Of the tag that is being read.
    attributes: Vec<(String, Range<usize>)>,
    /// The link whose text is being read, and where that begins.
    open: Option<(usize, usize)>,
}

impl Reader<'_> {
    fn step(&mut self, at: usize) -> usize {
        let rest = self.from(at);
        spend(1);
        if rest.starts_with("<!--") {
            let end = self.find("-->", at + 4);
            self.hide(at + 4..end);
            return (end + 3).min(self.source.len());
        }
        match rest.as_bytes() {
            [b'<', b'!' | b'?', ..] => (self.find(">", at) + 1).min(self.source.len()),
            [b'<', b'/', letter, ..] if letter.is_ascii_alphabetic() => self.tag(at, at + 2),
            [b'<', letter, ..] if letter.is_ascii_alphabetic() => self.tag(at, at + 1),
            _ => {
                let end = rest.find('<').map_or(self.source.len(), |found| at + found);
                // A `<` that opens no tag is text.
                let end = if end == at { at + 1 } else { end };
                text(self.source, at..end, false, &mut self.visible);
                end
            }
        }
    }

    /// Reads a start or end tag whose name begins at `name_at`; gives where text goes on.
    fn tag(&mut self, at: usize, name_at: usize) -> usize {
        let name_end = self.until(name_at, |b| {
            b.is_ascii_whitespace() || matches!(b, b'/' | b'>')
        });
        let name = self.slice(name_at..name_end).to_ascii_lowercase();
        self.attributes.clear();
        let end = self.attributes(name_end);
        self.note(&name, name_at == at + 1);
        if !INLINE.contains(&name.as_str()) {
            self.visible.markup(at..end, "\n");
        }
        let opens = name_at == at + 1;
        if opens && RAW.contains(&name.as_str()) {
            let close = self.closing(&name, end);
            match name.as_str() {
                "textarea" => text(self.source, end..close, false, &mut self.visible),
                "style" => {}
                _ => self.hide(end..close),
            }
            return close;
        }
        end
    }

    /// Keeps what a tag says of links and of the page.
    fn note(&mut self, name: &str, opens: bool) {
        let visible_end = self.visible.len();
        if name == "a"
            && let Some((index, from)) = self.open.take()
            && let Some(link) = self.links.get_mut(index)
        {
            link.anchor = Some(from..visible_end);
        }
        if !opens {
            return;
        }
        let attributes = std::mem::take(&mut self.attributes);
        if name == "meta" {
            let value = |wanted: &[&str]| {
                let (_, range) = attributes
                    .iter()
                    .find(|(n, _)| wanted.contains(&n.as_str()))?;
                Some(address(self.source, range.clone()).as_str().to_owned())
            };
            if let Some(name) = value(&["name", "property", "http-equiv"]) {
                let content = value(&["content"]).unwrap_or_default();
                self.metas.push((name, content));
            }
        }
        for (attribute, value) in &attributes {
            if ADDRESSES.contains(&attribute.as_str()) && !value.is_empty() {
                if name == "a" && attribute == "href" {
                    self.open = Some((self.links.len(), visible_end));
                }
                self.links.push(PageLink {
                    value: value.clone(),
                    anchor: None,
                });
            }
        }
        self.attributes = attributes;
    }

    /// Hides the values of attributes up to the end of the tag, which it gives.
    fn attributes(&mut self, from: usize) -> usize {
        let mut at = from;
        loop {
            at = self.until(at, |b| !b.is_ascii_whitespace() && b != b'/');
            match self.source.as_bytes().get(at) {
                None => return self.source.len(),
                Some(b'>') => return at + 1,
                Some(_) => at = self.attribute(at),
            }
        }
    }

    fn attribute(&mut self, at: usize) -> usize {
        let ends_name = |b: u8| b.is_ascii_whitespace() || matches!(b, b'=' | b'>' | b'/');
        let name_end = self.until(at, ends_name).max(at + 1);
        let name = self.slice(at..name_end).to_ascii_lowercase();
        let equals = self.until(name_end, |b| !b.is_ascii_whitespace());
        if self.source.as_bytes().get(equals) != Some(&b'=') {
            return name_end;
        }
        let value_at = self.until(equals + 1, |b| !b.is_ascii_whitespace());
        let quote = self
            .source
            .as_bytes()
            .get(value_at)
            .filter(|b| matches!(b, b'"' | b'\''));
        let (value, end) = if let Some(&quote) = quote {
            let close = self.until(value_at + 1, |b| b == quote);
            (value_at + 1..close, (close + 1).min(self.source.len()))
        } else {
            let close = self.until(value_at, |b| b.is_ascii_whitespace() || b == b'>');
            (value_at..close, close)
        };
        if !LAYOUT.contains(&name.as_str()) {
            self.hide(value.clone());
        }
        self.attributes.push((name, value));
        end
    }

    fn hide(&mut self, range: Range<usize>) {
        if range.is_empty() {
            return;
        }
        if !self.hidden.is_empty() {
            self.hidden.markup(range.start..range.start, "\n");
        }
        text(self.source, range, true, &mut self.hidden);
    }

    /// Start of the end tag of a raw element, or the end of the page.
    fn closing(&self, name: &str, from: usize) -> usize {
        let mut at = from;
        loop {
            at = self.find("</", at);
            let after = at + 2;
            match self.source.get(after..after + name.len()) {
                Some(found) if found.eq_ignore_ascii_case(name) => return at,
                _ if at >= self.source.len() => return self.source.len(),
                _ => at = after,
            }
        }
    }

    fn from(&self, at: usize) -> &str {
        self.source.get(at..).unwrap_or_default()
    }

    fn slice(&self, range: Range<usize>) -> &str {
        self.source.get(range).unwrap_or_default()
    }

    fn find(&self, what: &str, from: usize) -> usize {
        let found = self.from(from).find(what);
        let end = found.map_or(self.source.len(), |found| from + found);
        spend(end.saturating_sub(from));
        end
    }

    fn until(&self, from: usize, stop: impl Fn(u8) -> bool) -> usize {
        let rest = self.source.as_bytes().get(from..).unwrap_or_default();
        let found = rest.iter().position(|&b| stop(b));
        spend(found.unwrap_or(rest.len()));
        found.map_or(self.source.len(), |found| from + found)
    }
}

/// Appends text with its entities decoded; in URLs also `%40`. Line breaks of the source are spaces.
fn text(source: &str, range: Range<usize>, url: bool, out: &mut Builder) {
    let mut at = range.start;
    while at < range.end {
        let rest = source.get(at..range.end).unwrap_or_default();
        let plain = rest
            .bytes()
            .position(|b| matches!(b, b'&' | b'\n' | b'\r' | b'\t') || (url && b == b'%'))
            .unwrap_or(rest.len());
        if plain > 0 {
            out.linear(at, rest.get(..plain).unwrap_or_default());
            at += plain;
            continue;
        }
        let decoded = match rest.as_bytes().first() {
            Some(b'&') => entities::decode(rest),
            Some(b'%') => percent(rest),
            _ => Some((" ".to_owned(), 1)),
        };
        let (decoded, len) = decoded.unwrap_or_else(|| {
            (
                rest.chars().take(1).collect(),
                rest.chars().next().map_or(1, char::len_utf8),
            )
        });
        if len == 1 && decoded.len() == 1 {
            out.linear(at, &decoded);
        } else {
            out.atom(at..at + len, &decoded);
        }
        at += len;
    }
}

/// `%40` as `@`: printable ASCII only.
fn percent(rest: &str) -> Option<(String, usize)> {
    let code = u8::from_str_radix(rest.get(1..3)?, 16).ok()?;
    (0x20..0x7f)
        .contains(&code)
        .then(|| (char::from(code).to_string(), 3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::read;

    #[rstest]
    #[case("<p>Hello <b>Zo&euml;</b></p>", "\nHello Zoë\n")]
    #[case("Ac<b>me</b> &amp; Co", "Acme & Co")]
    #[case("a<br>b<br/>c", "a\nb\nc")]
    #[case("1 < 2 &lt; 3 & 4", "1 < 2 < 3 & 4")]
    #[case("a&#64;b &#x40; &copy; &unknown;", "a@b @ © &unknown;")]
    #[case("<a title=\"x > y\" href='z'>link</a>", "link")]
    #[case("x<!-- secret -->y<script>var a = '<p>';</script>z", "xy\n\nz")]
    #[case("<title>T</title>body", "\n\nbody")]
    #[case("cut <a href=\"never closed", "cut ")]
    #[case("two\nlines", "two lines")]
    #[case("<p>مرحبا</p>", "\nمرحبا\n")]
    #[case("<", "<")]
    fn a_reader_sees_text_without_markup(#[case] source: &str, #[case] expected: &str) {
        assert_eq!(read(source).visible.as_str(), expected);
    }

    #[rstest]
    #[case(
        "<a href=\"mailto:jane%40mail.example\" class=\"c\">x</a>",
        "mailto:jane@mail.example"
    )]
    #[case("<img alt=Acme src='a.png'>", "Acme\na.png")]
    #[case("x<!-- DE89 -->", " DE89 ")]
    #[case("<title>T &amp; U</title>", "T & U")]
    fn markup_hides_no_data(#[case] source: &str, #[case] expected: &str) {
        assert_eq!(read(source).hidden.as_str(), expected);
    }

    #[test]
    fn links_have_their_addresses_and_their_texts() {
        let source = "<a class=b href='/x?a=1&amp;b=2'>to <b>x</b></a> <img src=y.png> <a>no</a>";
        let page = read(source);
        let links: Vec<_> = page
            .links
            .iter()
            .map(|link| {
                let anchor = link.anchor.clone().map(|at| &page.visible.as_str()[at]);
                (&source[link.value.clone()], anchor)
            })
            .collect();
        assert_eq!(links, [("/x?a=1&amp;b=2", Some("to x")), ("y.png", None)]);
        let address = super::address(source, page.links[0].value.clone());
        assert_eq!(address.as_str(), "/x?a=1&b=2");
    }

    #[test]
    fn a_page_tells_of_itself() {
        let page = read("<META Name=\"generator\" content='a &amp; b'><meta charset=utf-8>");
        assert_eq!(page.metas, [("generator".to_owned(), "a & b".to_owned())]);
    }

    #[test]
    fn spans_lead_back_into_the_source() {
        let source = "<p>Z&euml;b <i>ra</i></p>";
        let page = read(source);
        let at = page.visible.as_str().find("Zëb").unwrap();
        assert_eq!(&source[page.visible.source(at..at + 4)], "Z&euml;b");
        let at = page.visible.as_str().find("b ra").unwrap();
        assert_eq!(&source[page.visible.source(at..at + 4)], "b <i>ra");
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(source in "[<>/!&#;\"'= a-cx-z%4é-]{0,60}") {
            let page = read(&source);
            for view in [&page.visible, &page.hidden] {
                for (at, c) in view.as_str().char_indices() {
                    prop_assert!(source.get(view.source(at..at + c.len_utf8())).is_some());
                }
            }
        }
    }
}
