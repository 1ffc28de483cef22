use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use aios_compile::{Conflict, Policy, Resolved, conflicts};
use aios_crds::{ClusterPolicySetSpec, PolicySetSpec, data_bounds::AllowedModels};
use aios_policy::{Document, Inputs, Part, PartKind, PolicyStack};
use aios_proto::config::PolicyScope;
use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::text;
use crate::{
    cli::{PolicyExplain, PolicyTest},
    validate::{Options, collect, texts, validate},
};

/// Runs the policies' own tests, or judges a document by all of them.
pub fn test(arguments: &PolicyTest) -> Result<bool> {
    let policies = policies(&arguments.files)?;
    match &arguments.document {
        Some(path) => judge(arguments, &policies, path),
        None => own_tests(&policies, arguments.json),
    }
}

/// Runs every policy's own tests on that policy alone, as the operator does before it is enforced.
fn own_tests(policies: &[Policy], as_json: bool) -> Result<bool> {
    let trials: Vec<_> = policies
        .iter()
        .map(|policy| {
            (
                policy.config.name.as_str(),
                policy.tests.run(&policy.compiled),
            )
        })
        .collect();
    let total: usize = trials.iter().map(|(_, trials)| trials.len()).sum();
    let failed = trials.iter().flat_map(|(_, trials)| trials);
    let failed = failed.filter(|trial| !trial.passes()).count();
    if as_json {
        let told: Vec<_> = trials
            .iter()
            .map(|(policy, trials)| serde_json::json!({"policy": policy, "tests": trials}))
            .collect();
        println!("{}", serde_json::to_string_pretty(&told)?);
        return Ok(failed == 0);
    }
    if total == 0 {
        bail!("the policies hold no tests: write some in spec.tests, or name a document");
    }
    for (policy, trials) in &trials {
        for line in trials.iter().flat_map(|trial| text::trial(policy, trial)) {
            println!("{line}");
        }
    }
    println!("{} of {total} tests pass", total - failed);
    Ok(failed == 0)
}

/// Judges a document by the policies of the files: the platform's first.
fn judge(arguments: &PolicyTest, policies: &[Policy], path: &Path) -> Result<bool> {
    let document = document(path)?;
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
        step: aios_policy::Step::Final,
    };
    let stack = policies.iter().map(|policy| policy.compiled.clone());
    let evaluation = PolicyStack::new(stack.collect()).evaluate(&document, &inputs);
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

/// Tells what every rule of the files does, the platform's first, as they are asked, and which rules do
/// not go together.
pub fn explain(arguments: &PolicyExplain) -> Result<bool> {
    let policies = policies(&arguments.files)?;
    let conflicts = conflicts(&policies);
    if arguments.json {
        let explained: Vec<_> = policies
            .iter()
            .map(|policy| explained(policy, &conflicts))
            .collect();
        println!("{}", serde_json::to_string_pretty(&explained)?);
        return Ok(true);
    }
    for Policy {
        compiled: policy,
        config,
        ..
    } in &policies
    {
        let kind = match config.scope {
            PolicyScope::Cluster => ", mandatory: no namespace can weaken it",
            PolicyScope::Namespace => "",
        };
        let mode = if config.dry_run {
            ", dry run: it only reports"
        } else {
            ""
        };
        println!(
            "{} {} ({}){kind}{mode}",
            policy.name(),
            policy.digest(),
            policy.engine()
        );
        if config.data.models == AllowedModels::PrivateOnly {
            println!("  texts go to models of this cluster alone");
        } else if !config.data.is_open() {
            let regions = config.data.regions.join(", ");
            println!("  texts go to models of this cluster, and to hosted ones in {regions}");
        }
        for line in text::rules(&policy.explain()) {
            println!("  {line}");
        }
    }
    for conflict in &conflicts {
        println!("conflict: {conflict}");
    }
    Ok(true)
}

fn explained(policy: &Policy, conflicts: &[Conflict]) -> Value {
    let Policy {
        compiled, config, ..
    } = policy;
    serde_json::json!({
        "policy": compiled.name(),
        "scope": config.scope,
        "dryRun": config.dry_run,
        "data": config.data,
        "digest": compiled.digest(),
        "engine": compiled.engine(),
        "rules": compiled.explain(),
        "conflicts": of_policy(conflicts, compiled.name()),
    })
}

/// Those that name a policy.
fn of_policy(conflicts: &[Conflict], policy: &str) -> Vec<String> {
    let named = conflicts.iter().filter(|conflict| {
        let rules = conflict.rules();
        rules.iter().any(|rule| rule.policy == policy)
    });
    named.map(ToString::to_string).collect()
}

/// The platform's first.
pub(super) fn policies(files: &[PathBuf]) -> Result<Vec<Policy>> {
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
    let mut objects: Vec<Value> = Vec::new();
    for source in &sources {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&source.text)?;
        objects.extend(documents);
    }
    let resolved = Resolved {
        config_maps: objects.iter().filter_map(config_map).collect(),
        ..Resolved::default()
    };
    let mut policies = Vec::new();
    for object in &objects {
        policies.extend(policy(object, &resolved)?);
    }
    if policies.is_empty() {
        bail!("no PolicySet or ClusterPolicySet in the files: name one with -f");
    }
    policies.sort_by_key(|policy| policy.config.scope);
    Ok(policies)
}

/// `None` for an object of another kind.
fn policy(object: &Value, resolved: &Resolved) -> Result<Option<Policy>> {
    let name = text_at(object, "/metadata/name");
    let spec = object.get("spec").cloned().unwrap_or_default();
    let compiled = match text_at(object, "/kind") {
        "PolicySet" => {
            let spec: PolicySetSpec = serde_json::from_value(spec)?;
            aios_compile::policy(name, PolicyScope::Namespace, &spec, resolved)
        }
        "ClusterPolicySet" => {
            let spec: ClusterPolicySetSpec = serde_json::from_value(spec)?;
            aios_compile::policy(name, PolicyScope::Cluster, &spec, resolved)
        }
        _ => return Ok(None),
    };
    compiled.map(Some).map_err(|mistakes| {
        let lines: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{name}: {}", lines.join("; "))
    })
}

fn text_at<'v>(value: &'v Value, pointer: &str) -> &'v str {
    let found = value.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_default()
}

/// Name and texts of a ConfigMap.
fn config_map(value: &Value) -> Option<(String, BTreeMap<String, String>)> {
    if text_at(value, "/kind") != "ConfigMap" {
        return None;
    }
    Some((text_at(value, "/metadata/name").to_owned(), texts(value)))
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
