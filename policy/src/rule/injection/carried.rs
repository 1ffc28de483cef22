//! Images and links that would carry words away once an answer that repeats them is shown: an image is
//! fetched unasked, with whatever stands in its address.

use std::ops::Range;

use super::super::Ranges;
use crate::work::spend;

/// Most bytes of one address.
const LONGEST: usize = 2048;
/// Schemes that run what they hold.
const ACTIVE: [&str; 3] = ["javascript:", "vbscript:", "data:text/html"];
/// What stands for something to be filled in.
const BLANKS: [&str; 8] = ["{", "%7b", "[", "%5b", "<", "%3c", "$(", "..."];

/// Where an address stands, and how it is used.
struct Address {
    range: Range<usize>,
    image: bool,
}

/// Bytes of addresses that would carry words away. `allowed` tells of an image's address.
pub(super) fn find(text: &str, allowed: impl Fn(&str) -> bool) -> Ranges {
    let mut addresses = markdown(text);
    addresses.extend(sources(text));
    let carries = |address: &Address| {
        let written = text.get(address.range.clone()).unwrap_or_default();
        spend(written.len());
        let lower = written.to_ascii_lowercase();
        let query = lower.split_once('?').map(|(_, query)| query);
        let away = lower.starts_with("http") || lower.starts_with("//");
        let active = ACTIVE.iter().any(|scheme| lower.starts_with(scheme));
        let blank = query.is_some_and(|query| {
            query.ends_with('=') || BLANKS.iter().any(|blank| query.contains(blank))
        });
        active
            || (away && address.image && query.is_some() && !allowed(written))
            || (away && blank && !allowed(written))
    };
    let found = addresses.into_iter().filter(carries);
    found.map(|address| address.range).collect()
}

/// `![alt](address)` and `[text](address)`.
fn markdown(text: &str) -> Vec<Address> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("](") {
        let start = at + 2;
        let Some(end) = address_end(text, start, &[')', ' ', '\n']) else {
            continue;
        };
        found.push(Address {
            range: start..end,
            image: is_image(text, at),
        });
    }
    found
}

/// Whether the brackets before `](` open with `![`.
fn is_image(text: &str, close: usize) -> bool {
    let from = text.floor_char_boundary(close.saturating_sub(256));
    let label = text.get(from..close).unwrap_or_default();
    spend(label.len());
    label.rfind('[').is_some_and(|open| {
        label
            .get(..open)
            .is_some_and(|before| before.ends_with('!'))
    })
}

/// Addresses of HTML's `src` attributes, and of `href` and `action`.
fn sources(text: &str) -> Vec<Address> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    for (name, image) in [("src", true), ("href", false), ("action", false)] {
        spend(lower.len());
        for (at, _) in lower.match_indices(name) {
            let rest = lower.get(at + name.len()..).unwrap_or_default();
            let Some(value) = rest.trim_start().strip_prefix('=') else {
                continue;
            };
            let value = value.trim_start();
            spend(rest.len() - value.len());
            let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
            let start = lower.len() - value.len() + quote.map_or(0, char::len_utf8);
            let ends: &[char] = match quote {
                Some('"') => &['"'],
                Some(_) => &['\''],
                None => &[' ', '>', '\n', '\t'],
            };
            if let Some(end) = address_end(text, start, ends) {
                found.push(Address {
                    range: start..end,
                    image,
                });
            }
        }
    }
    found
}

fn address_end(text: &str, start: usize, ends: &[char]) -> Option<usize> {
    let most = text.floor_char_boundary((start + LONGEST).min(text.len()));
    let rest = text.get(start..most)?;
    let len = rest.find(ends).unwrap_or(rest.len());
    spend(len);
    (len > 0).then_some(start + len)
}
