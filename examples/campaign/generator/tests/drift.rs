//! The committed files are those that the seed gives, and every seed gives a fit campaign.
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
        assert_eq!((campaign.customers.len(), customers.len()), (300, 15));
        let answers = campaign.plants.iter().filter(|p| p.answer.is_some());
        let in_model = campaign.plants.iter().filter(|p| p.place == Place::Model);
        let scripted = campaign
            .customers
            .iter()
            .filter(|c| c.writer == Writer::Scripted);
        let counts = (answers.count(), in_model.count(), scripted.count());
        assert_eq!(counts, (8, 8, 8), "seed {seed}");
    }
}

#[test]
fn customers_are_varied() {
    let customers = generate(SEED).customers;
    let names = |found: fn(char) -> bool| {
        let named = customers.iter().filter(|c| c.name.chars().any(found));
        named.count()
    };
    assert!(names(|c| ('\u{c0}'..'\u{24f}').contains(&c)) > 50);
    assert!(names(|c| ('\u{590}'..'\u{6ff}').contains(&c)) > 10);
    let segments: BTreeSet<_> = customers
        .iter()
        .map(|c| format!("{:?}", c.segment))
        .collect();
    assert_eq!(segments.len(), 4);
}

#[test]
fn counts_are_those_that_the_readme_tells() {
    let expected = generate(SEED).expected();
    let count = |lists: &std::collections::BTreeMap<String, Vec<String>>| {
        lists.values().map(Vec::len).sum::<usize>()
    };
    assert_eq!(count(&expected.refused), 24);
    assert_eq!(count(&expected.review), 11);
    let writable: usize = expected.writable.values().sum();
    assert_eq!(writable + 24, expected.accepted);
    // Template languages leave room for the 80 % that a model must write.
    let english = expected.writable[Language::En.as_str()];
    assert!(english * 100 > writable * 90);
}
