use std::{fs::File, io::BufReader};

use aios_audit::{CallsReport, Expectations, Head, Report, verify_bundle};
use aios_crds::WritingPipeline;
use anyhow::{Context, Result};
use kube::{Api, api::ListParams};

use super::session::Session;
use crate::cli::{Export, Verify};

/// Verifies an exported file, with nothing but it and what the caller knows from elsewhere.
pub fn verify(arguments: &Verify) -> Result<bool> {
    let expected = expectations(arguments)?;
    let shown = arguments.file.display();
    let file = File::open(&arguments.file).with_context(|| format!("cannot open {shown}"))?;
    match verify_bundle(BufReader::new(file), &expected) {
        Ok(report) => {
            print(&report, &expected);
            Ok(true)
        }
        Err(fault) => {
            println!("audit NOT verified: {shown}: {fault}");
            Ok(false)
        }
    }
}

/// Saves the log; nothing is left behind when it breaks off.
pub async fn export(arguments: &Export, session: &Session) -> Result<bool> {
    let gateway = session.gateway().await?;
    let output = &arguments.output;
    let mut name = output
        .file_name()
        .context("-o must name a file")?
        .to_owned();
    name.push(".part");
    let part = output.with_file_name(name);
    let mut file = tokio::fs::File::create(&part)
        .await
        .with_context(|| format!("cannot write {}", part.display()))?;
    let written = gateway.bundle(&mut file).await;
    drop(file);
    let bytes = match written {
        Ok(bytes) => bytes,
        Err(error) => {
            // The first error is the one to tell.
            let _ = tokio::fs::remove_file(&part).await;
            return Err(error.into());
        }
    };
    tokio::fs::rename(&part, output).await?;
    let shown = output.display();
    println!("{bytes} bytes in {shown}");
    println!(
        "verify it: kubectl aios audit verify {shown}{}",
        witness(session).await
    );
    Ok(true)
}

/// The last head that the operator verified, as flags; a caller who may not read it goes without.
async fn witness(session: &Session) -> String {
    let pipelines = Api::<WritingPipeline>::namespaced(session.client.clone(), &session.namespace);
    let Ok(list) = pipelines.list(&ListParams::default()).await else {
        return String::new();
    };
    let heads = list
        .items
        .into_iter()
        .filter_map(|pipeline| pipeline.status?.audit);
    heads
        .max_by_key(|head| head.tree_size)
        .map_or_else(String::new, |head| {
            format!(
                " --witness-size {} --witness-root {}",
                head.tree_size, head.root
            )
        })
}

fn expectations(arguments: &Verify) -> Result<Expectations> {
    let key = arguments
        .key
        .as_deref()
        .map(str::parse)
        .transpose()
        .context("--key")?;
    let heads = match (arguments.witness_size, &arguments.witness_root) {
        (Some(size), Some(root)) => vec![Head {
            size,
            root: root.parse().context("--witness-root")?,
        }],
        _ => Vec::new(),
    };
    Ok(Expectations { key, heads })
}

fn print_calls(calls: &CallsReport) {
    let CallsReport {
        processes,
        batches,
        records,
        missing,
        named,
        unrecorded,
    } = calls;
    if *batches + *named == 0 {
        return;
    }
    println!("  calls      {records} in {batches} signed batches of {processes} processes");
    if *missing > 0 {
        println!("  GAP        {missing} batches of calls were signed and are not in this log");
    }
    if *unrecorded > 0 {
        println!(
            "  GAP        {unrecorded} of {named} calls that documents name stand in no batch: their pod \
             ended before it was taken, or they were made moments ago"
        );
    }
}

fn print(report: &Report, expected: &Expectations) {
    println!("audit verified offline: {} leaves", report.leaves);
    println!("  log        {}", report.origin);
    println!("  root       {}", report.root);
    println!("  documents  {}", report.documents);
    println!(
        "  opened     {} payloads, {} signed provenance statements",
        report.openings, report.envelopes
    );
    print_calls(&report.calls);
    let kinds: Vec<_> = report
        .kinds
        .iter()
        .map(|(kind, count)| format!("{kind:?} {count}"))
        .collect();
    println!("  leaves     {}", kinds.join(", "));
    if expected.key.is_none() && expected.heads.is_empty() {
        println!(
            "  note       the file agrees with itself; --key or --witness-size and --witness-root \
             prove that it is the tenant's"
        );
    } else {
        println!("  witnessed  {} heads", report.heads);
    }
}
