use anyhow::Result;

use crate::{
    cli::{Global, Validate},
    validate::{Options, collect, validate},
};

pub fn run(arguments: &Validate, global: &Global) -> Result<bool> {
    let sources = collect(&[&arguments.files[..], &arguments.filenames].concat())?;
    let defaults = Options::default();
    let options = Options {
        namespace: global.namespace.clone().unwrap_or(defaults.namespace),
        partial: arguments.partial,
    };
    let report = validate(&sources, &options);
    for finding in &report.findings {
        println!("{finding}");
    }
    for (name, keys) in &report.secrets {
        let keys: Vec<_> = keys.iter().map(String::as_str).collect();
        eprintln!("note: Secret {name} must exist, with {}", keys.join(", "));
    }
    let (mistakes, checked) = (report.findings.len(), report.checked);
    match (mistakes, checked) {
        (0, 0) => eprintln!("warning: no object of aios.dev in {} files", sources.len()),
        (0, _) => eprintln!("{checked} objects checked, no mistake"),
        _ => eprintln!("{checked} objects checked, {mistakes} mistakes"),
    }
    Ok(mistakes == 0)
}
