//! What the model was found to refuse: asked once, and then left out before it is asked.

use std::{collections::BTreeSet, sync::Mutex};

use crate::{dialect::Unwanted, lock::lock};

/// Of the model that was called last: another may be configured, of which nothing is known.
#[derive(Debug, Default)]
pub struct Learnt(Mutex<(String, BTreeSet<Unwanted>)>);

impl Learnt {
    /// What the model refuses.
    pub fn of(&self, model: &str) -> BTreeSet<Unwanted> {
        let known = lock(&self.0);
        if known.0 == model {
            return known.1.clone();
        }
        BTreeSet::new()
    }

    /// Remembers what the model refuses.
    pub fn note(&self, model: &str, unwanted: Unwanted) {
        let mut known = lock(&self.0);
        if known.0 != model {
            *known = (model.to_owned(), BTreeSet::new());
        }
        known.1.insert(unwanted);
    }
}

#[cfg(test)]
mod tests {
    use super::Learnt;
    use crate::dialect::Unwanted;

    #[test]
    fn nothing_is_known_of_another_model() {
        let learnt = Learnt::default();
        learnt.note("a", Unwanted::Beginning);
        learnt.note("a", Unwanted::Thoughts);
        assert_eq!(learnt.of("a").len(), 2);
        assert!(learnt.of("b").is_empty());
        learnt.note("b", Unwanted::Beginning);
        assert!(learnt.of("a").is_empty());
    }
}
