//! Texts among the inputs that speak to the model instead of to the reader: what can be seen of them
//! without a model. It reads what a prompt is made from, never the document.

mod carried;
mod encoded;
mod freed;
mod hidden;
mod phrases;
mod words;

use std::collections::BTreeSet;

use aios_crds::check::{Injection as Spec, InjectionInput, InjectionSign};
use serde_json::Value;

use super::Ranges;
use crate::{
    diagnostic::Diagnostic,
    evaluate::{merged, position},
    inputs::Inputs,
    verdict::InputSpan,
    view::{Layer, page, unaccented},
};
use phrases::Phrases;

/// Most places that are told of.
const MOST: usize = 100;
/// Characters of an encoded run that are too many.
const ENCODED: u32 = 256;

/// Compiled signs.
#[derive(Debug)]
pub(crate) struct Injection {
    read: BTreeSet<InjectionInput>,
    detect: BTreeSet<InjectionSign>,
    phrases: Phrases,
    max_encoded: usize,
    /// As `Unaccented` views have them.
    allow: Vec<String>,
}

impl Injection {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut allow = Vec::new();
        for (index, wording) in spec.allow.iter().enumerate() {
            let plain = plain(wording);
            if plain.is_empty() {
                return Err(vec![Diagnostic::new(
                    format!("{path}.allow[{index}]"),
                    "the wording is blank: write it out or remove the entry",
                )]);
            }
            allow.push(plain);
        }
        let phrases = Phrases::build().map_err(|error| {
            vec![Diagnostic::new(
                path,
                format!("{error}: report this as a defect"),
            )]
        })?;
        let max_encoded = spec.max_encoded.unwrap_or(ENCODED);
        Ok(Self {
            read: or_all(
                &spec.read,
                &[InjectionInput::Passages, InjectionInput::Variables],
            ),
            detect: or_all(
                &spec.detect,
                &[
                    InjectionSign::Instructions,
                    InjectionSign::Roles,
                    InjectionSign::Hidden,
                    InjectionSign::Encoded,
                    InjectionSign::Exfiltration,
                ],
            ),
            phrases,
            max_encoded: usize::try_from(max_encoded).unwrap_or(usize::MAX),
            allow,
        })
    }

    /// Where the inputs speak to the model: passages first, then variables by name.
    pub(crate) fn find(&self, inputs: &Inputs<'_>) -> Vec<InputSpan> {
        let mut found = Vec::new();
        if self.read.contains(&InjectionInput::Passages) {
            for (index, text) in inputs.passages.iter().enumerate() {
                self.tell(text, &format!("passages[{index}]"), &mut found);
            }
        }
        if self.read.contains(&InjectionInput::Variables) {
            self.variables(inputs.variables, "vars", &mut found);
        }
        found.truncate(MOST);
        found
    }

    fn variables(&self, value: &Value, path: &str, found: &mut Vec<InputSpan>) {
        match value {
            Value::String(text) => self.tell(text, path, found),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.variables(item, &format!("{path}[{index}]"), found);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    self.variables(field, &format!("{path}.{}", shown(name)), found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn tell(&self, text: &str, input: &str, found: &mut Vec<InputSpan>) {
        if found.len() >= MOST {
            return;
        }
        let ranges = merged(self.find_in(text)).into_iter();
        found.extend(ranges.map(|range| InputSpan {
            input: input.to_owned(),
            start: position(range.start),
            end: position(range.end),
        }));
    }

    /// Bytes of one text that speak to the model, unsorted.
    fn find_in(&self, text: &str) -> Ranges {
        let plain_text = Layer::of(text);
        let mut found = self.said(&plain_text);
        if text.contains(['<', '&']) {
            // Markup can part a word, and hide one.
            for layer in page(text) {
                found.extend(self.said(&layer));
            }
        }
        if self.detect.contains(&InjectionSign::Hidden) {
            found.extend(hidden::characters(text));
            found.extend(hidden::markup(text));
        }
        if self.detect.contains(&InjectionSign::Encoded) {
            found.extend(encoded::find(text, self.max_encoded, |inner| {
                !self.phrases.find(&Layer::of(inner)).is_empty()
                    || !phrases::roles(&Layer::of(inner)).is_empty()
            }));
        }
        found.retain(|range| {
            let wording = plain(text.get(range.clone()).unwrap_or_default());
            !self.allow.contains(&wording)
        });
        if self.detect.contains(&InjectionSign::Exfiltration) {
            let allowed = |address: &str| {
                let address = plain(address);
                let mut allow = self.allow.iter();
                allow.any(|start| start.ends_with('/') && address.starts_with(start.as_str()))
            };
            found.extend(carried::find(text, allowed));
        }
        found
    }

    /// Bytes of the input behind one reading of it where words or marks speak to the model.
    fn said(&self, layer: &Layer<'_>) -> Ranges {
        let mut found = Ranges::new();
        if self.detect.contains(&InjectionSign::Instructions) {
            found.extend(self.phrases.find(layer));
            found.extend(freed::find(layer));
        }
        if self.detect.contains(&InjectionSign::Roles) {
            found.extend(phrases::roles(layer));
        }
        found
    }
}

fn or_all<T: Copy + Ord>(named: &[T], all: &[T]) -> BTreeSet<T> {
    let taken = if named.is_empty() { all } else { named };
    taken.iter().copied().collect()
}

/// Names of fields are the record's: what could be anything is not repeated.
fn shown(name: &str) -> &str {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=63).contains(&name.len()) && name.bytes().all(is_name) {
        name
    } else {
        "?"
    }
}

fn plain(text: &str) -> String {
    unaccented(text).as_str().trim().to_owned()
}

#[cfg(test)]
mod tests;
