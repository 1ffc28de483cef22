//! Finds every text in JSON, byte by byte: where it stands, of which channel it is. What is not JSON to
//! the letter has no texts, so that nothing of it goes on unread.

use std::{borrow::Cow, ops::Range};

use super::{
    channel::{Channel, LABEL, Node},
    encoded::{Held, held},
    lane::phase,
};

/// Deeper than any answer; as deep as other readers go.
const DEPTH: usize = 120;

/// How a text says what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    /// JSON in a text.
    Json,
    /// In base64, behind so many bytes of an address.
    Encoded {
        head: usize,
        text: String,
    },
}

/// One text, or what counts as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub channel: Channel,
    /// Under which name it comes in pieces; empty of what comes whole.
    pub field: &'static str,
    pub form: Form,
    /// Index of the choice or the block.
    pub of: u64,
    /// The whole token, with its quotes.
    pub range: Range<usize>,
}

impl Piece {
    /// Whether it is told after another piece of its choice.
    pub fn follows(&self, other: &Self) -> bool {
        // More than its quotes.
        let says = self.range.len() > 2 && !self.field.is_empty();
        says && self.of == other.of && phase(self.field) > phase(other.field)
    }
}

/// Calls of tools, whose texts are among the pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calls {
    /// Index of the choice.
    pub of: u64,
    /// The whole list.
    pub range: Range<usize>,
}

/// Parts of a message that follow each other: a model reads them as one text.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// Which pieces they are.
    pub pieces: Range<usize>,
    /// From the end of the first part to the end of the last.
    pub others: Range<usize>,
}

/// What was found.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Texts {
    pub pieces: Vec<Piece>,
    pub calls: Vec<Calls>,
    pub runs: Vec<Run>,
    /// Values to be left out.
    pub stripped: Vec<Range<usize>>,
    /// Choices or blocks that end here.
    pub ended: Vec<u64>,
    /// Whether numbers stand for words.
    pub tokens: bool,
    /// Whether a piece of a text stands in two places, of which readers take either.
    pub twice: bool,
}

impl Texts {
    /// Whether a piece from `known` on is of a text that one from `from` on is of, too.
    fn is_again(&self, from: usize, known: usize) -> bool {
        let before = self.pieces.get(from..known).unwrap_or_default();
        let new = self.pieces.get(known..).unwrap_or_default();
        let mut named = new.iter().filter(|piece| !piece.field.is_empty());
        named.any(|piece| before.iter().any(|other| other.field == piece.field))
    }
}

/// Reads JSON whose outermost value is such a node; none when it is no JSON.
pub fn texts(json: &[u8], root: Node) -> Option<Texts> {
    let mut reader = Reader {
        json,
        at: 0,
        part: None,
        found: Texts::default(),
    };
    reader.value(root, 0)?;
    reader.space();
    (reader.at == json.len()).then_some(reader.found)
}

/// What a token says; none of one that is no text.
pub fn said(token: &[u8]) -> Option<Cow<'_, str>> {
    let Some(quoted) = token.strip_prefix(b"\"") else {
        return std::str::from_utf8(token).ok().map(Cow::Borrowed);
    };
    if token.contains(&b'\\') {
        return serde_json::from_slice(token).ok().map(Cow::Owned);
    }
    let inner = quoted.strip_suffix(b"\"")?;
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// Puts other JSON in the place of parts of it.
pub fn spliced(json: &[u8], mut edits: Vec<(Range<usize>, String)>) -> Option<Vec<u8>> {
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = Vec::with_capacity(json.len() + 64);
    let mut at = 0;
    for (range, text) in edits {
        out.extend_from_slice(json.get(at..range.start)?);
        out.extend_from_slice(text.as_bytes());
        at = range.end;
    }
    out.extend_from_slice(json.get(at..)?);
    Some(out)
}

struct Reader<'a> {
    json: &'a [u8],
    at: usize,
    /// The piece that is the text of the part that was read last.
    part: Option<usize>,
    found: Texts,
}

impl<'a> Reader<'a> {
    fn value(&mut self, node: Node, depth: usize) -> Option<()> {
        if depth > DEPTH {
            return None;
        }
        self.space();
        let start = self.at;
        let before = (self.found.pieces.len(), self.found.stripped.len());
        match self.peek()? {
            b'{' => self.object(node, depth)?,
            b'[' => self.list(node, depth)?,
            b'"' => {
                self.string()?;
                self.text(node, start);
            }
            _ => {
                let is_number = self.scalar()?;
                match node {
                    Node::Arguments | Node::Given if is_number => {
                        self.piece(node.channel(), "", Form::Plain, start);
                    }
                    Node::InputItem => self.found.tokens |= is_number,
                    _ => {}
                }
            }
        }
        if node == Node::ToolCalls {
            let range = start..self.at;
            self.found.calls.push(Calls { of: 0, range });
        }
        if node == Node::Stripped && self.json.get(start..self.at) != Some(b"null") {
            // What stands in it goes with it.
            self.found.pieces.truncate(before.0);
            self.found.stripped.truncate(before.1);
            self.found.stripped.push(start..self.at);
        }
        Some(())
    }

    fn object(&mut self, node: Node, depth: usize) -> Option<()> {
        let from = (self.found.pieces.len(), self.found.calls.len());
        let (mut index, mut ends) = (None, false);
        let (mut media, mut is_text) = (None, false);
        self.at += 1;
        self.space();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.space();
            let start = self.at;
            let key = said(self.string()?)?;
            let child = node.field(&key);
            if node.has_free_names() || child == Node::Extra || key.len() > LABEL {
                self.piece(node.channel(), "", Form::Plain, start);
            }
            self.space();
            self.expect(b':')?;
            self.space();
            let start = self.at;
            let known = self.found.pieces.len();
            self.value(child, depth + 1)?;
            self.found.twice |= self.found.is_again(from.0, known);
            let value = self.json.get(start..self.at)?;
            let is_string = value.first() == Some(&b'"');
            if matches!(child, Node::Media | Node::Address) && is_string {
                media = Some(start..self.at);
            }
            if key == "text" && is_string && self.found.pieces.len() == known + 1 {
                self.part = Some(known);
            }
            if key == "type" && is_string {
                is_text |= said(value)? == "text";
            }
            match (&*key, node) {
                ("index", Node::Choice | Node::Event) => {
                    index = std::str::from_utf8(value).ok()?.parse().ok();
                }
                // Some servers say nothing in each chunk before it.
                ("finish_reason", Node::Choice) => ends |= !matches!(value, b"null" | b"\"\""),
                ("type", Node::Event) => ends |= said(value)? == "content_block_stop",
                _ => {}
            }
            self.space();
            match self.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        if let Some(range) = media.filter(|_| is_text) {
            // What says that it is text is none other, whatever it looks like.
            self.found.pieces.retain(|piece| piece.range != range);
            self.found.pieces.push(Piece {
                channel: Channel::Prompt,
                field: "",
                form: Form::Plain,
                of: 0,
                range,
            });
        }
        let index = index.unwrap_or_default();
        if matches!(node, Node::Choice | Node::Event) {
            let (before, here) = self.found.pieces.split_at(from.0);
            let in_it = |piece: &Piece| piece.of == index && !piece.field.is_empty();
            self.found.twice |= !here.is_empty() && before.iter().any(in_it);
            let pieces = self.found.pieces.iter_mut().skip(from.0);
            pieces.for_each(|piece| piece.of = index);
            let calls = self.found.calls.iter_mut().skip(from.1);
            calls.for_each(|calls| calls.of = index);
        }
        if ends {
            self.found.ended.push(index);
        }
        Some(())
    }

    fn list(&mut self, node: Node, depth: usize) -> Option<()> {
        self.at += 1;
        self.space();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        let is_content = matches!(node, Node::Text(Channel::Prompt, _) | Node::Input);
        let mut run: Option<Run> = None;
        loop {
            let known = self.found.pieces.len();
            self.part = None;
            self.value(node.item(), depth + 1)?;
            let is_part = self.part.take() == Some(known)
                && self.found.pieces.len() == known + 1
                && is_content;
            match &mut run {
                Some(run) if is_part && run.pieces.end == known => {
                    run.pieces.end += 1;
                    run.others.end = self.at;
                }
                _ => {
                    self.ran(run.take());
                    let begins = || Run {
                        pieces: known..known + 1,
                        others: self.at..self.at,
                    };
                    run = is_part.then(begins);
                }
            }
            self.space();
            match self.next()? {
                b',' => {}
                b']' => {
                    self.ran(run);
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    fn ran(&mut self, run: Option<Run>) {
        let several = run.filter(|run| run.pieces.len() > 1);
        self.found.runs.extend(several);
    }

    /// Notes the text that ends here.
    fn text(&mut self, node: Node, start: usize) {
        let inner = self.json.get(start + 1..self.at - 1).unwrap_or_default();
        let channel = node.channel();
        match node {
            Node::Text(_, field) => self.piece(channel, field, Form::Plain, start),
            Node::Json(field) => self.piece(channel, field, Form::Json, start),
            Node::Label if inner.len() <= LABEL => {}
            Node::Media | Node::Address | Node::Vector => {
                let token = self.json.get(start..self.at).unwrap_or_default();
                let bare = node != Node::Address;
                // What cannot be read is a text that cannot be judged.
                let form = match said(token).map_or(Held::Text, |value| held(&value, bare)) {
                    Held::Nothing => return,
                    Held::Text => Form::Plain,
                    Held::Encoded { head, text } => Form::Encoded { head, text },
                };
                self.piece(channel, "", form, start);
            }
            Node::Sealed | Node::Stripped => {}
            _ => self.piece(channel, "", Form::Plain, start),
        }
    }

    fn piece(&mut self, channel: Channel, field: &'static str, form: Form, start: usize) {
        self.found.pieces.push(Piece {
            channel,
            field,
            form,
            of: 0,
            range: start..self.at,
        });
    }

    /// The token of a text, with its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        self.expect(b'"')?;
        loop {
            match self.next()? {
                b'"' => return self.json.get(start..self.at),
                b'\\' => {
                    self.next()?;
                }
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    /// A number, a truth value or nothing; whether it is a number.
    fn scalar(&mut self) -> Option<bool> {
        let rest = self.json.get(self.at..)?;
        let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
        let len = rest.iter().position(ends).unwrap_or(rest.len());
        let token = rest.get(..len)?;
        self.at += len;
        if matches!(token, b"null" | b"true" | b"false") {
            return Some(false);
        }
        let number = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        (!token.is_empty() && token.iter().all(number)).then_some(true)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.json.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Channel, Node, said, spliced, texts};

    fn found(json: &str, root: Node) -> Option<Vec<(Channel, String, u64)>> {
        let texts = texts(json.as_bytes(), root)?;
        let piece = |piece: super::Piece| {
            let text = said(&json.as_bytes()[piece.range]).unwrap().into_owned();
            (piece.channel, text, piece.of)
        };
        Some(texts.pieces.into_iter().map(piece).collect())
    }

    #[test]
    fn a_piece_that_stands_in_two_places_is_noticed() {
        let twice = |json: &str| texts(json.as_bytes(), Node::Completion).unwrap().twice;
        for json in [
            r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"delta":{"content":"b"},"index":0}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"a","content":"b"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"a"},"delta":{"content":"b"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"a"}}],"choices":[{"index":0,"delta":{"content":"b"}}]}"#,
        ] {
            assert!(twice(json), "{json}");
        }
        for json in [
            r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":1,"delta":{"content":"b"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"a","reasoning_content":"b","reasoning":"b"}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"a"}},{"index":0,"finish_reason":"stop"}]}"#,
        ] {
            assert!(!twice(json), "{json}");
        }
    }

    #[test]
    fn an_index_counts_wherever_it_stands() {
        let chunk = r#"{"id":"c","choices":[{"delta":{"tool_calls":[
            {"function":{"arguments":"a"},"index":3}],"c\u006fntent":"\u00e9"},"index":2}]}"#;
        let of_calls = texts(chunk.as_bytes(), Node::Completion).unwrap().calls;
        assert_eq!(
            of_calls.iter().map(|calls| calls.of).collect::<Vec<_>>(),
            [2]
        );
        let found = found(chunk, Node::Completion).unwrap();
        let expected = [
            (Channel::ToolArguments, "a".to_owned(), 2),
            (Channel::Content, "é".to_owned(), 2),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_no_table_knows_is_text_with_its_names() {
        let found = found(
            r#"{"more":{"a":"b"},"usage":{"n":1},"id":"c"}"#,
            Node::Completion,
        )
        .unwrap();
        let texts: Vec<_> = found.iter().map(|found| found.1.as_str()).collect();
        assert_eq!(texts, ["a", "b"]);
    }

    #[test]
    fn a_source_of_text_is_text_whatever_it_looks_like() {
        let letters = "Acme".repeat(90);
        let found = |kind: &str| {
            let source = format!(r#"{{"data":"{letters}","type":"{kind}","media_type":"x"}}"#);
            found(&source, Node::Request).unwrap().len()
        };
        assert_eq!((found("text"), found("base64")), (1, 0));
    }

    #[test]
    fn escaped_spaces_are_no_base64() {
        let url = "Acme\\u0020".repeat(90);
        let found = found(&format!(r#"{{"url":"{url}"}}"#), Node::Request).unwrap();
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_vector_is_no_text_and_all_that_no_table_knows_beside_it_is() {
        let vector = "AACAPwAAgL8".repeat(30);
        let json = format!(
            r#"{{"object":"list","model":"m","data":[{{"object":"embedding","index":0,"embedding":[0.5,-1]}},
            {{"embedding":"{vector}","note":"a"}}],"usage":{{"prompt_tokens":1}},"more":["b"]}}"#
        );
        let found = found(&json, Node::Figures).unwrap();
        let texts: Vec<_> = found.iter().map(|found| found.1.as_str()).collect();
        assert_eq!(texts, ["a", "b"]);
    }

    #[test]
    fn a_long_label_or_name_is_text() {
        let id = "x".repeat(129);
        let named = format!(r#"{{"results":[{{"categories":{{"{id}":true}}}}]}}"#);
        assert_eq!(found(&named, Node::Figures).unwrap()[0].1, id);
        let found = found(&format!(r#"{{"id":"{id}"}}"#), Node::Completion).unwrap();
        assert_eq!(found[0].0, Channel::Other);
    }

    #[test]
    fn probabilities_are_left_out() {
        let json = br#"{"choices":[{"index":0,"logprobs":{"content":[{"token":"x"}]}}]}"#;
        let texts = texts(json, Node::Completion).unwrap();
        assert!(texts.pieces.is_empty());
        let edits = texts
            .stripped
            .into_iter()
            .map(|range| (range, "null".to_owned()));
        let spliced = spliced(json, edits.collect()).unwrap();
        assert_eq!(spliced, br#"{"choices":[{"index":0,"logprobs":null}]}"#);
    }

    #[test]
    fn ends_are_seen() {
        let ended = |json: &str, root| texts(json.as_bytes(), root).unwrap().ended;
        let chunk = r#"{"choices":[{"index":1,"finish_reason":"stop"},{"index":2,"finish_reason":null},
            {"index":3,"finish_reason":""}]}"#;
        assert_eq!(ended(chunk, Node::Completion), [1]);
        assert_eq!(
            ended(r#"{"type":"content_block_stop","index":4}"#, Node::Event),
            [4]
        );
        assert!(ended(r#"{"type":"content_block_start","index":4}"#, Node::Event).is_empty());
    }

    #[rstest]
    #[case("")]
    #[case("{")]
    #[case(r#"{"a":1} Acme"#)]
    #[case(r#"{"a" 1}"#)]
    #[case(r#"{"a":Acme}"#)]
    #[case(r#"{"a":1,}"#)]
    #[case("{\"a\":\"\n\"}")]
    #[case(r#"["a" "b"]"#)]
    fn what_is_no_json_has_no_texts(#[case] json: &str) {
        assert_eq!(found(json, Node::Arguments), None);
    }
}
