//! The corpora of the fuzz targets, and what becomes of them when bytes are changed by a seed.

#[path = "../common/fuzz.rs"]
mod fuzz;

use std::{fs, path::Path};

use rand::{Rng, SeedableRng, rngs::StdRng};
use rstest::rstest;

/// Changed copies of each file that are tried beside it.
const COPIES: usize = 200;

/// Some bytes replaced, left out or said again.
fn changed(bytes: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..rng.random_range(1..6) {
        let (from, to) = (
            rng.random_range(0..=out.len()),
            rng.random_range(0..=out.len()),
        );
        let from = from.min(to);
        let to = from.max(to).min(from + 16);
        match rng.random_range(0..3) {
            0 if from < out.len() => out[from] = rng.random(),
            1 => drop(out.drain(from..to)),
            _ => {
                let again = out[from..to].to_vec();
                out.splice(from..from, again);
            }
        }
    }
    out
}

#[rstest]
#[case::request("request", fuzz::any_request)]
#[case::answer("answer", fuzz::any_answer)]
#[case::stream("stream", fuzz::any_stream)]
fn what_must_hold_of_any_bytes_holds_of_the_corpora(
    #[case] target: &str,
    #[case] holds: fn(&[u8]),
) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let files = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    assert!(!files.is_empty());
    let mut rng = StdRng::seed_from_u64(7);
    for file in files {
        let bytes = fs::read(file).unwrap();
        holds(&bytes);
        for _ in 0..COPIES {
            holds(&changed(&bytes, &mut rng));
        }
    }
}
