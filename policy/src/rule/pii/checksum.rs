//! Checksums of numbers, over their digits as values.

/// Luhn's (ISO/IEC 7812-1 annex B), the last digit being the check digit.
pub(super) fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, doubled) if doubled > 9 => doubled - 9,
            (_, doubled) => doubled,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Sum of digits times weights, as far as there are both.
pub(super) fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    let products = digits
        .iter()
        .zip(weights)
        .map(|(digit, weight)| digit * weight);
    products.sum()
}

/// The number that digits write.
pub(super) fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0_u64, |sum, digit| {
        sum.wrapping_mul(10).wrapping_add(u64::from(*digit))
    })
}

/// ISO/IEC 7064, MOD 11,10: the last digit is the check digit.
pub(super) fn mod_11_10(digits: &[u32]) -> bool {
    let Some((check, body)) = digits.split_last() else {
        return false;
    };
    let product = body.iter().fold(10, |product, digit| {
        let sum = match (digit + product) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    });
    (11 - product) % 10 == *check
}

/// Verhoeff's: the dihedral group of order ten.
pub(super) fn verhoeff(digits: &[u32]) -> bool {
    let check = digits
        .iter()
        .rev()
        .zip(0_u32..)
        .fold(0, |check, (digit, place)| {
            product(check, permuted(*digit, place % 8))
        });
    check == 0
}

/// Of rotations `0..5` and reflections `5..10` of a pentagon.
fn product(one: u32, other: u32) -> u32 {
    match (one < 5, other < 5) {
        (true, true) => (one + other) % 5,
        (true, false) => (one + other - 5) % 5 + 5,
        (false, true) => (one - 5 + 5 - other) % 5 + 5,
        (false, false) => (one + 5 - other) % 5,
    }
}

fn permuted(digit: u32, times: u32) -> u32 {
    const ONCE: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    (0..times).fold(digit, |digit, _| {
        usize::try_from(digit)
            .ok()
            .and_then(|at| ONCE.get(at))
            .copied()
            .unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::{luhn, mod_11_10, verhoeff};

    fn digits(text: &str) -> Vec<u32> {
        text.chars().filter_map(|c| c.to_digit(10)).collect()
    }

    /// Every change of one digit is seen, as each of these promises.
    fn sees_one_change(good: &str, holds: fn(&[u32]) -> bool) {
        let good = digits(good);
        assert!(holds(&good));
        for place in 0..good.len() {
            for other in (0..10).filter(|other| *other != good[place]) {
                let mut bad = good.clone();
                bad[place] = other;
                assert!(!holds(&bad), "{bad:?}");
            }
        }
    }

    #[test]
    fn one_wrong_digit_is_seen() {
        sees_one_change("79927398713", luhn);
        sees_one_change("86095742719", mod_11_10);
        sees_one_change("2363", verhoeff);
    }
}
