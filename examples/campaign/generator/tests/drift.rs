//! The committed files are those that the seed gives.
#![allow(clippy::unwrap_used)]

use std::{collections::BTreeSet, fs, path::Path};

use aios_campaign::{Language, Place, SEED, Writer, generate};

#[test]
fn committed_files_are_those_of_the_seed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (name, text) in generate(SEED).files().unwrap() {
        let committed = fs::read_to_string(folder.join(name)).unwrap_or_default();
        let remedy = "run `cargo run -p aios-campaign -- examples/campaign`";
        assert!(committed == text, "{name} has drifted: {remedy}");
    }
}

#[test]
fn every_seed_plants_fifteen_mistakes_with_fifteen_customers() {
    for seed in 0..50 {
        let campaign = generate(seed);
        let customers: BTreeSet<_> = campaign.plants.iter().map(|p| &p.customer_id).collect();
        assert_eq!(
            (campaign.customers.len(), customers.len()),
            (300, 15),
            "seed {seed}"
        );
        let answers = campaign
            .plants
            .iter()
            .filter(|p| p.place == Place::Answer)
            .count();
        let scripted = campaign
            .customers
            .iter()
            .filter(|c| c.writer == Writer::Scripted)
            .count();
        assert_eq!(answers, scripted, "seed {seed}");
    }
}

#[test]
fn customers_are_varied() {
    let customers = generate(SEED).customers;
    let names = |found: fn(char) -> bool| {
        customers
            .iter()
            .filter(|c| c.name.chars().any(found))
            .count()
    };
    assert!(
        names(|c| ('\u{c0}'..'\u{24f}').contains(&c)) > 50,
        "accented names"
    );
    assert!(
        names(|c| ('\u{590}'..'\u{6ff}').contains(&c)) > 10,
        "right-to-left names"
    );
    let english = customers
        .iter()
        .filter(|c| c.language == Language::En)
        .count();
    assert!((270..300).contains(&english), "{english} read English");
    let refused = customers.iter().filter(|c| !c.may_be_written_to()).count();
    assert_eq!(refused, 15);
}
