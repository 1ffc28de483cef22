//! Lists that rules keep in ConfigMaps take the place of what refers to them, so that a policy's digest
//! covers them and data planes never read a ConfigMap.

use std::collections::BTreeSet;

use aios_crds::{policy_set::Rule, reference::KeyRef};

use crate::{Diagnostic, Resolved};

/// Most entries of a list, as of one that is written out.
const MOST: usize = 10_000;
/// Most characters of an entry, likewise.
const LONGEST: usize = 256;

/// The rules with every list written out.
///
/// # Errors
/// Every list that is not there or is none, in the order of the spec.
pub(crate) fn written_out(
    rules: &[Rule],
    resolved: &Resolved,
) -> Result<Vec<Rule>, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let mut rules = rules.to_vec();
    for (index, rule) in rules.iter_mut().enumerate() {
        let Some(terms) = &mut rule.terms else {
            continue;
        };
        let Some(reference) = terms.list_ref.take() else {
            continue;
        };
        let path = format!("spec.rules[{index}].terms");
        if !terms.list.is_empty() {
            found.push(Diagnostic::new(
                &path,
                "list and listRef are both set",
                "set exactly one of them",
            ));
        }
        let path = format!("{path}.listRef.configMapKeyRef");
        match entries(&reference.config_map_key_ref, &path, resolved) {
            Ok(list) => terms.list = list,
            Err(missing) => found.push(missing),
        }
    }
    if found.is_empty() {
        Ok(rules)
    } else {
        Err(found)
    }
}

fn entries(key: &KeyRef, path: &str, resolved: &Resolved) -> Result<Vec<String>, Diagnostic> {
    let KeyRef { name, key } = key;
    let texts = resolved.config_map(path, name)?;
    let text = texts.get(key).ok_or_else(|| {
        Diagnostic::new(
            format!("{path}.key"),
            format!("ConfigMap `{name}` has no key `{key}`"),
            "add the key under data, or correct its name",
        )
    })?;
    let mut list = BTreeSet::new();
    for (line, entry) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let entry = entry.trim();
        if entry.is_empty() || entry == "#" || entry.starts_with("# ") {
            continue;
        }
        if entry.chars().nth(LONGEST).is_some() {
            return Err(Diagnostic::new(
                format!("{path}.key"),
                format!(
                    "ConfigMap `{name}`, key `{key}`, line {line}: more than {LONGEST} characters"
                ),
                "write one word or phrase a line",
            ));
        }
        list.insert(entry.to_owned());
    }
    match list.len() {
        0 => Err(Diagnostic::new(
            format!("{path}.key"),
            format!("ConfigMap `{name}`, key `{key}` holds no entry"),
            "write one word or phrase a line",
        )),
        count if count > MOST => Err(Diagnostic::new(
            format!("{path}.key"),
            format!("ConfigMap `{name}`, key `{key}` holds {count} entries, more than {MOST}"),
            "split the list over several rules",
        )),
        _ => Ok(list.into_iter().collect()),
    }
}
