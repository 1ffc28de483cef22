//! Numbers by which states know people: a valid one of each is found, and the same with another check
//! digit is not.
#![allow(clippy::unwrap_used)]

mod common;

use common::judge;
use rstest::rstest;
use serde_json::json;

/// What of a text is found.
fn found(text: &str) -> Vec<String> {
    let rules = json!([{"name": "r", "pii": {"detect": ["NationalId"]}, "action": "Block"}]);
    let verdict = judge(&rules, text, &json!({})).verdict;
    let spans = verdict.findings.iter().flat_map(|finding| &finding.spans);
    spans
        .map(|span| text[span.start as usize..span.end as usize].to_owned())
        .collect()
}

fn only_one_is_found(word: &str, valid: &str, wrong: &str) {
    assert_eq!(found(&format!("{word} {valid}.")), [valid]);
    assert_eq!(found(&format!("{word} {wrong}.")), Vec::<String>::new());
}

#[rstest]
#[case::germany("Steuer-ID:", "86095742719", "86095742718")]
#[case::germany_grouped("", "86 095 742 719", "86 095 742 710")]
#[case::austria("SVNR", "1237 010180", "1239 010180")]
#[case::switzerland("", "756.9217.0769.85", "756.9217.0769.86")]
#[case::france("", "1 84 12 76 451 089 46", "1 84 12 76 451 089 47")]
#[case::belgium("", "85.07.30-033.28", "85.07.30-033.29")]
#[case::netherlands("BSN", "111222333", "111222334")]
#[case::spain("", "12345678Z", "12345678A")]
#[case::spain_of_foreigners("", "X1234567L", "X1234567M")]
#[case::portugal("NIF", "123456789", "123456780")]
#[case::italy("", "RSSMRA85T10A562S", "RSSMRA85T10A562T")]
#[case::poland("PESEL", "44051401359", "44051401358")]
#[case::sweden("", "811228-9874", "811228-9875")]
#[case::sweden_of_a_century("", "19811228-9874", "19811228-9875")]
#[case::norway("", "01010750160", "01010750161")]
#[case::finland("", "131052-308T", "131052-308U")]
#[case::health_service("NHS", "943 476 5919", "943 476 5918")]
#[case::turkey("T.C. Kimlik", "10000000146", "10000000147")]
#[case::brazil("", "529.982.247-25", "529.982.247-26")]
#[case::emirates("", "784-1980-1234567-8", "784-1980-1234567-9")]
#[case::arabia("رقم الهوية", "1000000008", "1000000009")]
#[case::india("Aadhaar", "2345 6789 0124", "2345 6789 0125")]
fn another_check_digit_makes_it_no_number(
    #[case] word: &str,
    #[case] valid: &str,
    #[case] wrong: &str,
) {
    only_one_is_found(word, valid, wrong);
}

/// Without a check digit, what is never given out stands for it.
#[rstest]
#[case::denmark("CPR", "010180-1234", "320180-1234")]
#[case::kingdom("", "AB 12 34 56 C", "DB 12 34 56 C")]
#[case::kingdom_in_a_row("NI number", "AB123456C", "AB123456E")]
#[case::states("", "078-05-1120", "666-05-1120")]
fn what_is_never_given_out_is_no_number(
    #[case] word: &str,
    #[case] valid: &str,
    #[case] wrong: &str,
) {
    only_one_is_found(word, valid, wrong);
}

#[rstest]
#[case::germany("86095742719")]
#[case::austria("1237 010180")]
#[case::netherlands("111222333")]
#[case::poland("44051401359")]
#[case::health_service("943 476 5919")]
#[case::turkey("10000000146")]
#[case::arabia("1000000008")]
#[case::india("2345 6789 0124")]
#[case::denmark("010180-1234")]
#[case::kingdom("AB123456C")]
fn a_number_that_its_digits_make_only_likely_needs_a_word_in_front(#[case] valid: &str) {
    assert_eq!(found(&format!("Order {valid}.")), Vec::<String>::new());
}
