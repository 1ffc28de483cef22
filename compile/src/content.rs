//! Content of a pipeline: skeletons, parts and slots, with their templates resolved to text.

use std::collections::BTreeSet;

use aios_crds::{
    WritingPipelineSpec,
    reference::TextSource,
    writing_pipeline::{Content, ContentKind, Skeleton},
};
use aios_proto::config::{PartConfig, SkeletonConfig};
use serde_json::Value;

use crate::{
    Diagnostic, Resolved, checks,
    schema::{Declared, Variables},
    template::{self, Scope},
};

const PATH: &str = "spec.content";

/// Compiles every skeleton.
pub fn skeletons(
    spec: &WritingPipelineSpec,
    resolved: &Resolved,
    variables: &Variables<'_>,
    found: &mut Vec<Diagnostic>,
) -> Vec<SkeletonConfig> {
    let content = &spec.content;
    if content.skeletons.is_empty() {
        found.push(Diagnostic::new(
            format!("{PATH}.skeletons"),
            "is empty",
            "add one skeleton for each language that is written",
        ));
    }
    found.extend(checks::doubled(
        content.skeletons.iter().map(|s| s.language.as_str()),
        |index| format!("{PATH}.skeletons[{index}].language"),
    ));
    let passages = spec.retrieval.is_some();
    content
        .skeletons
        .iter()
        .enumerate()
        .map(|(index, skeleton)| {
            let path = format!("{PATH}.skeletons[{index}]");
            one(
                &path,
                content.kind,
                skeleton,
                resolved,
                (variables, passages),
                found,
            )
        })
        .collect()
}

/// Checks the variables that decide language, subject and labels.
pub fn variables(content: &Content, variables: &Variables<'_>, found: &mut Vec<Diagnostic>) {
    language(content, variables, found);
    if let Some(path) = &content.subject_variable {
        found.extend(variables.check_path(&format!("{PATH}.subjectVariable"), path));
    }
    found.extend(checks::doubled(
        content.labels.iter().map(|l| l.name.as_str()),
        |index| format!("{PATH}.labels[{index}].name"),
    ));
    for (index, label) in content.labels.iter().enumerate() {
        let field = format!("{PATH}.labels[{index}].variable");
        found.extend(variables.check_path(&field, &label.variable));
        if Some(&label.variable) == content.subject_variable.as_ref() {
            found.push(Diagnostic::new(
                field,
                format!(
                    "`{}` names a person, and labels reach metrics",
                    label.variable
                ),
                "use impersonal variables only, as in customer.segment",
            ));
        }
        if label.name == "language" {
            found.push(Diagnostic::new(
                format!("{PATH}.labels[{index}].name"),
                "`language` is set by AIOS",
                "leave it out: routes read `language` without a label",
            ));
        }
    }
}

fn language(content: &Content, variables: &Variables<'_>, found: &mut Vec<Diagnostic>) {
    let field = format!("{PATH}.languageVariable");
    let Some(path) = &content.language_variable else {
        if content.skeletons.len() > 1 {
            found.push(Diagnostic::new(
                field,
                format!(
                    "is missing, and there are {} skeletons",
                    content.skeletons.len()
                ),
                "name the variable that holds the language, as in customer.language",
            ));
        }
        return;
    };
    found.extend(variables.check_path(&field, path));
    let Declared::Yes(schema) = variables.declared(path) else {
        return;
    };
    if schema.get("type").is_some_and(|kind| kind != "string") {
        found.push(Diagnostic::new(
            field,
            format!(
                "`{path}` is declared as {}, a language is a string",
                schema["type"]
            ),
            format!("declare it as `type: string` under {PATH}.variables"),
        ));
    }
    let allowed = schema.get("enum").and_then(Value::as_array);
    for value in allowed.into_iter().flatten().filter_map(Value::as_str) {
        if !content
            .skeletons
            .iter()
            .any(|skeleton| skeleton.language == value)
        {
            found.push(Diagnostic::new(
                format!("{PATH}.skeletons"),
                format!("`{path}` may be `{value}`, and no skeleton has that language"),
                "add a skeleton for it (writer: SafeTemplate if no model can write it), or remove \
                 it from the variable's enum",
            ));
        }
    }
}

fn one(
    path: &str,
    kind: ContentKind,
    skeleton: &Skeleton,
    resolved: &Resolved,
    (variables, passages): (&Variables<'_>, bool),
    found: &mut Vec<Diagnostic>,
) -> SkeletonConfig {
    found.extend(needed_parts(path, kind, skeleton));
    found.extend(checks::doubled(
        skeleton.parts.iter().map(|part| part.name.as_str()),
        |index| format!("{path}.parts[{index}].name"),
    ));
    found.extend(checks::doubled(
        skeleton.slots.iter().map(|slot| slot.name.as_str()),
        |index| format!("{path}.slots[{index}].name"),
    ));
    let slots: Vec<&str> = skeleton
        .slots
        .iter()
        .map(|slot| slot.name.as_str())
        .collect();
    let mut used = BTreeSet::new();
    let mut parts = Vec::new();
    for (index, part) in skeleton.parts.iter().enumerate() {
        let path = format!("{path}.parts[{index}].template");
        let Some((path, text)) = text(&path, &part.template, resolved, found) else {
            continue;
        };
        let scope = Scope {
            variables,
            slots: Some(&slots),
            passages: false,
        };
        found.extend(template::check(&path, text, scope, &mut used));
        parts.push(PartConfig {
            name: part.name.clone(),
            template: text.to_owned(),
        });
    }
    // A part whose text is missing may well use the slot.
    let complete = parts.len() == skeleton.parts.len();
    for (index, slot) in skeleton.slots.iter().enumerate() {
        let path = format!("{path}.slots[{index}]");
        let scope = Scope {
            variables,
            slots: None,
            passages,
        };
        let mut none = BTreeSet::new();
        found.extend(template::check(
            &format!("{path}.prompt"),
            &slot.prompt,
            scope,
            &mut none,
        ));
        let scope = Scope {
            variables,
            slots: None,
            passages: false,
        };
        found.extend(template::check(
            &format!("{path}.safe"),
            &slot.safe,
            scope,
            &mut none,
        ));
        if complete && !used.contains(&slot.name) {
            found.push(Diagnostic::new(
                format!("{path}.name"),
                format!("no part uses slot `{}`", slot.name),
                format!(
                    "write {{{{ slots.{} }}}} in a part, or remove the slot",
                    slot.name
                ),
            ));
        }
    }
    SkeletonConfig {
        language: skeleton.language.clone(),
        writer: skeleton.writer,
        parts,
        slots: skeleton.slots.clone(),
    }
}

fn needed_parts(path: &str, kind: ContentKind, skeleton: &Skeleton) -> Vec<Diagnostic> {
    let needed: &[&str] = match kind {
        ContentKind::Email => &["subject", "text"],
        ContentKind::Article => &["text"],
    };
    let has = |name: &&&str| skeleton.parts.iter().any(|part| part.name == **name);
    let missing = needed.iter().filter(|name| !has(name));
    missing
        .map(|name| {
            Diagnostic::new(
                format!("{path}.parts"),
                format!("part `{name}` is missing, which kind {kind:?} needs"),
                format!("add a part with name `{name}` and its template"),
            )
        })
        .collect()
}

/// Text of a template and the path at which mistakes in it are reported.
fn text<'a>(
    path: &str,
    source: &'a TextSource,
    resolved: &'a Resolved,
    found: &mut Vec<Diagnostic>,
) -> Option<(String, &'a str)> {
    match (&source.inline, &source.config_map_key_ref) {
        (Some(text), None) => Some((format!("{path}.inline"), text)),
        (None, Some(key)) => {
            let path = format!("{path}.configMapKeyRef");
            match resolved.config_map(&path, &key.name) {
                Ok(map) => {
                    let text = map.get(&key.key);
                    if text.is_none() {
                        found.push(Diagnostic::new(
                            format!("{path}.key"),
                            format!("ConfigMap `{}` has no key `{}`", key.name, key.key),
                            "add the key with the template as its value, or correct the name",
                        ));
                    }
                    text.map(|text| (path, text.as_str()))
                }
                Err(missing) => {
                    found.push(missing);
                    None
                }
            }
        }
        _ => {
            found.push(Diagnostic::new(
                path,
                "neither or both of inline and configMapKeyRef are set",
                "set exactly one of inline and configMapKeyRef",
            ));
            None
        }
    }
}
