//! Templates and sentences as they are written down: those that may be looked at, and those held out.

use std::collections::BTreeMap;

use serde::Deserialize;

const OPEN: [&str; 4] = [
    include_str!("../../business/en.yaml"),
    include_str!("../../business/de.yaml"),
    include_str!("../../business/fr.yaml"),
    include_str!("../../business/es.yaml"),
];
const HELD_OUT: &str = include_str!("../../business/held-out.yaml");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Language {
    /// BCP 47.
    #[serde(rename = "language")]
    pub(super) tag: String,
    pub(super) notice: String,
    pub(super) families: Vec<Family>,
    pub(super) sentences: Sentences,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Family {
    pub(super) name: String,
    pub(super) subject: String,
    pub(super) text: String,
}

/// By what they bring in.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Sentences {
    pub(super) competitor: Vec<String>,
    pub(super) personal_data: Vec<String>,
    pub(super) other_customer: Vec<String>,
    pub(super) secret: Vec<String>,
    pub(super) injection: Vec<String>,
    /// Looks like a fault and is none.
    pub(super) harmless: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeldOut {
    /// Of open languages, by tag.
    families: BTreeMap<String, Vec<Family>>,
    languages: Vec<Language>,
}

pub(super) fn open() -> Result<Vec<Language>, serde_saphyr::Error> {
    OPEN.into_iter().map(serde_saphyr::from_str).collect()
}

/// Open languages with other families, and languages that are not open.
pub(super) fn held_out() -> Result<Vec<Language>, serde_saphyr::Error> {
    let mut held_out: HeldOut = serde_saphyr::from_str(HELD_OUT)?;
    let mut languages = open()?;
    for language in &mut languages {
        language.families = held_out.families.remove(&language.tag).unwrap_or_default();
    }
    languages.append(&mut held_out.languages);
    Ok(languages)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{HELD_OUT, HeldOut, Language, OPEN, held_out, open};

    fn families(languages: &[Language]) -> BTreeSet<&str> {
        let families = languages.iter().flat_map(|language| &language.families);
        families.map(|family| family.name.as_str()).collect()
    }

    #[test]
    fn whole_families_and_one_language_stand_in_a_file_of_their_own() {
        let (open, all) = (open().unwrap(), held_out().unwrap());
        let (again, new) = all.split_at(open.len());
        assert!(families(again).is_disjoint(&families(&open)));
        for (language, held_out) in open.iter().zip(again) {
            assert_eq!(language.tag, held_out.tag);
            assert!(held_out.families.len() > 1, "{}", language.tag);
        }
        let known: BTreeSet<_> = open.iter().map(|language| language.tag.as_str()).collect();
        assert_eq!(new.len(), 1);
        assert!(!known.contains(new[0].tag.as_str()));
        let file: HeldOut = serde_saphyr::from_str(HELD_OUT).unwrap();
        let of_open: BTreeSet<_> = file.families.keys().map(String::as_str).collect();
        assert_eq!(of_open, known);
    }

    #[test]
    fn no_held_out_line_is_in_an_open_file() {
        let slots = ["{notice}", "text: |", "families:", "sentences:"];
        let told = |line: &&str| line.contains(' ') && !slots.contains(line);
        let open: BTreeSet<_> = OPEN
            .iter()
            .flat_map(|file| file.lines())
            .map(str::trim)
            .collect();
        let seen: Vec<_> = HELD_OUT
            .lines()
            .map(str::trim)
            .filter(|line| line.len() > 40 && told(line) && open.contains(line))
            .collect();
        assert_eq!(seen, Vec::<&str>::new());
    }
}
