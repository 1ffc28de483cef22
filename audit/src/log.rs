use crate::hash::{node_hash, sha256};
use crate::{AuditError, Hash};

/// An RFC 6962 Merkle tree in memory, built from leaf hashes. Every complete subtree is kept, so an
/// append is amortised O(1), a root and a proof are O(log n); memory is about 64 bytes a leaf.
/// Storing leaves is the caller's: collect their hashes again after a restart.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// `levels[k][i]` covers the leaves `i * 2^k .. (i + 1) * 2^k`.
    levels: Vec<Vec<Hash>>,
}

impl FromIterator<Hash> for Log {
    fn from_iter<I: IntoIterator<Item = Hash>>(hashes: I) -> Self {
        let mut log = Self::default();
        for hash in hashes {
            log.append(hash);
        }
        log
    }
}

impl Log {
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// Appends a leaf hash and returns its index, counted from 0.
    pub fn append(&mut self, leaf: Hash) -> u64 {
        let index = self.size();
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::new());
            }
            let Some(nodes) = self.levels.get_mut(level) else {
                break;
            };
            nodes.push(hash);
            let [.., left, right] = nodes.as_slice() else {
                break;
            };
            if !nodes.len().is_multiple_of(2) {
                break;
            }
            hash = node_hash(*left, *right);
        }
        index
    }

    /// The leaf hash at `index`.
    pub fn leaf(&self, index: u64) -> Option<Hash> {
        self.node(0, index)
    }

    /// The root over all leaves; SHA-256 of nothing for an empty log.
    pub fn root(&self) -> Hash {
        self.range(0, self.size()).unwrap_or_else(|| sha256(b""))
    }

    /// The root over the first `size` leaves.
    pub fn root_at(&self, size: u64) -> Result<Hash, AuditError> {
        self.has(size)?;
        Ok(self.range(0, size).unwrap_or_else(|| sha256(b"")))
    }

    /// The audit path of leaf `index` in the tree of all leaves (RFC 6962, 2.1.1).
    pub fn inclusion_proof(&self, index: u64) -> Result<Vec<Hash>, AuditError> {
        self.inclusion_proof_at(index, self.size())
    }

    /// The audit path of leaf `index` in the tree of the first `size` leaves.
    pub fn inclusion_proof_at(&self, index: u64, size: u64) -> Result<Vec<Hash>, AuditError> {
        self.has(size)?;
        let no_such_leaf = AuditError::NoSuchLeaf { index, size };
        if index >= size {
            return Err(no_such_leaf);
        }
        let (mut low, mut high) = (0, size);
        let mut siblings = Vec::new();
        while high - low > 1 {
            let middle = low + split(high - low);
            if index < middle {
                siblings.push((middle, high));
                high = middle;
            } else {
                siblings.push((low, middle));
                low = middle;
            }
        }
        self.hashes(&siblings).ok_or(no_such_leaf)
    }

    /// Shows that the tree of the first `new` leaves extends that of the first `old` (RFC 6962,
    /// 2.1.2). Empty if `old` is 0 or equals `new`.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, AuditError> {
        self.has(new)?;
        if old > new {
            return Err(AuditError::Shrunk { old, new });
        }
        if old == 0 || old == new {
            return Ok(Vec::new());
        }
        let (mut low, mut high) = (0, new);
        let mut nodes = Vec::new();
        while old != high {
            let middle = low + split(high - low);
            if old <= middle {
                nodes.push((middle, high));
                high = middle;
            } else {
                nodes.push((low, middle));
                low = middle;
            }
        }
        // The verifier knows the old root itself, so it is left out when it is a whole subtree.
        if low > 0 {
            nodes.push((low, high));
        }
        self.hashes(&nodes).ok_or(AuditError::NoSuchSize {
            wanted: new,
            has: self.size(),
        })
    }

    fn has(&self, size: u64) -> Result<(), AuditError> {
        if size > self.size() {
            return Err(AuditError::NoSuchSize {
                wanted: size,
                has: self.size(),
            });
        }
        Ok(())
    }

    /// Ranges were collected from the root down; proofs list them from the leaf up.
    fn hashes(&self, ranges: &[(u64, u64)]) -> Option<Vec<Hash>> {
        ranges
            .iter()
            .rev()
            .map(|&(low, high)| self.range(low, high))
            .collect()
    }

    fn range(&self, low: u64, high: u64) -> Option<Hash> {
        let width = high.checked_sub(low).filter(|width| *width > 0)?;
        if width.is_power_of_two() {
            return self.node(width.trailing_zeros(), low / width);
        }
        let middle = low + split(width);
        Some(node_hash(
            self.range(low, middle)?,
            self.range(middle, high)?,
        ))
    }

    fn node(&self, level: u32, index: u64) -> Option<Hash> {
        let nodes = self.levels.get(usize::try_from(level).ok()?)?;
        nodes.get(usize::try_from(index).ok()?).copied()
    }
}

/// The largest power of two below `width`; 0 for a width that cannot be split.
fn split(width: u64) -> u64 {
    width
        .checked_sub(1)
        .and_then(u64::checked_ilog2)
        .map_or(0, |bits| 1 << bits)
}
