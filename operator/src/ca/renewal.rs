//! When a certificate is issued again: at two thirds of its life, or when it is not the right one.

use std::time::Duration;

use jiff::Timestamp;

/// What a stored certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// DNS names and URIs, sorted.
    pub names: Vec<String>,
    /// Whether the present CA signed it and its key belongs to it.
    pub ours: bool,
}

/// What to do about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Issue one now.
    Issue,
    /// It is good; look again after this time.
    Keep(Duration),
}

/// Two thirds of a life.
pub(super) fn renewal_of(start: Timestamp, end: Timestamp) -> Timestamp {
    start + end.duration_since(start) / 3 * 2
}

/// Decides over a certificate that must be for `names` (sorted).
pub fn need(seen: Option<&Seen>, names: &[String], now: Timestamp) -> Need {
    let Some(seen) = seen.filter(|seen| seen.ours && seen.names == names) else {
        return Need::Issue;
    };
    let renewal = renewal_of(seen.not_before, seen.not_after);
    match Duration::try_from(renewal.duration_since(now)) {
        Ok(left) if !left.is_zero() => Need::Keep(left),
        _ => Need::Issue,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Need, Seen, need};
    use jiff::Timestamp;
    use std::time::Duration;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn seen() -> Seen {
        Seen {
            not_before: at(0),
            not_after: at(900),
            names: vec!["a".into()],
            ours: true,
        }
    }

    #[test]
    fn a_certificate_is_kept_until_two_thirds_of_its_life() {
        let names = ["a".to_owned()];
        assert_eq!(
            need(Some(&seen()), &names, at(100)),
            Need::Keep(Duration::from_secs(500))
        );
        assert_eq!(need(Some(&seen()), &names, at(600)), Need::Issue);
        assert_eq!(need(Some(&seen()), &names, at(2000)), Need::Issue);
    }

    #[test]
    fn a_missing_foreign_or_misnamed_certificate_is_issued_again() {
        let names = ["a".to_owned()];
        assert_eq!(need(None, &names, at(1)), Need::Issue);
        assert_eq!(
            need(
                Some(&Seen {
                    ours: false,
                    ..seen()
                }),
                &names,
                at(1)
            ),
            Need::Issue
        );
        assert_eq!(need(Some(&seen()), &["b".to_owned()], at(1)), Need::Issue);
    }
}
