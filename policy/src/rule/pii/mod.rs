//! Identifying data that must not occur, unless it is the addressee's own.
//! Each kind has its shape in a file of its own; checksums prove what has one.

mod announced;
mod birth;
mod call;
mod card;
mod checksum;
mod email;
mod groups;
mod iban;
mod national;
mod phone;
mod street;

use std::{collections::BTreeSet, ops::Range};

use aios_crds::check::{Pii as Spec, PiiKind};
use serde_json::Value;

use super::{MAX_MATCHES, Ranges};
use crate::{
    diagnostic::Diagnostic,
    view::{Layer, compat},
    work::spend,
};

/// Compiled kinds and permissions.
#[derive(Debug)]
pub(crate) struct Pii {
    kinds: BTreeSet<PiiKind>,
    /// Paths, split at dots.
    allow_variables: Vec<Vec<String>>,
    allow: Vec<String>,
}

/// Values that may occur, compared under the normal form of each kind.
#[derive(Debug)]
pub(crate) struct Allowed {
    emails: BTreeSet<String>,
    codes: BTreeSet<String>,
    phones: Vec<String>,
    days: BTreeSet<birth::Day>,
    /// As they are written.
    values: Vec<String>,
}

impl Pii {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        if spec.detect.is_empty() {
            mistakes.push(Diagnostic::new(
                format!("{path}.detect"),
                "nothing to look for: name at least one of Email, Phone, Iban, Card, \
                 BirthDate, Address, NationalId",
            ));
        }
        let mut allow_variables = Vec::new();
        for (index, variable) in spec.allow_variables.iter().enumerate() {
            let steps: Vec<_> = variable.split('.').map(str::to_owned).collect();
            if steps.iter().any(|step| step.trim().is_empty()) {
                mistakes.push(Diagnostic::new(
                    format!("{path}.allowVariables[{index}]"),
                    format!(
                        "`{variable}` is no path: write names joined by dots, as in \
                             `customer.email`"
                    ),
                ));
            }
            allow_variables.push(steps);
        }
        for (index, value) in spec.allow.iter().enumerate() {
            if value.trim().is_empty() {
                mistakes.push(Diagnostic::new(
                    format!("{path}.allow[{index}]"),
                    "the value is blank: write it out or remove the entry",
                ));
            }
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        let kinds = spec.detect.iter().copied().collect();
        Ok(Self {
            kinds,
            allow_variables,
            allow: spec.allow.clone(),
        })
    }

    pub(crate) fn message(&self) -> String {
        let named = self.kinds.iter().map(|kind| match kind {
            PiiKind::Email => "e-mail addresses",
            PiiKind::Phone => "telephone numbers",
            PiiKind::Iban => "account numbers",
            PiiKind::Card => "card numbers",
            PiiKind::BirthDate => "dates of birth",
            PiiKind::Address => "addresses of homes",
            PiiKind::NationalId => "numbers of identity",
        });
        let named = named.collect::<Vec<_>>().join(", ");
        format!("leave out {named} that are not the addressee's own")
    }

    /// Values that may occur in this document. A path that leads nowhere allows nothing.
    pub(crate) fn allowed(&self, variables: &Value) -> Allowed {
        let mut values = self.allow.clone();
        for path in &self.allow_variables {
            let found = path.iter().try_fold(variables, |at, step| match at {
                Value::Array(items) => items.get(step.parse::<usize>().ok()?),
                other => other.get(step),
            });
            leaves(found, &mut values);
        }
        let plain = values
            .iter()
            .map(|value| compat(value).as_str().trim().to_owned());
        let plain: Vec<String> = plain.collect();
        Allowed {
            emails: plain.iter().map(|value| value.to_lowercase()).collect(),
            codes: plain
                .iter()
                .map(|value| code(value))
                .filter(|c| !c.is_empty())
                .collect(),
            phones: plain
                .iter()
                .map(|value| phone::significant(value))
                .collect(),
            days: plain.iter().filter_map(|value| birth::day(value)).collect(),
            values: plain,
        }
    }

    /// Bytes of the part where identifying data stands. In markup only what is written without spaces is
    /// looked for: addresses of images and links are full of digits and words.
    pub(crate) fn find<'v>(
        &self,
        layer: &Layer<'_>,
        in_markup: bool,
        allowed: impl Fn() -> &'v Allowed,
    ) -> Ranges {
        let text = layer.compat();
        let runs = groups::runs(text, layer.digits());
        let ibans = iban::find(text, layer.digits());
        let cards = card::find(text, &runs);
        let emails = email::find(text);
        let mut found: Vec<(PiiKind, Range<usize>)> = Vec::new();
        if self.kinds.contains(&PiiKind::Phone) && !in_markup {
            let taken = |range: &Range<usize>| {
                let others = [&ibans, &cards, &emails];
                others.iter().any(|others| overlaps(others, range))
            };
            let phones = phone::find(text, &runs)
                .into_iter()
                .filter(|range| !taken(range));
            found.extend(phones.map(|range| (PiiKind::Phone, range)));
        }
        for kind in [PiiKind::BirthDate, PiiKind::Address, PiiKind::NationalId] {
            if self.kinds.contains(&kind) && !in_markup {
                let ranges = match kind {
                    PiiKind::BirthDate => birth::find(text),
                    PiiKind::Address => street::find(text),
                    _ => national::find(text, &runs),
                };
                found.extend(ranges.into_iter().map(|range| (kind, range)));
            }
        }
        for (kind, ranges) in [
            (PiiKind::Iban, ibans),
            (PiiKind::Card, cards),
            (PiiKind::Email, emails),
        ] {
            if self.kinds.contains(&kind) {
                found.extend(ranges.into_iter().map(|range| (kind, range)));
            }
        }
        found
            .into_iter()
            .filter(|(kind, range)| {
                !allowed().contains(*kind, text.get(range.clone()).unwrap_or_default())
            })
            .take(MAX_MATCHES + 1)
            .map(|(_, range)| layer.compat_source(range))
            .collect()
    }

    /// First byte of a compatibility text at which data could begin that more text would complete.
    pub(crate) fn frontier(&self, text: &str) -> usize {
        let trailing = |allowed: fn(char) -> bool| text.trim_end_matches(allowed).len();
        let within = |reach: usize| text.len().saturating_sub(reach);
        let of_kind = |kind: &PiiKind| match kind {
            PiiKind::Email => trailing(email::in_address),
            PiiKind::Card => trailing(groups::in_number),
            PiiKind::Iban => iban::frontier(text),
            // What belongs to an address or an account number is no telephone number.
            PiiKind::Phone => trailing(groups::in_number)
                .min(trailing(email::in_address))
                .min(iban::frontier(text)),
            PiiKind::BirthDate => within(birth::REACH),
            PiiKind::Address => within(street::REACH),
            PiiKind::NationalId => within(national::REACH),
        };
        let frontier = self.kinds.iter().map(of_kind).min();
        text.floor_char_boundary(frontier.unwrap_or(text.len()))
    }
}

impl Allowed {
    fn contains(&self, kind: PiiKind, value: &str) -> bool {
        match kind {
            PiiKind::Email => self.emails.contains(&value.to_lowercase()),
            PiiKind::BirthDate => birth::day(value).is_some_and(|day| self.days.contains(&day)),
            PiiKind::Address => street::is_known(value, &self.values),
            PiiKind::Iban | PiiKind::Card | PiiKind::NationalId => {
                self.codes.contains(&code(value))
            }
            PiiKind::Phone => {
                let digits = phone::significant(value);
                self.phones.iter().any(|known| phone::same(known, &digits))
            }
        }
    }
}

/// Whether one of these ranges, which begin and end one after the other, shares a byte with another range.
fn overlaps(ranges: &[Range<usize>], other: &Range<usize>) -> bool {
    spend(1);
    let next = ranges.partition_point(|range| range.end <= other.start);
    ranges
        .get(next)
        .is_some_and(|range| range.start < other.end)
}

/// Letters and digits only, upper case.
fn code(value: &str) -> String {
    let kept = value.chars().filter(char::is_ascii_alphanumeric);
    kept.map(|c| c.to_ascii_uppercase()).collect()
}

/// Every string and number in a value.
pub(crate) fn leaves(value: Option<&Value>, out: &mut Vec<String>) {
    match value {
        Some(Value::String(text)) => out.push(text.clone()),
        Some(Value::Number(number)) => out.push(number.to_string()),
        Some(Value::Array(items)) => items.iter().for_each(|item| leaves(Some(item), out)),
        Some(Value::Object(fields)) => fields.values().for_each(|field| leaves(Some(field), out)),
        Some(Value::Null | Value::Bool(_)) | None => {}
    }
}

#[cfg(test)]
mod tests {
    use aios_crds::check::{Pii as Spec, PiiKind};
    use rstest::rstest;
    use serde_json::json;

    use super::Pii;
    use crate::{
        document::{Part, PartKind},
        view::PartView,
    };

    fn found(kind: PartKind, text: &str) -> Vec<String> {
        let spec = Spec {
            detect: vec![
                PiiKind::Email,
                PiiKind::Phone,
                PiiKind::Iban,
                PiiKind::Card,
                PiiKind::BirthDate,
                PiiKind::Address,
                PiiKind::NationalId,
            ],
            allow_variables: vec!["customer".to_owned(), "no.such.path".to_owned()],
            allow: vec!["service@bank.example".to_owned()],
        };
        let pii = Pii::compile(&spec, "p").unwrap();
        let variables = json!({"customer": {
            "email": "Zoë.Müller@Mail.Example", "phone": "+49 170 1234567", "ids": [4111],
            "iban": "DE89370400440532013000", "born": "1980-05-03",
            "address": {"street": "Lindenstraße 12a", "city": "Berlin"}, "taxId": "86095742719",
        }});
        let allowed = pii.allowed(&variables);
        let part = Part {
            name: "html".parse().unwrap(),
            kind,
            text: text.to_owned(),
        };
        let view = PartView::new(&part);
        let mut ranges = pii.find(view.visible(), false, || &allowed);
        if let Some(hidden) = view.hidden() {
            ranges.extend(pii.find(hidden, true, || &allowed));
        }
        ranges
            .into_iter()
            .map(|range| text[range].to_owned())
            .collect()
    }

    #[rstest]
    #[case("Write to jane.doe@mail.example.", &["jane.doe@mail.example"])]
    #[case("Write to zoë.müller@mail.example or SERVICE@bank.example", &[])]
    #[case("Call 0170 123 45 67 or +49 (0)170 1234567", &[])]
    #[case("Call +49 171 7654321 now", &["+49 171 7654321"])]
    #[case("IBAN DE89 3704 0044 0532 0130 00 and more", &[])]
    #[case("IBAN GB29 NWBK 6016 1331 9268 19 and more", &["GB29 NWBK 6016 1331 9268 19"])]
    #[case("Card 4111 1111 1111 1111, please", &["4111 1111 1111 1111"])]
    #[case("راسلنا على jane@mail.example أو ٠٣٠ ١٢٣٤٥٦٧", &["jane@mail.example", "٠٣٠ ١٢٣٤٥٦٧"])]
    #[case("Born 3 May 1980, Lindenstraße 12A, Steuer-ID 86 095 742 719", &[])]
    #[case("Born 4 May 1980, Lindenstraße 13, AHV 756.9217.0769.85",
        &["4 May 1980", "Lindenstraße 13", "756.9217.0769.85"])]
    #[case("On 05.11.2026 at 18:30, 100 000 000 EUR, 2.500,00", &[])]
    fn other_peoples_data_is_found_and_the_addressees_own_passes(
        #[case] text: &str,
        #[case] expected: &[&str],
    ) {
        let mut found = found(PartKind::Plain, text);
        found.sort_by_key(|value| text.find(value.as_str()));
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("<p>j<b>ane</b>&#64;mail.example</p>", &["j<b>ane</b>&#64;mail.example"])]
    #[case("<a href=\"mailto:jane%40mail.example\">x</a>", &["jane%40mail.example"])]
    #[case("<img src=\"https://cdn.example/030-1234567/a.png\">", &[])]
    #[case("<p>Linden<b>straße</b>&nbsp;14", &["Linden<b>straße</b>&nbsp;14"])]
    #[case("<img src=\"/Lindenstraße 14/078-05-1120\">", &[])]
    #[case("<!-- GB29NWBK60161331926819 -->", &["GB29NWBK60161331926819"])]
    fn html_is_read_as_seen_and_in_its_markup(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(found(PartKind::Html, text), expected);
    }

    #[test]
    fn paths_must_be_paths_but_need_not_exist() {
        let spec = Spec {
            detect: vec![],
            allow_variables: vec!["customer..email".to_owned()],
            allow: vec![" ".to_owned()],
        };
        let mistakes = Pii::compile(&spec, "spec.rules[0].pii").unwrap_err();
        let paths: Vec<_> = mistakes
            .iter()
            .map(|mistake| mistake.path.as_str())
            .collect();
        assert_eq!(
            paths,
            [
                "spec.rules[0].pii.detect",
                "spec.rules[0].pii.allowVariables[0]",
                "spec.rules[0].pii.allow[0]"
            ]
        );
    }
}
