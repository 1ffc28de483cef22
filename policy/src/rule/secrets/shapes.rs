//! Shapes that issuers of keys document: a prefix, and so many characters of an alphabet.

use std::collections::BTreeMap;

use crate::work::spend;

/// One shape.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) prefix: &'static str,
    alphabet: Alphabet,
    least: usize,
    most: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Alphabet {
    /// `A-Z`, `0-9`.
    Upper,
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `-` and `_`.
    Url,
    /// Three stretches of `Url`, joined by full stops (RFC 7519).
    Jwt,
}

const fn shape(prefix: &'static str, alphabet: Alphabet, least: usize, most: usize) -> Shape {
    Shape {
        prefix,
        alphabet,
        least,
        most,
    }
}

pub(super) const SHAPES: [Shape; 31] = [
    shape("AKIA", Alphabet::Upper, 16, 16),
    shape("ASIA", Alphabet::Upper, 16, 16),
    shape("ghp_", Alphabet::Alnum, 36, 255),
    shape("gho_", Alphabet::Alnum, 36, 255),
    shape("ghu_", Alphabet::Alnum, 36, 255),
    shape("ghs_", Alphabet::Alnum, 36, 255),
    shape("ghr_", Alphabet::Alnum, 36, 255),
    shape("github_pat_", Alphabet::Url, 60, 255),
    shape("glpat-", Alphabet::Url, 20, 64),
    shape("xoxb-", Alphabet::Url, 20, 255),
    shape("xoxp-", Alphabet::Url, 20, 255),
    shape("xoxa-", Alphabet::Url, 20, 255),
    shape("xoxr-", Alphabet::Url, 20, 255),
    shape("xoxs-", Alphabet::Url, 20, 255),
    shape("sk_live_", Alphabet::Alnum, 16, 255),
    shape("rk_live_", Alphabet::Alnum, 16, 255),
    shape("sk_test_", Alphabet::Alnum, 16, 255),
    shape("whsec_", Alphabet::Alnum, 24, 255),
    shape("sk-ant-", Alphabet::Url, 32, 255),
    shape("sk-proj-", Alphabet::Url, 32, 255),
    shape("sk-", Alphabet::Alnum, 32, 255),
    shape("AIza", Alphabet::Url, 35, 35),
    shape("ya29.", Alphabet::Url, 20, 1024),
    shape("SG.", Alphabet::Jwt, 60, 128),
    shape("npm_", Alphabet::Alnum, 36, 36),
    shape("pypi-AgEI", Alphabet::Url, 50, 1024),
    shape("hf_", Alphabet::Alnum, 34, 40),
    shape("dop_v1_", Alphabet::Alnum, 64, 64),
    shape("shpat_", Alphabet::Alnum, 32, 32),
    shape("key-", Alphabet::Alnum, 32, 32),
    shape("eyJ", Alphabet::Jwt, 30, 8192),
];

impl Shape {
    fn is_body(&self, body: &str) -> bool {
        let fits = (self.least..=self.most).contains(&body.len());
        let parts = |count: usize| body.split('.').count() == count;
        let joined = || match (self.alphabet, self.prefix) {
            (Alphabet::Jwt, "SG.") => parts(2),
            (Alphabet::Jwt, _) => parts(3) && body.contains(".eyJ"),
            _ => true,
        };
        fits && joined() && body.bytes().any(|b| b.is_ascii_digit())
    }

    fn takes(&self, byte: u8) -> bool {
        match self.alphabet {
            Alphabet::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Alphabet::Alnum => byte.is_ascii_alphanumeric(),
            Alphabet::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Alphabet::Jwt => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
        }
    }
}

/// Where runs of each alphabet end. Prefixes can stand one behind the other in one run, which is read
/// once.
#[derive(Debug, Default)]
pub(super) struct Bodies(BTreeMap<Alphabet, Run>);

#[derive(Clone, Copy, Debug, Default)]
struct Run {
    end: usize,
    /// Without full stops at its end.
    end_of_body: usize,
}

impl Bodies {
    /// Where the body ends that begins at a byte, if it has the shape. Places are asked for from left to
    /// right.
    pub(super) fn end(&mut self, shape: &Shape, text: &str, start: usize) -> Option<usize> {
        let run = self.0.entry(shape.alphabet).or_default();
        if run.end < start {
            let rest = text.get(start..)?;
            let len = rest.bytes().take_while(|byte| shape.takes(*byte)).count();
            spend(len);
            let body = rest.get(..len)?.trim_end_matches('.');
            *run = Run {
                end: start + len,
                end_of_body: start + body.len(),
            };
        }
        let body = text.get(start..run.end_of_body)?;
        shape.is_body(body).then_some(run.end_of_body)
    }
}

#[cfg(test)]
mod tests;
