//! International bank account numbers: lengths of the ISO 13616 registry, mod-97 checksum.

use std::ops::Range;

use super::super::{char_after, char_before};

/// Bytes of the longest IBAN with a separator after every character.
const LONGEST: usize = 34 + 33;

/// Countries and their lengths, sorted.
#[rustfmt::skip]
const LENGTHS: [(&str, usize); 82] = [
    ("AD", 24), ("AE", 23), ("AL", 28), ("AT", 20), ("AZ", 28), ("BA", 20), ("BE", 16), ("BG", 22),
    ("BH", 22), ("BI", 27), ("BR", 29), ("BY", 28), ("CH", 21), ("CR", 22), ("CY", 28), ("CZ", 24),
    ("DE", 22), ("DJ", 27), ("DK", 18), ("DO", 28), ("EE", 20), ("EG", 29), ("ES", 24), ("FI", 18),
    ("FK", 18), ("FO", 18), ("FR", 27), ("GB", 22), ("GE", 22), ("GI", 23), ("GL", 18), ("GR", 27),
    ("GT", 28), ("HR", 21), ("HU", 28), ("IE", 22), ("IL", 23), ("IQ", 23), ("IS", 26), ("IT", 27),
    ("JO", 30), ("KW", 30), ("KZ", 20), ("LB", 28), ("LC", 32), ("LI", 21), ("LT", 20), ("LU", 20),
    ("LV", 21), ("LY", 25), ("MC", 27), ("MD", 24), ("ME", 22), ("MK", 19), ("MN", 20), ("MR", 27),
    ("MT", 31), ("MU", 30), ("NI", 28), ("NL", 18), ("NO", 15), ("OM", 23), ("PK", 24), ("PL", 28),
    ("PS", 29), ("PT", 25), ("QA", 29), ("RO", 24), ("RS", 22), ("RU", 33), ("SA", 24), ("SC", 31),
    ("SD", 18), ("SE", 24), ("SI", 19), ("SK", 24), ("SM", 27), ("SV", 28), ("TL", 23), ("TN", 24),
    ("TR", 26), ("UA", 29),
];

/// A stretch read from a possible start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Found {
        end: usize,
    },
    /// The text ends where the number or the character behind it should stand.
    Unfinished,
    Other,
}

/// `digits` are all runs of digits in the text.
pub(super) fn find(text: &str, digits: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    // Two letters in front of digits begin one.
    for at in digits
        .iter()
        .filter_map(|digits| digits.start.checked_sub(2))
    {
        if found.last().is_some_and(|last| at < last.end) {
            continue;
        }
        if let Reading::Found { end } = read(text, at, false) {
            found.push(at..end);
        }
    }
    found
}

/// First byte at which a number could begin that more text would complete.
pub(super) fn frontier(text: &str) -> usize {
    let from = text.len().saturating_sub(LONGEST + 1);
    let live = |at: &usize| read(text, *at, true) == Reading::Unfinished;
    (from..text.len()).find(live).unwrap_or(text.len())
}

/// Reads as many letters and digits as the country's numbers have, single separators left out.
fn read(text: &str, at: usize, goes_on: bool) -> Reading {
    let bytes = text.as_bytes();
    let is_head = |place: usize, byte: &u8| match place {
        0 | 1 => byte.is_ascii_alphabetic(),
        _ => byte.is_ascii_digit(),
    };
    let head = bytes.get(at..).unwrap_or_default();
    if !head
        .iter()
        .take(4)
        .enumerate()
        .all(|(place, byte)| is_head(place, byte))
        || char_before(text, at).is_some_and(char::is_alphanumeric)
    {
        return Reading::Other;
    }
    if head.len() < 4 {
        return if goes_on {
            Reading::Unfinished
        } else {
            Reading::Other
        };
    }
    let country = text
        .get(at..at + 2)
        .unwrap_or_default()
        .to_ascii_uppercase();
    let known = LENGTHS
        .binary_search_by(|(known, _)| known.cmp(&country.as_str()))
        .ok();
    let Some((_, length)) = known.and_then(|index| LENGTHS.get(index)) else {
        return Reading::Other;
    };
    let mut number = String::with_capacity(*length);
    let mut separated = false;
    for (offset, c) in text.get(at..).unwrap_or_default().char_indices() {
        if c.is_ascii_alphanumeric() {
            separated = false;
            number.push(c.to_ascii_uppercase());
        } else if matches!(c, ' ' | '-') && !separated {
            separated = true;
        } else {
            return Reading::Other;
        }
        if number.len() == *length {
            let end = at + offset + 1;
            return match char_after(text, end) {
                None if goes_on => Reading::Unfinished,
                next if next.is_some_and(char::is_alphanumeric) => Reading::Other,
                _ if checks(&number) => Reading::Found { end },
                _ => Reading::Other,
            };
        }
    }
    if goes_on {
        Reading::Unfinished
    } else {
        Reading::Other
    }
}

/// ISO 7064 mod 97-10: the first four characters last, letters as 10 to 35, remainder one.
fn checks(number: &str) -> bool {
    let (head, body) = number.split_at_checked(4).unwrap_or_default();
    let remainder = body
        .chars()
        .chain(head.chars())
        .filter_map(|c| c.to_digit(36))
        .fold(0, |remainder, value| {
            let shift = if value > 9 { 100 } else { 10 };
            (remainder * shift + value) % 97
        });
    remainder == 1
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{LENGTHS, find, frontier};
    use crate::bytes::digit_runs;

    #[test]
    fn countries_are_sorted_for_the_search() {
        assert!(LENGTHS.is_sorted());
    }

    #[rstest]
    #[case("DE89 3704 0044 0532 0130 00", &["DE89 3704 0044 0532 0130 00"])]
    #[case("to de89370400440532013000 and", &["de89370400440532013000"])]
    #[case("NO93 8601 1117 947 is", &["NO93 8601 1117 947"])]
    #[case("FR14-2004-1010-0505-0001-3M02-606", &["FR14-2004-1010-0505-0001-3M02-606"])]
    #[case("DE88 3704 0044 0532 0130 00", &[])]
    #[case("XX89 3704 0044 0532 0130 00", &[])]
    #[case("DE89 3704  0044 0532 0130 00", &[])]
    #[case("ADE89370400440532013000", &[])]
    #[case("DE89370400440532013000A", &[])]
    #[case("DE89 3704", &[])]
    fn only_checksummed_numbers_of_the_right_length_count(
        #[case] text: &str,
        #[case] expected: &[&str],
    ) {
        let found: Vec<_> = find(text, &digit_runs(text))
            .into_iter()
            .map(|range| &text[range])
            .collect();
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case("plain words", 11)]
    #[case("to DE", 3)]
    #[case("to DE8", 3)]
    #[case("to DE89 3704 00", 3)]
    #[case("to XX89 3704 00", 15)]
    #[case("to DE89 3704 0044 0532 0130 00", 3)]
    #[case("to DE89 3704 0044 0532 0130 00.", 31)]
    #[case("to DE89 3704, and", 17)]
    fn text_is_safe_up_to_where_a_number_could_begin(#[case] text: &str, #[case] safe: usize) {
        assert_eq!(frontier(text), safe);
    }
}
