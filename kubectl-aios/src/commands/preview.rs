use anyhow::{Context, Result};

use super::{session::Session, text};
use crate::cli::Preview;

pub async fn run(arguments: &Preview, session: &Session) -> Result<bool> {
    let pointer = serde_json::from_str(&arguments.pointer)
        .context("--pointer must be a JSON object, as in '{\"customerId\": 17}'")?;
    let gateway = session.gateway().await?;
    let preview = gateway
        .preview(&arguments.pipeline.pipeline, &pointer)
        .await?;
    for part in &preview.parts {
        println!(
            "--- {}\n{}",
            part.name,
            text::marked(part, preview.verdict.as_ref())
        );
    }
    for line in preview.verdict.iter().flat_map(text::verdict) {
        println!("{line}");
    }
    Ok(true)
}
