//! What the same patterns cost without a policy: bare automata and expressions over the same bytes, their
//! matches counted and thrown away. No views, no checksums, no spans, no verdict.

use aho_corasick::AhoCorasick;
use anyhow::Result;
use regex::Regex;

/// What the profile's rules look for, one expression a shape.
const SHAPES: [&str; 16] = [
    // Personal data.
    r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+",
    r"\+?\(?\d[\d ()./-]{6,}\d",
    r"(?i)\b[a-z]{2}\d{2}(?:[ -]?[a-z0-9]){11,30}",
    r"\b[2-6]\d{3}(?:[ -]?\d{4}){3}\b",
    // Secrets.
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\b(?:gh[pousr]_|sk_live_|rk_live_|sk_test_|whsec_|npm_|hf_|shpat_)[A-Za-z0-9]{16,}",
    r"\b(?:xox[abprs]-|glpat-|sk-ant-|sk-proj-|AIza)[\w-]{20,}",
    r"\beyJ[\w-]+\.eyJ[\w-]+\.[\w-]+",
    r#"(?i)(?:password|passwd|pwd|secret|token|api[ _-]?key|passwort|kennwort)["' ]*[:=]\s*\S{8,}"#,
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    // Style.
    r" {2,}| +[,.]| +$",
    r"!{2,}",
    r"\b\p{Lu}{5,}\b",
    r"(?i)\A\s*(?:I hope this e-mail finds you well|We are thrilled|Congratulations)",
    // Facts.
    r"\d+(?:[.,/:' -]\d+)*",
    // Conditions.
    r"(?i)\b(?:act now|last chance|only today)\b",
];

pub struct Floor {
    terms: AhoCorasick,
    shapes: Vec<Regex>,
}

impl Floor {
    pub fn new(terms: &[String]) -> Result<Self> {
        let terms = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(terms)?;
        let shapes = SHAPES.iter().map(|shape| Regex::new(shape));
        Ok(Self {
            terms,
            shapes: shapes.collect::<Result<_, _>>()?,
        })
    }

    /// Matches in a text, so that no compiler leaves the search out.
    pub fn count(&self, text: &str) -> usize {
        let shaped = self
            .shapes
            .iter()
            .map(|shape| shape.find_iter(text).count());
        self.terms.find_overlapping_iter(text).count() + shaped.sum::<usize>()
    }
}
