use anyhow::Result;

use super::{session::Session, table::Table};
use crate::{
    cli::{Experiment, ExperimentReport},
    client::{Share, Variant},
};

/// How the documents of each variant fared, as the gateway counts; which is better is for people.
pub async fn run(arguments: &Experiment, session: &Session) -> Result<bool> {
    let Experiment::Report(ExperimentReport { pipeline, json }) = arguments;
    let gateway = session.gateway().await?;
    let variants = gateway.experiments(&pipeline.pipeline).await?;
    if *json {
        println!("{}", serde_json::to_string_pretty(&variants)?);
        return Ok(true);
    }
    if variants.is_empty() {
        println!("no document of the pipeline was in an experiment yet");
        return Ok(true);
    }
    println!("{}", documents(&variants));
    let outcomes = outcomes(&variants);
    if !outcomes.is_empty() {
        println!("{outcomes}");
    }
    println!("in brackets: where the share lies, at 95 %");
    Ok(true)
}

fn documents(variants: &[Variant]) -> Table {
    let mut table = Table::new(&[
        "STEP",
        "EXPERIMENT",
        "VARIANT",
        "DOCUMENTS",
        "SCORE",
        "PUBLISHED",
        "EDITED",
        "REJECTED",
        "BLOCKED",
        "SAFE WORDING",
    ]);
    for variant in variants {
        let shares = [
            &variant.score,
            &variant.published,
            &variant.edited,
            &variant.rejected,
            &variant.blocked,
            &variant.template,
        ];
        let names = [&variant.step, &variant.experiment, &variant.variant];
        let names = names.into_iter().cloned();
        let counts = std::iter::once(variant.exposed.to_string());
        table.row(names.chain(counts).chain(shares.into_iter().map(share)));
    }
    table
}

fn outcomes(variants: &[Variant]) -> Table {
    let mut table = Table::new(&[
        "STEP",
        "EXPERIMENT",
        "VARIANT",
        "OUTCOME",
        "OF PUBLISHED",
        "EVENTS",
        "VALUES",
        "SUM",
    ]);
    for variant in variants {
        for (name, outcome) in &variant.outcomes {
            table.row([
                variant.step.clone(),
                variant.experiment.clone(),
                variant.variant.clone(),
                name.clone(),
                share(&outcome.documents),
                outcome.events.to_string(),
                outcome.values.to_string(),
                outcome.value_sum.to_string(),
            ]);
        }
    }
    table
}

/// As in `12 of 118 (5.9-16.9 %)`.
fn share(share: &Share) -> String {
    let percent = |per_mille: u32| format!("{}.{}", per_mille / 10, per_mille % 10);
    format!(
        "{} of {} ({}-{} %)",
        share.count,
        share.of,
        percent(share.low_per_mille),
        percent(share.high_per_mille)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{documents, outcomes};
    use crate::client::Variant;

    #[test]
    fn variants_stand_side_by_side_with_intervals_and_no_verdict() {
        let share = json!({"count": 12, "of": 118, "lowPerMille": 59, "highPerMille": 170});
        let variant: Variant = serde_json::from_value(json!({
            "step": "draft", "experiment": "tone", "variant": "bold", "exposed": 120,
            "finished": 118, "score": share, "published": share, "edited": share, "rejected": share,
            "blocked": share, "template": share, "newer": 1,
            "outcomes": {"click": {"documents": share, "events": 13, "values": 0, "valueSum": 0}},
        }))
        .unwrap();
        let table = documents(std::slice::from_ref(&variant)).to_string();
        let expected = "draft   tone         bold      120         12 of 118 (5.9-17.0 %)";
        assert!(table.contains(expected), "{table}");
        let table = outcomes(&[variant]).to_string();
        assert!(
            table.contains("click     12 of 118 (5.9-17.0 %)   13"),
            "{table}"
        );
    }
}
