//! Telephone numbers: international (E.164), national with a leading zero, and North American; others behind
//! words that announce them.

use std::ops::{Range, RangeInclusive};

use super::{
    super::char_before,
    call,
    groups::{Group, Runs, digits, first_digit, longest},
};

/// Digits of a telephone number, the prefixes with them.
const DIGITS: RangeInclusive<usize> = 7..=17;

/// Of those that must be announced.
const LOCAL: RangeInclusive<usize> = 7..=11;
const LOCAL_GROUPS: usize = 5;

pub(super) fn find(text: &str, runs: &Runs) -> Vec<Range<usize>> {
    runs.iter()
        .flat_map(|run| longest(run, &DIGITS, |groups| number(text, groups)))
        .collect()
}

fn number(text: &str, groups: &[Group]) -> Option<Range<usize>> {
    let (first, last) = (groups.first()?, groups.last()?);
    let before = char_before(text, first.range.start);
    if matches!(before, Some('.' | ',' | ':')) {
        let earlier = char_before(text, first.range.start - 1);
        if earlier.is_some_and(|c| c.is_ascii_digit()) {
            return None;
        }
    }
    let international = before == Some('+');
    let start = first.range.start - usize::from(international || before == Some('('));
    let sizes: Vec<usize> = groups.iter().map(|group| group.range.len()).collect();
    let written = international || first_digit(text, groups) == Some('0') || has_area_code(&sizes);
    if !written && !is_local(text, groups, &sizes) {
        return None;
    }
    let number = digits(text, groups);
    let is_number = if international {
        is_international(&number)
    } else {
        !is_date(text, groups, &sizes)
            && (is_national(text, groups, &number, &sizes)
                || (is_local(text, groups, &sizes) && call::announces(text, start)))
    };
    is_number.then_some(start..last.range.end)
}

/// Nothing but a few groups of digits, which are no grouped thousands and no years.
fn is_local(text: &str, groups: &[Group], sizes: &[usize]) -> bool {
    let gap = |group: &Group| text.get(group.gap.clone()).unwrap_or_default();
    let gaps = || groups.iter().skip(1).map(gap);
    let thousands = matches!(sizes, [1..=3, rest @ ..]
        if !rest.is_empty() && rest.iter().all(|size| *size == 3) && gaps().all(|gap| gap == " "));
    let years = sizes == [4, 4]
        && groups.iter().all(|group| {
            let year = text.get(group.range.clone()).unwrap_or_default();
            year.starts_with("19") || year.starts_with("20")
        });
    LOCAL.contains(&sizes.iter().sum())
        && sizes.len() <= LOCAL_GROUPS
        && gaps().all(|gap| matches!(gap, " " | "-" | "/" | ")" | ") "))
        && !thousands
        && !years
}

fn is_international(number: &str) -> bool {
    (8..=16).contains(&number.len()) && !number.starts_with('0')
}

fn is_national(text: &str, groups: &[Group], number: &str, sizes: &[usize]) -> bool {
    let zeros = number.bytes().take_while(|byte| *byte == b'0').count();
    let dotted = groups.iter().any(|group| {
        text.get(group.gap.clone())
            .is_some_and(|gap| gap.contains('.'))
    });
    // Dots group thousands too; in telephone numbers they stand between pairs.
    let pairs = sizes.iter().all(|size| *size == 2);
    match zeros {
        2 => (10..=17).contains(&number.len()) && !dotted,
        1 => {
            (9..=12).contains(&number.len())
                && (groups.len() > 1 || number.len() >= 10)
                && (!dotted || pairs)
        }
        0 => is_north_american(number, sizes),
        _ => false,
    }
}

/// Area code, exchange and line, perhaps after the country code 1.
fn has_area_code(sizes: &[usize]) -> bool {
    matches!(sizes, [3, 3, 4] | [1, 3, 3, 4])
}

/// Area code and exchange begin with 2 to 9.
fn is_north_american(number: &str, sizes: &[usize]) -> bool {
    let local = match sizes {
        [1, ..] => number.strip_prefix('1').unwrap_or_default(),
        _ => number,
    };
    has_area_code(sizes)
        && [0, 3].iter().all(|place| {
            local
                .as_bytes()
                .get(*place)
                .is_some_and(|digit| (b'2'..=b'9').contains(digit))
        })
}

/// Day, month and year, in either order, and what follows.
fn is_date(text: &str, groups: &[Group], sizes: &[usize]) -> bool {
    let gap = |index: usize| {
        groups
            .get(index)
            .and_then(|group| text.get(group.gap.clone()))
    };
    matches!(sizes, [1..=2, 1..=2, 4, ..] | [4, 1..=2, 1..=2, ..])
        && matches!(gap(1), Some("." | "/" | "-"))
        && gap(1) == gap(2)
}

/// Digits that tell subscribers apart: without `+`, `00`, `(0)` and leading zeros.
pub(super) fn significant(value: &str) -> String {
    let digits: String = value
        .replace("(0)", "")
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    digits.trim_start_matches('0').to_owned()
}

/// Equal, or one is the other without its country code.
pub(super) fn same(one: &str, other: &str) -> bool {
    one.len().min(other.len()) >= 7
        && (one.ends_with(other) || other.ends_with(one))
        && one.len().abs_diff(other.len()) <= 3
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{super::groups::runs, find, same, significant};
    use crate::bytes::digit_runs;

    #[rstest]
    #[case("+49 30 1234567", &["+49 30 1234567"])]
    #[case("+491701234567", &["+491701234567"])]
    #[case("Tel. 030/1234567.", &["030/1234567"])]
    #[case("(030) 123 45 67", &["(030) 123 45 67"])]
    #[case("01.23.45.67.89", &["01.23.45.67.89"])]
    #[case("0033 1 23 45 67 89", &["0033 1 23 45 67 89"])]
    #[case("(212) 555-0123? 212-555-0124", &["(212) 555-0123", "212-555-0124"])]
    #[case("1-212-555-0123", &["1-212-555-0123"])]
    #[case("0170 1234567 in 2026", &["0170 1234567"])]
    #[case("05.11.2026 18 30", &[])]
    #[case("2026-11-05 and 100 000 000", &[])]
    #[case("0.123.456.789", &[])]
    #[case("3.50 0123 45678", &["0123 45678"])]
    #[case("12345678", &[])]
    #[case("Call me at 25 761546, or on 468 6549.", &["25 761546"])]
    #[case("Mobile: (51) 9668-9224\nFax: 22 782310", &["(51) 9668-9224", "22 782310"])]
    #[case("Rufen Sie uns unter 25 761546 an.", &["25 761546"])]
    #[case("Phone number 468 6549", &["468 6549"])]
    #[case("Call before 12-10-2026, 2026-2027 or 25 761546", &[])]
    #[case("We call 100 000 000 people; quote 25 761546", &[])]
    #[case("Recall 25 761546 items", &[])]
    #[case("10:00 - 18:00", &[])]
    fn written_numbers_are_told_from_dates_and_amounts(
        #[case] text: &str,
        #[case] expected: &[&str],
    ) {
        let found: Vec<_> = find(text, &runs(text, &digit_runs(text)))
            .into_iter()
            .map(|range| &text[range])
            .collect();
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("+49 170 1234567", "0170-1234567", true)]
    #[case("0049 170 1234567", "+49 (0)170 1234567", true)]
    #[case("+49 170 1234567", "0170-1234568", false)]
    #[case("4567", "+49 170 1234567", false)]
    fn spellings_of_one_number_are_equal(
        #[case] one: &str,
        #[case] other: &str,
        #[case] equal: bool,
    ) {
        assert_eq!(same(&significant(one), &significant(other)), equal);
    }
}
