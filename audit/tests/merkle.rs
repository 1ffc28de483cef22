//! The tree against the published RFC 6962 vectors and against a naive reading of the RFC.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aios_audit::{
    AuditError, Checkpoint, Hash, Log, leaf_hash, node_hash, sha256, verify_consistency,
    verify_inclusion,
};
use proptest::prelude::*;

/// Leaves and roots used by the Certificate Transparency reference implementations.
const LEAVES: [&str; 8] = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn reference_log() -> Log {
    LEAVES
        .iter()
        .map(|leaf| leaf_hash(&hex::decode(leaf).unwrap()))
        .collect()
}

fn log(size: u64) -> Log {
    (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect()
}

fn head(log: &Log, size: u64) -> Checkpoint {
    Checkpoint {
        origin: "log".into(),
        size,
        root: log.root_at(size).unwrap(),
    }
}

/// MTH of RFC 6962, 2.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(b""),
        [one] => *one,
        many => {
            let k = many.len().next_power_of_two() / 2;
            node_hash(naive_root(&many[..k]), naive_root(&many[k..]))
        }
    }
}

#[test]
fn roots_match_the_published_vectors() {
    let log = reference_log();
    for (size, root) in (0..).zip(ROOTS) {
        assert_eq!(log.root_at(size).unwrap().to_string(), root, "size {size}");
    }
    assert_eq!(log.root(), log.root_at(8).unwrap());
}

#[test]
fn paths_match_the_published_vectors() {
    let log = reference_log();
    let hex = |proof: Vec<Hash>| proof.iter().map(Hash::to_string).collect::<Vec<_>>();
    assert_eq!(
        hex(log.inclusion_proof_at(5, 8).unwrap()),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(
        hex(log.consistency_proof(6, 8).unwrap()),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn what_is_not_in_the_log_is_refused() {
    let log = log(5);
    assert_eq!(
        log.root_at(6),
        Err(AuditError::NoSuchSize { wanted: 6, has: 5 })
    );
    assert_eq!(
        log.inclusion_proof(5),
        Err(AuditError::NoSuchLeaf { index: 5, size: 5 })
    );
    assert_eq!(
        log.consistency_proof(4, 3),
        Err(AuditError::Shrunk { old: 4, new: 3 })
    );
    assert!(Log::new().inclusion_proof(0).is_err());
}

#[test]
fn a_shorter_log_or_another_log_is_no_extension() {
    let log = log(9);
    let (small, large) = (head(&log, 4), head(&log, 9));
    let proof = log.consistency_proof(4, 9).unwrap();
    assert_eq!(
        verify_consistency(&large, &small, &proof),
        Err(AuditError::Shrunk { old: 9, new: 4 })
    );
    let other = Checkpoint {
        origin: "other".into(),
        ..large
    };
    assert!(matches!(
        verify_consistency(&small, &other, &proof),
        Err(AuditError::OtherLog { .. })
    ));
}

#[test]
fn a_rewritten_leaf_is_no_extension() {
    let honest = log(12);
    for touched in 0..7 {
        let leaves = (0..12).map(|i| {
            if i == touched {
                leaf_hash(b"rewritten")
            } else {
                honest.leaf(i).unwrap()
            }
        });
        let forged: Log = leaves.collect();
        let result = verify_consistency(
            &head(&honest, 7),
            &head(&forged, 12),
            &forged.consistency_proof(7, 12).unwrap(),
        );
        assert_eq!(result, Err(AuditError::Rewritten { old: 7, new: 12 }));
    }
}

#[test]
fn every_size_extends_every_smaller_size() {
    let log = log(40);
    for new in 0..=40 {
        for old in 0..=new {
            let proof = log.consistency_proof(old, new).unwrap();
            verify_consistency(&head(&log, old), &head(&log, new), &proof).unwrap();
        }
    }
}

proptest! {
    #[test]
    fn roots_agree_with_the_naive_reading(size in 0_u64..300) {
        let log = log(size);
        let leaves: Vec<_> = (0..size).map(|i| log.leaf(i).unwrap()).collect();
        prop_assert_eq!(log.root(), naive_root(&leaves));
    }

    #[test]
    fn inclusion_holds_for_its_leaf_alone(size in 1_u64..300, pick: u64, other: u64) {
        let log = log(size);
        let (index, other) = (pick % size, other % size);
        let proof = log.inclusion_proof(index).unwrap();
        let head = head(&log, size);
        let leaf = log.leaf(index).unwrap();
        prop_assert!(verify_inclusion(&head, index, leaf, &proof).is_ok());
        if other != index {
            prop_assert!(verify_inclusion(&head, other, leaf, &proof).is_err());
            prop_assert!(verify_inclusion(&head, index, log.leaf(other).unwrap(), &proof).is_err());
        }
    }

    #[test]
    fn a_damaged_consistency_proof_is_refused(old in 1_u64..200, more in 1_u64..100, at: usize) {
        let new = old + more;
        let log = log(new);
        let (small, large) = (head(&log, old), head(&log, new));
        let proof = log.consistency_proof(old, new).unwrap();
        prop_assert!(verify_consistency(&small, &large, &proof).is_ok());
        let mut damaged = proof.clone();
        let at = at % damaged.len();
        damaged[at].0[0] ^= 1;
        prop_assert!(verify_consistency(&small, &large, &damaged).is_err());
        prop_assert!(verify_consistency(&small, &large, &proof[..proof.len() - 1]).is_err());
        let mut longer = proof;
        longer.push(log.root());
        prop_assert!(verify_consistency(&small, &large, &longer).is_err());
    }
}
