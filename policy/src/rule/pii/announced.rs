//! Words in front of a number that say what it is.

use super::super::boundary::starts_word;

/// Bytes in front in which they stand.
const BEFORE: usize = 64;

/// Whether a word that begins as one of these, in lower case, stands in front of a byte.
pub(super) fn announced(text: &str, start: usize, words: &[&str]) -> bool {
    let from = text.floor_char_boundary(start.saturating_sub(BEFORE));
    let before = text.get(from..start).unwrap_or_default().to_lowercase();
    words.iter().any(|word| {
        let mut places = before.match_indices(word);
        places.any(|(at, _)| starts_word(&before, &(at..at + word.len())))
    })
}
