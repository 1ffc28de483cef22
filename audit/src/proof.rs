//! Verification without the log: the algorithms of RFC 9162, sections 2.1.3.2 and 2.1.4.2.

use crate::hash::node_hash;
use crate::{AuditError, Checkpoint, Hash};

/// Checks that the leaf with this hash stands at `index` in the tree of `checkpoint`.
pub fn verify_inclusion(
    checkpoint: &Checkpoint,
    index: u64,
    leaf: Hash,
    proof: &[Hash],
) -> Result<(), AuditError> {
    let not_included = AuditError::NotIncluded {
        index,
        size: checkpoint.size,
    };
    if index >= checkpoint.size {
        return Err(not_included);
    }
    let (mut node, mut last) = (index, checkpoint.size - 1);
    let mut root = leaf;
    for &sibling in proof {
        if last == 0 {
            return Err(not_included);
        }
        if node % 2 == 1 || node == last {
            root = node_hash(sibling, root);
            while node.is_multiple_of(2) && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last == 0 && root == checkpoint.root {
        Ok(())
    } else {
        Err(not_included)
    }
}

/// Checks that the log of `new` extends the log of `old`: same origin, not shorter, nothing rewritten.
/// Verify the signature of `new` first (`Checkpoint::verify`); `old` is what the witness kept.
pub fn verify_consistency(
    old: &Checkpoint,
    new: &Checkpoint,
    proof: &[Hash],
) -> Result<(), AuditError> {
    if old.origin != new.origin {
        return Err(AuditError::OtherLog {
            old: old.origin.clone(),
            new: new.origin.clone(),
        });
    }
    if old.size > new.size {
        return Err(AuditError::Shrunk {
            old: old.size,
            new: new.size,
        });
    }
    if roots_extend(old, new, proof) {
        Ok(())
    } else {
        Err(AuditError::Rewritten {
            old: old.size,
            new: new.size,
        })
    }
}

fn roots_extend(old: &Checkpoint, new: &Checkpoint, proof: &[Hash]) -> bool {
    if old.size == 0 {
        return proof.is_empty();
    }
    if old.size == new.size {
        return proof.is_empty() && old.root == new.root;
    }
    let (mut node, mut last) = (old.size - 1, new.size - 1);
    while node % 2 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (start, rest) = if old.size.is_power_of_two() {
        (old.root, proof)
    } else {
        match proof.split_first() {
            Some((&first, rest)) => (first, rest),
            None => return false,
        }
    };
    let (mut old_root, mut new_root) = (start, start);
    for &sibling in rest {
        if last == 0 {
            return false;
        }
        if node % 2 == 1 || node == last {
            old_root = node_hash(sibling, old_root);
            new_root = node_hash(sibling, new_root);
            while node.is_multiple_of(2) && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            new_root = node_hash(new_root, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_root == old.root && new_root == new.root
}
