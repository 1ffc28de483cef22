//! Values that belong to exactly one other person of a batch. Which they are is answered from outside
//! (`Others`): this room makes normal forms of texts and records, and compares.

mod keys;

use std::{cell::OnceCell, collections::BTreeSet, sync::Arc};

use aios_crds::check::{Leak as Spec, TermView};
use serde_json::Value;

use self::keys::Keys;
use super::{Checker, Failure, MAX_MATCHES, Ranges, pii::leaves};
use crate::{
    diagnostic::Diagnostic,
    inputs::Inputs,
    others::{Asked, Others},
    verdict::{Check, RuleErrorReason},
    view::{Layer, PartView, unaccented},
};

/// Letters and digits below which a value is anybody's.
const LEAST: u32 = 6;

/// Compiled variables.
#[derive(Debug)]
pub(crate) struct Leak {
    identifiers: Arc<Identifiers>,
}

/// Which values of a record identify the person it is about.
#[derive(Debug)]
pub struct Identifiers {
    id: String,
    /// Paths, split at dots.
    variables: Vec<Vec<String>>,
    least: u32,
}

impl Leak {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        if spec.variables.is_empty() {
            mistakes.push(Diagnostic::new(
                format!("{path}.variables"),
                "nothing identifies anybody: name variables, as `customer.account`",
            ));
        }
        let mut variables = Vec::new();
        for (index, variable) in spec.variables.iter().enumerate() {
            let steps: Vec<_> = variable.split('.').map(str::to_owned).collect();
            if steps.iter().any(|step| step.trim().is_empty()) {
                mistakes.push(Diagnostic::new(
                    format!("{path}.variables[{index}]"),
                    format!(
                        "`{variable}` is no path: write names joined by dots, as in \
                         `customer.account`"
                    ),
                ));
            }
            variables.push(steps);
        }
        if mistakes.is_empty() {
            let least = spec.min_length.unwrap_or(LEAST);
            let identifiers = Arc::new(Identifiers::new(variables, least));
            Ok(Self { identifiers })
        } else {
            Err(mistakes)
        }
    }

    pub(crate) fn identifiers(&self) -> &Arc<Identifiers> {
        &self.identifiers
    }

    /// Bytes of the part where a value of another person stands.
    pub(crate) fn find(
        &self,
        part: &PartView<'_>,
        inputs: &Inputs<'_>,
        others: Option<&Others>,
    ) -> Result<Ranges, Failure> {
        let Some(others) = others else {
            let message = "what other records of the batch hold is known to the gateway alone";
            return Err(Failure::new(RuleErrorReason::Unavailable, message));
        };
        self.identifiers.is_told(inputs.variables)?;
        let known = OnceCell::new();
        let mut found = Ranges::new();
        for layer in layers(part) {
            let view = layer.view(TermView::Unaccented);
            let mut theirs_here = Vec::new();
            Keys::read(view.as_str()).each(self.identifiers.least, |range, key| {
                let theirs = others.own(&self.identifiers.id, key)
                    && !known
                        .get_or_init(|| self.identifiers.said_by(inputs))
                        .contains(key);
                if theirs && found.len() + theirs_here.len() <= MAX_MATCHES {
                    theirs_here.push(view.source(range));
                }
            });
            found.extend(layer.widened_sources(theirs_here));
        }
        Ok(found)
    }
}

/// What a reader sees, and what stands in attributes.
fn layers<'p, 'a>(part: &'p PartView<'a>) -> impl Iterator<Item = &'p Layer<'a>> {
    std::iter::once(part.visible()).chain(part.hidden())
}

impl Identifiers {
    fn new(mut variables: Vec<Vec<String>>, least: u32) -> Self {
        variables.sort_unstable();
        variables.dedup();
        let paths: Vec<_> = variables.iter().map(|path| path.join(".")).collect();
        let revision = Check::Leak.revision();
        Self {
            id: format!("{revision}/{least}/{}", paths.join("\n")),
            variables,
            least,
        }
    }

    /// Equal where equal records give equal values: look-ups of different ones are kept apart.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Normal forms by which a text that holds a value of these variables is known.
    pub fn values(&self, variables: &Value) -> BTreeSet<String> {
        let mut written = Vec::new();
        for path in &self.variables {
            let value = path.iter().try_fold(variables, |at, step| at.get(step));
            leaves(value, &mut written);
        }
        let mut values = BTreeSet::new();
        for value in written {
            keys::of_value(unaccented(&value).as_str(), self.least, &mut values);
        }
        values
    }

    /// Adds what a part says that was not asked about yet.
    pub(crate) fn ask(&self, part: &PartView<'_>, others: &Others, asked: &mut Asked) {
        let mut values = asked.remove(&self.id).unwrap_or_default();
        for layer in layers(part) {
            let keys = Keys::read(layer.view(TermView::Unaccented).as_str());
            keys.each(self.least, |_, key| {
                if !others.know(&self.id, key) && !values.contains(key) {
                    values.insert(key.to_owned());
                }
            });
        }
        if !values.is_empty() {
            asked.insert(self.id.clone(), values);
        }
    }

    /// A record that the document has not is in no batch: its values would never be found.
    fn is_told(&self, variables: &Value) -> Result<(), Failure> {
        let mut records = self.variables.iter().filter_map(|path| path.first());
        match records.find(|record| variables.get(record.as_str()).is_none()) {
            None => Ok(()),
            Some(record) => Err(Failure::new(
                RuleErrorReason::Missing,
                format!("there is no variable `{record}`: name those of the pipeline's context"),
            )),
        }
    }

    /// What the addressee's own data and the template say; names in either order.
    fn said_by(&self, inputs: &Inputs<'_>) -> BTreeSet<String> {
        let mut texts: Vec<String> = inputs
            .template
            .iter()
            .map(|&text| text.to_owned())
            .collect();
        let mut own = Vec::new();
        leaves(Some(inputs.variables), &mut own);
        let mut said = BTreeSet::new();
        for value in &own {
            keys::of_value(unaccented(value).as_str(), self.least, &mut said);
        }
        texts.append(&mut own);
        for text in texts {
            Keys::read(unaccented(&text).as_str()).each(self.least, |_, key| {
                said.insert(key.to_owned());
            });
        }
        said
    }
}

impl Checker {
    /// What it looks up in a batch.
    pub(crate) fn looks_up(&self) -> Option<&Arc<Identifiers>> {
        match self {
            Self::Leak(leak) => Some(leak.identifiers()),
            _ => None,
        }
    }
}
