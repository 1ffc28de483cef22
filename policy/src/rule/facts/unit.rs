//! What a number counts: percent, money, days and their like, or nothing told; and words that scale it.

use std::{borrow::Cow, ops::Range};

use crate::rule::char_before;

/// Unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    None,
    Percent,
    Money,
    Time(Period),
}

/// Stretches of time that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Period {
    Day,
    Week,
    Month,
    Year,
}

const SIGNS: [char; 10] = ['€', '$', '£', '¥', '₹', '₽', '₺', '₪', '₩', '₫'];

/// Currencies by code and by name, lower case, sorted.
#[rustfmt::skip]
const MONEY: [&str; 58] = [
    "aed", "aud", "brl", "cad", "cent", "centavos", "centimes", "cents", "chf", "cny", "czk", "dkk",
    "dollar", "dollars", "dólares", "eur", "euro", "euros", "franc", "francs", "franken", "gbp",
    "huf", "ils", "inr", "jpy", "kronen", "kronor", "krw", "lira", "mxn", "nok", "pesos", "pfund",
    "pln", "pound", "pounds", "ron", "rub", "rupees", "sar", "sek", "sgd", "sr", "tl", "try", "uah",
    "usd", "yen", "zar", "zł", "złotych", "אירו", "جنيه", "درهم", "دولار", "ريال", "يورو",
];

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

/// Words for stretches of time, lower case, sorted. Hours and minutes are left out: they tell the time of day, too.
#[rustfmt::skip]
const PERIODS: [(&str, Period); 78] = [
    ("anni", Period::Year), ("anno", Period::Year), ("année", Period::Year), ("années", Period::Year),
    ("ano", Period::Year), ("anos", Period::Year), ("ans", Period::Year),
    ("año", Period::Year), ("años", Period::Year), ("dag", Period::Day), ("dagar", Period::Day),
    ("dage", Period::Day), ("dagen", Period::Day), ("day", Period::Day), ("days", Period::Day),
    ("dia", Period::Day), ("dias", Period::Day), ("dni", Period::Day), ("día", Period::Day),
    ("días", Period::Day), ("giorni", Period::Day), ("giorno", Period::Day), ("gün", Period::Day),
    ("hafta", Period::Week), ("jaar", Period::Year), ("jahr", Period::Year), ("jahre", Period::Year),
    ("jahren", Period::Year), ("jour", Period::Day), ("jours", Period::Day),
    ("maand", Period::Month), ("maanden", Period::Month), ("mes", Period::Month), ("mese", Period::Month),
    ("meses", Period::Month), ("mesi", Period::Month), ("mois", Period::Month), ("monat", Period::Month),
    ("monate", Period::Month), ("monaten", Period::Month), ("month", Period::Month), ("months", Period::Month),
    ("månad", Period::Month), ("månader", Period::Month), ("måned", Period::Month), ("måneder", Period::Month),
    ("mês", Period::Month), ("semaine", Period::Week), ("semaines", Period::Week), ("semana", Period::Week),
    ("semanas", Period::Week), ("settimana", Period::Week), ("settimane", Period::Week), ("tag", Period::Day),
    ("tage", Period::Day), ("tagen", Period::Day), ("uge", Period::Week), ("uger", Period::Week),
    ("vecka", Period::Week), ("veckor", Period::Week), ("week", Period::Week), ("weeks", Period::Week),
    ("weken", Period::Week), ("woche", Period::Week), ("wochen", Period::Week), ("year", Period::Year),
    ("years", Period::Year), ("yıl", Period::Year), ("år", Period::Year), ("أسابيع", Period::Week),
    ("أسبوع", Period::Week), ("أشهر", Period::Month), ("أيام", Period::Day), ("سنة", Period::Year),
    ("سنوات", Period::Year), ("شهر", Period::Month), ("يوم", Period::Day), ("दिन", Period::Day),
];

/// Words that scale a number, and how many zeros they stand for; sorted.
const SCALES: [(&str, usize); 25] = [
    ("billion", 9),
    ("billions", 9),
    ("bn", 9),
    ("k", 3),
    ("m", 6),
    ("mil", 3),
    ("mila", 3),
    ("milhões", 6),
    ("milioni", 6),
    ("mille", 3),
    ("milliarde", 9),
    ("milliarden", 9),
    ("milliards", 9),
    ("million", 6),
    ("millionen", 6),
    ("millions", 6),
    ("millones", 6),
    ("mio", 6),
    ("mn", 6),
    ("mrd", 9),
    ("tausend", 3),
    ("thousand", 3),
    ("tsd", 3),
    ("ألف", 3),
    ("مليون", 6),
];

/// Unit of the number at a range, from the words on both sides of it.
pub(crate) fn around(text: &str, range: &Range<usize>) -> Unit {
    let after = text.get(range.end..).unwrap_or_default();
    let after = after.strip_prefix([' ', '\n', '-']).unwrap_or(after);
    if after.starts_with(['%', '\u{66a}', '‰']) || names_percent(after) {
        return Unit::Percent;
    }
    let word = first_word(after);
    if after.starts_with(SIGNS) || is_money(&word) {
        return Unit::Money;
    }
    if zeros(&word).is_some() {
        let behind_scale = after.get(leading_letters(after)..).unwrap_or_default();
        let behind_scale = behind_scale.trim_start_matches(['.', ' ']);
        if behind_scale.starts_with(SIGNS) || is_money(&first_word(behind_scale)) {
            return Unit::Money;
        }
    }
    let before = text.get(..range.start).unwrap_or_default();
    let before = before.strip_suffix(' ').unwrap_or(before);
    // Before a number only codes count: in `one euro 5 times` the euro is another's.
    if before.ends_with(SIGNS) || ends_in_code(before) {
        return Unit::Money;
    }
    if before.ends_with(['%', '\u{66a}']) && char_before(text, range.start) != Some(' ') {
        return Unit::Percent;
    }
    period(&word).map_or(Unit::None, Unit::Time)
}

/// Stretch of time that the last word of a field's name counts, as `noticeDays` and `term_months` do.
pub(super) fn of_field(name: &str) -> Option<Period> {
    let mut letters = name.char_indices().rev();
    let start = letters.find(|(at, c)| {
        let before = name
            .get(..*at)
            .and_then(|before| before.chars().next_back());
        let goes_on =
            |before: char| before.is_alphabetic() && !(c.is_uppercase() && before.is_lowercase());
        !before.is_some_and(goes_on)
    });
    period(&lower(name.get(start?.0..)?))
}

/// Zeros that the word behind a number stands for.
pub(crate) fn scale(text: &str, end: usize) -> Option<usize> {
    let after = text.get(end..).unwrap_or_default();
    zeros(&first_word(
        after.strip_prefix([' ', '\n', '-']).unwrap_or(after),
    ))
}

/// A word for percent in front of everything else; asked of what begins as one.
fn names_percent(text: &str) -> bool {
    if !text.starts_with(['p', 'P', 'ب', 'प']) {
        return false;
    }
    let head = lower(text.get(..floor(text, 32)).unwrap_or_default());
    PERCENT.iter().any(|name| head.starts_with(name))
}

/// A currency's code in capitals that is no end of a longer word.
fn ends_in_code(text: &str) -> bool {
    let Some((before, code)) = text.split_at_checked(text.len().saturating_sub(3)) else {
        return false;
    };
    code.len() == 3
        && code.bytes().all(|byte| byte.is_ascii_uppercase())
        && !before.ends_with(char::is_alphabetic)
        && is_money(&lower(code))
}

fn zeros(word: &str) -> Option<usize> {
    let found = SCALES
        .binary_search_by(|(name, _)| (*name).cmp(word))
        .ok()?;
    SCALES.get(found).map(|(_, zeros)| *zeros)
}

fn period(word: &str) -> Option<Period> {
    let found = PERIODS
        .binary_search_by(|(name, _)| (*name).cmp(word))
        .ok()?;
    PERIODS.get(found).map(|(_, period)| *period)
}

fn is_money(word: &str) -> bool {
    MONEY.binary_search(&word).is_ok()
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

    use super::{MONEY, PERCENT, PERIODS, Period, SCALES, Unit, around, of_field, scale};

    #[test]
    fn words_are_sorted_for_the_search() {
        assert!(MONEY.is_sorted() && SCALES.is_sorted_by_key(|(name, _)| name));
        assert!(PERIODS.is_sorted_by_key(|(name, _)| name));
    }

    #[test]
    fn nothing_else_becomes_the_beginning_of_percent() {
        let begins: Vec<_> = PERCENT
            .iter()
            .filter_map(|name| name.chars().next())
            .collect();
        for c in '\0'..=char::MAX {
            let lower = c.to_lowercase().next();
            let may_begin = lower.is_some_and(|lower| begins.contains(&lower));
            assert_eq!(may_begin, ['p', 'P', 'ب', 'प'].contains(&c), "{c}");
        }
    }

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
    #[case("5 days", Unit::Time(Period::Day))]
    #[case("5-month term", Unit::Time(Period::Month))]
    #[case("$5 day ticket", Unit::Money)]
    #[case("5 Jahren", Unit::Time(Period::Year))]
    #[case("5 seats", Unit::None)]
    #[case("try 5 times", Unit::None)]
    fn units_are_read_on_both_sides(#[case] text: &str, #[case] unit: Unit) {
        let at = text.find('5').unwrap();
        assert_eq!(around(text, &(at..at + 1)), unit);
    }

    #[rstest]
    #[case("days", Some(Period::Day))]
    #[case("term_months", Some(Period::Month))]
    #[case("noticeDays", Some(Period::Day))]
    #[case("NOTICE_DAYS", Some(Period::Day))]
    #[case("LaufzeitMonate", Some(Period::Month))]
    #[case("holidays", None)]
    #[case("daysOff", None)]
    #[case("days2", None)]
    #[case("", None)]
    fn the_last_word_of_a_field_says_what_it_counts(
        #[case] name: &str,
        #[case] expected: Option<Period>,
    ) {
        assert_eq!(of_field(name), expected);
    }

    #[rstest]
    #[case("5k", Some(3))]
    #[case("5 Mrd. EUR", Some(9))]
    #[case("5 months", None)]
    fn scales_are_whole_words(#[case] text: &str, #[case] zeros: Option<usize>) {
        assert_eq!(scale(text, 1), zeros);
    }
}
