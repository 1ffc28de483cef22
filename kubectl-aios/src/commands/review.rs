use std::io::{IsTerminal, Write};

use aios_policy::Part;
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde_json::Value;

use super::{diff, session::Session, table::Table, text};
use crate::{
    cli::{Decide, Edit, Item, Review, Upload},
    client::{DocumentView, Gateway, Receipt},
};

pub async fn run(arguments: &Review, session: &Session) -> Result<bool> {
    let gateway = session.gateway().await?;
    match arguments {
        Review::List(pipeline) => list(&gateway, &pipeline.pipeline).await?,
        Review::Diff(item) => show(&find(&gateway, item).await?),
        Review::Approve(decide) => {
            let (id, digest) = target(&gateway, decide).await?;
            let pipeline = &decide.item.pipeline.pipeline;
            done(
                "approved",
                &id,
                &gateway.approve(pipeline, &id, &digest).await?,
            );
        }
        Review::Reject(reject) => {
            let (id, digest) = target(&gateway, &reject.decide).await?;
            let pipeline = &reject.decide.item.pipeline.pipeline;
            let receipt = gateway
                .reject(pipeline, &id, &digest, &reject.reason)
                .await?;
            done("rejected", &id, &receipt);
        }
        Review::Edit(arguments) => edit(&gateway, arguments).await?,
    }
    Ok(true)
}

async fn list(gateway: &Gateway, pipeline: &str) -> Result<()> {
    let mut table = Table::new(&["DOCUMENT", "WAITING", "DUE", "RULES", "SUBJECT"]);
    let now = Timestamp::now().as_millisecond();
    for item in gateway.reviews(pipeline).await? {
        let time = |name: &str| item.more.get(name).and_then(Value::as_i64);
        let waiting = time("sinceMs").map_or("-".into(), |since| text::age((now - since) / 1000));
        let due = time("dueMs").map_or("-".into(), |due| text::age((due - now) / 1000));
        let findings = item.verdict.iter().flat_map(|verdict| &verdict.findings);
        let mut rules: Vec<_> = findings.map(|finding| finding.rule.as_str()).collect();
        rules.dedup();
        let rules = if rules.is_empty() {
            "(every document)".into()
        } else {
            rules.join(",")
        };
        table.row([item.id.clone(), waiting, due, rules, title(&item.parts)]);
    }
    if table.is_empty() {
        println!("nothing waits");
    } else {
        print!("{table}");
    }
    Ok(())
}

/// The subject, or how the text begins.
fn title(parts: &[Part]) -> String {
    let part = parts
        .iter()
        .find(|part| part.name.as_str() == "subject")
        .or(parts.first());
    let line = part
        .and_then(|part| part.text.lines().next())
        .unwrap_or_default();
    line.chars().take(60).collect()
}

fn show(document: &DocumentView) {
    println!("document {} {}", document.id, document.status);
    if let Some(digest) = &document.digest {
        println!("digest   {digest}");
    }
    for line in document.verdict.iter().flat_map(text::verdict) {
        println!("{line}");
    }
    for part in &document.parts {
        println!(
            "--- {}\n{}",
            part.name,
            text::marked(part, document.verdict.as_ref())
        );
    }
    // Present once a person or a redaction changed the text.
    let previous = document.more.get("previous").cloned();
    if let Some(Ok(previous)) = previous.map(serde_json::from_value::<Vec<Part>>) {
        println!("changes:\n{}", diff::parts(&previous, &document.parts));
    }
}

/// The document of an id, or of the beginning of one that waits.
async fn find(gateway: &Gateway, item: &Item) -> Result<DocumentView> {
    let (pipeline, wanted) = (&item.pipeline.pipeline, &item.document);
    match gateway.document(pipeline, wanted).await {
        Err(error) if matches!(error.status(), Some(400 | 404 | 422)) => {
            let waiting = gateway.reviews(pipeline).await?;
            let mut ids = waiting
                .iter()
                .map(|one| &one.id)
                .filter(|id| id.starts_with(wanted.as_str()));
            match (ids.next(), ids.next()) {
                (Some(id), None) => Ok(gateway.document(pipeline, id).await?),
                (Some(_), Some(_)) => {
                    bail!("several documents that wait begin with {wanted}: write more of the id")
                }
                (None, _) => Err(error.into()),
            }
        }
        found => Ok(found?),
    }
}

/// The document, and the digest that the decision is bound to.
async fn target(gateway: &Gateway, decide: &Decide) -> Result<(String, String)> {
    let document = find(gateway, &decide.item).await?;
    if let Some(digest) = &decide.digest {
        return Ok((document.id, digest.clone()));
    }
    show(&document);
    let digest = document
        .digest
        .context("the document has no text yet, so there is nothing to decide")?;
    Ok((document.id, digest))
}

fn done(what: &str, id: &str, receipt: &Receipt) {
    match receipt.status.as_str() {
        "" => println!("{id} {what}"),
        status => println!("{id} {what}; it is now {status}"),
    }
}

async fn edit(gateway: &Gateway, arguments: &Edit) -> Result<()> {
    let document = find(gateway, &arguments.decide.item).await?;
    let digest = arguments
        .decide
        .digest
        .clone()
        .or_else(|| document.digest.clone())
        .context("the document has no text yet, so there is nothing to edit")?;
    let changed = if arguments.parts.is_empty() {
        by_hand(&document.parts)?
    } else {
        from_files(&document.parts, &arguments.parts)?
    };
    let shown = diff::parts(&document.parts, &changed);
    if shown.is_empty() {
        println!("{} unchanged", document.id);
        return Ok(());
    }
    print!("{shown}");
    let pipeline = &arguments.decide.item.pipeline.pipeline;
    let receipt = gateway
        .edit(pipeline, &document.id, &digest, &changed)
        .await?;
    done("edited", &document.id, &receipt);
    Ok(())
}

fn from_files(parts: &[Part], files: &[Upload]) -> Result<Vec<Part>> {
    let mut changed = parts.to_vec();
    for Upload {
        context: name,
        file,
    } in files
    {
        let part = changed
            .iter_mut()
            .find(|part| part.name.as_str() == name)
            .with_context(|| {
                let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
                format!(
                    "the document has no part {name}: it has {}",
                    names.join(", ")
                )
            })?;
        part.text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
    }
    Ok(changed)
}

/// Opens each part in the person's editor. The text leaves no copy behind.
fn by_hand(parts: &[Part]) -> Result<Vec<Part>> {
    if !std::io::stdin().is_terminal() {
        bail!("no terminal to edit in: pass --part NAME=FILE");
    }
    let editor = std::env::var("VISUAL").or_else(|_| std::env::var("EDITOR"));
    let editor = editor.unwrap_or_else(|_| "vi".to_owned());
    let mut changed = parts.to_vec();
    for part in &mut changed {
        let mut file = tempfile::Builder::new()
            .prefix("aios-")
            .suffix(&format!("-{}.txt", part.name))
            .tempfile()?;
        file.write_all(part.text.as_bytes())?;
        let path = file.into_temp_path();
        // As git does it: the variable may hold arguments.
        let status = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("{editor} \"$1\""))
            .arg("sh")
            .arg(&path)
            .status()
            .with_context(|| format!("cannot start {editor}: set EDITOR"))?;
        if !status.success() {
            bail!("{editor} ended with {status}: nothing was changed");
        }
        let text = std::fs::read_to_string(&path)?;
        // Editors end a file with a line break that the text never had.
        part.text = match text.strip_suffix('\n') {
            Some(stripped) if !part.text.ends_with('\n') => stripped.to_owned(),
            _ => text,
        };
    }
    Ok(changed)
}
