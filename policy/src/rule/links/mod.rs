//! Where links lead: allowed domains and schemes, no trackers, no text that names another domain.
//! Reads the addresses in HTML's attributes, and web addresses in what a reader sees.

mod address;
mod tracking;

use std::{collections::BTreeSet, ops::Range};

use aios_crds::check::{LinkText, LinkTracking, Links as Spec};

use super::{Fix, MAX_MATCHES, Ranges, char_before};
use crate::{
    diagnostic::Diagnostic,
    view::{PartView, address as value_of},
    work::spend,
};
use address::Address;

/// Schemes of links in mail.
const SCHEMES: [&str; 5] = ["cid", "http", "https", "mailto", "tel"];

/// Compiled bounds.
#[derive(Debug)]
pub(crate) struct Links {
    domains: Vec<String>,
    schemes: BTreeSet<String>,
    tracking: LinkTracking,
    text: LinkText,
}

impl Links {
    pub(crate) fn compile(spec: &Spec, path: &str) -> Result<Self, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let mut domains = Vec::new();
        for (index, written) in spec.allow.iter().enumerate() {
            match address::domain(written) {
                Some(domain) => domains.push(domain),
                None => mistakes.push(Diagnostic::new(
                    format!("{path}.allow[{index}]"),
                    format!(
                        "`{written}` is no domain: write the bare name, as in `bank.example`, \
                         without scheme, port or path"
                    ),
                )),
            }
        }
        let mut schemes: BTreeSet<_> = SCHEMES.map(str::to_owned).into();
        if !spec.schemes.is_empty() {
            schemes.clear();
        }
        for (index, written) in spec.schemes.iter().enumerate() {
            if address::is_scheme(written) {
                schemes.insert(written.to_ascii_lowercase());
            } else {
                mistakes.push(Diagnostic::new(
                    format!("{path}.schemes[{index}]"),
                    format!("`{written}` is no scheme: write it without colon, as in `https`"),
                ));
            }
        }
        if mistakes.is_empty() {
            Ok(Self {
                domains,
                schemes,
                tracking: spec.tracking,
                text: spec.text,
            })
        } else {
            Err(mistakes)
        }
    }

    /// Why the rule can't mend what it finds.
    pub(crate) fn unmendable(&self) -> Option<&'static str> {
        if self.tracking == LinkTracking::Allowed {
            Some("Normalize has nothing to mend: set `tracking: Forbidden`")
        } else if !self.domains.is_empty() || self.text == LinkText::Honest {
            Some(
                "Normalize removes tracking parameters and nothing else: put allow and text into \
                 a rule of their own",
            )
        } else {
            None
        }
    }

    pub(crate) fn message(&self) -> String {
        match self.domains.as_slice() {
            [] => "leave out or correct the marked links".to_owned(),
            domains => {
                let named: Vec<_> = domains.iter().take(5).map(String::as_str).collect();
                let more = if domains.len() > named.len() {
                    ", …"
                } else {
                    ""
                };
                format!("link only to: {}{more}", named.join(", "))
            }
        }
    }

    /// Bytes of the part where links stand that may not.
    pub(crate) fn find(&self, part: &PartView<'_>) -> Ranges {
        let mut found = Ranges::new();
        for link in part.links() {
            let value = value_of(&part.part.text, link.value.clone());
            let address = Address::parse(value.as_str());
            if !self.may_lead_to(&address) {
                found.push(link.value.clone());
            }
            if self.tracking == LinkTracking::Forbidden {
                let trackers = tracking::find(value.as_str()).into_iter();
                found.extend(trackers.map(|tracker| value.source(tracker.parameter)));
            }
            if self.text == LinkText::Honest
                && let Some(anchor) = link.anchor.clone()
                && misleads(part, &anchor, &address)
            {
                found.push(part.visible().text.source(anchor));
            }
        }
        let visible = &part.visible().text;
        for range in written(visible.as_str()) {
            let text = visible.as_str().get(range.clone()).unwrap_or_default();
            if !self.may_lead_to(&Address::parse_written(text)) {
                found.push(visible.source(range.clone()));
            }
            if self.tracking == LinkTracking::Forbidden {
                let trackers = tracking::find(text).into_iter();
                found.extend(trackers.map(|t| visible.source(moved(&t.parameter, range.start))));
            }
        }
        found.truncate(MAX_MATCHES + 1);
        found
    }

    /// What to take out of the part so that no tracking parameter is left.
    pub(crate) fn fixes(part: &PartView<'_>) -> Vec<Fix> {
        let in_attributes = part.links().iter().flat_map(|link| {
            let value = value_of(&part.part.text, link.value.clone());
            let trackers = tracking::find(value.as_str()).into_iter();
            trackers
                .map(|tracker| value.source(tracker.removal))
                .collect::<Vec<_>>()
        });
        let visible = &part.visible().text;
        let in_text = written(visible.as_str()).into_iter().flat_map(|range| {
            let text = visible.as_str().get(range.clone()).unwrap_or_default();
            let trackers = tracking::find(text).into_iter();
            trackers
                .map(|tracker| visible.source(moved(&tracker.removal, range.start)))
                .collect::<Vec<_>>()
        });
        in_attributes.chain(in_text).map(Fix::removal).collect()
    }

    /// First byte of the text at which an address could begin that more text would complete.
    pub(crate) fn frontier(text: &str) -> usize {
        text.trim_end_matches(|c: char| !c.is_whitespace()).len()
    }

    fn may_lead_to(&self, address: &Address) -> bool {
        let scheme = address.scheme.as_ref();
        let host = address.host.as_ref();
        scheme.is_none_or(|scheme| self.schemes.contains(scheme))
            && host.is_none_or(|host| self.domains.is_empty() || self.is_allowed(host))
    }

    fn is_allowed(&self, host: &str) -> bool {
        self.domains.iter().any(|domain| within(host, domain))
    }
}

/// True when the text of a link is an address of another domain.
fn misleads(part: &PartView<'_>, anchor: &Range<usize>, target: &Address) -> bool {
    let text = part.visible().text.as_str();
    let said = text.get(anchor.clone()).unwrap_or_default().trim();
    let Some(said) = address::shown_host(said) else {
        return false;
    };
    let bare = |host: &str| host.strip_prefix("www.").unwrap_or(host).to_owned();
    let said = bare(&said);
    target
        .host
        .as_ref()
        .is_none_or(|host| !within(&bare(host), &said))
}

fn within(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn moved(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

/// Web addresses in running text: what begins with a scheme and `//`, or with `www.`.
fn written(text: &str) -> Ranges {
    let schemes = text.match_indices("://").filter_map(|(at, _)| {
        let before = text.get(..at)?;
        let scheme = before.get(before.trim_end_matches(in_scheme).len()..)?;
        address::is_scheme(scheme).then(|| (at - scheme.len(), at + 3))
    });
    let bare = text.match_indices(['w', 'W']).filter_map(|(at, _)| {
        let head = text.get(at..at + 4)?;
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '/' | '@' | '.' | '-' | '_');
        let begins = !char_before(text, at).is_some_and(inside);
        (begins && head.eq_ignore_ascii_case("www.")).then_some((at, at + 4))
    });
    let mut begins: Vec<_> = schemes.chain(bare).collect();
    begins.sort_unstable();
    let mut found = Ranges::new();
    let mut at = 0;
    for (start, rest_at) in begins {
        if start < at {
            continue;
        }
        let rest = text.get(rest_at..).unwrap_or_default();
        at = rest_at + rest.find(ends_address).unwrap_or(rest.len());
        spend(at - start);
        let address = text.get(start..at).unwrap_or_default();
        let end = start + address.trim_end_matches(TRAILING).len();
        if end > rest_at {
            found.push(start..end);
        }
    }
    found
}

/// What ends a sentence or a bracket rather than an address.
const TRAILING: [char; 11] = ['.', ',', ';', ':', '!', '?', ')', ']', '}', '\'', '…'];

fn in_scheme(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')
}

fn ends_address(c: char) -> bool {
    c.is_whitespace() || matches!(c, '<' | '>' | '"' | '“' | '”' | '„' | '«' | '»')
}

#[cfg(test)]
mod tests {
    use aios_crds::check::{LinkText, LinkTracking, Links as Spec};
    use rstest::rstest;

    use super::Links;
    use crate::{
        document::{Part, PartKind},
        view::PartView,
    };

    fn links(allow: &[&str]) -> Links {
        let spec = Spec {
            allow: allow.iter().map(|&domain| domain.to_owned()).collect(),
            schemes: Vec::new(),
            tracking: LinkTracking::Forbidden,
            text: LinkText::Honest,
        };
        Links::compile(&spec, "p").unwrap()
    }

    fn found(kind: PartKind, text: &str) -> Vec<String> {
        let part = Part {
            name: "text".parse().unwrap(),
            kind,
            text: text.to_owned(),
        };
        let ranges = links(&["bank.example", "Münze.example"]).find(&PartView::new(&part));
        ranges
            .into_iter()
            .map(|range| text[range].to_owned())
            .collect()
    }

    #[rstest]
    #[case("See https://bank.example/x?a=1, or www.bank.example.", &[])]
    #[case("See HTTPS://WWW.Bank.Example:8443/.", &[])]
    #[case("See https://münze.example", &[])]
    #[case("See https://evil.example.", &["https://evil.example"])]
    #[case("(https://bank.example.evil.example/)", &["https://bank.example.evil.example/"])]
    #[case("https://bank.example@evil.example/", &["https://bank.example@evil.example/"])]
    #[case("https://notbank.example", &["https://notbank.example"])]
    #[case("https://b\u{430}nk.example", &["https://b\u{430}nk.example"])]
    #[case("www.evil.example, ftp://bank.example", &["www.evil.example", "ftp://bank.example"])]
    #[case("https://bank.example/?utm_source=a&b=1", &["utm_source=a"])]
    #[case("mail a@www.x, 10://, x://", &[])]
    fn addresses_in_text_lead_where_they_may(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(found(PartKind::Plain, text), expected);
    }

    #[rstest]
    #[case("<a href=\"https://bank.example\">bank.example</a>", &[])]
    #[case("<a href=\"/here#x\">x</a><img src=\"cid:logo\"><a href=\"mailto:a@b.de\">x</a>", &[])]
    #[case("<a href=\"java&#10;script:alert(1)\">x</a>", &["java&#10;script:alert(1)"])]
    #[case("<a href=\"//evil.example/a\">x</a>", &["//evil.example/a"])]
    #[case("<a href=\"https:\\\\evil.example\">x</a>", &["https:\\\\evil.example"])]
    #[case("<img src=\"http://ev%69l.example/p.png\">", &["http://ev%69l.example/p.png"])]
    #[case("<a href=\"https://sub.bank.example\">other.bank.example</a>", &["other.bank.example"])]
    #[case("<a href=\"https://bank.example\">www.<b>evil</b>.example</a>",
        &["www.<b>evil</b>.example", "www.<b>evil</b>.example"])]
    #[case("<a href=\"https://bank.example/?a=1&amp;gclid=2\">x</a>", &["gclid=2"])]
    fn addresses_in_markup_lead_where_they_may(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(found(PartKind::Html, text), expected);
    }

    #[test]
    fn bad_domains_and_schemes_are_refused() {
        let spec = Spec {
            allow: vec!["ok.example".to_owned(), "https://bank.example".to_owned()],
            schemes: vec!["https:".to_owned()],
            ..Spec::default()
        };
        let mistakes = Links::compile(&spec, "spec.rules[0].links").unwrap_err();
        let paths: Vec<_> = mistakes
            .iter()
            .map(|mistake| mistake.path.as_str())
            .collect();
        assert_eq!(
            paths,
            [
                "spec.rules[0].links.allow[1]",
                "spec.rules[0].links.schemes[0]"
            ]
        );
    }
}
