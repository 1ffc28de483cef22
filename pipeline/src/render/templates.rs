//! Skeletons, prompts and safe wordings as compiled Jinja.

use std::{collections::BTreeMap, fmt::Write};

use aios_policy::{Document, Part, PartName};
use aios_proto::config::SkeletonConfig;
use minijinja::{
    AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value, context, value::Serde,
};

/// Steps of one rendering: far above what a letter needs, far below what a loop would eat.
const FUEL: u64 = 200_000;

/// All templates of one skeleton.
#[derive(Debug)]
pub struct SkeletonTemplates {
    environment: Environment<'static>,
    parts: Vec<PartName>,
}

/// One template of a skeleton.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template<'a> {
    /// What the model is asked for a slot.
    Prompt(&'a str),
    /// The safe wording of a slot.
    Safe(&'a str),
}

/// Why a template cannot be compiled or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The template is wrong.
    #[error("template `{template}` line {line}: {problem}")]
    Template {
        template: String,
        line: usize,
        problem: String,
    },
    /// Its result is no document.
    #[error("the skeleton makes no document: {0}")]
    Document(String),
}

impl SkeletonTemplates {
    /// Compiles parts, prompts and safe wordings.
    pub fn compile(skeleton: &SkeletonConfig) -> Result<Self, RenderError> {
        let mut environment = environment();
        let mut parts = Vec::new();
        for part in &skeleton.parts {
            let name = PartName::try_from(part.name.clone())
                .map_err(|error| RenderError::Document(error.to_string()))?;
            add(
                &mut environment,
                &format!("part/{name}"),
                part.template.clone(),
            )?;
            parts.push(name);
        }
        for slot in &skeleton.slots {
            add(
                &mut environment,
                &format!("prompt/{}", slot.name),
                slot.prompt.clone(),
            )?;
            add(
                &mut environment,
                &format!("safe/{}", slot.name),
                slot.safe.clone(),
            )?;
        }
        Ok(Self { environment, parts })
    }

    /// Renders all parts with the variables and the slots' words.
    pub fn document(
        &self,
        variables: &serde_json::Value,
        slots: &BTreeMap<&str, &str>,
    ) -> Result<Document, RenderError> {
        let context =
            context! { slots => Value::from(Serde(slots)), ..Value::from(Serde(variables)) };
        let mut parts = Vec::new();
        for name in &self.parts {
            let text = self.render(&format!("part/{name}"), &context)?;
            parts.push(Part {
                name: name.clone(),
                kind: name.kind(),
                text,
            });
        }
        Document::new(parts).map_err(|error| RenderError::Document(error.to_string()))
    }

    /// Renders a prompt or safe wording.
    pub fn text(
        &self,
        template: Template<'_>,
        variables: &serde_json::Value,
        passages: &[&str],
    ) -> Result<String, RenderError> {
        let name = match template {
            Template::Prompt(slot) => format!("prompt/{slot}"),
            Template::Safe(slot) => format!("safe/{slot}"),
        };
        let context =
            context! { passages => Value::from(Serde(passages)), ..Value::from(Serde(variables)) };
        self.render(&name, &context)
    }

    fn render(&self, name: &str, context: &Value) -> Result<String, RenderError> {
        let template = self
            .environment
            .get_template(name)
            .map_err(|e| failed(name, &e))?;
        template
            .render(context)
            .map_err(|error| failed(name, &error))
    }
}

/// A template that stands alone, as a retrieval query.
pub fn compile_one(name: &str, source: &str) -> Result<Environment<'static>, RenderError> {
    let mut environment = environment();
    add(&mut environment, name, source.to_owned())?;
    Ok(environment)
}

/// Renders a template compiled by `compile_one`.
pub fn render_one(
    environment: &Environment<'static>,
    name: &str,
    variables: &serde_json::Value,
) -> Result<String, RenderError> {
    let template = environment
        .get_template(name)
        .map_err(|error| failed(name, &error))?;
    template
        .render(Value::from(Serde(variables)))
        .map_err(|error| failed(name, &error))
}

/// Text as it stands in a part of kind HTML.
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let _ = match c {
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '&' => out.write_str("&amp;"),
            '"' => out.write_str("&quot;"),
            '\'' => out.write_str("&#x27;"),
            '/' => out.write_str("&#x2f;"),
            c => out.write_char(c),
        };
    }
    out
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_auto_escape_callback(|name| {
        if name == "part/html" {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    environment
}

fn add(
    environment: &mut Environment<'static>,
    name: &str,
    source: String,
) -> Result<(), RenderError> {
    let result = environment.add_template_owned(name.to_owned(), source);
    result.map_err(|error| failed(name, &error))
}

/// The kind and, for what the author wrote, the detail: details of other kinds may hold values.
fn failed(name: &str, error: &minijinja::Error) -> RenderError {
    let problem = match error.kind() {
        ErrorKind::SyntaxError
        | ErrorKind::UnknownFilter
        | ErrorKind::UnknownFunction
        | ErrorKind::UnknownTest => {
            format!(
                "{}: {}",
                error.kind(),
                error.detail().unwrap_or("see the line")
            )
        }
        ErrorKind::UndefinedError => {
            "a variable is missing: require it in content.variables or guard it with `if`"
                .to_owned()
        }
        ErrorKind::OutOfFuel => "too much work: shorten its loops".to_owned(),
        kind => kind.to_string(),
    };
    RenderError::Template {
        template: name.to_owned(),
        line: error.line().unwrap_or(1),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aios_crds::writing_pipeline::{Slot, Writer};
    use aios_proto::config::{PartConfig, SkeletonConfig};
    use serde_json::json;

    use super::{RenderError, SkeletonTemplates, Template, escape_html};

    fn skeleton(text: &str) -> SkeletonConfig {
        let part = |name: &str, template: &str| PartConfig {
            name: name.into(),
            template: template.into(),
        };
        SkeletonConfig {
            language: "en".into(),
            writer: Writer::Model,
            parts: vec![
                part("text", text),
                part("html", "<p>{{ slots.opening }}</p>"),
            ],
            slots: vec![Slot {
                name: "opening".into(),
                prompt: "Write to {{ customer.name }}. {{ passages[0] }}".into(),
                safe: "Dear {{ customer.name }}".into(),
                max_tokens: 8,
                max_sentences: None,
            }],
        }
    }

    #[test]
    fn html_is_escaped_as_slots_are_looked_for_in_it() {
        let templates = SkeletonTemplates::compile(&skeleton("{{ slots.opening }}")).unwrap();
        let words = "<b>\"A\" & 'b'/</b>";
        let slots = BTreeMap::from([("opening", words)]);
        let document = templates.document(&json!({}), &slots).unwrap();
        assert_eq!(document.part("text").unwrap().text, words);
        let html = &document.part("html").unwrap().text;
        assert_eq!(html, &format!("<p>{}</p>", escape_html(words)));
    }

    #[test]
    fn a_value_is_never_read_as_a_template() {
        let templates = SkeletonTemplates::compile(&skeleton("-")).unwrap();
        let variables = json!({"customer": {"name": "{{ 7 * 7 }}"}});
        let text = templates
            .text(Template::Safe("opening"), &variables, &[])
            .unwrap();
        assert_eq!(text, "Dear {{ 7 * 7 }}");
    }

    #[test]
    fn mistakes_name_template_line_and_remedy() {
        let cases = [
            ("{{ customer.name", "syntax error"),
            ("a\n{{ nobody }}", "line 2: a variable is missing"),
            (
                "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}",
                "too much work",
            ),
        ];
        for (text, expected) in cases {
            let result = SkeletonTemplates::compile(&skeleton(text)).and_then(|templates| {
                templates.document(&json!({}), &BTreeMap::from([("opening", "x")]))
            });
            let error: RenderError = result.unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
