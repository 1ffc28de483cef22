//! Bounds what a schema can cost: its references are followed and counted, so that no chain of them
//! makes the work grow beyond the schema's size times the text's.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::place::unescaped;

/// Most schemas within a schema, references followed.
const MOST: u32 = 4096;

/// Why a schema is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum CostError {
    #[error(
        "`{0}` is no reference within the schema: write it out, or define it under `$defs` and refer \
         to it as `#/…`"
    )]
    Foreign(String),
    #[error("`{0}` leads nowhere: correct it, or define it under `$defs`")]
    Nowhere(String),
    #[error("`{0}` refers to itself, so that nothing bounds the work: write the levels out")]
    Endless(String),
    #[error("`{0}` is not followed: refer to definitions as `#/…`")]
    Keyword(&'static str),
    #[error("more than {MOST} schemas in one, references followed: make it smaller")]
    TooLarge,
}

/// Keywords whose values are schemas by names of the user's choosing.
const NAMED: [&str; 5] = [
    "properties",
    "patternProperties",
    "$defs",
    "definitions",
    "dependentSchemas",
];
/// Keywords whose values are data.
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];
/// Keywords that make references mean something else than their place.
const MOVED: [&str; 6] = [
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$recursiveRef",
    "$recursiveAnchor",
];

/// Refuses schemas without a bound.
pub(super) fn check(schema: &Value) -> Result<(), CostError> {
    let mut counter = Counter {
        root: schema,
        known: BTreeMap::new(),
    };
    if counter.schema(schema)? > MOST {
        return Err(CostError::TooLarge);
    }
    Ok(())
}

struct Counter<'s> {
    root: &'s Value,
    /// Counts of what references lead to; `None` while one is being followed.
    known: BTreeMap<&'s str, Option<u32>>,
}

impl<'s> Counter<'s> {
    fn schema(&mut self, schema: &'s Value) -> Result<u32, CostError> {
        let Value::Object(keywords) = schema else {
            return Ok(1);
        };
        if let Some(moved) = MOVED
            .iter()
            .find(|keyword| keywords.contains_key(**keyword))
        {
            return Err(CostError::Keyword(moved));
        }
        let mut count = 1_u32;
        for (keyword, value) in keywords {
            let inner = match (keyword.as_str(), value) {
                ("$ref", Value::String(reference)) => self.reference(reference)?,
                (keyword, _) if DATA.contains(&keyword) => 0,
                (keyword, Value::Object(named)) if NAMED.contains(&keyword) => {
                    self.all(named.values())?
                }
                (_, Value::Object(_)) => self.schema(value)?,
                (_, Value::Array(items)) => self.all(items.iter())?,
                _ => 0,
            };
            count = count.saturating_add(inner);
        }
        Ok(count.saturating_mul(passes(keywords)))
    }

    fn all(&mut self, schemas: impl Iterator<Item = &'s Value>) -> Result<u32, CostError> {
        let mut sum = 0_u32;
        for schema in schemas {
            sum = sum.saturating_add(self.schema(schema)?);
        }
        Ok(sum)
    }

    fn reference(&mut self, reference: &'s str) -> Result<u32, CostError> {
        match self.known.get(reference) {
            Some(Some(count)) => return Ok(*count),
            Some(None) => return Err(CostError::Endless(reference.to_owned())),
            None => {}
        }
        let pointer = match reference.strip_prefix('#') {
            Some(pointer) if pointer.is_empty() || pointer.starts_with('/') => pointer,
            _ => return Err(CostError::Foreign(reference.to_owned())),
        };
        // Percent signs would have to be decoded; no plain name needs one.
        let target = (!pointer.contains('%'))
            .then(|| pointed(self.root, pointer))
            .flatten()
            .ok_or_else(|| CostError::Nowhere(reference.to_owned()))?;
        self.known.insert(reference, None);
        let count = self.schema(target)?;
        self.known.insert(reference, Some(count));
        Ok(count)
    }
}

/// Times that what stands beside a keyword is asked.
fn passes(keywords: &Map<String, Value>) -> u32 {
    let again = ["unevaluatedProperties", "unevaluatedItems"];
    if again.iter().any(|keyword| keywords.contains_key(*keyword)) {
        2
    } else {
        1
    }
}

fn pointed<'s>(root: &'s Value, pointer: &str) -> Option<&'s Value> {
    pointer
        .split('/')
        .skip(1)
        .try_fold(root, |at, step| match at {
            Value::Array(items) => items.get(step.parse::<usize>().ok()?),
            other => other.get(unescaped(step).as_ref()),
        })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::{CostError, check};

    /// Each level asks the one below twice.
    fn doubling(levels: u32) -> Value {
        let mut definitions = json!({"d0": {"type": "string"}});
        for level in 1..=levels {
            let below = json!({"$ref": format!("#/$defs/d{}", level - 1)});
            definitions[format!("d{level}")] = json!({"anyOf": [below, below]});
        }
        json!({"$ref": format!("#/$defs/d{levels}"), "$defs": definitions})
    }

    #[test]
    fn references_count_as_often_as_they_are_followed() {
        assert_eq!(check(&doubling(5)), Ok(()));
        assert_eq!(check(&doubling(64)), Err(CostError::TooLarge));
    }

    #[rstest]
    #[case(json!({"properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"items": {"$ref": "#/$defs/a"}}}}),
        CostError::Endless("#/$defs/a".to_owned()))]
    #[case(json!({"$dynamicRef": "#meta"}), CostError::Keyword("$dynamicRef"))]
    #[case(json!({"$ref": "other.json"}), CostError::Foreign("other.json".to_owned()))]
    #[case(json!({"$ref": "#name"}), CostError::Foreign("#name".to_owned()))]
    fn references_without_bound_are_refused(#[case] schema: Value, #[case] why: CostError) {
        assert_eq!(check(&schema), Err(why));
    }

    #[test]
    fn data_and_names_are_no_keywords() {
        let schema = json!({
            "const": {"$ref": "x"},
            "properties": {"$id": {"type": "string"}, "enum": {"$ref": "#/$defs/a~1b"}},
            "$defs": {"a/b": true},
        });
        assert_eq!(check(&schema), Ok(()));
    }
}
