//! Templates: parse, use only known filters, read only what exists where they stand.

use std::collections::BTreeSet;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};

use crate::{
    Diagnostic, Place,
    schema::{Declared, Variables, undeclared},
};

/// Instructions of one trial run, so that no template can hold up the operator.
const FUEL: u64 = 100_000;

/// Names that AIOS itself adds to the variables.
pub const RESERVED: [&str; 2] = ["slots", "passages"];

/// What a template may read beside the variables.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    pub variables: &'a Variables<'a>,
    /// Slots by name; none where slots cannot be read yet.
    pub slots: Option<&'a [&'a str]>,
    /// Whether `passages` exist.
    pub passages: bool,
}

/// Checks one template and adds the slots it uses to `used`.
pub fn check(
    path: &str,
    source: &str,
    scope: Scope<'_>,
    used: &mut BTreeSet<String>,
) -> Vec<Diagnostic> {
    let environment = environment();
    let template = match environment.template_from_str(source) {
        Ok(template) => template,
        Err(error) => return vec![syntax(path, source, &error)],
    };
    let mut names: Vec<_> = template.undeclared_variables(true).into_iter().collect();
    names.sort_unstable();
    let mut found = Vec::new();
    for name in &names {
        found.extend(reads(path, name, scope, used).map(|d| d.at(place_of(source, name))));
    }
    // Filters and tests are looked up when they run. Undefined values chain, so that only what is
    // wrong whatever the values are shows here; branches not taken stay unseen.
    if let Err(error) = template.render(()) {
        found.extend(static_mistake(path, source, &error));
    }
    found
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_debug(true);
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment
}

fn reads(
    path: &str,
    name: &str,
    scope: Scope<'_>,
    used: &mut BTreeSet<String>,
) -> Option<Diagnostic> {
    let mut keys = name.split('.');
    match keys.next().unwrap_or_default() {
        "slots" => {
            let Some(slots) = scope.slots else {
                return Some(Diagnostic::new(
                    path,
                    "slots cannot be read here",
                    "use variables only: slots are filled one by one, in no order",
                ));
            };
            let slot = keys.next()?;
            used.insert(slot.to_owned());
            (!slots.contains(&slot)).then(|| {
                Diagnostic::new(
                    path,
                    format!("slot `{slot}` does not exist in this skeleton"),
                    format!("add it under slots, or use one of: {}", listed(slots)),
                )
            })
        }
        "passages" => (!scope.passages).then(|| {
            Diagnostic::new(
                path,
                "passages cannot be read here",
                "passages exist in slot prompts, and only where spec.retrieval is set",
            )
        }),
        _ if is_global(name) => None,
        _ => (scope.variables.declared(name) == Declared::No).then(|| undeclared(path, name)),
    }
}

/// Functions of the template language, which its analysis lists as variables.
fn is_global(name: &str) -> bool {
    ["range", "dict", "namespace", "debug", "loop"].contains(&name)
}

fn syntax(path: &str, source: &str, error: &minijinja::Error) -> Diagnostic {
    let message = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    Diagnostic::new(
        path,
        message,
        "correct the Jinja: `{{ variable }}` prints, `{% if x %}…{% endif %}` decides; include, \
         extends and import do not exist here",
    )
    .at(place(source, error))
}

fn static_mistake(path: &str, source: &str, error: &minijinja::Error) -> Option<Diagnostic> {
    let remedy = match error.kind() {
        ErrorKind::UnknownFilter => "use a filter of Jinja's standard set, as in `upper`",
        ErrorKind::UnknownTest => "use a test of Jinja's standard set, as in `is defined`",
        ErrorKind::UnknownFunction => "use no functions but range, dict and namespace",
        ErrorKind::OutOfFuel => "shorten its loops: a template is a text, not a program",
        _ => return None,
    };
    let message = error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned);
    Some(Diagnostic::new(path, message, remedy).at(place(source, error)))
}

fn place(source: &str, error: &minijinja::Error) -> Option<Place> {
    if let Some(range) = error.range() {
        return Some(Place::of_offset(source, range.start));
    }
    let line = u32::try_from(error.line()?).ok()?;
    Some(Place { line, column: None })
}

/// First place where a name stands in the source: the analysis itself keeps no places.
fn place_of(source: &str, name: &str) -> Option<Place> {
    source
        .find(name)
        .map(|offset| Place::of_offset(source, offset))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "none (the skeleton has no slots)".into()
    } else {
        names.join(", ")
    }
}
