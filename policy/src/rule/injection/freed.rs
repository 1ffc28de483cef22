//! Lines that begin as if the system spoke, and say to somebody that nothing binds them any more. Each of
//! the three alone is business writing.

use super::super::Ranges;
use crate::{
    view::{Layer, unaccented},
    work::spend,
};

/// Most bytes of what stands before the colon.
const SPEAKER: usize = 32;

#[rustfmt::skip]
const SPEAKERS: [&str; 13] = [
    "system", "system message", "system note", "system prompt", "systemnachricht", "systemhinweis", "systeme",
    "message systeme", "sistema", "mensaje del sistema", "messaggio di sistema", "systeem", "система",
];

/// Words that speak to one person.
#[rustfmt::skip]
const ADDRESS: [&str; 22] = [
    "you", "your", "du", "dir", "dich", "tu", "te", "tes", "t", "eres", "estas", "tienes", "puedes", "sei", "hai",
    "puoi", "je", "jij", "voce", "jestes", "ты", "тебя",
];

/// Words that take something away.
#[rustfmt::skip]
const WITHOUT: [&str; 42] = [
    "no", "not", "nicht", "without", "free", "freed", "longer", "unrestricted", "unfiltered", "uncensored", "disabled",
    "kein", "keine", "keinen", "keinerlei", "ohne", "frei", "uneingeschrankt", "aufgehoben",
    "sans", "aucun", "aucune", "plus", "libre", "libere", "leve", "levees",
    "sin", "ninguna", "ninguno", "ningun", "non", "senza", "nessuna", "nessun", "alcuna", "libero", "geen",
    "zonder", "sem", "bez", "без",
];

/// Beginnings of words for what binds a model.
#[rustfmt::skip]
const LIMITS: [&str; 24] = [
    "restrict", "restricc", "restriz", "restric", "unrestricted", "limit", "einschrank", "beschrank", "eingeschrank",
    "uneingeschrank", "filter", "unfilter", "filtr", "censor", "uncensor", "zensur", "censur", "guardrail",
    "guideline", "richtlinie", "beperking", "ogranicz", "огранич", "safeguard",
];

/// Bytes of the layer's source where such a line stands.
pub(super) fn find(layer: &Layer<'_>) -> Ranges {
    let text = layer.compat();
    let mut found = Ranges::new();
    let mut start = 0;
    spend(text.len());
    for line in text.split_inclusive('\n') {
        if let Some(length) = order(line) {
            let indent = line.len() - line.trim_start().len();
            found.push(layer.compat_source(start + indent..start + length));
        }
        start += line.len();
    }
    found
}

/// Bytes up to the end of the sentence, where the line is one of these.
fn order(line: &str) -> Option<usize> {
    let (speaker, said) = line.split_once(':')?;
    if speaker.len() > SPEAKER {
        return None;
    }
    let speaker_plain = unaccented(speaker);
    let name = speaker_plain
        .as_str()
        .trim_matches(|c: char| !c.is_alphanumeric());
    if !SPEAKERS.contains(&name) {
        return None;
    }
    let said = said.trim_end();
    let said = said.split_inclusive(['.', '!', '?', '。']).next()?;
    let plain = unaccented(said);
    let words = || {
        let words = plain.as_str().split(|c: char| !c.is_alphanumeric());
        words.filter(|word| !word.is_empty())
    };
    let frees = words().any(|word| ADDRESS.contains(&word))
        && words().any(|word| WITHOUT.contains(&word))
        && words().any(|word| LIMITS.iter().any(|limit| word.starts_with(limit)));
    frees.then(|| line.len().min(speaker.len() + 1 + said.len()))
}
