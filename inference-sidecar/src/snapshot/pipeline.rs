//! A pipeline's routes, with their conditions compiled.

use std::{cell::OnceCell, collections::BTreeMap, sync::Arc};

use aios_crds::{
    experiment::{self, CONTROL},
    writing_pipeline::{self, AnswerCache},
};
use aios_policy::Bounds;
use aios_proto::{
    canonical,
    config::{PipelineConfig, PolicyPin, PolicyScope},
    control::BudgetScope,
};
use cel::{Context, Program, Value};
use http::HeaderValue;

use super::{Guard, Policy};
use crate::money::Fund;

/// Impersonal labels of a document: text, numbers, booleans.
pub type Labels = BTreeMap<String, serde_json::Value>;

/// The steps of a WritingPipeline that call models.
#[derive(Debug)]
pub struct Pipeline {
    pub name: String,
    pub draft: Routes,
    /// None when the draft is final.
    pub finish: Option<Routes>,
    /// Digest of what its documents are judged by.
    pub policies: String,
    pins: Vec<PolicyPin>,
    /// What judges its calls; none where no rule of them does.
    pub guard: Option<Arc<Guard>>,
    /// Which models its calls may go to.
    pub bounds: Bounds,
    /// What its calls are paid from: its own budget first, then those of its policies.
    pub funds: Arc<[Arc<Fund>]>,
}

/// The models of one step.
#[derive(Debug)]
pub struct Routes {
    /// In the order in which they are tried.
    pub list: Vec<Route>,
    /// What writes a part of the documents instead.
    pub experiment: Option<Experiment>,
    /// Which answers are used again.
    pub cache: Option<AnswerCache>,
}

/// Variants that documents are divided among.
#[derive(Debug)]
pub struct Experiment {
    pub name: String,
    pub variants: Vec<Variant>,
    /// `EXPERIMENT/control`: what a document is in that no variant takes.
    pub control: HeaderValue,
}

/// A model that writes a part of the documents.
#[derive(Debug)]
pub struct Variant {
    /// `EXPERIMENT/VARIANT`.
    pub label: HeaderValue,
    /// Name of the ModelDeployment.
    pub model: String,
    /// Percent of the documents.
    pub percent: u32,
}

/// A model to call, where a condition holds.
#[derive(Debug)]
pub struct Route {
    /// Name of the ModelDeployment.
    pub model: String,
    /// Its part of the documents that routes with weights beside it share.
    pub weight: Option<u32>,
    when: Option<Condition>,
}

/// When a route applies.
#[derive(Debug)]
struct Condition {
    program: Program,
    reads_tokens: bool,
}

impl Pipeline {
    /// Compiles the conditions. `known` are the policies in force.
    ///
    /// # Errors
    /// Path of the condition and what is wrong with it, or a policy that is not in force.
    pub fn new(
        config: PipelineConfig,
        known: &BTreeMap<(PolicyScope, String), Arc<Policy>>,
    ) -> Result<Self, String> {
        let pinned: Result<Vec<_>, String> = config
            .policies
            .iter()
            .map(|pin| pinned(pin, known))
            .collect();
        let pinned = pinned?;
        let guard = Guard::of(pinned.iter().copied());
        let bounds = Policy::bounds(pinned.iter().copied());
        let own = config.budget.clone();
        let own = own.map(|budget| Fund::new(BudgetScope::Pipeline, &config.name, budget));
        let of_policies = Policy::funds(pinned.into_iter());
        let policies = canonical::to_vec(&config.policies);
        let policies = policies.map_err(|error| format!("policies: {error}"))?;
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
            policies: canonical::digest(&policies),
            pins: config.policies,
            guard,
            bounds,
            funds: own.into_iter().chain(of_policies).collect(),
        })
    }

    /// Whether the policies that it was compiled with are in force still.
    ///
    /// # Errors
    /// The first that is not.
    pub fn is_pinned_in(
        &self,
        known: &BTreeMap<(PolicyScope, String), Arc<Policy>>,
    ) -> Result<(), String> {
        let mut pins = self.pins.iter();
        pins.try_for_each(|pin| pinned(pin, known).map(|_| ()))
    }
}

fn pinned<'a>(
    pin: &PolicyPin,
    known: &'a BTreeMap<(PolicyScope, String), Arc<Policy>>,
) -> Result<&'a Policy, String> {
    let policy = known.get(&(pin.scope, pin.name.clone()));
    let same = policy.filter(|policy| policy.digest == pin.digest);
    same.map(|policy| &**policy)
        .ok_or_else(|| format!("policy `{}` at {} is not here", pin.name, pin.digest))
}

impl Route {
    /// Whether its condition asks how long the prompt is.
    pub fn reads_tokens(&self) -> bool {
        self.when.as_ref().is_some_and(|when| when.reads_tokens)
    }

    /// Whether the route applies to a document.
    ///
    /// # Errors
    /// Why the condition gives no truth value, as when a label is missing.
    pub fn applies(&self, facts: &Facts<'_>) -> Result<bool, String> {
        let Some(condition) = &self.when else {
            return Ok(true);
        };
        match condition.program.execute(facts.context()?) {
            Ok(Value::Bool(applies)) => Ok(applies),
            Ok(other) => Err(format!(
                "the condition gives {} and no bool",
                other.type_of()
            )),
            Err(error) => Err(error.to_string()),
        }
    }
}

thread_local! {
    /// CEL's functions: gathering them costs more than evaluating a condition.
    static FUNCTIONS: Context<'static> = Context::default();
}

/// What the conditions of one call are evaluated on: made when the first is.
pub struct Facts<'a> {
    labels: &'a Labels,
    /// Of the prompt, by estimate, where a condition asks for them.
    tokens: Option<u64>,
    functions: &'a Context<'static>,
    context: OnceCell<Result<Context<'a>, String>>,
}

impl Facts<'_> {
    /// Evaluates conditions on labels and, where one asks for them, the tokens of the prompt.
    pub fn of<T>(
        labels: &Labels,
        tokens: Option<u64>,
        evaluate: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        FUNCTIONS.with(|functions| {
            evaluate(&Facts {
                labels,
                tokens,
                functions,
                context: OnceCell::new(),
            })
        })
    }
}

impl<'a> Facts<'a> {
    fn context(&self) -> Result<&Context<'a>, String> {
        let made = self.context.get_or_init(|| {
            let language = self.labels.get("language");
            let language = language.and_then(serde_json::Value::as_str);
            let mut context = self.functions.new_inner_scope();
            context.add_variable_from_value("language", language.unwrap_or_default());
            if let Some(tokens) = self.tokens {
                let tokens = i64::try_from(tokens).unwrap_or(i64::MAX);
                context.add_variable_from_value("tokens", tokens);
            }
            context
                .add_variable("labels", self.labels)
                .map_err(|error| error.to_string())?;
            Ok(context)
        });
        made.as_ref().map_err(String::clone)
    }
}

fn routes(path: &str, step: writing_pipeline::Step) -> Result<Routes, String> {
    if step.routes.is_empty() {
        return Err(format!("{path}.routes: is empty"));
    }
    if step.cache.is_some_and(|cache| !cache.is_bounded()) {
        return Err(format!("{path}.cache.ttl: must be 1s to 1h"));
    }
    let list: Result<_, String> = step
        .routes
        .into_iter()
        .enumerate()
        .map(|(index, route)| {
            let when = route
                .when
                .map(|source| compile(&source))
                .transpose()
                .map_err(|error| format!("{path}.routes[{index}].when: {error}"))?;
            let weight = route.weight.map(u32::try_from).transpose().ok();
            let weight = weight.filter(|weight| *weight != Some(0));
            let weight = weight
                .ok_or_else(|| format!("{path}.routes[{index}].weight: must be 1 or more"))?;
            Ok(Route {
                model: route.model,
                weight,
                when,
            })
        })
        .collect();
    let experiment = step
        .experiment
        .map(|experiment| divided(&format!("{path}.experiment"), experiment));
    Ok(Routes {
        list: list?,
        experiment: experiment.transpose()?,
        cache: step.cache,
    })
}

fn divided(path: &str, config: experiment::Experiment) -> Result<Experiment, String> {
    let name = config.name;
    let label = |variant: &str| {
        let label = HeaderValue::try_from(format!("{name}/{variant}"));
        label.map_err(|_| format!("{path}: its names must be visible ASCII"))
    };
    // In whatever order they are written, a document stays where it is.
    let mut written = config.variants;
    written.sort_by(|one, other| one.name.cmp(&other.name));
    let mut left = 100;
    let mut variants = Vec::new();
    for experiment::Variant {
        name,
        model,
        percent,
    } in written
    {
        let percent = u32::try_from(percent).ok();
        let percent = percent.filter(|percent| (1..=left).contains(percent));
        let percent = percent
            .ok_or_else(|| format!("{path}.variants: must take 1 to 100 percent, 100 in all"))?;
        left -= percent;
        variants.push(Variant {
            label: label(&name)?,
            model,
            percent,
        });
    }
    Ok(Experiment {
        control: label(CONTROL)?,
        variants,
        name,
    })
}

fn compile(source: &str) -> Result<Condition, String> {
    let program = Program::compile(source).map_err(|error| error.to_string())?;
    let references = program.references();
    let read = references.variables();
    let reads_tokens = read.contains(&"tokens");
    let unknown = read
        .into_iter()
        .find(|name| !matches!(*name, "labels" | "language" | "tokens"));
    if let Some(name) = unknown {
        return Err(format!(
            "`{name}` is unknown: use labels, language and tokens"
        ));
    }
    Ok(Condition {
        program,
        reads_tokens,
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::{Facts, Labels, Route, compile};

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
    #[case("tokens >= 1200", true)]
    #[case(r#"tokens < 1200 || language == "en""#, false)]
    fn a_condition_decides_by_labels_language_and_tokens(
        #[case] when: &str,
        #[case] expected: bool,
    ) {
        let route = Route {
            model: "m".into(),
            weight: None,
            when: Some(compile(when).unwrap()),
        };
        let applies = Facts::of(&labels(), Some(1200), |facts| route.applies(facts));
        assert_eq!(applies, Ok(expected));
    }

    #[rstest]
    #[case("labels.missing == 1")]
    #[case("labels.tier")]
    #[case("labels.tier / 0 == 1")]
    #[case("tokens")]
    fn a_condition_without_a_truth_value_is_an_error(#[case] when: &str) {
        let route = Route {
            model: "m".into(),
            weight: None,
            when: Some(compile(when).unwrap()),
        };
        assert!(Facts::of(&labels(), Some(1200), |facts| route.applies(facts)).is_err());
    }

    #[rstest]
    #[case("language ==")]
    #[case("vars.segment == 'x'")]
    fn a_wrong_condition_does_not_compile(#[case] when: &str) {
        assert!(compile(when).is_err());
    }
}
