//! Whether a value looks drawn at random, in integers.

/// Fewest characters of a password worth the name.
const LEAST: usize = 8;
/// Characters of a long value that are looked at.
const MOST: usize = 512;

/// True for values that no word of a language looks like: at least eight characters of three classes
/// (small, capital, digit, other), or sixteen of two with digits among letters, few of them repeated.
pub(super) fn looks_random(value: &str) -> bool {
    let value = value
        .get(..value.floor_char_boundary(MOST))
        .unwrap_or(value);
    let chars = value.len();
    if chars < LEAST || !value.is_ascii() {
        return false;
    }
    let has = |class: fn(&u8) -> bool| value.as_bytes().iter().any(class);
    let digit = has(u8::is_ascii_digit);
    let classes = [
        has(u8::is_ascii_lowercase),
        has(u8::is_ascii_uppercase),
        digit,
        has(u8::is_ascii_punctuation),
    ];
    let classes = classes.iter().filter(|class| **class).count();
    let mixed = (classes >= 3 && digit) || (classes == 2 && digit && chars >= 16);
    mixed && spread(value)
}

/// Collisions among pairs of characters: a value drawn from 32 or more has few. The sum of squared
/// counts is at most a fifth of the squared length, or as small as for distinct characters.
fn spread(value: &str) -> bool {
    let mut counts = [0_usize; 128];
    for byte in value.bytes() {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let squares: usize = counts.iter().map(|count| count * count).sum();
    squares * 5 <= value.len() * value.len() || squares <= value.len() * 2
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::looks_random;

    #[rstest]
    #[case("hR7#kq9!", true)]
    #[case("c29tZTpsb25nMTIz", true)]
    #[case("9f86d081884c7d65", true)]
    #[case("required", false)]
    #[case("Required1", true)]
    #[case("AAAAaaaa1111", false)]
    #[case("2026-11-05", false)]
    #[case("short1!", false)]
    fn words_and_dates_are_not_random(#[case] value: &str, #[case] random: bool) {
        assert_eq!(looks_random(value), random);
    }
}
