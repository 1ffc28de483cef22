//! What the labelled simulator answers. Prompts of scripted customers end in a marker such as
//! `(ref C0042 opening)`, which the pipeline's prompts print for them alone.

use serde::Serialize;

use crate::Plant;

/// One rule of the simulator: the first whose words stand in the prompt gives the answer.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    #[serde(rename = "in")]
    pub place: &'static str,
    pub answer: String,
}

const OPENING: &str = "We would love to welcome you to our webinar about saving.";
const BENEFIT: &str = "Our team will show you how saving a little can become a good habit.";

/// Better answers once policy sent one back, then the planted answers, then harmless ones.
pub fn of(plants: &[Plant]) -> Vec<Rule> {
    let harmless = [("opening", OPENING), ("benefit", BENEFIT)];
    let again = harmless.map(|(slot, answer)| Rule {
        contains: None,
        regex: Some(format!(r"(?s)\(ref C\d+ {slot}\).*Mind these rules")),
        place: "lastUser",
        answer: answer.to_owned(),
    });
    let planted = plants.iter().filter_map(|plant| {
        let answer = plant.answer?;
        let marker = format!("(ref {} {})", plant.customer_id, answer.slot);
        Some(containing(marker, answer.answer))
    });
    let first = harmless.map(|(slot, answer)| containing(format!(" {slot})"), answer));
    again.into_iter().chain(planted).chain(first).collect()
}

fn containing(marker: String, answer: &str) -> Rule {
    Rule {
        contains: Some(marker),
        regex: None,
        place: "lastUser",
        answer: answer.to_owned(),
    }
}
