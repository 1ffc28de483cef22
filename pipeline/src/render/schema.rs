//! The JSON Schema of a pipeline's variables.

use jsonschema::{Validator, error::ValidationErrorKind};
use serde_json::Value;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema(Validator);

/// Why a schema or a value is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The schema itself.
    #[error("content.variables{path} is no valid JSON Schema: {message}")]
    Schema { path: String, message: String },
    /// The variables. Values are not repeated: they may be personal.
    #[error("variable `{path}` {problem}")]
    Variables { path: String, problem: String },
}

impl Schema {
    /// Compiles a schema. References to other documents are not followed.
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        jsonschema::validator_for(schema)
            .map(Self)
            .map_err(|error| SchemaError::Schema {
                path: error.instance_path().to_string(),
                message: error.masked().to_string(),
            })
    }

    /// Checks variables; the error is about the first that does not fit.
    pub fn check(&self, variables: &Value) -> Result<(), SchemaError> {
        let Some(error) = self.0.iter_errors(variables).next() else {
            return Ok(());
        };
        let path = error.instance_path().to_string();
        let mut path = path.trim_start_matches('/').replace('/', ".");
        if let ValidationErrorKind::Required { property } = error.kind() {
            let missing = property.as_str().unwrap_or_default();
            path = if path.is_empty() {
                missing.to_owned()
            } else {
                format!("{path}.{missing}")
            };
            return Err(SchemaError::Variables {
                path,
                problem: "is missing".to_owned(),
            });
        }
        let path = if path.is_empty() {
            "(all)".to_owned()
        } else {
            path
        };
        let problem = error.masked_with("the value").to_string();
        Err(SchemaError::Variables {
            path,
            problem: format!("does not fit the schema: {problem}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Schema, SchemaError};

    #[test]
    fn a_misfit_names_the_path_but_never_the_value() {
        let schema = Schema::compile(&json!({
            "type": "object",
            "properties": {"customer": {
                "type": "object",
                "required": ["name"],
                "properties": {"email": {"type": "string", "pattern": "@"}}
            }}
        }))
        .unwrap();
        schema
            .check(&json!({"customer": {"name": "x", "email": "a@b"}}))
            .unwrap();
        let error = schema
            .check(&json!({"customer": {"name": "x", "email": "Zoë"}}))
            .unwrap_err();
        assert!(matches!(&error, SchemaError::Variables { path, .. } if path == "customer.email"));
        assert!(!error.to_string().contains("Zoë"), "{error}");
        let error = schema.check(&json!({"customer": {}})).unwrap_err();
        assert_eq!(error.to_string(), "variable `customer.name` is missing");
    }

    #[test]
    fn a_schema_that_is_none_is_refused() {
        assert!(Schema::compile(&json!({"type": "objekt"})).is_err());
    }
}
