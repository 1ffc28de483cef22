//! What a text's slots hold, written as each language writes it, and how each fault is put in.

use serde_json::{Value, json};

use crate::{random::Random, values};

const COMPETITORS: [&str; 4] = ["Velora", "Nordkap Bank", "Banco Solera", "Crédit Miral"];
#[rustfmt::skip]
const MONTHS: [(&str, [&str; 12]); 5] = [
    ("en", ["January", "February", "March", "April", "May", "June", "July", "August", "September",
        "October", "November", "December"]),
    ("de", ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September",
        "Oktober", "November", "Dezember"]),
    ("fr", ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre",
        "octobre", "novembre", "décembre"]),
    ("es", ["enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre",
        "octubre", "noviembre", "diciembre"]),
    ("it", ["gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto",
        "settembre", "ottobre", "novembre", "dicembre"]),
];

/// The values of one text.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    name: String,
    /// Hundredths of a per cent.
    rate: u64,
    amount: u64,
    months: u64,
    days: u64,
    seats: u64,
    /// Day, month, year.
    date: (u64, u64, u64),
}

impl Slots {
    pub(super) fn draw(name: &str, random: &mut Random) -> Self {
        Self {
            name: name.to_owned(),
            rate: random.between(5, 19) * 25,
            amount: random.between(20, 900) * 100,
            months: random.between(3, 18),
            days: random.between(7, 30),
            seats: random.between(20, 200),
            date: (
                random.between(1, 28),
                random.between(1, 12),
                random.between(2026, 2028),
            ),
        }
    }

    /// One of the values that the text tells is another.
    pub(super) fn with_one_wrong(&self, text: &str, random: &mut Random) -> Self {
        let told = [
            "{rate}", "{amount}", "{months}", "{days}", "{seats}", "{date}",
        ];
        let told: Vec<_> = told
            .into_iter()
            .filter(|slot| text.contains(slot))
            .collect();
        let off = |value: u64, by: u64| {
            if by.is_multiple_of(2) {
                value + by / 2
            } else {
                value + by
            }
        };
        let mut wrong = self.clone();
        match random.pick(&told).copied() {
            Some("{rate}") => wrong.rate = off(self.rate, random.between(1, 99)),
            Some("{amount}") => wrong.amount = off(self.amount, random.between(1, 9) * 100),
            Some("{months}") => wrong.months = off(self.months, random.between(2, 24)),
            Some("{days}") => wrong.days = off(self.days, random.between(2, 24)),
            Some("{seats}") => wrong.seats = off(self.seats, random.between(2, 99)),
            _ => wrong.date.2 += random.between(1, 3),
        }
        wrong
    }

    pub(super) fn fill(&self, text: &str, language: &str) -> String {
        let point = if language == "en" { '.' } else { ',' };
        let group = match language {
            "en" => ",",
            "fr" => "\u{202f}",
            _ => ".",
        };
        let amount = format!("{}{group}{:03}", self.amount / 1000, self.amount % 1000);
        let rate = format!("{}{point}{:02}", self.rate / 100, self.rate % 100);
        text.replace("{name}", &self.name)
            .replace("{email}", &values::email(&self.name))
            .replace("{rate}", &rate)
            .replace("{amount}", &amount)
            .replace("{months}", &self.months.to_string())
            .replace("{days}", &self.days.to_string())
            .replace("{seats}", &self.seats.to_string())
            .replace("{date}", &self.date(language))
    }

    fn date(&self, language: &str) -> String {
        let (day, month, year) = self.date;
        let place = usize::try_from(month.saturating_sub(1)).unwrap_or_default();
        let months = MONTHS.iter().find(|(tag, _)| *tag == language);
        let month = months.and_then(|(_, names)| names.get(place)).copied();
        let month = month.unwrap_or_default();
        match language {
            "de" => format!("{day}. {month} {year}"),
            "es" => format!("{day} de {month} de {year}"),
            _ => format!("{day} {month} {year}"),
        }
    }

    /// The record that the text was made from.
    pub(super) fn variables(&self, customer: &Value) -> Value {
        let (day, month, year) = self.date;
        json!({
            "customer": customer,
            "rate": self.rate as f64 / 100.0,
            "amount": self.amount,
            "months": self.months,
            "days": self.days,
            "seats": self.seats,
            "date": format!("{year}-{month:02}-{day:02}"),
        })
    }
}

/// Left out, with another sum, or cut short.
pub(super) fn broken_notice(notice: &str, random: &mut Random) -> String {
    match random.between(0, 2) {
        0 => String::new(),
        1 => notice.replacen("100", "10", 1),
        _ => match notice.rsplit_once(' ') {
            Some((head, _)) => format!("{head}."),
            None => String::new(),
        },
    }
}

/// A sentence with the values that make it a fault.
pub(super) fn filled(sentence: &str, random: &mut Random) -> String {
    let mut out = sentence.to_owned();
    let mut put = |slot: &str, value: &mut dyn FnMut(&mut Random) -> String| {
        if out.contains(slot) {
            out = out.replace(slot, &value(random));
        }
    };
    put("{competitor}", &mut competitor);
    put("{third_phone}", &mut values::phone);
    put("{third_iban}", &mut values::iban);
    put("{card}", &mut values::card);
    put("{password}", &mut values::password);
    put("{key}", &mut values::key);
    put("{address}", &mut |random| {
        format!("postgres://app:{}@db.example/main", values::token(random))
    });
    out
}

/// As it is written, or as somebody writes it who knows of the list.
fn competitor(random: &mut Random) -> String {
    let name = random.pick(&COMPETITORS).copied().unwrap_or_default();
    match random.between(0, 4) {
        0 => name.to_uppercase(),
        1 => name.replacen('o', "\u{43e}", 1),
        2 => name.replacen('e', "e\u{200b}", 1),
        3 => format!("{name}s"),
        _ => name.to_owned(),
    }
}
