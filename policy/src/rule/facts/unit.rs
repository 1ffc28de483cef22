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

/// What a word says of the number before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    Money,
    Time(Period),
    /// It stands for so many zeros.
    Zeros(usize),
}

const SIGNS: [char; 10] = ['€', '$', '£', '¥', '₹', '₽', '₺', '₪', '₩', '₫'];

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

/// Words that tell what a number counts or how it is scaled, lower case, sorted: currencies by code and by name,
/// stretches of time, scales. Hours and minutes are left out: they tell the time of day, too.
#[rustfmt::skip]
const WORDS: [(&str, Meaning); 161] = {
    use Meaning::{Money, Time, Zeros};
    [
        ("aed", Money), ("anni", Time(Period::Year)), ("anno", Time(Period::Year)), ("année", Time(Period::Year)),
        ("années", Time(Period::Year)), ("ano", Time(Period::Year)), ("anos", Time(Period::Year)),
        ("ans", Time(Period::Year)), ("aud", Money), ("año", Time(Period::Year)), ("años", Time(Period::Year)),
        ("billion", Zeros(9)), ("billions", Zeros(9)), ("bn", Zeros(9)), ("brl", Money), ("cad", Money),
        ("cent", Money), ("centavos", Money), ("centimes", Money), ("cents", Money), ("chf", Money),
        ("cny", Money), ("czk", Money), ("dag", Time(Period::Day)), ("dagar", Time(Period::Day)),
        ("dage", Time(Period::Day)), ("dagen", Time(Period::Day)), ("day", Time(Period::Day)),
        ("days", Time(Period::Day)), ("dia", Time(Period::Day)), ("dias", Time(Period::Day)), ("dkk", Money),
        ("dni", Time(Period::Day)), ("dollar", Money), ("dollars", Money), ("día", Time(Period::Day)),
        ("días", Time(Period::Day)), ("dólares", Money), ("eur", Money), ("euro", Money), ("euros", Money),
        ("franc", Money), ("francs", Money), ("franken", Money), ("gbp", Money), ("giorni", Time(Period::Day)),
        ("giorno", Time(Period::Day)), ("gün", Time(Period::Day)), ("hafta", Time(Period::Week)), ("huf", Money),
        ("ils", Money), ("inr", Money), ("jaar", Time(Period::Year)), ("jahr", Time(Period::Year)),
        ("jahre", Time(Period::Year)), ("jahren", Time(Period::Year)), ("jour", Time(Period::Day)),
        ("jours", Time(Period::Day)), ("jpy", Money), ("k", Zeros(3)), ("kronen", Money), ("kronor", Money),
        ("krw", Money), ("lira", Money), ("m", Zeros(6)), ("maand", Time(Period::Month)),
        ("maanden", Time(Period::Month)), ("mes", Time(Period::Month)), ("mese", Time(Period::Month)),
        ("meses", Time(Period::Month)), ("mesi", Time(Period::Month)), ("mil", Zeros(3)), ("mila", Zeros(3)),
        ("milhões", Zeros(6)), ("milioni", Zeros(6)), ("mille", Zeros(3)), ("milliarde", Zeros(9)),
        ("milliarden", Zeros(9)), ("milliards", Zeros(9)), ("million", Zeros(6)), ("millionen", Zeros(6)),
        ("millions", Zeros(6)), ("millones", Zeros(6)), ("mio", Zeros(6)), ("mn", Zeros(6)),
        ("mois", Time(Period::Month)), ("monat", Time(Period::Month)), ("monate", Time(Period::Month)),
        ("monaten", Time(Period::Month)), ("month", Time(Period::Month)), ("months", Time(Period::Month)),
        ("mrd", Zeros(9)), ("mxn", Money), ("månad", Time(Period::Month)), ("månader", Time(Period::Month)),
        ("måned", Time(Period::Month)), ("måneder", Time(Period::Month)), ("mês", Time(Period::Month)),
        ("nok", Money), ("pesos", Money), ("pfund", Money), ("pln", Money), ("pound", Money), ("pounds", Money),
        ("ron", Money), ("rub", Money), ("rupees", Money), ("sar", Money), ("sek", Money),
        ("semaine", Time(Period::Week)), ("semaines", Time(Period::Week)), ("semana", Time(Period::Week)),
        ("semanas", Time(Period::Week)), ("settimana", Time(Period::Week)), ("settimane", Time(Period::Week)),
        ("sgd", Money), ("sr", Money), ("tag", Time(Period::Day)), ("tage", Time(Period::Day)),
        ("tagen", Time(Period::Day)), ("tausend", Zeros(3)), ("thousand", Zeros(3)), ("tl", Money),
        ("try", Money), ("tsd", Zeros(3)), ("uah", Money), ("uge", Time(Period::Week)),
        ("uger", Time(Period::Week)), ("usd", Money), ("vecka", Time(Period::Week)),
        ("veckor", Time(Period::Week)), ("week", Time(Period::Week)), ("weeks", Time(Period::Week)),
        ("weken", Time(Period::Week)), ("woche", Time(Period::Week)), ("wochen", Time(Period::Week)),
        ("year", Time(Period::Year)), ("years", Time(Period::Year)), ("yen", Money), ("yıl", Time(Period::Year)),
        ("zar", Money), ("zł", Money), ("złotych", Money), ("år", Time(Period::Year)), ("אירו", Money),
        ("أسابيع", Time(Period::Week)), ("أسبوع", Time(Period::Week)), ("أشهر", Time(Period::Month)),
        ("ألف", Zeros(3)), ("أيام", Time(Period::Day)), ("جنيه", Money), ("درهم", Money), ("دولار", Money),
        ("ريال", Money), ("سنة", Time(Period::Year)), ("سنوات", Time(Period::Year)), ("شهر", Time(Period::Month)),
        ("مليون", Zeros(6)), ("يورو", Money), ("يوم", Time(Period::Day)), ("दिन", Time(Period::Day)),
    ]
};

/// Where the words with a first byte begin in the table: most words behind a number are none of it.
const STARTS: [usize; 257] = {
    let mut starts = [WORDS.len(); 257];
    let (mut byte, mut at) = (0, 0);
    while byte < 256 {
        while at < WORDS.len() && (WORDS[at].0.as_bytes()[0] as usize) < byte {
            at += 1;
        }
        starts[byte] = at;
        byte += 1;
    }
    starts
};

/// Unit of the number at a range, from the words on both sides of it.
pub(crate) fn around(text: &str, range: &Range<usize>) -> Unit {
    let after = text.get(range.end..).unwrap_or_default();
    let after = after.strip_prefix([' ', '\n', '-']).unwrap_or(after);
    if after.starts_with(['%', '\u{66a}', '‰']) || names_percent(after) {
        return Unit::Percent;
    }
    let word = meaning(&first_word(after));
    if after.starts_with(SIGNS) || word == Some(Meaning::Money) {
        return Unit::Money;
    }
    if let Some(Meaning::Zeros(_)) = word {
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
    match word {
        Some(Meaning::Time(period)) => Unit::Time(period),
        _ => Unit::None,
    }
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
    match meaning(&lower(name.get(start?.0..)?))? {
        Meaning::Time(period) => Some(period),
        Meaning::Money | Meaning::Zeros(_) => None,
    }
}

/// Zeros that the word behind a number stands for.
pub(crate) fn scale(text: &str, end: usize) -> Option<usize> {
    let after = text.get(end..).unwrap_or_default();
    let after = after.strip_prefix([' ', '\n', '-']).unwrap_or(after);
    match meaning(&first_word(after))? {
        Meaning::Zeros(zeros) => Some(zeros),
        Meaning::Money | Meaning::Time(_) => None,
    }
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

fn meaning(word: &str) -> Option<Meaning> {
    let first = usize::from(*word.as_bytes().first()?);
    let words = WORDS.get(*STARTS.get(first)?..*STARTS.get(first + 1)?)?;
    let found = words.iter().find(|(name, _)| *name == word);
    found.map(|(_, meaning)| *meaning)
}

fn is_money(word: &str) -> bool {
    meaning(word) == Some(Meaning::Money)
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

    use super::{PERCENT, Period, Unit, WORDS, around, meaning, of_field, scale};

    #[test]
    fn every_word_of_the_table_is_found() {
        assert!(WORDS.is_sorted_by(|(one, _), (next, _)| one < next));
        for (word, means) in WORDS {
            assert_eq!(meaning(word), Some(means), "{word}");
        }
        assert_eq!((meaning(""), meaning("moneta")), (None, None));
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
