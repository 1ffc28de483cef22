//! Checks that several kinds share: names of objects, doubled names, addresses, budgets.

use std::collections::BTreeSet;

use aios_crds::budget::Budget;
use jiff::tz::TimeZone;

use crate::Diagnostic;

/// Names that other objects, labels and addresses are made of: DNS labels that start with a letter
/// (RFC 1035), as Services need them.
pub fn object_name(kind: &str, name: &str, longest: usize) -> Option<Diagnostic> {
    let legal = name.len() <= longest
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    (!legal).then(|| {
        Diagnostic::new(
            "metadata.name",
            format!("`{name}` cannot name a {kind}"),
            format!(
                "start with a letter, use only a-z, 0-9 and `-`, at most {longest} characters: \
                 names of Services and labels are made of it"
            ),
        )
    })
}

/// A budget's time zone that does not exist.
pub fn time_zone(path: &str, budget: &Budget) -> Option<Diagnostic> {
    let zone = budget.time_zone.as_deref()?;
    TimeZone::get(zone).err().map(|_| {
        Diagnostic::new(
            format!("{path}.timeZone"),
            format!("there is no time zone `{zone}`"),
            "name one of the IANA database, as in Europe/Berlin, or leave it out for UTC",
        )
    })
}

/// Names that occur twice. `path` is given the index and ends in the name's field.
pub fn doubled<'a>(
    names: impl IntoIterator<Item = &'a str>,
    path: impl Fn(usize) -> String,
) -> Vec<Diagnostic> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (index, name) in names.into_iter().enumerate() {
        if !seen.insert(name) {
            found.push(Diagnostic::new(
                path(index),
                format!("`{name}` stands here twice"),
                "give each entry its own name",
            ));
        }
    }
    found
}

/// An absolute http(s) address with a host, no credentials, query or fragment.
pub fn address(path: &str, url: &str) -> Option<Diagnostic> {
    let rest = match authority(path, url) {
        Ok(rest) => rest,
        Err(wrong) => return Some(wrong),
    };
    (rest.contains(['?', '#']) || rest.ends_with('/')).then(|| {
        Diagnostic::new(
            path,
            format!("`{url}` has a query, a fragment or a trailing slash"),
            "end it with the path: AIOS appends to it",
        )
    })
}

/// What follows the scheme of an absolute http(s) address with a host and no credentials.
pub fn authority<'a>(path: &str, url: &'a str) -> Result<&'a str, Diagnostic> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let wrong = |message: &str, remedy: &str| {
        Err(Diagnostic::new(path, format!("`{url}` {message}"), remedy))
    };
    let Some(rest) = rest else {
        return wrong(
            "is not an http address",
            "write it whole, as in https://example.com/v1/documents",
        );
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return wrong(
            "holds credentials",
            "keep them in a Secret and refer to it: manifests are read by many",
        );
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c == '_') {
        return wrong(
            "names no valid host",
            "write a DNS name or an IP address after the scheme",
        );
    }
    if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
        return wrong(
            "names no valid port",
            "use a number from 1 to 65535, or leave it out",
        );
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    #[test]
    fn addresses_that_work_pass() {
        for url in [
            "https://a.example/v1",
            "http://receiver:8080/hooks",
            "http://[::1]:80/x",
        ] {
            assert_eq!(super::address("spec.url", url), None);
        }
    }

    #[test]
    fn other_addresses_are_refused() {
        for url in [
            "ftp://a/b",
            "https:///v1",
            "https://a:99999/v1",
            "https://u:p@a/v1",
            "https://a/v1?x=1",
            "https://a/v1/",
        ] {
            assert!(super::address("spec.url", url).is_some(), "{url}");
        }
    }
}
