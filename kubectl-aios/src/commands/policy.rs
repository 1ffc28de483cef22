use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use aios_crds::{ClusterPolicySetSpec, PolicySetSpec};
use aios_policy::{CompiledPolicy, Document, Inputs, Part, PartKind, PolicyStack};
use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::text;
use crate::{
    cli::{PolicyExplain, PolicyTest},
    validate::{Options, collect, validate},
};

/// Judges a document by the policies of the files: the platform's first.
pub fn test(arguments: &PolicyTest) -> Result<bool> {
    let policies = policies(&arguments.files)?;
    let document = document(&arguments.document)?;
    let variables = match &arguments.vars {
        Some(file) => json(file)?,
        None => Value::Object(serde_json::Map::new()),
    };
    let labels: BTreeMap<_, _> = arguments.labels.iter().cloned().collect();
    let inputs = Inputs {
        variables: &variables,
        labels: &labels,
        language: &arguments.language,
        passages: &[],
        template: &[],
    };
    let evaluation = PolicyStack::new(policies).evaluate(&document, &inputs);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&evaluation.verdict)?);
    } else {
        for line in text::verdict(&evaluation.verdict) {
            println!("{line}");
        }
        for part in evaluation.redacted.iter().flat_map(Document::parts) {
            println!("--- {} (redacted)\n{}", part.name, part.text);
        }
    }
    Ok(evaluation.verdict.passes())
}

/// Tells what every rule of the files does: the platform's first, as they are asked.
pub fn explain(arguments: &PolicyExplain) -> Result<bool> {
    let policies = policies(&arguments.files)?;
    if arguments.json {
        let explained: Vec<_> = policies
            .iter()
            .map(|policy| {
                serde_json::json!({
                    "policy": policy.name(),
                    "digest": policy.digest(),
                    "engine": policy.engine(),
                    "rules": policy.explain(),
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&explained)?);
        return Ok(true);
    }
    for policy in &policies {
        println!(
            "{} {} ({})",
            policy.name(),
            policy.digest(),
            policy.engine()
        );
        for line in text::rules(&policy.explain()) {
            println!("  {line}");
        }
    }
    Ok(true)
}

fn policies(files: &[PathBuf]) -> Result<Vec<Arc<CompiledPolicy>>> {
    let sources = collect(files)?;
    let options = Options {
        partial: true,
        ..Options::default()
    };
    let report = validate(&sources, &options);
    if !report.findings.is_empty() {
        let lines: Vec<_> = report.findings.iter().map(ToString::to_string).collect();
        bail!("the files have mistakes:\n{}", lines.join("\n"));
    }
    let (mut platform, mut own) = (Vec::new(), Vec::new());
    for source in &sources {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&source.text)?;
        for value in documents {
            let kind = value
                .get("kind")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let name = value
                .pointer("/metadata/name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let spec = || value.get("spec").cloned().unwrap_or_default();
            match kind {
                "PolicySet" => {
                    let spec: PolicySetSpec = serde_json::from_value(spec())?;
                    own.push(compiled(name, &spec.rules, &spec.review)?);
                }
                "ClusterPolicySet" => {
                    let spec: ClusterPolicySetSpec = serde_json::from_value(spec())?;
                    platform.push(compiled(name, &spec.rules, &spec.review)?);
                }
                _ => {}
            }
        }
    }
    platform.extend(own);
    if platform.is_empty() {
        bail!("no PolicySet or ClusterPolicySet in the files: name one with -f");
    }
    Ok(platform)
}

fn compiled(
    name: &str,
    rules: &[aios_crds::policy_set::Rule],
    review: &aios_crds::policy_set::Review,
) -> Result<Arc<CompiledPolicy>> {
    CompiledPolicy::compile(name, rules, review)
        .map(Arc::new)
        .map_err(|mistakes| {
            let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            anyhow::anyhow!("{name}: {}", lines.join("; "))
        })
}

/// JSON with parts, or a text or HTML file as the only part.
fn document(path: &Path) -> Result<Document> {
    let shown = path.display();
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default();
    if ending == "json" {
        return serde_json::from_value(json(path)?).with_context(|| {
            format!("{shown} is no document: write {{\"parts\": [{{name, kind, text}}]}}")
        });
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    let (name, kind) = match ending {
        "html" | "htm" => ("html", PartKind::Html),
        _ => ("text", PartKind::Plain),
    };
    let part = Part {
        name: name.parse()?,
        kind,
        text,
    };
    Ok(Document::new(vec![part])?)
}

fn json(path: &Path) -> Result<Value> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {shown}"))?;
    serde_json::from_str(&text).with_context(|| format!("{shown} is not JSON"))
}
