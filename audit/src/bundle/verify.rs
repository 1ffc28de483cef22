use std::collections::BTreeMap;
use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::error::{BundleError, Fault, Part, Place};
use super::format::{FORMAT, Line};
use super::leaves::Leaves;
use super::lines::{LastLeaf, Lines};
use crate::{AuditError, CallsReport, Checkpoint, Hash, Kind, Log, VerifierKey};

/// What the verifier knows from elsewhere. A bundle that is checked against nothing but itself is
/// only consistent; the key or a witnessed head makes it evidence.
#[derive(Debug, Clone, Default)]
pub struct Expectations {
    /// The tenant's key, if known.
    pub key: Option<VerifierKey>,
    /// Heads a witness kept, in any order.
    pub heads: Vec<Head>,
}

/// A tree head: the root over the first `size` leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub size: u64,
    pub root: Hash,
}

/// What was verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    pub leaves: u64,
    pub root: Hash,
    /// Distinct documents.
    pub documents: u64,
    /// Leaves by kind.
    pub kinds: BTreeMap<Kind, u64>,
    /// Payloads that open their commitment.
    pub openings: u64,
    /// Provenance envelopes that open theirs and whose signature is valid.
    pub envelopes: u64,
    /// Batches of model calls that follow each other and are as their processes signed them.
    pub calls: CallsReport,
    /// Witnessed heads that match.
    pub heads: u64,
}

/// Verifies every line, signature, commitment and the tree, and stops at the first fault.
pub fn verify_bundle(reader: impl BufRead, expected: &Expectations) -> Result<Report, BundleError> {
    let mut lines = Lines::new(reader);
    let key = header(&mut lines, expected)?;
    let checkpoint = checkpoint(&mut lines, &key)?;
    let mut leaves = Leaves::new(key);
    while let Some(raw) = lines.next()? {
        leaves.line(&raw)?;
    }
    tree(leaves.log(), &checkpoint, expected)
        .map_err(|what| BundleError::new(lines.end(), what))?;
    Ok(leaves.report(&checkpoint, expected.heads.len() as u64))
}

fn header<R: BufRead>(
    lines: &mut Lines<R>,
    expected: &Expectations,
) -> Result<VerifierKey, BundleError> {
    let (line, at) = first(lines, Part::Header)?;
    let fault = |what| BundleError::new(at.clone(), what);
    let Line::Header(header) = line else {
        return Err(fault(Fault::Order {
            expected: "the header",
        }));
    };
    if header.format != FORMAT {
        return Err(fault(Fault::Format(header.format)));
    }
    let key: VerifierKey = header.key.parse().map_err(|e| fault(Fault::Key(e)))?;
    match &expected.key {
        Some(trusted) if *trusted != key => Err(fault(Fault::OtherKey { found: header.key })),
        _ => Ok(key),
    }
}

fn checkpoint<R: BufRead>(
    lines: &mut Lines<R>,
    key: &VerifierKey,
) -> Result<Checkpoint, BundleError> {
    let (line, at) = first(lines, Part::Checkpoint)?;
    let fault = |what| BundleError::new(at.clone(), what);
    let Line::Checkpoint(note) = line else {
        return Err(fault(Fault::Order {
            expected: "the checkpoint",
        }));
    };
    // A second signature line would be bytes that nothing vouches for.
    if note.note.matches('\n').count() != 5 {
        let why = "exactly one signature is expected";
        return Err(fault(Fault::Checkpoint(AuditError::Malformed {
            what: "checkpoint",
            why,
        })));
    }
    Checkpoint::verify(&note.note, key).map_err(|e| fault(Fault::Checkpoint(e)))
}

fn first<R: BufRead>(lines: &mut Lines<R>, part: Part) -> Result<(Line, Place), BundleError> {
    match lines.next()? {
        Some(raw) => Ok((raw.parse(&LastLeaf::default())?, raw.place(part))),
        None => Err(BundleError::new(lines.end(), Fault::CutOff)),
    }
}

/// Each leaf already hashes to its record, so a wrong root means that leaf and record were replaced
/// together; matching heads below narrow down where.
fn tree(log: &Log, checkpoint: &Checkpoint, expected: &Expectations) -> Result<(), Fault> {
    let found = log.size();
    let mut heads = expected.heads.clone();
    heads.sort_by_key(|head| head.size);
    let mut from = 0;
    for head in heads {
        let Ok(root) = log.root_at(head.size) else {
            return Err(Fault::Shrunk {
                seen: head.size,
                found,
            });
        };
        if root != head.root {
            return Err(Fault::Witness {
                from,
                size: head.size,
            });
        }
        from = head.size;
    }
    if found != checkpoint.size {
        return Err(Fault::Count {
            signed: checkpoint.size,
            found,
        });
    }
    if log.root() != checkpoint.root {
        return Err(Fault::Root { from, to: found });
    }
    Ok(())
}
