//! Where something stands among a hundred.

/// A digest's place, 0 to 99: what has the same digest stands together in every process.
pub fn place(digest: &[u8]) -> u32 {
    digest
        .iter()
        .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % 100)
}
