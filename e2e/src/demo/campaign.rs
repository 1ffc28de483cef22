//! The example as its files tell it: records, planted mistakes, what should become of whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aios_crds::WritingRun;
use anyhow::{Context, Result};
use kube::ResourceExt;
use serde::Deserialize;

use super::settings::Chosen;

/// What is uploaded, applied, and known beforehand.
pub struct Campaign {
    /// NDJSON, as uploaded.
    pub records: String,
    /// The records' keys, in their order.
    pub customers: Vec<String>,
    pub plants: Vec<Plant>,
    pub expected: Expected,
    /// In the order in which they are applied.
    pub manifests: Vec<String>,
    /// The run's manifest.
    pub run: String,
    pub run_name: String,
    pub pipeline: String,
    /// The context that the records are uploaded for.
    pub context: String,
    /// Manifest and patch of the last step's model.
    pub final_model: Option<(String, String)>,
}

/// A mistake put in on purpose.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plant {
    pub id: String,
    pub customer_id: String,
    /// The rule that must find it.
    pub rule: String,
    pub expect: Expect,
    pub what: String,
    /// What the labelled simulator writes, where the mistake is a model's.
    #[serde(default)]
    pub answer: Option<String>,
}

/// What must become of a planted mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Expect {
    Refused,
    /// A person decides.
    Review,
    /// The model writes it again, or the safe wording stands.
    Revised,
}

/// Who may not be written to, and whose mail a person should see; planted ones among them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Expected {
    /// Customers by reason.
    pub refused: BTreeMap<String, BTreeSet<String>>,
    /// Customers by rule.
    pub review: BTreeMap<String, BTreeSet<String>>,
    /// Customers whose mail may go out once a person has read it.
    pub approvable: BTreeSet<String>,
}

impl Campaign {
    /// Reads the example's folder; the chosen customers and their plants only.
    pub fn read(folder: &Path, chosen: &Chosen) -> Result<Self> {
        let text = |name: &str| {
            let path = folder.join(name);
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))
        };
        let run = text("run.yaml")?;
        let parsed: WritingRun = serde_saphyr::from_str(&run).context("run.yaml")?;
        let upload = parsed.spec.input.upload.as_ref();
        let context = upload
            .context("run.yaml: spec.input.upload is missing")?
            .context
            .clone();
        let (records, customers) = customers(&text("customers.ndjson")?, chosen)?;
        let plants: Vec<Plant> =
            serde_json::from_str(&text("plants.json")?).context("plants.json")?;
        let plants = plants
            .into_iter()
            .filter(|p| customers.contains(&p.customer_id))
            .collect();
        Ok(Self {
            records,
            customers,
            plants,
            expected: serde_json::from_str(&text("expected.json")?).context("expected.json")?,
            manifests: vec![text("infrastructure.yaml")?, text("campaign.yaml")?],
            run_name: parsed.name_any(),
            pipeline: parsed.spec.pipeline_ref.name.clone(),
            run,
            context,
            final_model: text("final/final.yaml")
                .ok()
                .zip(text("final/patch.yaml").ok()),
        })
    }

    /// The mistake planted for a customer.
    pub fn plant_of(&self, customer: &str) -> Option<&Plant> {
        self.plants
            .iter()
            .find(|plant| plant.customer_id == customer)
    }
}

impl Expected {
    /// Nothing should stop this customer's mail.
    pub fn is_clean(&self, customer: &str) -> bool {
        let mut stopped = self.refused.values().chain(self.review.values());
        !stopped.any(|customers| customers.contains(customer))
    }
}

fn customers(ndjson: &str, chosen: &Chosen) -> Result<(String, Vec<String>)> {
    #[derive(Deserialize)]
    struct Keyed {
        id: String,
    }
    let (mut records, mut keys) = (Vec::new(), Vec::new());
    let lines = ndjson.lines().filter(|line| !line.trim().is_empty());
    for (index, line) in lines.enumerate() {
        let keyed: Keyed = serde_json::from_str(line)
            .with_context(|| format!("customers.ndjson line {}", index + 1))?;
        if chosen.has(index, &keyed.id) {
            records.push(line);
            keys.push(keyed.id);
        }
    }
    anyhow::ensure!(
        !keys.is_empty(),
        "no customer is chosen: see customers.ndjson for their ids"
    );
    Ok((records.join("\n"), keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::repository;

    #[test]
    fn the_example_is_whole_and_its_plants_have_customers() {
        let folder = repository().join("examples").join("campaign");
        let campaign = Campaign::read(&folder, &Chosen::All).unwrap();
        assert_eq!((campaign.customers.len(), campaign.plants.len()), (300, 15));
        let clean = campaign
            .customers
            .iter()
            .filter(|id| campaign.expected.is_clean(id))
            .count();
        assert!((200..290).contains(&clean), "{clean}");
    }

    #[test]
    fn a_limit_takes_the_first_customers_and_their_plants() {
        let folder = repository().join("examples").join("campaign");
        let campaign = Campaign::read(&folder, &Chosen::First(10)).unwrap();
        assert_eq!(
            (campaign.customers.len(), campaign.records.lines().count()),
            (10, 10)
        );
        assert!(
            campaign
                .plants
                .iter()
                .all(|p| campaign.customers.contains(&p.customer_id))
        );
    }

    #[test]
    fn chosen_customers_must_exist() {
        let these = |key: &str| Chosen::These(vec![key.to_owned()]);
        let found = customers("{\"id\":\"a\"}\n{\"id\":\"b\"}", &these("b")).unwrap();
        assert_eq!(found, ("{\"id\":\"b\"}".to_owned(), vec!["b".to_owned()]));
        assert!(customers("{\"id\":\"a\"}", &these("c")).is_err());
    }

    #[test]
    fn a_broken_record_is_named_by_its_line() {
        let error = customers("{\"id\":\"a\"}\n{\"name\":1}", &Chosen::All).unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}
