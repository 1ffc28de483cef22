//! What pictures and files hold: words as they stand, words in base64, or nothing that can be read.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::channel::LABEL;

/// Longer base64 is no word.
const WORD: usize = 256;
/// Base64 that decides whether the rest is text.
const LOOK: usize = 4096;

/// What stands in a field of media.
#[derive(Debug, PartialEq, Eq)]
pub enum Held {
    Text,
    /// Text in base64, behind so many bytes of an address.
    Encoded {
        head: usize,
        text: String,
    },
    Nothing,
}

/// What a value holds. Base64 that stands bare, behind no address, is a file only where files stand so.
pub fn held(value: &str, bare: bool) -> Held {
    let address = value
        .get(..5)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    let head = if address { head(value) } else { Some(0) };
    let Some((head, body)) = head.and_then(|head| Some((head, value.get(head..)?))) else {
        return Held::Text;
    };
    let mut spaced = false;
    for byte in body.bytes() {
        match byte {
            b'+' | b'/' | b'=' | b'-' | b'_' => {}
            _ if byte.is_ascii_alphanumeric() => {}
            _ if byte.is_ascii_whitespace() => spaced = true,
            _ => return Held::Text,
        }
    }
    if !(address || (bare && body.len() > WORD && !spaced)) {
        return Held::Text;
    }
    let declared = value.get(..head).is_some_and(|head| {
        head.get(5..10)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("text/"))
    });
    match decoded(body, LOOK) {
        Some(bytes) if declared || is_text(&bytes) => {
            let Some(bytes) = decoded(body, usize::MAX) else {
                return Held::Text;
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            Held::Encoded { head, text }
        }
        Some(_) => Held::Nothing,
        None => Held::Text,
    }
}

/// The text in base64 again, behind the same address.
pub fn again(value: &str, head: usize, text: &str) -> String {
    let head = value.get(..head).unwrap_or_default();
    head.to_owned() + &base64::engine::general_purpose::STANDARD.encode(text)
}

/// Length of an address up to its base64; none of one that has other letters.
fn head(value: &str) -> Option<usize> {
    let (head, _) = value.split_once(',')?;
    let is_encoded = head.to_ascii_lowercase().ends_with(";base64");
    (is_encoded && head.len() <= LABEL).then_some(head.len() + 1)
}

/// What so many letters of base64 say, of either alphabet, with padding or without.
fn decoded(text: &str, letters: usize) -> Option<Vec<u8>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let standard = text.bytes().filter_map(|byte| match byte {
        b'-' => Some(b'+'),
        b'_' => Some(b'/'),
        _ => (!byte.is_ascii_whitespace()).then_some(byte),
    });
    let standard: Vec<_> = standard.take(letters).collect();
    let engine = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    engine.decode(standard).ok()
}

/// Whether bytes begin as text does; the last letter may be cut.
fn is_text(bytes: &[u8]) -> bool {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(valid).unwrap_or_default()
        }
        Err(_) => return false,
    };
    !text
        .chars()
        .any(|letter| letter.is_control() && !letter.is_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use base64::{
        Engine,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };

    use super::{Held, again, held};

    const SAID: &str = "the Acme Bank is near, and so are we all.";

    #[test]
    fn pictures_hold_nothing() {
        let picture = STANDARD.encode([&b"\x89PNG\r\n"[..], &[7; 400]].concat());
        assert_eq!(held(&picture, true), Held::Nothing);
        assert_eq!(
            held(&format!("data:image/png;base64,{picture}"), true),
            Held::Nothing
        );
    }

    #[test]
    fn text_in_base64_is_read_and_written_again() {
        let text = SAID.repeat(9);
        for encoded in [STANDARD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            for head in ["", "data:application/octet-stream;base64,"] {
                let value = format!("{head}{encoded}");
                let expected = Held::Encoded {
                    head: head.len(),
                    text: text.clone(),
                };
                assert_eq!(held(&value, true), expected, "{value}");
            }
        }
        let value = format!("data:text/plain;base64,{}", STANDARD.encode("Acme"));
        let Held::Encoded { head, text } = held(&value, true) else {
            panic!("{value}")
        };
        assert_eq!(
            (text.as_str(), again(&value, head, "Acme")),
            ("Acme", value.clone())
        );
    }

    #[test]
    fn base64_where_an_address_belongs_is_text_unless_it_is_one() {
        let picture = STANDARD.encode([7; 400]);
        assert_eq!(held(&picture, false), Held::Text);
        let address = format!("data:image/png;base64,{picture}");
        assert_eq!(held(&address, false), Held::Nothing);
    }

    #[test]
    fn white_space_in_an_address_hides_nothing() {
        let encoded = STANDARD.encode(SAID).replace('I', "I \r\n");
        let value = format!("data:text/plain;base64,{encoded}");
        let Held::Encoded { text, .. } = held(&value, false) else {
            panic!("{value}")
        };
        assert_eq!(text, SAID);
    }

    #[test]
    fn what_is_no_base64_is_text() {
        for value in [
            "近".repeat(90),
            format!("data:text/plain,{SAID}"),
            format!("https://example.org/{}", "Acme/?".repeat(60)),
            "theAcmeBank".to_owned(),
            "Acme ".repeat(90),
        ] {
            assert_eq!(held(&value, true), Held::Text, "{value}");
        }
    }
}
