//! What the records of other people hold of a text, as far as it was asked. The records stay where they
//! are: questions are normal forms of what a text says, answers are which of them are another's.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use crate::{compile::CompiledPolicy, rule::leak::Identifiers};

/// Normal forms of what texts say, by the `Identifiers::id` under which they are looked up.
pub type Asked = BTreeMap<String, BTreeSet<String>>;

/// Which values belong to exactly one person who is not the addressee.
#[derive(Clone, Debug, Default)]
pub struct Others {
    theirs: Asked,
    /// Asked about, and nobody's, many people's or the addressee's.
    free: Asked,
    /// Whatever is not `theirs` is free.
    complete: bool,
}

impl Others {
    /// Of a text that belongs to no batch: there is nobody whose data it could give away.
    pub fn nobody() -> Self {
        Self {
            complete: true,
            ..Self::default()
        }
    }

    /// Of other people's variables, one value a person: what rules look for in them.
    pub fn of(records: &[Value], looked_up: &[Arc<Identifiers>]) -> Self {
        let mut theirs = Asked::new();
        for identifiers in looked_up {
            let mut owners: BTreeMap<String, u32> = BTreeMap::new();
            for value in records.iter().flat_map(|record| identifiers.values(record)) {
                *owners.entry(value).or_default() += 1;
            }
            let single = owners.into_iter().filter(|(_, owners)| *owners == 1);
            let values = single.map(|(value, _)| value).collect();
            theirs.insert(identifiers.id().to_owned(), values);
        }
        Self {
            theirs,
            ..Self::nobody()
        }
    }

    /// Takes the answer to a question: those of `asked` that are another's.
    pub fn learn(&mut self, asked: Asked, theirs: &Asked) {
        for (id, values) in asked {
            let (taken, free): (BTreeSet<_>, BTreeSet<_>) = values
                .into_iter()
                .partition(|value| theirs.get(&id).is_some_and(|known| known.contains(value)));
            self.theirs.entry(id.clone()).or_default().extend(taken);
            self.free.entry(id).or_default().extend(free);
        }
    }

    /// Whether the value is known to be another's.
    pub(crate) fn own(&self, id: &str, value: &str) -> bool {
        holds(&self.theirs, id, value)
    }

    /// Whether the value was asked about.
    pub(crate) fn know(&self, id: &str, value: &str) -> bool {
        self.complete || self.own(id, value) || holds(&self.free, id, value)
    }
}

fn holds(values: &Asked, id: &str, value: &str) -> bool {
    values.get(id).is_some_and(|values| values.contains(value))
}

impl CompiledPolicy {
    /// What its rules look up in a batch, each once.
    pub fn identifiers(&self) -> Vec<Arc<Identifiers>> {
        let mut known = BTreeSet::new();
        let identifiers = self.rules.iter().filter_map(|rule| rule.checker.looks_up());
        identifiers
            .filter(|identifiers| known.insert(identifiers.id().to_owned()))
            .cloned()
            .collect()
    }
}
