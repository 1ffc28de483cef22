//! What the rules must know of other people's records, asked of the store where there is one.

use aios_policy::{Asked, Others, PolicyStack};
use serde_json::Value;

use crate::{
    compiled::{Pipeline, lookup, scalar},
    store::{Owner, Records, Store, StoreError},
};

/// Questions of one judgement: each redaction may ask again.
const ROUNDS: usize = 8;

/// The records among which a document is one: those of its pipeline.
pub struct Batch<'a> {
    store: &'a Store,
    records: Records<'a>,
    /// Whose records the document is made from.
    own: Vec<Owner>,
    /// What was asked so far.
    others: Others,
}

impl<'a> Batch<'a> {
    /// Of the document that those variables belong to: the pointer's fields, and the records that it
    /// leads to.
    pub fn new(store: &'a Store, pipeline: &'a Pipeline, name: &'a str, variables: &Value) -> Self {
        let records = Records {
            pipeline: name,
            contexts: &pipeline.config.context,
        };
        Self {
            store,
            records,
            own: owners(store, pipeline, name, variables),
            others: Others::default(),
        }
    }

    /// Judges, and learns what that asks for, until nothing is left to ask. `None` where every round
    /// redacted into something new: then it counts as if nothing were known.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn judge<T>(
        &mut self,
        policies: &PolicyStack,
        judge: impl Fn(&Others) -> Result<T, Asked>,
    ) -> Result<Option<T>, StoreError> {
        for _ in 0..ROUNDS {
            let asked = match judge(&self.others) {
                Ok(judged) => return Ok(Some(judged)),
                Err(asked) => asked,
            };
            for identifiers in policies.identifiers() {
                self.store.identify(self.records, &identifiers).await?;
            }
            let theirs = self.store.others(self.records, &self.own, &asked).await?;
            self.others.learn(asked, &theirs);
        }
        Ok(None)
    }
}

fn owners(store: &Store, pipeline: &Pipeline, name: &str, variables: &Value) -> Vec<Owner> {
    let config = &pipeline.config;
    let fields = config.context.iter().filter_map(|source| {
        let field = source.upload.pointer.as_str();
        Some((field, variables.get(field).and_then(scalar)?))
    });
    let pointer: Vec<_> = fields.collect();
    let person = config
        .subject_variable
        .as_ref()
        .and_then(|path| lookup(variables, path))
        .and_then(scalar);
    let person = person.map(|id| store.vault().person(&id));
    store.owners(name, person, &pointer)
}
