//! Where values stand in a JSON text (RFC 8259), and which keys stand twice.

use std::{borrow::Cow, collections::BTreeSet, ops::Range};

use crate::work::spend;

/// One value and its bytes.
#[derive(Debug)]
pub(super) struct Node {
    range: Range<usize>,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Scalar,
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    /// Reads a text that is known to be one JSON value, not nested more deeply than `serde_json` reads.
    pub(super) fn read(text: &str) -> Option<Self> {
        Reader { text, at: 0 }.value()
    }

    /// Bytes of the value that a JSON pointer leads to, or of the last one on the way that is there.
    /// Of a key that stands twice the last counts, as for everyone who reads the text.
    pub(super) fn at(&self, pointer: &str) -> Range<usize> {
        let mut node = self;
        for step in steps(pointer) {
            let inner = match &node.inner {
                Inner::Scalar => None,
                Inner::Array(items) => step.parse::<usize>().ok().and_then(|at| items.get(at)),
                Inner::Object(members) => {
                    spend(members.len());
                    let mut named = members.iter().rev().filter(|(key, _)| *key == step);
                    named.next().map(|(_, value)| value)
                }
            };
            match inner {
                Some(inner) => node = inner,
                None => break,
            }
        }
        node.range.clone()
    }

    /// Values of keys that stood before in the same object.
    pub(super) fn repeated(&self, out: &mut Vec<Range<usize>>) {
        match &self.inner {
            Inner::Scalar => {}
            Inner::Array(items) => items.iter().for_each(|item| item.repeated(out)),
            Inner::Object(members) => {
                let mut keys = BTreeSet::new();
                spend(members.len());
                for (key, value) in members {
                    if !keys.insert(key.as_str()) {
                        out.push(value.range.clone());
                    }
                    value.repeated(out);
                }
            }
        }
    }
}

/// The steps of a JSON pointer (RFC 6901).
pub(super) fn steps(pointer: &str) -> impl Iterator<Item = Cow<'_, str>> {
    pointer.split('/').skip(1).map(unescaped)
}

pub(super) fn unescaped(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Node> {
        let start = self.next_at()?;
        let inner = match self.peek()? {
            b'{' => Inner::Object(self.members()?),
            b'[' => Inner::Array(self.items()?),
            b'"' => {
                self.string()?;
                Inner::Scalar
            }
            _ => {
                let rest = self.text.get(self.at..)?;
                let ends = |c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace();
                self.at += rest.find(ends).unwrap_or(rest.len());
                Inner::Scalar
            }
        };
        spend(1);
        Some(Node {
            range: start..self.at,
            inner,
        })
    }

    fn items(&mut self) -> Option<Vec<Node>> {
        let mut items = Vec::new();
        self.at += 1;
        while !self.closes(b']')? {
            items.push(self.value()?);
        }
        Some(items)
    }

    fn members(&mut self) -> Option<Vec<(String, Node)>> {
        let mut members = Vec::new();
        self.at += 1;
        while !self.closes(b'}')? {
            self.next_at()?;
            let key = self.string()?;
            self.next_at()?;
            self.at += usize::from(self.peek()? == b':');
            members.push((key, self.value()?));
        }
        Some(members)
    }

    /// Goes past a comma or the closing bracket; true for the latter.
    fn closes(&mut self, bracket: u8) -> Option<bool> {
        self.next_at()?;
        let byte = self.peek()?;
        self.at += usize::from(byte == bracket || byte == b',');
        Some(byte == bracket)
    }

    fn string(&mut self) -> Option<String> {
        let start = self.at;
        let mut escaped = false;
        for (offset, byte) in self.text.as_bytes().get(start + 1..)?.iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at = start + offset + 2;
                    spend(offset);
                    return serde_json::from_str(self.text.get(start..self.at)?).ok();
                }
                _ => {}
            }
        }
        None
    }

    /// Goes past white space.
    fn next_at(&mut self) -> Option<usize> {
        let rest = self.text.get(self.at..)?;
        let space = rest.len() - rest.trim_ascii_start().len();
        spend(space);
        self.at += space;
        Some(self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::Node;

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z\"\\\\~/é,\\]} ]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let keys = "[a-z\"\\\\~/é]{0,3}";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(keys, inner, 0..4).prop_map(|members| json!(members)),
            ]
        })
    }

    /// Every pointer into a value, with what it leads to.
    fn pointers<'v>(value: &'v Value, at: &str, out: &mut Vec<(String, &'v Value)>) {
        out.push((at.to_owned(), value));
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    pointers(item, &format!("{at}/{index}"), out);
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    pointers(member, &format!("{at}/{key}"), out);
                }
            }
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn every_pointer_leads_to_the_text_of_its_value(value in any_json(), pretty in any::<bool>()) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                format!(" {value}\n")
            };
            let root = Node::read(&text).unwrap();
            let mut all = Vec::new();
            pointers(&value, "", &mut all);
            for (pointer, expected) in all {
                let found: Value = serde_json::from_str(&text[root.at(&pointer)]).unwrap();
                prop_assert_eq!(&found, expected);
            }
            let mut twice = Vec::new();
            root.repeated(&mut twice);
            prop_assert!(twice.is_empty());
        }
    }
}
