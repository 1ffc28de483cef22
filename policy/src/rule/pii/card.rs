//! Payment card numbers: ISO/IEC 7812 lengths and prefixes, Luhn checksum. Numbers of twelve digits are those of
//! many things, and count only behind words for a card.

use std::ops::{Range, RangeInclusive};

use super::{
    announced::announced,
    checksum::luhn,
    groups::{Group, Runs, digits, first_digit, longest},
};

/// Digits of a card number.
const DIGITS: RangeInclusive<usize> = 12..=19;
/// Of those that must be announced.
const SHORT: usize = 12;

/// Words for a card, in lower case.
#[rustfmt::skip]
const WORDS: [&str; 15] = [
    "card", "cc", "maestro", "karte", "kreditkarte", "debitkarte", "bankkarte", "carte", "tarjeta", "carta",
    "kaart", "cartão", "kort", "karta", "بطاقة",
];

pub(super) fn find(text: &str, runs: &Runs) -> Vec<Range<usize>> {
    let accepts = |groups: &[Group]| {
        first_digit(text, groups).filter(|digit| ('1'..='6').contains(digit))?;
        let written = groups
            .iter()
            .skip(1)
            .all(|group| matches!(text.get(group.gap.clone()), Some(" " | "-")));
        let (first, last) = (groups.first()?, groups.last()?);
        let number = digits(text, groups);
        let counts = written
            && is_card(&number)
            && (number.len() > SHORT || announced(text, first.range.start, &WORDS));
        counts.then_some(first.range.start..last.range.end)
    };
    runs.iter()
        .flat_map(|run| longest(run, &DIGITS, accepts))
        .collect()
}

fn is_card(number: &str) -> bool {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| number.starts_with(prefix));
    let known = match number.len() {
        SHORT => starts(&["50", "56", "57", "58", "6"]),
        13 => starts(&["4"]),
        14 => starts(&["30", "36", "38", "39"]),
        15 => starts(&["34", "37", "1800", "2131"]),
        16 => starts(&["2", "3", "4", "5", "6"]),
        17..=19 => starts(&["4", "5", "6"]),
        _ => false,
    };
    let digits: Vec<u32> = number.chars().filter_map(|c| c.to_digit(10)).collect();
    known && luhn(&digits)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{super::groups::runs, find};
    use crate::bytes::digit_runs;

    #[rstest]
    #[case("4111 1111 1111 1111", &["4111 1111 1111 1111"])]
    #[case("5500-0000-0000-0004", &["5500-0000-0000-0004"])]
    #[case("340000000000009", &["340000000000009"])]
    #[case("order 12 4111111111111111 99", &["4111111111111111"])]
    #[case("My card 5018 0000 0009, or 213100000000001", &["5018 0000 0009", "213100000000001"])]
    #[case("Your order 501800000009 has left.", &[])]
    #[case("Discard 501800000009", &[])]
    #[case("4111 1111 1111 1112", &[])]
    #[case("1111 1111 1111 1111", &[])]
    #[case("4111.1111.1111.1111", &[])]
    #[case("x4111111111111111", &[])]
    fn only_checksummed_numbers_of_known_issuers_count(
        #[case] text: &str,
        #[case] expected: &[&str],
    ) {
        let found: Vec<_> = find(text, &runs(text, &digit_runs(text)))
            .into_iter()
            .map(|range| &text[range])
            .collect();
        assert_eq!(found, expected);
    }
}
