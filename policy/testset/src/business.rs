//! Business writing with known faults: templates and sentences by hand in five languages, customers and
//! faults from seeds. One language and some families are held out: nothing is tuned on them.

mod batch;
mod faults;
mod source;

use aios_crds::{PolicySetSpec, policy_set::Rule};
use serde_json::Value;

use crate::{random::Random, values};
use faults::Slots;
use source::{Family, Language};

const RULES: &str = include_str!("../business/rules.yaml");

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
    /// Variables of the other customers of the batch.
    pub others: Vec<Value>,
}

/// The rules that are to find the faults.
pub fn rules() -> Result<Vec<Rule>, serde_saphyr::Error> {
    let spec: PolicySetSpec = serde_saphyr::from_str(RULES)?;
    Ok(spec.rules)
}

/// Each fault in every open text, and as many texts again without any, half of them with a sentence that
/// only looks like a fault.
pub fn open() -> Result<Vec<Case>, serde_saphyr::Error> {
    Ok(cases(&source::open()?, CUSTOMERS, 1))
}

/// The same of what is held out, for final figures only.
pub fn held_out() -> Result<Vec<Case>, serde_saphyr::Error> {
    Ok(cases(&source::held_out()?, CUSTOMERS_HELD_OUT, 2))
}

fn cases(languages: &[Language], customers: u64, seed: u64) -> Vec<Case> {
    let mut random = Random::new(seed);
    let faults = Fault::ALL.map(Some).into_iter().chain([None, None]);
    let mut cases = Vec::new();
    for language in languages {
        for family in &language.families {
            for (index, fault) in faults.clone().enumerate() {
                // The last is clean and looks faulty.
                let harmless = index > Fault::ALL.len();
                for _ in 0..customers {
                    cases.push(case(language, family, fault, harmless, &mut random));
                }
            }
        }
    }
    cases
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
    let customer = batch::customer(name, &values::email(name), random);
    let others = batch::others(name, random);
    let reference = customer["reference"].as_str().unwrap_or_default();
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
        let sentence = batch::filled(sentence, &others, random);
        let sentence = faults::filled(&sentence, random);
        sentence.replace("{reference}", reference)
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
        variables: truth.variables(&customer),
        others,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::{Fault, held_out, open};

    #[test]
    fn each_fault_has_a_hundred_texts_in_four_languages() {
        let cases = open().unwrap();
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
    fn each_fault_has_a_hundred_held_out_texts() {
        let held_out = held_out().unwrap();
        for fault in Fault::ALL {
            let of_fault = held_out.iter().filter(|case| case.fault == Some(fault));
            let count = of_fault.count();
            assert!(count >= 100, "{fault:?}: {count}");
        }
    }

    #[test]
    fn a_batch_is_every_other_customer_and_two_of_them_share_a_name() {
        for case in open().unwrap() {
            let name = |record: &serde_json::Value| record["customer"]["name"].to_string();
            let names: BTreeSet<_> = case.others.iter().map(name).collect();
            assert!(names.len() > 30 && names.len() + 1 == case.others.len());
            assert!(!names.contains(&name(&case.variables)), "{names:?}");
        }
    }

    #[test]
    fn no_slot_is_left_open_and_seeds_repeat() {
        for cases in [open, held_out] {
            let (one, two) = (cases().unwrap(), cases().unwrap());
            for (case, again) in one.iter().zip(&two) {
                assert!(!case.text.contains(['{', '}']), "{}", case.text);
                assert!(!case.subject.contains(['{', '}']), "{}", case.subject);
                assert_eq!(
                    (&case.text, &case.variables, &case.others),
                    (&again.text, &again.variables, &again.others)
                );
            }
        }
    }
}
