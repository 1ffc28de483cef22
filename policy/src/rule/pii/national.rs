//! Numbers by which states and their insurances know people. What a checksum and a shape prove counts
//! anywhere; what they make only likely counts behind words that announce it.

use std::ops::Range;

use super::{
    super::{char_after, char_before},
    announced::announced,
    checksum::{luhn, mod_11_10, number, verhoeff, weighted},
    groups::{Group, Runs, digits, longest},
};

/// Bytes of the longest number with its separators, and of the character behind it.
pub(super) const REACH: usize = 72;

/// Words that announce such a number, in lower case.
#[rustfmt::skip]
const WORDS: [&str; 56] = [
    "national id", "national insurance", "ni number", "nino", "nhs", "social security", "ssn", "id number",
    "id no", "identification number", "identity number", "personal number", "tax id", "tin:", "tax number",
    "steuer-id", "steuerid", "idnr", "identifikationsnummer", "identnummer", "sozialversicherung", "svnr",
    "sv-nummer", "versicherungsnummer", "ahv",
    "sécurité sociale", "numéro de sécu", "nir", "registre national", "rijksregister", "bsn",
    "burgerservice", "sofinummer",
    "nif", "contribuinte", "dni", "nie", "identidad", "cpf", "cartão de cidadão", "codice fiscale",
    "pesel", "personnummer", "fødselsnummer", "cpr", "henkilötunnus",
    "kimlik", "tckn", "t.c.", "aadhaar", "आधार", "الهوية", "هوية", "emirates id", "иин", "снилс",
];

/// How far the shape and the checksum of a number prove what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    None,
    /// One of some ten numbers would pass.
    Likely,
    /// Few others would.
    Sure,
}

pub(super) fn find(text: &str, runs: &Runs) -> Vec<Range<usize>> {
    let counts = |proof: Proof, start: usize| match proof {
        Proof::Sure => true,
        Proof::Likely => announced(text, start, &WORDS),
        Proof::None => false,
    };
    let mut found = Vec::new();
    for run in runs.iter() {
        found.extend(longest(run, &(9..=15), |groups| {
            let (first, last) = (groups.first()?, groups.last()?);
            let range = first.range.start..last.range.end;
            let joined = !matches!(char_before(text, range.start), Some('+' | '.' | ','));
            let proof = digits_only(text, groups);
            (joined && counts(proof, range.start)).then_some(range)
        }));
    }
    let lettered = lettered(text).into_iter();
    found.extend(lettered.filter_map(|(range, proof)| counts(proof, range.start).then_some(range)));
    found
}

/// Numbers of digits and separators.
fn digits_only(text: &str, groups: &[Group]) -> Proof {
    let written = digits(text, groups);
    let d: Vec<u32> = written.chars().filter_map(|c| c.to_digit(10)).collect();
    let sizes: Vec<usize> = groups.iter().map(|group| group.range.len()).collect();
    let shape = Shape {
        sizes: &sizes,
        gaps: groups
            .iter()
            .skip(1)
            .filter_map(|group| text.get(group.gap.clone()))
            .collect(),
    };
    match d.len() {
        9 => united_states(&d, &shape).max(nine(&d)),
        10 => sweden(&d, &shape).max(ten(&d, &shape)),
        11 => eleven(&d, &shape),
        12 => sweden(d.get(2..).unwrap_or_default(), &shape).max(aadhaar(&d)),
        13 => switzerland(&d),
        15 => france(&d).max(emirates(&d)),
        _ => Proof::None,
    }
}

/// How the digits are grouped.
struct Shape<'t> {
    sizes: &'t [usize],
    gaps: Vec<&'t str>,
}

impl Shape<'_> {
    fn is(&self, sizes: &[usize], gaps: &[&str]) -> bool {
        self.sizes == sizes && self.gaps == gaps
    }
}

fn when(holds: bool, proof: Proof) -> Proof {
    if holds { proof } else { Proof::None }
}

/// Social security number: no checksum, a shape of its own.
fn united_states(d: &[u32], shape: &Shape<'_>) -> Proof {
    let part = |range: Range<usize>| d.get(range).map(number).unwrap_or_default();
    let (area, group, serial) = (part(0..3), part(3..5), part(5..9));
    let given = !matches!(area, 0 | 666 | 900..) && group != 0 && serial != 0;
    when(given && shape.is(&[3, 2, 4], &["-", "-"]), Proof::Sure)
}

/// Citizen service number of the Netherlands and tax number of Portugal.
fn nine(d: &[u32]) -> Proof {
    let (body, check) = (d.get(..8).unwrap_or_default(), last(d));
    let sum = weighted(body, &[9, 8, 7, 6, 5, 4, 3, 2]);
    let netherlands = (sum + 10 * check).is_multiple_of(11);
    let rest = sum % 11;
    let portugal = if rest < 2 {
        check == 0
    } else {
        check == 11 - rest
    };
    when(netherlands || portugal, Proof::Likely)
}

/// Ten digits, the first six of them a date in Sweden: `yymmdd-nnnn`, Luhn.
fn sweden(d: &[u32], shape: &Shape<'_>) -> Proof {
    let dated = is_day(d.get(2..4), d.get(4..6));
    let proof = if shape.is(&[6, 4], &["-"]) || shape.is(&[8, 4], &["-"]) {
        Proof::Sure
    } else {
        Proof::Likely
    };
    when(d.len() == 10 && dated && luhn(d), proof)
}

/// Denmark (a date and four digits), Austria, the health service of England, Saudi Arabia.
fn ten(d: &[u32], shape: &Shape<'_>) -> Proof {
    let denmark = is_day(d.get(2..4), d.get(..2)) && shape.is(&[6, 4], &["-"]);
    let austria = {
        let (serial, rest) = d.split_at_checked(3).unwrap_or_default();
        let (check, date) = rest.split_at_checked(1).unwrap_or_default();
        let sum = weighted(serial, &[3, 7, 9]) + weighted(date, &[5, 8, 4, 2, 1, 6]);
        Some(&(sum % 11)) == check.first()
    };
    let england = {
        let rest = weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        (11 - rest) % 11 == last(d)
    };
    let arabia = matches!(d.first(), Some(1 | 2)) && luhn(d);
    when(denmark || austria || england || arabia, Proof::Likely)
}

/// Germany, Belgium, Poland, Norway, Turkey, Brazil.
fn eleven(d: &[u32], shape: &Shape<'_>) -> Proof {
    let body = |len: usize| d.get(..len).unwrap_or_default();
    let at = |place: usize| d.get(place).copied().unwrap_or_default();
    let belgium = {
        let (serial, key) = (number(body(9)), number(d.get(9..).unwrap_or_default()));
        let fits = |serial: u64| 97 - serial % 97 == key;
        is_day(d.get(2..4), d.get(4..6)) && (fits(serial) || fits(serial + 2_000_000_000))
    };
    let norway = is_day(d.get(2..4), d.get(..2)) && {
        let first = weighted(body(9), &[3, 7, 6, 1, 8, 9, 4, 5, 2]);
        let second = weighted(body(10), &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]);
        (11 - first % 11) % 11 == at(9) && (11 - second % 11) % 11 == at(10)
    };
    let brazil = {
        let check = |len: usize, from: u32| {
            let weights: Vec<u32> = (2..=from).rev().collect();
            match weighted(body(len), &weights) % 11 {
                0 | 1 => 0,
                rest => 11 - rest,
            }
        };
        let all_equal = d.windows(2).all(|pair| pair.first() == pair.last());
        !all_equal && check(9, 10) == at(9) && check(10, 11) == at(10)
    };
    if belgium || norway || (brazil && shape.is(&[3, 3, 3, 2], &[".", ".", "-"])) {
        return Proof::Sure;
    }
    let germany = at(0) != 0 && repeats_one(body(10)) && mod_11_10(d);
    if germany && shape.is(&[2, 3, 3, 3], &[" ", " ", " "]) {
        return Proof::Sure;
    }
    let poland = {
        let month = at(2) % 2 * 10 + at(3);
        let sum = weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
        (1..=12).contains(&month)
            && (1..=31).contains(&(at(4) * 10 + at(5)))
            && sum.is_multiple_of(10)
    };
    let turkey = {
        let odd = at(0) + at(2) + at(4) + at(6) + at(8);
        let even = at(1) + at(3) + at(5) + at(7);
        at(0) != 0
            && (odd * 7 + 100 - even) % 10 == at(9)
            && body(10).iter().sum::<u32>() % 10 == at(10)
    };
    when(germany || poland || turkey || brazil, Proof::Likely)
}

/// India.
fn aadhaar(d: &[u32]) -> Proof {
    let given = d.first().is_some_and(|first| *first > 1);
    when(given && verhoeff(d), Proof::Likely)
}

/// Old-age insurance: `756` and the check digit of article numbers.
fn switzerland(d: &[u32]) -> Proof {
    let sum = weighted(d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]);
    when(
        d.starts_with(&[7, 5, 6]) && sum.is_multiple_of(10),
        Proof::Sure,
    )
}

/// Social insurance: sex, year, month, place, and a key modulo 97.
fn france(d: &[u32]) -> Proof {
    let (body, key) = d.split_at_checked(13).unwrap_or_default();
    let month = body.get(3..5).map(number).unwrap_or_default();
    let dated = matches!(month, 1..=12 | 20..=42 | 50..=99);
    let sexed = matches!(body.first(), Some(1..=4 | 7 | 8));
    when(
        sexed && dated && 97 - number(body) % 97 == number(key),
        Proof::Sure,
    )
}

/// The Emirates: `784`, a year of birth, Luhn.
fn emirates(d: &[u32]) -> Proof {
    let year = d.get(3..7).map(number).unwrap_or_default();
    let dated = (1900..=2099).contains(&year);
    when(d.starts_with(&[7, 8, 4]) && dated && luhn(d), Proof::Sure)
}

/// Of a German number's first ten digits exactly one stands twice or three times.
fn repeats_one(d: &[u32]) -> bool {
    let counts: Vec<usize> = (0..10)
        .map(|digit| d.iter().filter(|other| **other == digit).count())
        .collect();
    let repeated: Vec<_> = counts.iter().filter(|count| **count > 1).collect();
    matches!(repeated.as_slice(), [2 | 3])
}

fn is_day(month: Option<&[u32]>, day: Option<&[u32]>) -> bool {
    let value = |part: Option<&[u32]>| part.map(number).unwrap_or_default();
    (1..=12).contains(&value(month)) && (1..=31).contains(&value(day))
}

fn last(d: &[u32]) -> u32 {
    d.last().copied().unwrap_or_default()
}

/// Numbers with letters: Spain, Italy, Finland, the United Kingdom.
fn lettered(text: &str) -> Vec<(Range<usize>, Proof)> {
    let mut found = Vec::new();
    for range in words(text) {
        let word = text
            .get(range.clone())
            .unwrap_or_default()
            .to_ascii_uppercase();
        let proof = match word.len() {
            4 => {
                let from = range.start.saturating_sub(7);
                let whole = text.get(from..range.end).unwrap_or_default();
                let inside = char_before(text, from).is_some_and(|c| c.is_ascii_alphanumeric());
                if !inside && finland(&whole.to_ascii_uppercase()) {
                    found.push((from..range.end, Proof::Sure));
                }
                Proof::None
            }
            9 => when(spain(&word), Proof::Sure).max(when(kingdom(&word), Proof::Likely)),
            16 => when(italy(&word), Proof::Sure),
            2 => {
                // `AB 12 34 56 C`.
                let end = text.floor_char_boundary((range.start + 13).min(text.len()));
                let whole = text.get(range.start..end).unwrap_or_default();
                let ends = !char_after(text, end).is_some_and(|c| c.is_ascii_alphanumeric());
                let squeezed = whole.replace(' ', "").to_ascii_uppercase();
                let spaced = whole.bytes().filter(|byte| *byte == b' ').count() == 4;
                if ends && spaced && kingdom(&squeezed) {
                    found.push((range.start..end, Proof::Sure));
                }
                Proof::None
            }
            _ => Proof::None,
        };
        if proof != Proof::None {
            found.push((range, proof));
        }
    }
    found
}

/// Runs of ASCII letters and digits that are no part of a longer word.
fn words(text: &str) -> Vec<Range<usize>> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices().chain([(text.len(), ' ')]) {
        if c.is_alphanumeric() || c == '_' {
            start.get_or_insert(at);
        } else if let Some(start) = start.take() {
            words.push(start..at);
        }
    }
    words.retain(|word| text.get(word.clone()).is_some_and(str::is_ascii));
    words
}

/// Eight digits, or `X`, `Y`, `Z` and seven, and a letter modulo 23.
fn spain(word: &str) -> bool {
    const LETTERS: &[u8] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let digits = match word.as_bytes().first() {
        Some(b'X') => format!("0{}", word.get(1..8).unwrap_or_default()),
        Some(b'Y') => format!("1{}", word.get(1..8).unwrap_or_default()),
        Some(b'Z') => format!("2{}", word.get(1..8).unwrap_or_default()),
        _ => word.get(..8).unwrap_or_default().to_owned(),
    };
    let Ok(number) = digits.parse::<usize>() else {
        return false;
    };
    digits.bytes().all(|byte| byte.is_ascii_digit())
        && LETTERS.get(number % 23) == word.as_bytes().get(8)
}

/// Two letters that are given out, six digits, and a letter from A to D.
fn kingdom(word: &str) -> bool {
    let bytes = word.as_bytes();
    let (letters, rest) = bytes.split_at_checked(2).unwrap_or_default();
    let (digits, suffix) = rest.split_at_checked(6).unwrap_or_default();
    let given = letters
        .iter()
        .all(|byte| byte.is_ascii_uppercase() && !b"DFIQUV".contains(byte));
    let kept = [b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"];
    given
        && bytes.get(1) != Some(&b'O')
        && !kept.iter().any(|kept| letters == kept.as_slice())
        && digits.iter().all(u8::is_ascii_digit)
        && matches!(suffix, [b'A'..=b'D'])
}

/// `ddmmyy-nnnc`, the letter or digit at the end modulo 31.
fn finland(word: &str) -> bool {
    const CHECKS: &[u8] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let (Some(date), Some(mark), Some(serial), Some(check)) = (
        word.get(..6),
        word.get(6..7),
        word.get(7..10),
        word.as_bytes().get(10),
    ) else {
        return false;
    };
    let number = format!("{date}{serial}").parse::<usize>();
    let (day, month) = (date.get(..2), date.get(2..4));
    let within = |part: Option<&str>, most: u32| {
        part.and_then(|part| part.parse::<u32>().ok())
            .is_some_and(|value| (1..=most).contains(&value))
    };
    word.len() == 11
        && matches!(mark, "-" | "+")
        && within(day, 31)
        && within(month, 12)
        && number.is_ok_and(|number| CHECKS.get(number % 31) == Some(check))
}

/// Six letters, a date, a place and a letter: odd places weigh by a table, even ones by value.
fn italy(word: &str) -> bool {
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let shape = |place: usize, byte: u8| match place {
        0..=5 | 8 | 11 | 15 => byte.is_ascii_uppercase(),
        // Letters replace digits where two people would share a code.
        _ => byte.is_ascii_digit() || b"LMNPQRSTUV".contains(&byte),
    };
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        _ => u32::from(byte.saturating_sub(b'A')),
    };
    let odd = |byte: u8| {
        let at = usize::try_from(value(byte)).unwrap_or(usize::MAX);
        ODD.get(at).copied().unwrap_or_default()
    };
    let bytes = word.as_bytes();
    let fits = bytes
        .iter()
        .enumerate()
        .all(|(place, byte)| shape(place, *byte));
    let months = bytes
        .get(8)
        .is_some_and(|byte| b"ABCDEHLMPRST".contains(byte));
    let sum: u32 = bytes
        .iter()
        .take(15)
        .enumerate()
        .map(|(place, byte)| {
            if place % 2 == 0 {
                odd(*byte)
            } else {
                value(*byte)
            }
        })
        .sum();
    fits && months
        && bytes
            .get(15)
            .is_some_and(|check| u32::from(*check - b'A') == sum % 26)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{super::groups::runs, find};
    use crate::bytes::digit_runs;

    #[rstest]
    #[case::germany("Steuer-ID: 86095742719.", &["86095742719"])]
    #[case::germany_grouped("86 095 742 719", &["86 095 742 719"])]
    #[case::austria("SVNR 1237 010180", &["1237 010180"])]
    #[case::switzerland("756.9217.0769.85", &["756.9217.0769.85"])]
    #[case::france("1 84 12 76 451 089 46", &["1 84 12 76 451 089 46"])]
    #[case::belgium("85.07.30-033.28", &["85.07.30-033.28"])]
    #[case::netherlands("BSN 111222333", &["111222333"])]
    #[case::spain("DNI 12345678Z, NIE X1234567L", &["12345678Z", "X1234567L"])]
    #[case::portugal("NIF 123456789", &["123456789"])]
    #[case::italy("RSSMRA85T10A562S", &["RSSMRA85T10A562S"])]
    #[case::poland("PESEL 44051401359", &["44051401359"])]
    #[case::sweden("811228-9874", &["811228-9874"])]
    #[case::norway("01010750160", &["01010750160"])]
    #[case::denmark("CPR: 010180-1234", &["010180-1234"])]
    #[case::finland("131052-308T", &["131052-308T"])]
    #[case::kingdom("AB 12 34 56 C; NI number AB123456C", &["AB 12 34 56 C", "AB123456C"])]
    #[case::health("NHS 943 476 5919", &["943 476 5919"])]
    #[case::states("078-05-1120", &["078-05-1120"])]
    #[case::turkey("T.C. Kimlik 10000000146", &["10000000146"])]
    #[case::brazil("529.982.247-25", &["529.982.247-25"])]
    #[case::emirates("784-1980-1234567-8", &["784-1980-1234567-8"])]
    #[case::arabia("رقم الهوية 1000000008", &["1000000008"])]
    #[case::india("Aadhaar 2345 6789 0124", &["2345 6789 0124"])]
    fn numbers_of_each_country_are_found(#[case] text: &str, #[case] expected: &[&str]) {
        let mut found: Vec<_> = find(text, &runs(text, &digit_runs(text)))
            .into_iter()
            .map(|range| &text[range])
            .collect();
        found.sort_by_key(|found| text.find(found));
        assert_eq!(found, expected);
    }

    #[rstest]
    #[case::not_announced("Order 86095742719, item 111222333, ref 44051401359")]
    #[case::wrong_check("Steuer-ID 86095742718, PESEL 44051401358, DNI 12345678A")]
    #[case::wrong_check_of_lettered("RSSMRA85T10A562T 131052-308U")]
    #[case::phone("+49 170 1234567, 030 1234567, (212) 555-0123")]
    #[case::date_and_amount("05.11.2026 18:30, 100 000 000 EUR")]
    #[case::not_given("000-05-1120 666-05-1120 078-00-1120")]
    #[case::part_of_a_word("XAB123456C9 x078-05-1120")]
    #[case::product("Model AB123456C, article 4006381333931")]
    fn other_numbers_pass(#[case] text: &str) {
        let found: Vec<_> = find(text, &runs(text, &digit_runs(text)))
            .into_iter()
            .map(|range| &text[range])
            .collect();
        assert_eq!(found, Vec::<&str>::new());
    }
}
