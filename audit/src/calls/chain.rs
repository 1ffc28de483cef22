use std::collections::{HashMap, HashSet, hash_map::Entry};

use serde::Serialize;

use super::{CallBatch, CallHead, CallToken, CallsError};
use crate::{Hash, Leaf};

/// Follows the batches of every process, in the order of the log, and which of their calls documents name.
#[derive(Debug, Default)]
pub struct CallChains {
    last: HashMap<String, CallHead>,
    recorded: HashSet<Hash>,
    named: HashSet<Hash>,
    batches: u64,
    records: u64,
    missing: u64,
}

/// What the batches of a log come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CallsReport {
    pub processes: u64,
    pub batches: u64,
    pub records: u64,
    /// Batches that were signed and are not here, as gaps in the sequences show.
    pub missing: u64,
    /// Calls that a document's leaf names.
    pub named: u64,
    /// Those of them that stand in no batch.
    pub unrecorded: u64,
}

impl CallChains {
    /// Takes the next batch of a log, as its leaf opens it.
    ///
    /// # Errors
    /// What is wrong with it, by itself or behind those before.
    pub fn batch(&mut self, leaf: &Leaf, json: &[u8]) -> Result<(), CallsError> {
        let batch = CallBatch::verify(json)?;
        let head = batch.head;
        if leaf.document != Leaf::of_calls(&head.process) || leaf.seq != head.sequence {
            return Err(CallsError::OtherLeaf);
        }
        self.follow(head)?;
        self.batches += 1;
        self.records += batch.records.len() as u64;
        self.recorded
            .extend(batch.records.iter().map(|record| record.call));
        Ok(())
    }

    /// A document's leaf names this call as the one that its words are from.
    pub fn name(&mut self, token: CallToken) {
        self.named.insert(token.call());
    }

    pub fn report(&self) -> CallsReport {
        CallsReport {
            processes: self.last.len() as u64,
            batches: self.batches,
            records: self.records,
            missing: self.missing,
            named: self.named.len() as u64,
            unrecorded: self.named.difference(&self.recorded).count() as u64,
        }
    }

    fn follow(&mut self, head: CallHead) -> Result<(), CallsError> {
        let (process, sequence) = (head.process.clone(), head.sequence);
        match self.last.entry(process.clone()) {
            Entry::Vacant(place) => {
                if sequence == 0 && !head.is_first() {
                    return Err(CallsError::Previous { process, sequence });
                }
                self.missing += sequence;
                place.insert(head);
            }
            Entry::Occupied(mut place) => {
                let last = place.get();
                let Some(step) = sequence.checked_sub(last.sequence).filter(|step| *step > 0)
                else {
                    let (last, found) = (last.sequence, sequence);
                    return Err(CallsError::Order {
                        process,
                        last,
                        found,
                    });
                };
                if step == 1 && head.previous != last.hash() {
                    return Err(CallsError::Previous { process, sequence });
                }
                self.missing += step - 1;
                place.insert(head);
            }
        }
        Ok(())
    }
}
