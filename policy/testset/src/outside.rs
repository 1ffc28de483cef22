//! Test sets of others, as `bench/policy/sets.py` brings them: none is stored here. Shapes and scores.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::score::Score;

/// What could be had.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sets {
    /// Packages by name.
    pub versions: BTreeMap<String, String>,
    /// Sentences of Presidio's own generator.
    pub presidio: Option<Vec<Sentence>>,
    /// Harmless questions with words that attacks are made of.
    pub not_inject: Option<Vec<String>>,
    pub bipia: Option<Bipia>,
    /// Why a set is not here, by name.
    pub absent: BTreeMap<String, String>,
}

/// A sentence with identifying data.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentence {
    pub text: String,
    /// What was put in.
    pub holds: Vec<Marked>,
    /// What Presidio's recognizers of patterns find.
    pub found: Vec<Marked>,
}

/// Bytes of a sentence that are something.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marked {
    /// As `pii.detect` names it where there is a rule for it; as Presidio does otherwise.
    pub kind: String,
    pub start: u32,
    pub end: u32,
}

/// Letters, and letters that end with a task which is not their reader's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bipia {
    pub letters: Vec<String>,
    pub attacked: Vec<String>,
}

impl Marked {
    fn touches(&self, other: &Self) -> bool {
        self.kind == other.kind && self.start < other.end && other.start < self.end
    }
}

/// How well one kind is found: what is held counts as found where anything of its kind touches it, what is
/// found as a false alarm where nothing of its kind does.
pub fn score(kind: &str, sentences: &[(&[Marked], &[Marked])]) -> Score {
    let mut score = Score::default();
    for (holds, found) in sentences {
        let of = |marks: &[Marked]| -> Vec<Marked> {
            let marks = marks.iter().filter(|mark| mark.kind == kind);
            marks.cloned().collect()
        };
        let (holds, found) = (of(holds), of(found));
        for held in &holds {
            score.add(true, found.iter().any(|one| one.touches(held)));
        }
        for one in &found {
            if !holds.iter().any(|held| held.touches(one)) {
                score.add(false, true);
            }
        }
    }
    score
}

#[cfg(test)]
mod tests {
    use super::{Marked, score};

    fn marked(kind: &str, start: u32, end: u32) -> Marked {
        Marked {
            kind: kind.to_owned(),
            start,
            end,
        }
    }

    #[test]
    fn a_touch_of_the_same_kind_is_a_find_and_any_other_an_alarm() {
        let holds = [
            marked("Email", 0, 9),
            marked("Email", 20, 29),
            marked("Card", 40, 50),
        ];
        let found = [
            marked("Email", 2, 12),
            marked("Phone", 40, 50),
            marked("Email", 31, 33),
        ];
        let email = score("Email", &[(&holds, &found)]);
        assert_eq!((email.found, email.missed, email.false_alarms), (1, 1, 1));
        let card = score("Card", &[(&holds, &found)]);
        assert_eq!((card.found, card.missed, card.false_alarms), (0, 1, 0));
    }
}
