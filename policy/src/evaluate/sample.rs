//! Which documents a person sees although no rule holds them: by their digest, so that nobody's clock
//! or dice decide, and a repeat decides the same.

use crate::{
    compile::CompiledPolicy,
    digest::{Canonical, Digest},
};

/// Whether a policy has a person see this document. Policies choose apart from each other.
pub(super) fn chosen(policy: &CompiledPolicy, document: Digest) -> bool {
    // One in 100 is off by less than one in 40 million.
    policy.sample_percent > 0 && draw(policy.name(), document) % 100 < policy.sample_percent
}

/// The first four bytes of SHA-256 over the fields `aios.dev/sample/v1`, the policy's name and the
/// document's digest, as a big-endian u32.
fn draw(policy: &str, document: Digest) -> u32 {
    let digest = Canonical::new("aios.dev/sample/v1")
        .field(policy.as_bytes())
        .field(document.as_bytes())
        .finish();
    let [a, b, c, d, ..] = *digest.as_bytes();
    u32::from_be_bytes([a, b, c, d])
}
