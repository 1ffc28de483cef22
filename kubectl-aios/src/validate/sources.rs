//! Files, folders and standard input; the Kubernetes objects in them.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use aios_crds::{GROUP, VERSION};
use serde_json::Value;

use super::{Finding, Kind};

/// The text of a file, under the name it is reported by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    pub name: String,
    pub text: String,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("cannot read {path}: {error}")]
    Read { path: String, error: std::io::Error },
    #[error("{0} holds no .yaml, .yml or .json file")]
    Empty(PathBuf),
}

/// A Kubernetes object; `kind` is set for those of this product.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub file: String,
    pub kind: Option<Kind>,
    pub kind_name: String,
    pub namespace: String,
    pub name: String,
    pub value: Value,
}

/// Reads files, every manifest of folders, and `-` as standard input.
pub fn collect(paths: &[PathBuf]) -> Result<Vec<Source>, SourceError> {
    let mut sources = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .map_err(|e| unread("standard input", e))?;
            sources.push(Source {
                name: "standard input".into(),
                text,
            });
        } else if path.is_dir() {
            let files = manifests_of(path)?;
            if files.is_empty() {
                return Err(SourceError::Empty(path.clone()));
            }
            for file in files {
                sources.push(read(&file)?);
            }
        } else {
            sources.push(read(path)?);
        }
    }
    Ok(sources)
}

fn read(path: &Path) -> Result<Source, SourceError> {
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|error| unread(&name, error))?;
    Ok(Source { name, text })
}

fn unread(path: &str, error: std::io::Error) -> SourceError {
    SourceError::Read {
        path: path.to_owned(),
        error,
    }
}

/// Manifests directly in a folder, by name.
fn manifests_of(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let failed = |error| unread(&folder.display().to_string(), error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_file() && matches!(ending, Some("yaml" | "yml" | "json")) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The objects of a text, and what keeps a document from being one.
pub(super) fn manifests(source: &Source, namespace: &str) -> (Vec<Manifest>, Vec<Finding>) {
    let finding = |path: &str, message: String, remedy: &str| Finding {
        file: source.name.clone(),
        object: String::new(),
        path: path.to_owned(),
        place: None,
        message,
        remedy: remedy.to_owned(),
    };
    let documents: Vec<Value> = match serde_saphyr::from_multiple(&source.text) {
        Ok(documents) => documents,
        Err(error) => {
            let text = error.to_string();
            let first = text.lines().next().unwrap_or_default().to_owned();
            let remedy = "correct the YAML: indentation, quotes and doubled keys are usual causes";
            return (Vec::new(), vec![finding("document", first, remedy)]);
        }
    };
    let (mut found, mut mistakes) = (Vec::new(), Vec::new());
    for (index, document) in documents
        .into_iter()
        .enumerate()
        .filter(|(_, d)| !d.is_null())
    {
        for value in unlisted(document) {
            match manifest(source, namespace, value) {
                Ok(manifest) => found.push(manifest),
                Err((path, message, remedy)) => {
                    let path = format!("document[{index}].{path}");
                    mistakes.push(finding(&path, message, &remedy));
                }
            }
        }
    }
    (found, mistakes)
}

/// A `List` stands for its items.
fn unlisted(mut document: Value) -> Vec<Value> {
    let list = document
        .get("kind")
        .and_then(Value::as_str)
        .is_some_and(|kind| kind == "List");
    match document.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) if list => items,
        _ => vec![document],
    }
}

type Wrong = (&'static str, String, String);

fn manifest(source: &Source, namespace: &str, value: Value) -> Result<Manifest, Wrong> {
    let text = |pointer: &str| {
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let missing = |path, remedy: &str| (path, "is missing".to_owned(), remedy.to_owned());
    let version = text("/apiVersion")
        .ok_or_else(|| missing("apiVersion", &format!("write {GROUP}/{VERSION}")))?;
    let kind_name =
        text("/kind").ok_or_else(|| missing("kind", "name one, as in WritingPipeline"))?;
    let name = text("/metadata/name")
        .or_else(|| text("/metadata/generateName").map(|prefix| format!("{prefix}0")))
        .ok_or_else(|| missing("metadata.name", "give the object a name"))?;
    let kind = kind(&version, &kind_name)?;
    let namespace = match kind {
        Some(Kind::ClusterPolicySet) => String::new(),
        _ => text("/metadata/namespace").unwrap_or_else(|| namespace.to_owned()),
    };
    Ok(Manifest {
        file: source.name.clone(),
        kind,
        kind_name,
        namespace,
        name,
        value,
    })
}

fn kind(version: &str, name: &str) -> Result<Option<Kind>, Wrong> {
    let (group, version) = version.split_once('/').unwrap_or(("", version));
    if group != GROUP {
        return match Kind::parse(name) {
            Some(_) => Err((
                "apiVersion",
                format!("`{group}` has no kind {name}"),
                format!("write {GROUP}/{VERSION}"),
            )),
            None => Ok(None),
        };
    }
    if version != VERSION {
        let message = format!("`{version}` is not served");
        return Err(("apiVersion", message, format!("write {GROUP}/{VERSION}")));
    }
    let kind = Kind::parse(name).ok_or_else(|| {
        let all: Vec<_> = Kind::ALL.into_iter().map(Kind::as_str).collect();
        (
            "kind",
            format!("`{name}` is none of {GROUP}"),
            format!("use one of {}", all.join(", ")),
        )
    })?;
    Ok(Some(kind))
}
