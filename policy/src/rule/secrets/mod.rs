//! Keys, tokens and passwords: what has a known shape, and what stands behind a word such as
//! `password:` and looks drawn at random. Each finding is the value, never the word in front.

mod random;
mod shapes;

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use aios_crds::check::Secrets as Spec;
use memchr::{memchr2_iter, memmem};

use super::{MAX_MATCHES, Ranges, char_before};
use crate::{
    diagnostic::Diagnostic,
    view::{Layer, compat},
    work::spend,
};
use shapes::{Bodies, SHAPES};

/// Words that announce a secret, in lower case.
const WORDS: [&str; 22] = [
    "access key",
    "access_key",
    "api key",
    "api-key",
    "api_key",
    "apikey",
    "auth_token",
    "client_secret",
    "contraseña",
    "kennwort",
    "mot de passe",
    "parola",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "passwort",
    "private_key",
    "pwd",
    "secret",
    "senha",
    "token",
];
/// Where a private key begins and ends (RFC 7468).
const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
/// Bytes of a begin or end line.
const LONGEST_LINE: usize = 80;
/// Most bytes between a word and its value.
const GAP: usize = 8;
/// Bytes of a value that marks of a sentence may follow.
const LONGEST_SENTENCE: usize = 1024;

/// Compiled shapes, words and permissions.
#[derive(Debug)]
pub(crate) struct Secrets {
    prefixes: AhoCorasick,
    words: AhoCorasick,
    allow: BTreeSet<String>,
}

impl Secrets {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let blank = spec.allow.iter().position(|value| value.trim().is_empty());
        if let Some(index) = blank {
            return Err(vec![Diagnostic::new(
                format!("{path}.allow[{index}]"),
                "the value is blank: write it out or remove the entry",
            )]);
        }
        let too_large = |error: aho_corasick::BuildError| {
            vec![Diagnostic::new(
                path,
                format!("{error}: report this as a defect"),
            )]
        };
        let prefixes = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(SHAPES.iter().map(|shape| shape.prefix))
            .map_err(too_large)?;
        let words = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .build(WORDS)
            .map_err(too_large)?;
        let allow = spec.allow.iter();
        Ok(Self {
            prefixes,
            words,
            allow: allow
                .map(|value| compat(value).as_str().trim().to_owned())
                .collect(),
        })
    }

    /// Bytes of the part where secrets stand.
    pub(crate) fn find(&self, layer: &Layer<'_>) -> Ranges {
        let text = layer.compat();
        let mut found = self.shaped(text);
        found.extend(self.announced(text));
        found.extend(in_addresses(text));
        found.extend(private_keys(text));
        let secret = |range: &std::ops::Range<usize>| {
            !self
                .allow
                .contains(text.get(range.clone()).unwrap_or_default())
        };
        found
            .into_iter()
            .filter(secret)
            .take(MAX_MATCHES + 1)
            .map(|range| layer.compat_source(range))
            .collect()
    }

    /// First byte of a compatibility text at which a secret could begin that more text would
    /// complete.
    pub(crate) fn frontier(text: &str) -> usize {
        let word = text.trim_end_matches(|c: char| !c.is_whitespace()).len();
        let last_line = text.floor_char_boundary(text.len().saturating_sub(LONGEST_LINE));
        let begin = text.get(last_line..).and_then(|tail| tail.find(BEGIN));
        begin.map_or(word, |at| word.min(last_line + at))
    }

    fn shaped(&self, text: &str) -> Ranges {
        let mut found = Ranges::new();
        spend(text.len());
        let mut bodies = Bodies::default();
        for hit in self.prefixes.find_iter(text) {
            let inside = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if char_before(text, hit.start()).is_some_and(inside) {
                continue;
            }
            let shape = SHAPES.get(hit.pattern().as_usize());
            if let Some(end) = shape.and_then(|shape| bodies.end(shape, text, hit.end())) {
                found.push(hit.start()..end);
            }
        }
        found
    }

    /// Where the word ends that the sign at a byte follows, with nothing but quotes and spaces between.
    /// What stands too far in front to count is not looked at.
    fn word_before(&self, text: &str, sign: usize) -> Option<usize> {
        let before = text.as_bytes().get(..sign)?;
        let between = before.iter().rev().take(GAP);
        let between = between.take_while(|byte| matches!(byte, b'"' | b'\'' | b' '));
        let end = sign - between.count();
        let begin = before
            .get(..end)?
            .iter()
            .rposition(|byte| parts_words(*byte));
        let from = begin.map_or(0, |begin| begin + 1);
        spend(sign - from);
        // No word holds a sign, so that none goes on behind it.
        let mut words = self.words.find_iter(Input::new(text).range(from..sign));
        words
            .find(|word| word.end() >= end)
            .filter(|word| word.end() == end)
            .map(|word| word.end())
    }

    /// `password: k3-Ff…`, `api_key = "…"`.
    fn announced(&self, text: &str) -> Ranges {
        // Words inside a value have its end in common.
        let mut end_of_value = 0;
        let signs = memchr2_iter(b':', b'=', text.as_bytes());
        let values = signs.filter_map(|sign| {
            let end_of_word = self.word_before(text, sign)?;
            let value = text.get(sign + 1..)?;
            let value = value.trim_start_matches(['=', '>', ' ', '"', '\'', '`']);
            // The value stands on the line of its word.
            let start = text.len() - value.len();
            let gap = text.get(end_of_word..start)?;
            if end_of_value < start {
                end_of_value = start + value.find(ends_value).unwrap_or(value.len());
                spend(end_of_value - start);
            }
            let value = text.get(start..end_of_value)?;
            let value = if value.len() > LONGEST_SENTENCE {
                value
            } else {
                value.trim_end_matches(['.', ',', ';', ')'])
            };
            let close = gap.len() <= GAP;
            (close && random::looks_random(value)).then(|| start..start + value.len())
        });
        values.collect()
    }
}

/// True for what no word that announces a secret holds: none goes on across it.
fn parts_words(byte: u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphabetic() && !matches!(byte, b' ' | b'_' | b'-')
}

fn ends_value(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>')
}

/// The password of `scheme://name:password@host`.
fn in_addresses(text: &str) -> Ranges {
    let passwords = memmem::find_iter(text.as_bytes(), "://").filter_map(|at| {
        let start = at + 3;
        let rest = text.get(start..)?;
        let end = rest
            .find(|c: char| ends_value(c) || matches!(c, '/' | '?' | '#'))
            .unwrap_or(rest.len());
        spend(end);
        let authority = rest.get(..end)?;
        let (user, _) = authority.rsplit_once('@')?;
        let (name, password) = user.split_once(':')?;
        let from = start + name.len() + 1;
        (!password.is_empty()).then(|| from..from + password.len())
    });
    passwords.collect()
}

/// From the begin line to the end line, or to the end of the text.
fn private_keys(text: &str) -> Ranges {
    let mut found = Ranges::new();
    for at in memmem::find_iter(text.as_bytes(), BEGIN) {
        if found
            .last()
            .is_some_and(|last: &std::ops::Range<usize>| at < last.end)
        {
            continue;
        }
        let label_at = at + BEGIN.len();
        let label = text.get(label_at..).unwrap_or_default();
        let Some(close) = label.find("-----").filter(|len| *len <= LONGEST_LINE - 16) else {
            continue;
        };
        if !label
            .get(..close)
            .unwrap_or_default()
            .ends_with("PRIVATE KEY")
        {
            continue;
        }
        let body_at = label_at + close + 5;
        spend(text.len() - at);
        let body = text.get(body_at..).unwrap_or_default();
        let end = body.find(END).map_or(text.len(), |end| {
            let line = body.get(end + END.len()..).unwrap_or_default();
            let len = line.find("-----").map_or(line.len(), |len| len + 5);
            body_at + end + END.len() + len
        });
        found.push(at..end);
    }
    found
}

#[cfg(test)]
mod tests {
    use aios_crds::check::Secrets as Spec;
    use rstest::rstest;

    use super::Secrets;
    use crate::{
        document::{Part, PartKind},
        view::PartView,
    };

    fn found(text: &str) -> Vec<String> {
        found_but(&["AKIAIOSFODNN7EXAMPLE"], text)
    }

    /// All that is found but what is allowed.
    pub(super) fn found_but(allowed: &[&str], text: &str) -> Vec<String> {
        let allow = allowed.iter().map(ToString::to_string).collect();
        let spec = Spec { allow };
        let secrets = Secrets::compile(&spec, "p").unwrap();
        let part = Part {
            name: "text".parse().unwrap(),
            kind: PartKind::Plain,
            text: text.to_owned(),
        };
        let ranges = secrets.find(PartView::new(&part).visible());
        ranges
            .into_iter()
            .map(|range| text[range].to_owned())
            .collect()
    }

    /// Put together here, so that no scanner of repositories takes them for real.
    fn token(parts: &[&str]) -> String {
        parts.concat()
    }

    #[test]
    fn known_shapes_are_found_wherever_they_stand() {
        for secret in [
            token(&["AKIA", "Q3EGRZ5N7XJ2KLMP"]),
            token(&["ghp_", "x7Kd92mQpL4vTz8RbN1cYw5HsJ6fGa3EuB0o"]),
            token(&["sk_live_", "51HqLyjWDarjtT1zdp7dcXyz"]),
            token(&["xoxb-", "123456789012-abcdefGHIJKL"]),
            token(&["AIza", "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY"]),
            token(&[
                "eyJ",
                "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
            ]),
        ] {
            assert_eq!(found(&format!("use {secret}, now")), [secret.as_str()]);
            assert_eq!(found(&format!("x{secret}")), Vec::<String>::new());
        }
    }

    #[rstest]
    #[case("Your password: hR7#kq9!Zt2v", &["hR7#kq9!Zt2v"])]
    #[case("api_key = \"c29tZTpsb25nMTIz\"", &["c29tZTpsb25nMTIz"])]
    #[case("Passwort: Xk4-99-zQ-pL.", &["Xk4-99-zQ-pL"])]
    #[case("postgres://app:s3cr3t@db.example/x", &["s3cr3t"])]
    #[case("Password: required. Your token is on the way.", &[])]
    #[case("The secret: patience and practice", &[])]
    #[case("Forgot your password? Token: see below", &[])]
    #[case("AKIAIOSFODNN7EXAMPLE", &[])]
    #[case("AKIA is a place, ghp_ too; https://a.example:80/x", &[])]
    #[case("Read about sk_live_ keys in the handbook of 2026", &[])]
    fn values_are_found_and_talk_about_them_is_not(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(found(text), expected);
    }

    #[test]
    fn a_private_key_is_found_whole_and_unfinished() {
        let begin = token(&["-----BEGIN RSA ", "PRIVATE KEY-----"]);
        let end = token(&["-----END RSA ", "PRIVATE KEY-----"]);
        let key = format!("{begin}\nMIIEow\n{end}");
        assert_eq!(found(&format!("a {key} b")), [key.as_str()]);
        assert_eq!(found(&format!("a {begin}\nMII")), [format!("{begin}\nMII")]);
        assert_eq!(
            found("-----BEGIN CERTIFICATE-----\nMII"),
            Vec::<String>::new()
        );
    }
}
