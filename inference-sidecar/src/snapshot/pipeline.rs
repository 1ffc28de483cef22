//! A pipeline's routes, with their conditions compiled.

use std::collections::BTreeMap;

use aios_crds::writing_pipeline;
use aios_proto::config::PipelineConfig;
use cel::{Context, Program, Value};

/// Impersonal labels of a document: text, numbers, booleans.
pub type Labels = BTreeMap<String, serde_json::Value>;

/// The steps of a WritingPipeline that call models.
#[derive(Debug)]
pub struct Pipeline {
    pub name: String,
    pub draft: Vec<Route>,
    /// None when the draft is final.
    pub finish: Option<Vec<Route>>,
}

/// A model to call, where a condition holds.
#[derive(Debug)]
pub struct Route {
    /// Name of the ModelDeployment.
    pub model: String,
    when: Option<Program>,
}

impl Pipeline {
    /// Compiles the conditions.
    ///
    /// # Errors
    /// Path of the condition and what is wrong with it.
    pub fn new(config: PipelineConfig) -> Result<Self, String> {
        let draft = routes("models.draft", config.models.draft)?;
        let finish = config
            .models
            .finish
            .map(|step| routes("models.final", step))
            .transpose()?;
        Ok(Self {
            name: config.name,
            draft,
            finish,
        })
    }
}

impl Route {
    /// Whether the route applies to a document.
    ///
    /// # Errors
    /// Why the condition gives no truth value, as when a label is missing.
    pub fn applies(&self, labels: &Labels) -> Result<bool, String> {
        let Some(program) = &self.when else {
            return Ok(true);
        };
        let language = labels.get("language").and_then(serde_json::Value::as_str);
        let mut context = Context::default();
        context.add_variable_from_value("language", language.unwrap_or_default());
        context
            .add_variable("labels", labels)
            .map_err(|error| error.to_string())?;
        match program.execute(&context) {
            Ok(Value::Bool(applies)) => Ok(applies),
            Ok(other) => Err(format!(
                "the condition gives {} and no bool",
                other.type_of()
            )),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn routes(path: &str, step: writing_pipeline::Step) -> Result<Vec<Route>, String> {
    if step.routes.is_empty() {
        return Err(format!("{path}.routes: is empty"));
    }
    step.routes
        .into_iter()
        .enumerate()
        .map(|(index, route)| {
            let when = route
                .when
                .map(|source| compile(&source))
                .transpose()
                .map_err(|error| format!("{path}.routes[{index}].when: {error}"))?;
            Ok(Route {
                model: route.model,
                when,
            })
        })
        .collect()
}

fn compile(source: &str) -> Result<Program, String> {
    let program = Program::compile(source).map_err(|error| error.to_string())?;
    let references = program.references();
    let unknown = references
        .variables()
        .into_iter()
        .find(|name| !matches!(*name, "labels" | "language"));
    if let Some(name) = unknown {
        return Err(format!("`{name}` is unknown: use labels and language"));
    }
    Ok(program)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::{Labels, Route, compile};

    fn labels() -> Labels {
        serde_json::from_value(
            json!({"language": "de", "segment": "savings", "tier": 3, "new": true}),
        )
        .unwrap()
    }

    #[rstest]
    #[case(r#"language == "de""#, true)]
    #[case(r#"language in ["en", "fr"]"#, false)]
    #[case(r#"labels.segment == "savings" && labels.tier > 2"#, true)]
    #[case(r#"has(labels.missing) && labels.missing == "x""#, false)]
    #[case("labels.new", true)]
    fn a_condition_decides_by_labels_and_language(#[case] when: &str, #[case] expected: bool) {
        let route = Route {
            model: "m".into(),
            when: Some(compile(when).unwrap()),
        };
        assert_eq!(route.applies(&labels()), Ok(expected));
    }

    #[rstest]
    #[case("labels.missing == 1")]
    #[case("labels.tier")]
    #[case("labels.tier / 0 == 1")]
    fn a_condition_without_a_truth_value_is_an_error(#[case] when: &str) {
        let route = Route {
            model: "m".into(),
            when: Some(compile(when).unwrap()),
        };
        assert!(route.applies(&labels()).is_err());
    }

    #[rstest]
    #[case("language ==")]
    #[case("vars.segment == 'x'")]
    fn a_wrong_condition_does_not_compile(#[case] when: &str) {
        assert!(compile(when).is_err());
    }
}
