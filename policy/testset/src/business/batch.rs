//! The batch that a letter is one of: what it holds of every other customer, and how one's data gets into a
//! letter to another.

use serde_json::{Value, json};

use super::NAMES;
use crate::{random::Random, values};

/// Two customers bear it, so that it tells nobody apart.
const COMMON: &str = "Chris Berg";
const FIELDS: [&str; 5] = ["name", "email", "phone", "iban", "reference"];

/// Records of all customers but the one of that name.
pub(super) fn others(name: &str, random: &mut Random) -> Vec<Value> {
    let parts = NAMES.iter().filter_map(|name| name.split_once(' '));
    let families = parts.clone().map(|(_, family)| family);
    let all = parts.flat_map(|(given, _)| {
        families
            .clone()
            .map(move |family| format!("{given} {family}"))
    });
    let single = all.filter(|other| other != name);
    let mut records: Vec<_> = single
        .map(|name| json!({"customer": customer(&name, &values::email(&name), random)}))
        .collect();
    for place in 1..=2 {
        let email = format!("berg{place}@mail.example");
        records.push(json!({"customer": customer(COMMON, &email, random)}));
    }
    records
}

/// What is known of a customer.
pub(super) fn customer(name: &str, email: &str, random: &mut Random) -> Value {
    json!({
        "name": name,
        "email": email,
        "phone": values::phone(random),
        "iban": values::iban(random),
        "reference": values::reference(random),
    })
}

/// A sentence with values of one of the others.
pub(super) fn filled(sentence: &str, others: &[Value], random: &mut Random) -> String {
    let single: Vec<_> = others
        .iter()
        .filter(|other| field(other, "name") != COMMON)
        .collect();
    let Some(other) = random.pick(&single) else {
        return sentence.to_owned();
    };
    FIELDS.into_iter().fold(sentence.to_owned(), |told, name| {
        let slot = format!("{{their_{name}}}");
        if told.contains(&slot) {
            told.replace(&slot, &written(name, field(other, name), random))
        } else {
            told
        }
    })
}

fn field<'v>(record: &'v Value, name: &str) -> &'v str {
    record["customer"][name].as_str().unwrap_or_default()
}

/// As the record has it, or as somebody else writes it.
fn written(field: &str, value: &str, random: &mut Random) -> String {
    match (field, random.between(0, 2)) {
        (_, 0) => value.to_owned(),
        ("name", 1) => match value.split_once(' ') {
            Some((given, family)) => format!("{family}, {given}"),
            None => value.to_owned(),
        },
        ("name" | "email", _) => value.to_uppercase(),
        ("reference", _) => values::grouped(value),
        ("phone", 1) => value.replacen("+49 ", "0", 1),
        _ => value.replace(' ', ""),
    }
}
