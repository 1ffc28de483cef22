//! Numbers in the text must be known: from the variables, the passages, the template or the policy; and names
//! where the rule asks for them.
//! A percentage is not vouched for by a bare number in prose, nor by a day of a date; days are not by what a field
//! counts in months.

mod known;
mod names;
pub(super) mod number;
mod unit;

use aios_crds::check::Facts as Spec;

pub(crate) use known::{Known, month};
pub(crate) use names::KnownNames;
pub(super) use unit::scale;

use super::{MAX_MATCHES, Ranges};
use crate::{
    bytes::digit_runs,
    diagnostic::Diagnostic,
    view::{Layer, compat},
};

/// Compiled allow-list.
#[derive(Debug)]
pub(crate) struct Facts {
    allow: Known,
    /// Where names are asked for.
    allow_names: Option<KnownNames>,
}

impl Facts {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut allow = Known::default();
        let mut allow_names = spec.names.then(KnownNames::default);
        let mut mistakes = Vec::new();
        for (index, written) in spec.allow.iter().enumerate() {
            let text = compat(written);
            let text = text.as_str();
            let has_letters = text.contains(char::is_alphabetic);
            let is_name = allow_names.is_some() && has_letters;
            if !is_name && number::read(text, &digit_runs(text)).is_empty() {
                mistakes.push(Diagnostic::new(
                    format!("{path}.allow[{index}]"),
                    format!(
                        "`{written}` holds no number: write digits, as in `24` or `3 %`, set names for \
                             a name, or remove the entry"
                    ),
                ));
            }
            allow.value(written);
            if let Some(names) = &mut allow_names {
                names.prose(written);
            }
        }
        if mistakes.is_empty() {
            Ok(Self { allow, allow_names })
        } else {
            Err(mistakes)
        }
    }

    pub(crate) fn message(&self) -> &'static str {
        if self.allow_names.is_some() {
            "use only numbers and names that the given facts contain"
        } else {
            "use only numbers that the given facts contain"
        }
    }

    /// Bytes of the part where names stand that nothing vouches for, if the rule asks for names.
    pub(crate) fn find_names<'k>(
        &self,
        layer: &Layer<'_>,
        known: impl FnOnce() -> &'k KnownNames,
    ) -> Ranges {
        let Some(allowed) = &self.allow_names else {
            return Ranges::new();
        };
        let unknown = names::unknown(layer.text.as_str(), [known(), allowed]).into_iter();
        unknown
            .take(MAX_MATCHES + 1)
            .map(|range| layer.text.source(range))
            .collect()
    }

    /// Bytes of the part where numbers stand that nothing vouches for.
    pub(crate) fn find(&self, layer: &Layer<'_>, known: &Known) -> Ranges {
        number::read(layer.compat(), layer.digits())
            .into_iter()
            .filter(|number| !known.vouches(number) && !self.allow.vouches(number))
            .take(MAX_MATCHES + 1)
            .map(|number| layer.compat_source(number.range))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aios_crds::check::Facts as Spec;
    use rstest::rstest;
    use serde_json::json;

    use super::{Facts, Known};
    use crate::{
        Inputs,
        document::{Part, PartKind},
        view::PartView,
    };

    fn unknown(text: &str) -> Vec<String> {
        let variables = json!({
            "rate": 2.5, "share": 0.04, "seats": "300", "deposit": "100,000 EUR",
            "webinar": {"start": "2026-11-05T18:30:00+01:00"},
            "customer": {"name": "Zoë 7"}, "noticeDays": 31, "terms": {"term_months": [36, "48"]},
        });
        let inputs = Inputs {
            variables: &variables,
            labels: &BTreeMap::new(),
            language: "en",
            passages: &["Page 3. Accounts from 1.5 million EUR pay 0,75 % on 12 December."],
            template: &["Reply within 14 days. Call 24/7."],
            step: crate::Step::Final,
        };
        let spec = Spec {
            allow: vec!["99".to_owned(), "8 %".to_owned()],
            ..Spec::default()
        };
        let facts = Facts::compile(&spec, "p").unwrap();
        let known = Known::from_inputs(&inputs);
        let part = Part {
            name: "text".parse().unwrap(),
            kind: PartKind::Plain,
            text: text.to_owned(),
        };
        let view = PartView::new(&part);
        let ranges = facts.find(view.visible(), &known);
        ranges
            .into_iter()
            .map(|range| text[range].to_owned())
            .collect()
    }

    #[rstest]
    #[case::grouped("100,000 EUR, 100.000 EUR, 100 000 €, €100000, 100'000, 100\u{202f}000 EUR")]
    #[case::decimals("2.5 %, 2,5%, 2.50 percent, 0.75%, 0,75 Prozent")]
    #[case::share_as_percentage("4 %")]
    #[case::scaled("1.5 million, 1,500,000 EUR, 1.5m, 1500k EUR, 1,5 Mio. Euro")]
    #[case::dates("5 November 2026, 05.11.2026, 11/5/26, 2026-11-05, Nov 5th, 5. November")]
    #[case::times("18:30, 6:30 pm, 18.30 Uhr, 18h30, 6 pm")]
    #[case::month_by_name("12.12.2026")]
    #[case::template("14 days, 24/7")]
    #[case::allowed("99, 99 %, 99 EUR, 8 %")]
    #[case::prose_number_as_money("3 EUR, 300 seats, 300 %")]
    #[case::other_digits("١٠٠٬٠٠٠ يورو، ٣٠٠ مقعد، ٢٫٥٪")]
    #[case::periods("31 days, 31-day, 31 Tagen, 31, 36 mois, 48 meses, 300 years")]
    #[case::names_with_digits("B2B, H2O, Q4")]
    #[case::enumeration("\n1. one\n2) two\n")]
    #[case::none("no numbers at all")]
    fn known_numbers_pass_in_every_spelling(#[case] text: &str) {
        assert_eq!(unknown(text), Vec::<String>::new());
    }

    #[rstest]
    #[case("earn 3.5 % now", &["3.5"])]
    #[case("up to 1,000,000 EUR", &["1,000,000"])]
    #[case("up to 10,000 EUR", &["10,000"])]
    #[case("just 100 EUR", &["100"])]
    #[case("25 %", &["25"])]
    #[case("5 %", &["5"])]
    #[case("18 EUR", &["18"])]
    #[case("3 %", &["3"])]
    #[case("8 EUR", &["8"])]
    #[case("on 09.12.2027", &["09", "2027"])]
    #[case("at 19:45", &["19", "45"])]
    #[case("EUR 0.76, over5000", &["0.76", "5000"])]
    #[case("خصم ٥٠٪", &["٥٠"])]
    #[case("२५ प्रतिशत", &["२५"])]
    #[case("ten, 11 and 3000", &["3000"])]
    #[case("31 months, 36 days, 48 weeks", &["31", "36", "48"])]
    #[case("31 EUR, 36 %", &["31", "36"])]
    #[case("11 days, 5 months", &["11", "5"])]
    #[case("14 EUR, 14 weeks", &["14", "14"])]
    fn invented_numbers_are_marked(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(unknown(text), expected);
    }

    #[test]
    fn an_allowed_entry_without_a_number_is_refused() {
        let spec = Spec {
            allow: vec!["24".to_owned(), "many".to_owned()],
            ..Spec::default()
        };
        let named = Spec {
            names: true,
            ..spec.clone()
        };
        assert!(Facts::compile(&named, "p").is_ok());
        let mistakes = Facts::compile(&spec, "spec.rules[0].facts").unwrap_err();
        assert_eq!(mistakes[0].path, "spec.rules[0].facts.allow[1]");
        assert!(mistakes[0].message.contains("write digits"));
    }
}
