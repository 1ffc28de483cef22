//! Words in front of a number that say that it can be called.

/// Bytes in front in which they stand.
const BEFORE: usize = 48;
/// Words that may stand between, beside one that announces.
const BETWEEN: usize = 3;
/// Letters of a word between.
const SHORT: usize = 3;

/// In lower case.
#[rustfmt::skip]
const WORDS: [&str; 67] = [
    "anruf", "anrufen", "appeler", "appelez", "appelle", "bel", "bellen", "belt", "call", "called",
    "calling", "calls", "cell", "cellphone", "cellular", "cellulare", "celular", "chiama", "chiamare",
    "chiamate", "chiami", "dial", "durchwahl", "fax", "faxnummer", "handy", "handynummer", "hotline",
    "ligar", "ligue", "llamar", "llame", "llámame", "llámenos", "mob", "mobil", "mobile",
    "mobilnummer", "mobiltelefon", "móvil", "phone", "phones", "portable", "ruf", "rufen", "rufnummer",
    "tel", "telefon", "telefone", "telefonisch", "telefonnr", "telefonnummer", "telefono", "telefoon",
    "telefoonnummer", "telemóvel", "telephone", "telephones", "teléfono", "téléphone", "téléphoner",
    "téléphonez", "whatsapp", "جوال", "هاتف", "फ़ोन", "फोन",
];
/// Longer words that may stand between, in lower case.
const LINKS: [&str; 6] = ["number", "nummer", "numéro", "número", "numero", "unter"];

/// Whether a call is spoken of right in front of a byte: `call me on`, `Mobile:`.
pub(super) fn announces(text: &str, start: usize) -> bool {
    let from = text.floor_char_boundary(start.saturating_sub(BEFORE));
    let before = text.get(from..start).unwrap_or_default();
    let before = before.rsplit(|c: char| c.is_ascii_digit()).next();
    let words = before.unwrap_or_default().rsplit(|c: char| !in_word(c));
    for word in words.filter(|word| !word.is_empty()).take(BETWEEN + 1) {
        if is_one_of(word, &WORDS) {
            return true;
        }
        if word.chars().count() > SHORT && !is_one_of(word, &LINKS) {
            return false;
        }
    }
    false
}

/// Combining signs are inside words of Hindi.
fn in_word(c: char) -> bool {
    c.is_alphabetic() || unicode_normalization::char::is_combining_mark(c)
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    let lower = || word.chars().flat_map(char::to_lowercase);
    words.iter().any(|one| lower().eq(one.chars()))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::announces;

    #[rstest]
    #[case("Call me on ", true)]
    #[case("TEL.: ", true)]
    #[case("Llámenos al número ", true)]
    #[case("फ़ोन: ", true)]
    #[case("Tell me ", false)]
    #[case("Call us and quote ", false)]
    #[case("Call 5 of ", false)]
    #[case("recall ", false)]
    #[case("", false)]
    fn a_call_is_spoken_of_right_in_front(#[case] before: &str, #[case] expected: bool) {
        assert_eq!(announces(before, before.len()), expected);
    }
}
