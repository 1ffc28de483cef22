//! Parameters that follow a reader from a link to a site: those of the common senders and networks.

use std::ops::Range;

/// A tracking parameter of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tracker {
    /// Name and value.
    pub(super) parameter: Range<usize>,
    /// What to take out so that the other parameters stay: one `&`, or the `?` as well.
    pub(super) removal: Range<usize>,
}

/// Sorted; names in lower case.
const NAMES: [&str; 34] = [
    "_hsenc",
    "_hsmi",
    "_openstat",
    "ck_subscriber_id",
    "dclid",
    "epik",
    "fbclid",
    "gad_source",
    "gbraid",
    "gclid",
    "gclsrc",
    "hsctatracking",
    "igsh",
    "igshid",
    "irclickid",
    "li_fat_id",
    "mc_cid",
    "mc_eid",
    "mkt_tok",
    "ml_subscriber",
    "ml_subscriber_hash",
    "msclkid",
    "oly_anon_id",
    "oly_enc_id",
    "rb_clickid",
    "s_cid",
    "srsltid",
    "ttclid",
    "twclid",
    "vero_conv",
    "vero_id",
    "wbraid",
    "wickedid",
    "yclid",
];
/// Beginnings of names.
const FAMILIES: [&str; 2] = ["mtm_", "utm_"];

pub(super) fn find(address: &str) -> Vec<Tracker> {
    let end = address.find('#').unwrap_or(address.len());
    let Some(query) = address.get(..end).and_then(|before| before.find('?')) else {
        return Vec::new();
    };
    let parameters = parameters(address, query + 1..end);
    let last_kept = parameters.iter().rposition(|(_, tracks)| !tracks);
    let trackers = parameters
        .iter()
        .enumerate()
        .filter(|(_, (_, tracks))| *tracks);
    trackers
        .map(|(index, (range, _))| {
            // Up to the last that stays, the `&` behind goes; after it, or where none stays, what
            // stands in front.
            let removal = if last_kept.is_some_and(|kept| index < kept) {
                range.start..range.end + 1
            } else {
                range.start - 1..range.end
            };
            Tracker {
                parameter: range.clone(),
                removal,
            }
        })
        .collect()
}

/// Parameters of a query, and whether each tracks.
fn parameters(address: &str, query: Range<usize>) -> Vec<(Range<usize>, bool)> {
    let mut at = query.start;
    let text = address.get(query).unwrap_or_default();
    let parameters = text.split('&').map(|parameter| {
        let range = at..at + parameter.len();
        at = range.end + 1;
        (range, tracks(parameter))
    });
    parameters.collect()
}

fn tracks(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or_default();
    let name = name.to_ascii_lowercase();
    NAMES.binary_search(&name.as_str()).is_ok()
        || FAMILIES.iter().any(|family| name.starts_with(family))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::{NAMES, find};

    #[test]
    fn names_are_sorted_for_the_search() {
        assert!(NAMES.is_sorted());
    }

    #[rstest]
    #[case("https://a.b/?utm_source=x", "https://a.b/")]
    #[case("https://a.b/?utm_source=x&utm_medium=y#z", "https://a.b/#z")]
    #[case("https://a.b/?a=1&UTM_Source=x", "https://a.b/?a=1")]
    #[case("https://a.b/?utm_source=x&a=1", "https://a.b/?a=1")]
    #[case(
        "https://a.b/?gclid=1&a=1&fbclid=2&b=2&mc_eid=3#x",
        "https://a.b/?a=1&b=2#x"
    )]
    #[case("https://a.b/?a=utm_source&b", "https://a.b/?a=utm_source&b")]
    #[case("https://a.b/#?utm_source=x", "https://a.b/#?utm_source=x")]
    fn removing_them_leaves_the_others(#[case] address: &str, #[case] clean: &str) {
        let mut left = address.to_owned();
        for tracker in find(address).into_iter().rev() {
            left.replace_range(tracker.removal, "");
        }
        assert_eq!(left, clean);
    }
}
