//! A regular expression that must not match, in linear time and bounded memory.

use aios_crds::check::Pattern as Spec;
use regex::RegexBuilder;
use regex_syntax::{ast, hir::Hir};

use super::{Failure, MAX_MATCHES, Ranges, ahead::ReadAhead, char_after, search::Search};
use crate::{
    diagnostic::Diagnostic,
    verdict::RuleErrorReason,
    view::{Layer, cluster_start, widened},
    work::spend,
};

/// Bytes of a compiled expression.
const SIZE_LIMIT: usize = 1 << 20;
/// Nesting of groups.
const NEST_LIMIT: u32 = 32;

/// Matches before it is counted what a search reads: few make no text long.
const UNCOUNTED: usize = 16;
/// Times that all searches together may read a text, and bytes that they may read in any.
const MOST_READINGS: usize = 64;
const READ_IN_ANY: usize = 1 << 20;

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Pattern {
    regex: Search,
    /// Bytes from where a match begins to where its end is settled; `None` without bound.
    reach: Option<usize>,
    /// For those without bound.
    ahead: Option<ReadAhead>,
}

impl Pattern {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let path = format!("{path}.regex");
        let hir = regex_syntax::ParserBuilder::new()
            .nest_limit(NEST_LIMIT)
            .build()
            .parse(&spec.regex)
            .map_err(|error| vec![syntax(&path, &error)])?;
        let regex = RegexBuilder::new(&spec.regex)
            .size_limit(SIZE_LIMIT)
            .nest_limit(NEST_LIMIT)
            .build()
            .map_err(|error| vec![too_large(&path, &error)])?;
        if regex.is_match("") {
            return Err(vec![Diagnostic::new(
                path,
                "the expression matches the empty text, so it would match everywhere: require at \
                 least one character, as in `a+` for `a*`",
            )]);
        }
        Ok(Self {
            regex: Search::new(regex, &hir, SIZE_LIMIT),
            ahead: reach(&hir)
                .is_none()
                .then(|| ReadAhead::new(&spec.regex))
                .flatten(),
            reach: reach(&hir),
        })
    }

    /// Bytes of the part where the expression matches.
    pub(crate) fn find(&self, layer: &Layer<'_>) -> Result<Ranges, Failure> {
        let text = layer.text.as_str();
        let regex = self.regex.if_possible(text, 0).into_iter();
        let mut found = Ranges::new();
        let (mut from, mut read) = (0, 0);
        for (count, next) in regex.flat_map(|regex| regex.find_iter(text)).enumerate() {
            spend(next.end() - from);
            if count >= UNCOUNTED {
                read += self.read_by(text, from);
                if read > READ_IN_ANY + text.len() * MOST_READINGS {
                    return Err(reads_on());
                }
            }
            from = next.end();
            if !next.is_empty() {
                found.push(next.range());
            }
            if found.len() > MAX_MATCHES {
                break;
            }
        }
        Ok(layer.widened_sources(found))
    }

    /// Bytes that the search from a byte on reads, where that is known to be without bound.
    fn read_by(&self, text: &str, from: usize) -> usize {
        let ahead = self.ahead.as_ref();
        ahead
            .and_then(|ahead| ahead.bytes(text, from))
            .unwrap_or_default()
    }

    /// Bytes of a plain text where the expression matches, from a byte on.
    pub(crate) fn find_from(&self, text: &str, mut at: usize) -> Ranges {
        let mut found = Ranges::new();
        let Some(regex) = self.regex.if_possible(text, at) else {
            return found;
        };
        while let Some(next) = regex.find_at(text, at) {
            if next.is_empty() {
                let Some(c) = char_after(text, at) else { break };
                at += c.len_utf8();
                continue;
            }
            spend(next.end() - at);
            at = next.end();
            found.push(next.range());
            if found.len() > MAX_MATCHES {
                break;
            }
        }
        spend(text.len() - at.min(text.len()));
        widened(text, found)
    }

    /// First byte at which a match could begin that more text would settle.
    pub(crate) fn frontier(&self, text: &str) -> usize {
        self.reach.map_or(0, |reach| {
            cluster_start(text, text.len().saturating_sub(reach))
        })
    }

    pub(crate) fn is_bounded(&self) -> bool {
        self.reach.is_some()
    }
}

fn reads_on() -> Failure {
    Failure::new(
        RuleErrorReason::Cost,
        format!(
            "the expression reads the text more than {MOST_READINGS} times: each match waits for \
             something far behind it; bound what may stand between, as in `[^x]{{0,200}}x` for \
             `[^x]*x`"
        ),
    )
}

/// Longest match and the character behind it, which word boundaries look at.
fn reach(hir: &Hir) -> Option<usize> {
    hir.properties().maximum_len().map(|longest| longest + 4)
}

fn syntax(path: &str, error: &regex_syntax::Error) -> Diagnostic {
    let (span, what) = match error {
        regex_syntax::Error::Parse(error) => (Some(error.span()), describe(error.kind())),
        regex_syntax::Error::Translate(error) => (Some(error.span()), error.kind().to_string()),
        other => (None, other.to_string()),
    };
    let diagnostic = Diagnostic::new(path, what);
    match span.map(|span| {
        (
            u32::try_from(span.start.line),
            u32::try_from(span.start.column),
        )
    }) {
        Some((Ok(line), Ok(column))) => diagnostic.at(line, column),
        _ => diagnostic,
    }
}

fn describe(kind: &ast::ErrorKind) -> String {
    match kind {
        ast::ErrorKind::UnsupportedLookAround => {
            "look-around is not linear-time: match the neighbouring text too, or state the \
             condition in `when`"
                .to_owned()
        }
        ast::ErrorKind::UnsupportedBackreference => {
            "back references are not linear-time: write the alternatives out".to_owned()
        }
        ast::ErrorKind::NestLimitExceeded(limit) => {
            format!("groups nest deeper than {limit}: split the rule")
        }
        other => format!(
            "{other}: see the syntax of the Rust `regex` crate, and escape with `\\` \
                          what is meant literally"
        ),
    }
}

fn too_large(path: &str, error: &regex::Error) -> Diagnostic {
    let message = match error {
        regex::Error::CompiledTooBig(limit) => format!(
            "the expression compiles to more than {limit} bytes: lower its repetition counts or \
             use `[0-9]` for `\\d`"
        ),
        other => format!("{other}: see the syntax of the Rust `regex` crate"),
    };
    Diagnostic::new(path, message)
}

#[cfg(test)]
mod tests {
    use aios_crds::check::Pattern as Spec;
    use rstest::rstest;

    use super::Pattern;
    use crate::{verdict::RuleErrorReason, view::Layer};

    fn compile(regex: &str) -> Result<Pattern, Vec<crate::Diagnostic>> {
        Pattern::compile(
            &Spec {
                regex: regex.to_owned(),
            },
            "spec.rules[0].pattern",
        )
    }

    #[rstest]
    #[case("(?i)guarantee[ds]?", Some(14))]
    #[case("a+", None)]
    #[case(r"\bfoo\b", Some(7))]
    fn reach_is_known_where_matches_are_bounded(#[case] regex: &str, #[case] reach: Option<usize>) {
        let pattern = compile(regex).unwrap();
        // Case-insensitive Latin letters can take more bytes than they are written with.
        assert_eq!(pattern.reach.is_some(), reach.is_some());
        assert!(pattern.reach >= reach);
    }

    #[rstest]
    #[case("a(b", 1, 2, "unclosed group")]
    #[case("x\ny(?=z)", 2, 2, "`when`")]
    #[case(r"(a)\1", 1, 4, "alternatives")]
    #[case("[z-a]", 1, 2, "invalid character class range")]
    fn bad_syntax_is_named_with_place_and_remedy(
        #[case] regex: &str,
        #[case] line: u32,
        #[case] column: u32,
        #[case] says: &str,
    ) {
        let mistake = compile(regex).unwrap_err().remove(0);
        assert_eq!(mistake.path, "spec.rules[0].pattern.regex");
        assert_eq!(
            (mistake.line, mistake.column),
            (Some(line), Some(column)),
            "{mistake}"
        );
        assert!(mistake.message.contains(says), "{mistake}");
    }

    #[rstest]
    #[case("a[^x]*x|a", "a ", false)]
    #[case("a[^x]*x|b", "ab ", false)]
    #[case("a[^x]{0,200}x|a", "a ", true)]
    #[case(r"a\w*|\S+@\S+", "acme a@b.example ", true)]
    fn matches_that_wait_for_something_far_behind_end_in_an_error(
        #[case] regex: &str,
        #[case] piece: &str,
        #[case] ends_well: bool,
    ) {
        let pattern = compile(regex).unwrap();
        let find = |times: usize| {
            pattern
                .find(&Layer::of(&piece.repeat(times)))
                .map(|found| found.len())
        };
        assert!(find(20).is_ok());
        let long = find(100_000).map_err(|failure| failure.reason);
        assert_eq!(
            long,
            if ends_well {
                Ok(1_001)
            } else {
                Err(RuleErrorReason::Cost)
            }
        );
    }

    #[rstest]
    #[case("a*", "empty text")]
    #[case(r"(\w{200}){200}", "repetition counts")]
    fn costly_or_senseless_expressions_are_refused(#[case] regex: &str, #[case] says: &str) {
        let mistake = compile(regex).unwrap_err().remove(0);
        assert!(mistake.message.contains(says), "{mistake}");
    }
}
