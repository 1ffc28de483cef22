//! Business writing with known faults: templates and sentences by hand in five languages, customers and
//! faults from seeds. Italian and the family `renewal` are held out: nothing is tuned on them.

mod faults;

use aios_crds::{PolicySetSpec, policy_set::Rule};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{random::Random, values};
use faults::Slots;

const RULES: &str = include_str!("../business/rules.yaml");
const LANGUAGES: [&str; 5] = [
    include_str!("../business/en.yaml"),
    include_str!("../business/de.yaml"),
    include_str!("../business/fr.yaml"),
    include_str!("../business/es.yaml"),
    include_str!("../business/it.yaml"),
];

/// Customers that each family is written to, for every fault: enough for a hundred texts of each.
const CUSTOMERS: u64 = 9;
const CUSTOMERS_HELD_OUT: u64 = 15;

const NAMES: [&str; 6] = [
    "Zoe Miller",
    "Jonas Weber",
    "Amélie Durand",
    "Lucía Gómez",
    "Omar Haddad",
    "Mia Rossi",
];

/// What is wrong with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    Notice,
    Number,
    OtherCustomer,
    Competitor,
    PersonalData,
    Secret,
    Injection,
}

impl Fault {
    pub const ALL: [Self; 7] = [
        Self::Notice,
        Self::Number,
        Self::OtherCustomer,
        Self::Competitor,
        Self::PersonalData,
        Self::Secret,
        Self::Injection,
    ];

    /// What the names of its rules begin with.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notice => "notice",
            Self::Number => "number",
            Self::OtherCustomer => "other-customer",
            Self::Competitor => "competitor",
            Self::PersonalData => "personal-data",
            Self::Secret => "secret",
            Self::Injection => "injection",
        }
    }
}

/// One text and what is wrong with it.
#[derive(Clone, Debug)]
pub struct Case {
    pub fault: Option<Fault>,
    pub family: String,
    /// BCP 47.
    pub language: String,
    pub subject: String,
    pub text: String,
    /// What the text was made from.
    pub variables: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Language {
    /// BCP 47.
    #[serde(rename = "language")]
    tag: String,
    notice: String,
    families: Vec<Family>,
    sentences: Sentences,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Family {
    name: String,
    #[serde(default)]
    held_out: bool,
    subject: String,
    text: String,
}

/// By what they bring in.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Sentences {
    competitor: Vec<String>,
    personal_data: Vec<String>,
    other_customer: Vec<String>,
    secret: Vec<String>,
    injection: Vec<String>,
    /// Looks like a fault and is none.
    harmless: Vec<String>,
}

/// The rules that are to find the faults.
pub fn rules() -> Result<Vec<Rule>, serde_saphyr::Error> {
    let spec: PolicySetSpec = serde_saphyr::from_str(RULES)?;
    Ok(spec.rules)
}

/// Every text, or every held-out one: each fault, and as many again without any, half of them with a
/// sentence that only looks like a fault.
pub fn cases(held_out: bool) -> Result<Vec<Case>, serde_saphyr::Error> {
    let mut random = Random::new(if held_out { 2 } else { 1 });
    let customers = if held_out {
        CUSTOMERS_HELD_OUT
    } else {
        CUSTOMERS
    };
    let faults = Fault::ALL.map(Some).into_iter().chain([None, None]);
    let mut cases = Vec::new();
    for source in LANGUAGES {
        let language: Language = serde_saphyr::from_str(source)?;
        for family in language
            .families
            .iter()
            .filter(|family| family.held_out == held_out)
        {
            for (index, fault) in faults.clone().enumerate() {
                // The last is clean and looks faulty.
                let harmless = index > Fault::ALL.len();
                for _ in 0..customers {
                    cases.push(case(&language, family, fault, harmless, &mut random));
                }
            }
        }
    }
    Ok(cases)
}

fn case(
    language: &Language,
    family: &Family,
    fault: Option<Fault>,
    harmless: bool,
    random: &mut Random,
) -> Case {
    let name = random.pick(&NAMES).copied().unwrap_or_default();
    let truth = Slots::draw(name, random);
    let reference = values::reference(random);
    let told = match fault {
        Some(Fault::Number) => truth.with_one_wrong(&family.text, random),
        _ => truth.clone(),
    };
    let notice = match fault {
        Some(Fault::Notice) => faults::broken_notice(&language.notice, random),
        _ => language.notice.clone(),
    };
    let sentences = &language.sentences;
    let extra = match fault {
        None if harmless => &sentences.harmless[..],
        None | Some(Fault::Notice | Fault::Number) => &[],
        Some(Fault::OtherCustomer) => &sentences.other_customer,
        Some(Fault::Competitor) => &sentences.competitor,
        Some(Fault::PersonalData) => &sentences.personal_data,
        Some(Fault::Secret) => &sentences.secret,
        Some(Fault::Injection) => &sentences.injection,
    };
    let extra = random.pick(extra).map(|sentence| {
        let sentence = faults::filled(sentence, random);
        sentence.replace("{reference}", &reference)
    });
    let body = told.fill(&family.text, &language.tag);
    let body = body.replace("{notice}", &notice);
    let text = match extra {
        // In front of the notice, which ends most texts.
        Some(sentence) => body.replacen("\n\n", &format!("\n\n{sentence}\n\n"), 1),
        None => body,
    };
    Case {
        fault,
        family: family.name.clone(),
        language: language.tag.clone(),
        subject: told.fill(&family.subject, &language.tag),
        text,
        variables: truth.variables(&json!({
            "name": name,
            "email": values::email(name),
            "phone": values::phone(random),
            "iban": values::iban(random),
            "reference": reference,
        })),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Fault, cases};

    #[test]
    fn each_fault_has_a_hundred_texts_in_four_languages() {
        let cases = cases(false).unwrap();
        let mut texts: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let mut languages: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for case in &cases {
            let said = (&case.subject, &case.text);
            texts.entry(case.fault).or_default().insert(said);
            languages
                .entry(case.fault)
                .or_default()
                .insert(&case.language);
        }
        for fault in Fault::ALL.map(Some).into_iter().chain([None]) {
            assert!(
                texts[&fault].len() >= 100,
                "{fault:?}: {}",
                texts[&fault].len()
            );
            assert!(languages[&fault].len() >= 4, "{fault:?}");
        }
    }

    #[test]
    fn what_is_held_out_is_nowhere_else() {
        let families = |held_out| {
            let cases = cases(held_out).unwrap().into_iter();
            cases
                .map(|case| (case.language, case.family))
                .collect::<BTreeSet<_>>()
        };
        assert!(families(true).is_disjoint(&families(false)));
        assert!(families(false).iter().all(|(language, _)| language != "it"));
        let held_out = cases(true).unwrap();
        for fault in Fault::ALL {
            let count = held_out
                .iter()
                .filter(|case| case.fault == Some(fault))
                .count();
            assert!(count >= 100, "{fault:?}: {count}");
        }
    }

    #[test]
    fn no_slot_is_left_open_and_seeds_repeat() {
        for held_out in [false, true] {
            let (one, two) = (cases(held_out).unwrap(), cases(held_out).unwrap());
            for (case, again) in one.iter().zip(&two) {
                assert!(!case.text.contains(['{', '}']), "{}", case.text);
                assert!(!case.subject.contains(['{', '}']), "{}", case.subject);
                assert_eq!(
                    (&case.text, &case.variables),
                    (&again.text, &again.variables)
                );
            }
        }
    }
}
