//! What a number counts: percent, money, or nothing told; and words that scale it.

use std::{borrow::Cow, ops::Range};

use crate::rule::char_before;

/// Unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    None,
    Percent,
    Money,
}

const SIGNS: [char; 10] = ['€', '$', '£', '¥', '₹', '₽', '₺', '₪', '₩', '₫'];

/// Currencies by code and by name, lower case.
const MONEY: [&str; 52] = [
    "aed", "aud", "brl", "cad", "cent", "centimes", "cents", "centavos", "chf", "cny", "czk",
    "dkk", "dollar", "dollars", "dólares", "eur", "euro", "euros", "franc", "francs", "franken",
    "gbp", "huf", "ils", "inr", "jpy", "krw", "kronen", "kronor", "lira", "mxn", "nok", "pesos",
    "pfund", "pln", "pound", "pounds", "ron", "rub", "rupees", "sar", "sek", "sgd", "sr", "try",
    "tl", "uah", "usd", "yen", "zar", "zł", "złotych",
];

const MONEY_RTL: [&str; 6] = ["يورو", "دولار", "ريال", "درهم", "جنيه", "אירו"];

const PERCENT: [&str; 12] = [
    "percent",
    "per cent",
    "pct",
    "prozent",
    "pour cent",
    "por ciento",
    "por cento",
    "per cento",
    "procent",
    "بالمئة",
    "بالمائة",
    "प्रतिशत",
];

/// Words that scale a number, and how many zeros they stand for.
const SCALES: [(&str, usize); 25] = [
    ("k", 3),
    ("thousand", 3),
    ("tausend", 3),
    ("tsd", 3),
    ("mille", 3),
    ("mil", 3),
    ("mila", 3),
    ("ألف", 3),
    ("m", 6),
    ("mn", 6),
    ("mio", 6),
    ("million", 6),
    ("millions", 6),
    ("millionen", 6),
    ("millones", 6),
    ("milioni", 6),
    ("milhões", 6),
    ("مليون", 6),
    ("bn", 9),
    ("billion", 9),
    ("billions", 9),
    ("mrd", 9),
    ("milliarde", 9),
    ("milliarden", 9),
    ("milliards", 9),
];

/// Unit of the number at a range, from the words on both sides of it.
pub(crate) fn around(text: &str, range: &Range<usize>) -> Unit {
    let after = text.get(range.end..).unwrap_or_default();
    let after = after.strip_prefix([' ', '\n', '-']).unwrap_or(after);
    let word = first_word(after);
    let head = lower(after.get(..floor(after, 32)).unwrap_or_default());
    if after.starts_with(['%', '\u{66a}', '‰']) || PERCENT.iter().any(|name| head.starts_with(name))
    {
        return Unit::Percent;
    }
    let behind_scale = if zeros(&word).is_some() {
        after
            .get(leading_letters(after)..)
            .unwrap_or_default()
            .trim_start_matches(['.', ' '])
    } else {
        after
    };
    let names_money = |text: &str| text.starts_with(SIGNS) || is_money(&first_word(text));
    if names_money(after) || names_money(behind_scale) {
        return Unit::Money;
    }
    let before = text.get(..range.start).unwrap_or_default();
    let before = before.strip_suffix(' ').unwrap_or(before);
    let last_word = before
        .rsplit(|c: char| !c.is_alphabetic())
        .next()
        .unwrap_or_default();
    // Before a number only codes count: in `one euro 5 times` the euro is another's.
    let code = last_word.len() == 3 && last_word.chars().all(|c| c.is_ascii_uppercase());
    if before.ends_with(SIGNS) || (code && is_money(&lower(last_word))) {
        return Unit::Money;
    }
    if before.ends_with(['%', '\u{66a}']) && char_before(text, range.start) != Some(' ') {
        return Unit::Percent;
    }
    Unit::None
}

/// Zeros that the word behind a number stands for.
pub(crate) fn scale(text: &str, end: usize) -> Option<usize> {
    let after = text.get(end..).unwrap_or_default();
    zeros(&first_word(
        after.strip_prefix([' ', '\n', '-']).unwrap_or(after),
    ))
}

fn zeros(word: &str) -> Option<usize> {
    SCALES
        .iter()
        .find(|(name, _)| *name == word)
        .map(|(_, zeros)| *zeros)
}

fn is_money(word: &str) -> bool {
    MONEY.contains(&word) || MONEY_RTL.contains(&word)
}

fn first_word(text: &str) -> Cow<'_, str> {
    lower(text.get(..leading_letters(text)).unwrap_or_default())
}

/// In lower case; copied only where something changes.
pub(super) fn lower(text: &str) -> Cow<'_, str> {
    if text
        .chars()
        .all(|c| c.is_ascii() && !c.is_ascii_uppercase())
    {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.to_lowercase())
    }
}

fn leading_letters(text: &str) -> usize {
    text.char_indices()
        .take(24)
        .find(|(_, c)| !c.is_alphabetic())
        .map_or(floor(text, 96), |(at, _)| at)
}

/// The last character boundary at or before a byte.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Unit, around, scale};

    #[rstest]
    #[case("5 %", Unit::Percent)]
    #[case("5%", Unit::Percent)]
    #[case("5 per cent", Unit::Percent)]
    #[case("5 Prozent", Unit::Percent)]
    #[case("5٪", Unit::Percent)]
    #[case("5 EUR", Unit::Money)]
    #[case("€5", Unit::Money)]
    #[case("CHF 5.", Unit::Money)]
    #[case("5 Mio. Euro", Unit::Money)]
    #[case("5 million dollars", Unit::Money)]
    #[case("5 يورو", Unit::Money)]
    #[case("5 days", Unit::None)]
    #[case("try 5 times", Unit::None)]
    fn units_are_read_on_both_sides(#[case] text: &str, #[case] unit: Unit) {
        let at = text.find('5').unwrap();
        assert_eq!(around(text, &(at..at + 1)), unit);
    }

    #[rstest]
    #[case("5k", Some(3))]
    #[case("5 Mrd. EUR", Some(9))]
    #[case("5 months", None)]
    fn scales_are_whole_words(#[case] text: &str, #[case] zeros: Option<usize>) {
        assert_eq!(scale(text, 1), zeros);
    }
}
