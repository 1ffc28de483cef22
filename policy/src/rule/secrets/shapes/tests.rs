//! One good and some bad keys of every shape.

use std::collections::BTreeSet;

use super::{super::tests::found_but, SHAPES};

/// Prefix and body stand apart, so that no scanner of repositories takes them for real; then whether the
/// body may be longer.
const KEYS: [(&str, &str, bool); 31] = [
    ("AKIA", "Q3EGRZ5N7XJ2KLMP", false),
    ("ASIA", "ZN4TQ7WLX2M5RJ6P", false),
    ("ghp_", "x7Kd92mQpL4vTz8RbN1cYw5HsJ6fGa3EuB0o", true),
    ("gho_", "Lq5Zt8Wn2Rk7Vb4Xc1Md6Pf9Jh3Gs0YaTeUi", true),
    ("ghu_", "c3Vn8Kq1Lz6Xw4Rt9Mb2Hd7Fp5Js0GyAoEiU", true),
    ("ghs_", "R8tW2yQ6uK1oP5aZ9sX3dC7fV4gB0hNjMkLe", true),
    ("ghr_", "m4Nb7Vc2Xz9Lk5Jh1Gf8Dp3Sa6Qw0ErTyUiO", true),
    (
        "github_pat_",
        "11ABQ3EGR0x7Kd92mQpL4v_Tz8RbN1cYw5HsJ6fGa3EuB0oLq5Zt8Wn2Rk7V",
        true,
    ),
    ("glpat-", "x7Kd92mQpL4vTz8RbN1c", true),
    ("xoxb-", "123456789012-abcdefG", true),
    ("xoxp-", "210987654321-GHIabcd", true),
    ("xoxa-", "2-456789012345-abcdE", true),
    ("xoxr-", "345678901234-EFGabcd", true),
    ("xoxs-", "456789012345-hiABCde", true),
    ("sk_live_", "51HqLyjWDarjtT1z", true),
    ("rk_live_", "62JrMzkXEbskuU2a", true),
    ("sk_test_", "73KsNalYFctlvV3b", true),
    ("whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZI", true),
    ("sk-ant-", "api03-x7Kd92mQpL4vTz8RbN1cYw5HsJ", true),
    ("sk-proj-", "Lq5Zt8Wn2Rk7Vb4Xc1Md6Pf9Jh3Gs0Ya", true),
    ("sk-", "c3Vn8Kq1Lz6Xw4Rt9Mb2Hd7Fp5Js0GyA", true),
    ("AIza", "SyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY", false),
    ("ya29.", "a0AfH6SMBx7Kd92mQpL4", true),
    (
        "SG.",
        "x7Kd92mQpL4vTz8RbN1cYw.5HsJ6fGa3EuB0oLq5Zt8Wn2Rk7Vb4Xc1Md6Pf",
        true,
    ),
    ("npm_", "m4Nb7Vc2Xz9Lk5Jh1Gf8Dp3Sa6Qw0ErTyUiO", false),
    (
        "pypi-AgEI",
        "cHlwaS5vcmcCJDx7Kd92mQpL4vTz8RbN1cYw5HsJ6fGa3EuB0o",
        true,
    ),
    ("hf_", "Kq1Lz6Xw4Rt9Mb2Hd7Fp5Js0GyAoEiUcVn", true),
    (
        "dop_v1_",
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        false,
    ),
    ("shpat_", "0f1e2d3c4b5a69788796a5b4c3d2e1f0", false),
    ("key-", "1f0e2d3c4b5a69788796a5b4c3d2e1f0", false),
    ("eyJ", "hbGciOi.eyJzdWIiOiI0In0.dozjgN", true),
];

fn found(text: &str) -> Vec<String> {
    found_but(&[], text)
}

fn without_digits(body: &str) -> String {
    let letter = |c: char| if c.is_ascii_digit() { 'Q' } else { c };
    body.chars().map(letter).collect()
}

#[test]
fn there_is_a_key_of_every_shape() {
    let shapes: BTreeSet<_> = SHAPES.iter().map(|shape| shape.prefix).collect();
    let keys: BTreeSet<_> = KEYS.iter().map(|(prefix, ..)| *prefix).collect();
    assert_eq!(shapes, keys);
    for (prefix, body, _) in KEYS {
        let shape = SHAPES.iter().find(|shape| shape.prefix == prefix).unwrap();
        assert_eq!(body.len(), shape.least, "{prefix}: the shortest there is");
    }
}

#[test]
fn a_key_of_every_shape_is_found_as_it_stands() {
    for (prefix, body, _) in KEYS {
        let key = format!("{prefix}{body}");
        assert_eq!(found(&format!("use {key}, now")), [key.as_str()]);
        assert_eq!(found(&format!("({key})")), [key.as_str()]);
    }
}

#[test]
fn what_has_nearly_the_shape_is_no_key() {
    for (prefix, body, longer) in KEYS {
        let short = &body[..body.len() - 1];
        for text in [
            format!("{prefix}{short}"),
            format!("x{prefix}{body}"),
            format!("{prefix}{}", without_digits(body)),
            format!("{prefix}{} {}", &body[..8], &body[8..]),
            format!("The prefix {prefix} is that of a key"),
        ] {
            assert_eq!(found(&text), Vec::<String>::new(), "{text}");
        }
        let long = format!("{prefix}{body}77");
        let expected = if longer { vec![long.clone()] } else { vec![] };
        assert_eq!(found(&long), expected, "{long}");
    }
}

#[test]
fn stretches_of_a_token_are_counted() {
    for (text, what) in [
        ("eyJhbGciOi.eyJzdWIiOiI0In0dozjgNQ", "two stretches"),
        ("eyJhbGciOi.zdWIiOiI0In0a.dozjgN7xQ", "no claims"),
        (
            "SG.x7Kd92mQpL4vTz8RbN1cYw5HsJ6fGa3EuB0oLq5Zt8Wn2Rk7Vb4Xc1Md6PfQ",
            "one stretch",
        ),
    ] {
        assert_eq!(found(text), Vec::<String>::new(), "{what}");
    }
}
