//! Customers as the bank's records hold them.

use serde::Serialize;

use crate::{names, random::Random};

/// Customers in all.
pub const COUNT: usize = 300;
/// Readers of German and of Arabic; the model is trusted with English only.
const GERMAN: usize = 16;
const ARABIC: usize = 10;
/// Customers who withdrew consent, stand on the suppression list, have no e-mail address, have markup
/// for a name.
const WITHDRAWN: usize = 6;
const SUPPRESSED: usize = 4;
const WITHOUT_EMAIL: usize = 5;
const MARKED_UP: usize = 1;
/// Customers with a note that a person should read first.
const DELICATE: usize = 6;

/// One record, the value of variable `customer`.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Customer {
    pub id: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub language: Language,
    pub segment: Segment,
    pub interest: String,
    pub marketing_consent: bool,
    pub suppressed: bool,
    pub adviser: String,
    /// What the adviser adds; printed as it is in English, left out when empty.
    pub note: String,
    pub offer: Offer,
    pub writer: Writer,
}

/// Terms of the savings account, as printed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    pub rate_percent: f64,
    pub valid_until: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    En,
    De,
    Ar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Segment {
    Savings,
    Student,
    Business,
    PrivateBanking,
}

impl Language {
    /// BCP 47 tag.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Ar => "ar",
        }
    }
}

/// Which model writes: the real one, or the labelled simulator with its script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Writer {
    Model,
    Scripted,
}

/// An attack on whoever shows the record.
const MARKUP: &str = "<script>alert(document.cookie)</script>";

const SEGMENTS: [Segment; 6] = [
    Segment::Savings,
    Segment::Savings,
    Segment::Savings,
    Segment::Student,
    Segment::Business,
    Segment::PrivateBanking,
];

const NOTES: [&str; 5] = [
    "Looking forward to your questions.",
    "Bring a cup of coffee and your questions.",
    "We can talk about details afterwards.",
    "You asked for this topic last time.",
    "A short summary will follow by e-mail.",
];

/// Harmless, but not to be sent by a machine alone.
const DELICATE_NOTES: [&str; 3] = [
    "Once more our sincere condolences.",
    "Your complaint of last week is being looked into.",
    "All the best for your stay in hospital.",
];

/// Makes up all customers.
pub fn make_up(random: &mut Random) -> Vec<Customer> {
    let others = random.sample(GERMAN + ARABIC, COUNT);
    let mut customers: Vec<Customer> = (0..COUNT)
        .map(|index| {
            let language = match others.iter().position(|other| *other == index) {
                Some(rank) if rank < GERMAN => Language::De,
                Some(_) => Language::Ar,
                None => Language::En,
            };
            one(index, language, random)
        })
        .collect();
    forbid(&mut customers, random);
    make_delicate(&mut customers, random);
    customers
}

/// Customers who must not be written to, for four reasons.
fn forbid(customers: &mut [Customer], random: &mut Random) {
    let count = WITHDRAWN + SUPPRESSED + WITHOUT_EMAIL + MARKED_UP;
    for (rank, index) in random
        .sample(count, customers.len())
        .into_iter()
        .enumerate()
    {
        let Some(customer) = customers.get_mut(index) else {
            continue;
        };
        if rank < WITHDRAWN {
            customer.marketing_consent = false;
        } else if rank < WITHDRAWN + SUPPRESSED {
            customer.suppressed = true;
        } else if rank < WITHDRAWN + SUPPRESSED + WITHOUT_EMAIL {
            customer.email = None;
        } else {
            MARKUP.clone_into(&mut customer.name);
        }
    }
}

fn make_delicate(customers: &mut [Customer], random: &mut Random) {
    let mut fit: Vec<&mut Customer> = customers.iter_mut().filter(|c| c.is_plain()).collect();
    for (index, note) in random
        .sample(DELICATE, fit.len())
        .into_iter()
        .zip(DELICATE_NOTES.into_iter().cycle())
    {
        if let Some(customer) = fit.get_mut(index) {
            note.clone_into(&mut customer.note);
        }
    }
}

impl Customer {
    /// Nothing stands against writing to this customer.
    pub fn may_be_written_to(&self) -> bool {
        self.is_valid() && self.marketing_consent && !self.suppressed
    }

    /// The record fits the pipeline's schema.
    pub fn is_valid(&self) -> bool {
        self.email.is_some() && self.name != MARKUP
    }

    /// The adviser's note is for a person to read first.
    pub fn is_delicate(&self) -> bool {
        DELICATE_NOTES.contains(&self.note.as_str())
    }

    /// May be written to in English, with nothing to think about.
    pub fn is_plain(&self) -> bool {
        self.language == Language::En && self.may_be_written_to() && !self.is_delicate()
    }
}

fn one(index: usize, language: Language, random: &mut Random) -> Customer {
    let (first, last) = names::of(language);
    let word =
        |random: &mut Random, list: &[&'static str]| random.pick(list).copied().unwrap_or("");
    let name = format!("{} {}", word(random, first), word(random, last));
    let segment = random.pick(&SEGMENTS).copied().unwrap_or(Segment::Savings);
    let note = (language == Language::En && random.chance(40)).then(|| word(random, &NOTES));
    Customer {
        id: format!("C{:04}", index + 1),
        name,
        email: Some(format!("customer{:04}@mail.example", index + 1)),
        language,
        segment,
        interest: interest(language, segment).to_owned(),
        marketing_consent: true,
        suppressed: false,
        adviser: word(random, &names::ADVISERS).to_owned(),
        note: note.unwrap_or_default().to_owned(),
        offer: Offer {
            rate_percent: 2.25,
            valid_until: "2026-12-31".into(),
        },
        writer: Writer::Model,
    }
}

fn interest(language: Language, segment: Segment) -> &'static str {
    match (language, segment) {
        (Language::En, Segment::Savings) => "saving for a first home",
        (Language::En, Segment::Student) => "saving while you study",
        (Language::En, Segment::Business) => "a healthy reserve for your business",
        (Language::En, Segment::PrivateBanking) => "saving for retirement",
        (Language::De, Segment::Savings) => "Sparen für das erste eigene Zuhause",
        (Language::De, Segment::Student) => "Sparen im Studium",
        (Language::De, Segment::Business) => "Rücklagen für Ihr Unternehmen",
        (Language::De, Segment::PrivateBanking) => "Sparen für den Ruhestand",
        (Language::Ar, Segment::Savings) => "الادخار لشراء المنزل الأول",
        (Language::Ar, Segment::Student) => "الادخار أثناء الدراسة",
        (Language::Ar, Segment::Business) => "احتياطي سليم لشركتكم",
        (Language::Ar, Segment::PrivateBanking) => "الادخار للتقاعد",
    }
}
