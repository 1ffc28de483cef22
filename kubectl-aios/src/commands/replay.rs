use std::{collections::BTreeMap, slice};

use anyhow::{Result, bail};

use super::{policy::policies, session::Session, table::Table};
use crate::{
    cli::PolicyReplay,
    client::{Change, Replayed},
};

/// Has the gateway judge its documents by another policy, and tells what would change.
pub async fn run(arguments: &PolicyReplay, session: &Session) -> Result<bool> {
    let policies = policies(slice::from_ref(&arguments.file))?;
    let [policy] = policies.as_slice() else {
        bail!(
            "the file holds {} policies: replay one at a time",
            policies.len()
        );
    };
    let policy = serde_json::to_value(&policy.config)?;
    let gateway = session.gateway().await?;
    let pipeline = &arguments.pipeline.pipeline;
    let Replayed {
        judged, changes, ..
    } = gateway.replay_all(pipeline, &policy).await?;
    if arguments.json {
        for change in &changes {
            println!("{}", serde_json::to_string(change)?);
        }
        return Ok(true);
    }
    if !changes.is_empty() {
        println!("{}", table(&changes));
    }
    println!(
        "{} of {judged} documents would be judged otherwise",
        changes.len()
    );
    for ((before, after), count) in moves(&changes) {
        println!("  {count} from {before} to {after}");
    }
    Ok(true)
}

fn table(changes: &[Change]) -> Table {
    let mut table = Table::new(&["DOCUMENT", "NOW", "THEN", "RULES"]);
    for change in changes {
        let fire = change.fire.iter().map(|rule| format!("+{rule}"));
        let rest = change.rest.iter().map(|rule| format!("-{rule}"));
        let rules: Vec<_> = fire.chain(rest).collect();
        table.row([
            change.id.clone(),
            change.before.as_str().to_owned(),
            change.after.as_str().to_owned(),
            rules.join(" "),
        ]);
    }
    table
}

/// How many go from one action to another.
fn moves(changes: &[Change]) -> BTreeMap<(&'static str, &'static str), usize> {
    let mut moves = BTreeMap::new();
    for change in changes
        .iter()
        .filter(|change| change.before != change.after)
    {
        let way = (change.before.as_str(), change.after.as_str());
        *moves.entry(way).or_default() += 1;
    }
    moves
}
