use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::error::{BundleError, Fault, Part};
use super::format::{EnvelopeLine, LeafLine, Line, Opening};
use super::lines::{LastLeaf, RawLine};
use super::verify::Report;
use crate::{
    AuditError, CallChains, CallToken, Checkpoint, Hash, Kind, Leaf, Log, SignedEvent, VerifierKey,
    commit,
};

/// Verifies the lines behind the checkpoint, one by one.
pub struct Leaves {
    key: VerifierKey,
    log: Log,
    last: LastLeaf,
    /// The leaf read last, until it is opened.
    unopened: Option<Leaf>,
    /// The last step of each document, and of each process that signs batches of calls.
    steps: HashMap<String, u64>,
    documents: u64,
    kinds: BTreeMap<Kind, u64>,
    openings: u64,
    envelopes: u64,
    calls: CallChains,
}

impl Leaves {
    pub fn new(key: VerifierKey) -> Self {
        Self {
            key,
            log: Log::new(),
            last: LastLeaf::default(),
            unopened: None,
            steps: HashMap::new(),
            documents: 0,
            kinds: BTreeMap::new(),
            openings: 0,
            envelopes: 0,
            calls: CallChains::default(),
        }
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    pub fn line(&mut self, raw: &RawLine) -> Result<(), BundleError> {
        let (part, leaf, document, result) = match raw.parse(&self.last)? {
            Line::Leaf(line) => {
                let (index, document) = (self.log.size(), line.content.document.clone());
                (Part::Leaf, Some(index), Some(document), self.leaf(line))
            }
            Line::Opening(line) => {
                let of = self.opened_leaf();
                (
                    Part::Opening,
                    of,
                    self.last.document.clone(),
                    self.opening(&line),
                )
            }
            Line::Envelope(line) => {
                let of = self.opened_leaf();
                (
                    Part::Envelope,
                    of,
                    self.last.document.clone(),
                    self.envelope(&line),
                )
            }
            Line::Header(_) | Line::Checkpoint(_) => (
                Part::Leaf,
                None,
                None,
                Err(Fault::Order { expected: "a leaf" }),
            ),
        };
        result.map_err(|what| {
            let mut at = raw.place(part);
            (at.leaf, at.document) = (leaf, document);
            BundleError::new(at, what)
        })
    }

    pub fn report(&self, checkpoint: &Checkpoint, heads: u64) -> Report {
        Report {
            origin: checkpoint.origin.clone(),
            leaves: checkpoint.size,
            root: checkpoint.root,
            documents: self.documents,
            kinds: self.kinds.clone(),
            openings: self.openings,
            envelopes: self.envelopes,
            calls: self.calls.report(),
            heads,
        }
    }

    fn opened_leaf(&self) -> Option<u64> {
        self.last.next_index.checked_sub(1)
    }

    fn leaf(&mut self, line: LeafLine) -> Result<(), Fault> {
        let expected = self.log.size();
        if line.index != expected {
            return Err(Fault::Index {
                expected,
                found: line.index,
            });
        }
        let leaf = line.content;
        let hash = leaf.hash();
        if hash != line.hash {
            return Err(Fault::LeafHash {
                recorded: line.hash,
            });
        }
        match self.steps.insert(leaf.document.clone(), leaf.seq) {
            Some(previous) if leaf.seq <= previous => {
                return Err(Fault::Sequence {
                    previous,
                    found: leaf.seq,
                });
            }
            Some(_) => {}
            None => self.documents += u64::from(leaf.kind != Kind::Calls),
        }
        self.log.append(hash);
        *self.kinds.entry(leaf.kind).or_default() += 1;
        self.last = LastLeaf {
            next_index: expected + 1,
            document: Some(leaf.document.clone()),
        };
        self.unopened = Some(leaf);
        Ok(())
    }

    fn opening(&mut self, line: &Opening) -> Result<(), Fault> {
        let payload = STANDARD
            .decode(&line.payload)
            .map_err(|_| Fault::Commitment)?;
        let leaf = self.open(line.index, line.salt, &payload)?;
        match leaf.kind {
            Kind::Calls => self.calls.batch(&leaf, &payload).map_err(Fault::Calls)?,
            Kind::Outcome => outcome(&leaf, &payload)?,
            Kind::Drafted | Kind::Revised => {
                if let Some(token) = call(&payload) {
                    self.calls.name(token);
                }
            }
            _ => {}
        }
        self.openings += 1;
        Ok(())
    }

    fn envelope(&mut self, line: &EnvelopeLine) -> Result<(), Fault> {
        let payload = line.dsse.to_json().map_err(Fault::Envelope)?;
        let leaf = self.open(line.index, line.salt, &payload)?;
        let statement = line.dsse.verify(&self.key).map_err(Fault::Envelope)?;
        let same = statement.document() == Some(leaf.document.as_str())
            && statement.predicate.tenant == leaf.tenant
            && statement.predicate.pipeline == leaf.pipeline
            && leaf.kind == Kind::Provenance;
        if !same {
            return Err(Fault::EnvelopeSubject);
        }
        self.envelopes += 1;
        Ok(())
    }

    fn open(&mut self, index: u64, salt: Hash, payload: &[u8]) -> Result<Leaf, Fault> {
        let Some(expected) = self.opened_leaf() else {
            return Err(Fault::Order { expected: "a leaf" });
        };
        if index != expected {
            return Err(Fault::Index {
                expected,
                found: index,
            });
        }
        let leaf = self.unopened.take().ok_or(Fault::OpenedTwice)?;
        if commit(&salt.0, payload) != leaf.commitment {
            return Err(Fault::Commitment);
        }
        Ok(leaf)
    }
}

/// The event is as its sender signed it, and of the document that its leaf names. Whose key it is, the reader knows.
fn outcome(leaf: &Leaf, payload: &[u8]) -> Result<(), Fault> {
    #[derive(serde::Deserialize)]
    struct Payload {
        event: SignedEvent,
    }
    let payload: Payload = serde_json::from_slice(payload).map_err(|_| {
        Fault::Outcome(AuditError::Malformed {
            what: "outcome",
            why: "an event with its signature is expected",
        })
    })?;
    let happened = payload.event.verify().map_err(Fault::Outcome)?;
    if happened.document != leaf.document {
        return Err(Fault::OutcomeSubject);
    }
    Ok(())
}

/// The call that a document's words are from, as its leaf says.
fn call(payload: &[u8]) -> Option<CallToken> {
    let payload: serde_json::Value = serde_json::from_slice(payload).ok()?;
    payload.pointer("/usage/call")?.as_str()?.parse().ok()
}
