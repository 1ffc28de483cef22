//! Addresses as browsers read them (WHATWG URL), as far as scheme and host go.

use crate::view::folded;

/// Schemes whose addresses have a host, however many slashes follow.
const WEB: [&str; 5] = ["ftp", "http", "https", "ws", "wss"];

/// Scheme and host of an address, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Address {
    /// `None` for one relative to the page.
    pub(super) scheme: Option<String>,
    /// `None` where the scheme has none, and for one relative to the page.
    pub(super) host: Option<String>,
}

impl Address {
    /// The value of an attribute: controls are left out, as browsers do.
    pub(super) fn parse(value: &str) -> Self {
        let clean: String = value.chars().filter(|c| !c.is_control()).collect();
        let clean = clean.trim();
        let is_slash = |c: char| matches!(c, '/' | '\\');
        let scheme = clean
            .split_once(':')
            .filter(|(scheme, _)| is_scheme(scheme));
        match scheme {
            Some((scheme, rest)) => {
                let scheme = scheme.to_ascii_lowercase();
                let host = (WEB.contains(&scheme.as_str()) || rest.starts_with("//"))
                    .then(|| host(rest.trim_start_matches(is_slash)));
                Self {
                    scheme: Some(scheme),
                    host,
                }
            }
            None if clean.chars().take(2).filter(|c| is_slash(*c)).count() == 2 => Self {
                scheme: None,
                host: Some(host(clean.trim_start_matches(is_slash))),
            },
            None => Self::default(),
        }
    }

    /// An address in running text, where `www.` stands for `https://www.`.
    pub(super) fn parse_written(text: &str) -> Self {
        if text.contains("://") {
            Self::parse(text)
        } else {
            Self {
                scheme: None,
                host: Some(host(text)),
            }
        }
    }
}

/// The domain that an allow-list names.
pub(super) fn domain(written: &str) -> Option<String> {
    let bare = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    let dotted = written.trim_matches('.') == written;
    (dotted && !written.is_empty() && written.chars().all(bare)).then(|| normal(written))
}

/// A letter, then letters, digits, `+`, `-`, `.` (RFC 3986).
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

/// The host that a link's text names, when all of it is one address or domain.
pub(super) fn shown_host(text: &str) -> Option<String> {
    if text.is_empty() || text.contains(char::is_whitespace) || text.contains('@') {
        return None;
    }
    let host = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => host(rest),
        _ => host(text),
    };
    let top = host.rsplit_once('.').map(|(_, top)| top)?;
    let named = top.chars().nth(1).is_some() && top.chars().all(char::is_alphabetic);
    (named && domain(&host).is_some()).then_some(host)
}

/// The host of what follows the slashes: behind the last `@`, before port and path.
fn host(rest: &str) -> String {
    let authority = rest
        .find(['/', '\\', '?', '#'])
        .map_or(rest, |end| rest.get(..end).unwrap_or_default());
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    normal(&decoded(host))
}

/// Lower case, compatibility forms and ideographic full stops plain, no full stop at the end.
fn normal(host: &str) -> String {
    let dotted = host.replace(['\u{3002}', '\u{ff0e}', '\u{ff61}'], ".");
    folded(&dotted).as_str().trim_end_matches('.').to_owned()
}

/// Percent-decoded; what is no text then stays as it was.
fn decoded(host: &str) -> String {
    let mut bytes = Vec::with_capacity(host.len());
    let mut rest = host.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = hex {
            bytes.push(byte);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| host.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{Address, shown_host};

    #[rstest]
    #[case("https://Bank.Example/x", Some("https"), Some("bank.example"))]
    #[case(" \u{1}https:///a.b\\c", Some("https"), Some("a.b"))]
    #[case("https://u:p@a.b:80?x", Some("https"), Some("a.b"))]
    #[case("https:a.b", Some("https"), Some("a.b"))]
    #[case("//a.b.", None, Some("a.b"))]
    #[case("\\\\a.b", None, Some("a.b"))]
    #[case("http://a\u{3002}b", Some("http"), Some("a.b"))]
    #[case("http://%61.b", Some("http"), Some("a.b"))]
    #[case("mailto:x@y.z", Some("mailto"), None)]
    #[case("JaVa\tScript:x", Some("javascript"), None)]
    #[case("a/b:c", None, None)]
    #[case("#x", None, None)]
    fn browsers_read_it_so(
        #[case] value: &str,
        #[case] scheme: Option<&str>,
        #[case] host: Option<&str>,
    ) {
        let address = Address::parse(value);
        assert_eq!(
            (address.scheme.as_deref(), address.host.as_deref()),
            (scheme, host)
        );
    }

    #[rstest]
    #[case("bank.example", Some("bank.example"))]
    #[case("https://www.bank.example/x", Some("www.bank.example"))]
    #[case("Read more", None)]
    #[case("v1.2", None)]
    #[case("a@bank.example", None)]
    fn only_a_text_that_is_an_address_names_a_host(#[case] text: &str, #[case] host: Option<&str>) {
        assert_eq!(shown_host(text).as_deref(), host);
    }
}
