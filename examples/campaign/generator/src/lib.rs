//! Makes up the campaign's 300 customers, the mistakes planted among them and the simulator's script.
//! The same seed gives the same bytes, so that the outputs are committed and checked for drift.
//! Nobody here is real: names are drawn from lists, addresses end in `.example`.

mod customer;
mod expected;
mod infrastructure;
mod names;
mod plants;
mod random;
mod script;

pub use customer::{Customer, Language, Offer, Segment, Writer};
pub use expected::Expected;
pub use plants::{Answer, Expect, Place, Plant};
pub use script::Rule;

use random::Random;

/// Seed of the committed files.
pub const SEED: u64 = 20_261_105;

/// A whole campaign.
pub struct Campaign {
    pub customers: Vec<Customer>,
    pub plants: Vec<Plant>,
    pub script: Vec<Rule>,
}

/// Makes up a campaign.
pub fn generate(seed: u64) -> Campaign {
    let mut random = Random::new(seed);
    let mut customers = customer::make_up(&mut random);
    let plants = plants::plant(&mut customers, &mut random);
    let script = script::of(&plants);
    Campaign {
        customers,
        plants,
        script,
    }
}

impl Campaign {
    /// What must become of it.
    pub fn expected(&self) -> Expected {
        Expected::of(self)
    }

    /// File names and contents, as committed.
    ///
    /// # Errors
    /// When a value has no JSON form, which the tests rule out.
    pub fn files(&self) -> Result<Vec<(&'static str, String)>, serde_json::Error> {
        let mut customers = String::new();
        for customer in &self.customers {
            customers.push_str(&serde_json::to_string(customer)?);
            customers.push('\n');
        }
        let script = serde_json::to_string_pretty(&self.script)? + "\n";
        Ok(vec![
            ("customers.ndjson", customers),
            (
                "plants.json",
                serde_json::to_string_pretty(&self.plants)? + "\n",
            ),
            (
                "expected.json",
                serde_json::to_string_pretty(&self.expected())? + "\n",
            ),
            ("infrastructure.yaml", infrastructure::with_script(&script)),
            ("simulator-script.json", script),
        ])
    }
}
