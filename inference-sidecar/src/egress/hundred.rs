//! Where something stands among a hundred, and by what digest.

use sha2::{Digest, Sha256};

use super::call::Step;

/// Digest of a document in a step, under the name of what divides the documents.
pub fn digest(name: &str, step: Step, document: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(name.as_bytes());
    for part in [step.as_str().as_bytes(), document] {
        hash.update([0_u8]);
        hash.update(part);
    }
    hash.finalize().into()
}

/// A digest's place, 0 to 99: what has the same digest stands together in every process.
pub fn place(digest: &[u8]) -> u32 {
    digest
        .iter()
        .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % 100)
}
