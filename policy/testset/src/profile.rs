//! The profile that speed is promised for: one e-mail of 1.5 kB, in ASCII and in mixed scripts, under a
//! thousand terms, personal data, secrets, style, facts and ten conditions. Nothing in it matches.

use std::collections::BTreeMap;

use aios_crds::{PolicySetSpec, check::Terms, policy_set::Rule};
use serde_json::{Value, json};

/// Terms of the profile.
pub const TERMS: usize = 1_000;
/// Most terms of one list.
pub const MOST_TERMS: usize = 10_000;

const RULES: &str = include_str!("../profile/rules.yaml");

/// An e-mail's subject and text.
#[derive(Clone, Copy, Debug)]
pub struct Email {
    pub name: &'static str,
    pub subject: &'static str,
    pub text: &'static str,
    /// BCP 47.
    pub language: &'static str,
}

pub const ASCII: Email = Email {
    name: "ASCII",
    subject: "Your savings account from November on",
    text: include_str!("../profile/ascii.txt"),
    language: "en",
};

pub const MIXED: Email = Email {
    name: "mixed scripts",
    subject: "Ihr Sparkonto ab November \u{2013} الحساب",
    text: include_str!("../profile/mixed.txt"),
    language: "de",
};

/// The rules of the profile with so many terms.
pub fn rules(terms: usize) -> Result<Vec<Rule>, serde_saphyr::Error> {
    let mut spec: PolicySetSpec = serde_saphyr::from_str(RULES)?;
    for rule in &mut spec.rules {
        if let Some(Terms { list, .. }) = &mut rule.terms {
            *list = self::terms(terms);
        }
    }
    Ok(spec.rules)
}

/// What the e-mails were made from.
pub fn variables() -> Value {
    json!({
        "segment": "savings",
        "deposit": "100,000 EUR",
        "rate": 2.5,
        "months": 6,
        "start": "2026-11-05",
        "customer": {
            "name": "Zoe Miller",
            "email": "zoe.miller@mail.example",
            "phone": "+49 170 1234567",
            "iban": "DE89370400440532013000",
        },
    })
}

pub fn labels() -> BTreeMap<String, String> {
    BTreeMap::from([("region".to_owned(), "eu".to_owned())])
}

/// So many different names of products and firms, none of which is a word of the e-mails.
pub fn terms(count: usize) -> Vec<String> {
    const HEADS: [&str; 25] = [
        "Vel", "Nor", "Ban", "Cre", "Ul", "Tra", "Sun", "Kos", "Mer", "Pra", "Zen", "Fal", "Gra",
        "Hol", "Ing", "Jun", "Lum", "Ost", "Qui", "Rav", "Sav", "Thal", "Ver", "Wel", "Ör",
    ];
    const MIDDLES: [&str; 20] = [
        "ado", "eri", "imo", "ova", "uno", "al", "ent", "ist", "orm", "ul", "avi", "edi", "ile",
        "ora", "usa", "ach", "eck", "ink", "ost", "über",
    ];
    const TAILS: [&str; 20] = [
        "bank",
        "fin",
        "cap",
        "pay",
        "credit",
        "ia",
        "ex",
        "on",
        "um",
        "is",
        "ara",
        "ent",
        "olo",
        "ux",
        "eta",
        " Direct",
        " Plus",
        " & Sons",
        " Invest",
        " Versicherung",
    ];
    // The least significant place first, so that few terms already differ in their beginnings.
    (0..count.min(MOST_TERMS))
        .filter_map(|index| {
            let head = HEADS.get(index % HEADS.len())?;
            let middle = MIDDLES.get(index / HEADS.len() % MIDDLES.len())?;
            let tail = TAILS.get(index / (HEADS.len() * MIDDLES.len()))?;
            Some(format!("{head}{middle}{tail}"))
        })
        .collect()
}

/// The e-mail's text over and over, up to so many bytes.
pub fn long(email: Email, bytes: usize) -> String {
    email.text.repeat(bytes.div_ceil(email.text.len().max(1)))
}
