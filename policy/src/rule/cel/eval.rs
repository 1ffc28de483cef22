//! Evaluates a condition: strict left to right, but `&&` and `||` forgive an error on one side when
//! the other decides, as CEL defines. Every step counts against a budget.

use std::{borrow::Cow, collections::BTreeMap, rc::Rc};

use super::{
    super::Failure,
    Bindings, Size, Texts,
    arithmetic::{binary, negate},
    ast::{Comprehension, Literal, Node, Root},
    value::{Value, type_mismatch},
};
use crate::verdict::{Finding, RuleErrorReason, VerdictAction};

/// Most steps of one evaluation; 64 bytes of text count as one.
const BUDGET: usize = 200_000;

pub(super) fn run(root: &Node, bindings: &Bindings<'_>) -> Result<bool, Failure> {
    let mut evaluation = Evaluation {
        bindings,
        locals: Vec::new(),
        left: BUDGET,
    };
    evaluation.value(root)?.bool()
}

struct Evaluation<'a> {
    bindings: &'a Bindings<'a>,
    locals: Vec<(&'a str, Value<'a>)>,
    left: usize,
}

impl<'a> Evaluation<'a> {
    fn value(&mut self, node: &'a Node) -> Result<Value<'a>, Failure> {
        self.spend(1)?;
        match node {
            Node::Literal(literal) => Ok(literal.value()),
            Node::Root(root) => self.root(*root),
            Node::Local(name) => self.local(name),
            Node::Select { operand, field } => {
                self.field(operand, field)?.ok_or_else(|| missing(node))
            }
            Node::Has { operand, field } => Ok(Value::Bool(self.field(operand, field)?.is_some())),
            Node::Index { operand, index } => self.index(operand, index),
            Node::List(items) => {
                let items: Result<_, _> = items.iter().map(|item| self.value(item)).collect();
                Ok(Value::List(Rc::new(items?)))
            }
            Node::Map(entries) => self.map(entries),
            Node::Not(operand) => Ok(Value::Bool(!self.value(operand)?.bool()?)),
            Node::Negate(operand) => negate(&self.value(operand)?),
            Node::And(left, right) => self.decide(left, right, false),
            Node::Or(left, right) => self.decide(left, right, true),
            Node::Conditional {
                condition,
                then,
                otherwise,
            } => {
                let branch = if self.value(condition)?.bool()? {
                    then
                } else {
                    otherwise
                };
                self.value(branch)
            }
            Node::Binary {
                operator,
                left,
                right,
            } => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.spend(left.weight() + right.weight())?;
                binary(*operator, &left, &right)
            }
            Node::Call {
                function,
                arguments,
            } => {
                let arguments: Result<Vec<_>, _> = arguments
                    .iter()
                    .map(|argument| self.value(argument))
                    .collect();
                let arguments = arguments?;
                self.spend(arguments.iter().map(Value::weight).sum())?;
                function.call(&arguments)
            }
            Node::Matches { operand, regex } => {
                let value = self.value(operand)?;
                self.spend(value.weight())?;
                Ok(Value::Bool(regex.is_match(value.text("matches")?)))
            }
            Node::NotFalse(operand) => match self.value(operand) {
                Err(failure) if failure.reason == RuleErrorReason::Cost => Err(failure),
                Ok(Value::Bool(false)) => Ok(Value::Bool(false)),
                _ => Ok(Value::Bool(true)),
            },
            Node::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn spend(&mut self, steps: usize) -> Result<(), Failure> {
        self.left = self.left.checked_sub(steps).ok_or_else(|| {
            Failure::new(
                RuleErrorReason::Cost,
                format!("the expression takes more than {BUDGET} steps: loop over shorter lists"),
            )
        })?;
        Ok(())
    }

    /// The field of a value; what the bindings hold is not put into a map for one field.
    fn field(&mut self, operand: &'a Node, field: &str) -> Result<Option<Value<'a>>, Failure> {
        let Node::Root(root) = operand else {
            return Ok(self.value(operand)?.field(field));
        };
        self.spend(1)?;
        let bindings = self.bindings;
        Ok(match root {
            Root::Vars => Value::json(bindings.variables).field(field),
            Root::Language | Root::Step | Root::Findings => None,
            Root::Labels => bindings.labels.get(field).map(|value| text_value(value)),
            Root::Parts => self.texts(Root::Parts)?.part(field).map(text_value),
            Root::Text => {
                let texts = self.texts(Root::Text)?;
                let size = Size::ALL.into_iter().find(|size| size.name() == field);
                size.map(|size| Value::Int(texts.size(size).into()))
            }
        })
    }

    fn root(&mut self, root: Root) -> Result<Value<'a>, Failure> {
        let bindings = self.bindings;
        let labels = bindings.labels.iter();
        Ok(match root {
            Root::Vars => Value::json(bindings.variables),
            Root::Language => text_value(bindings.language),
            Root::Step => text_value(bindings.step.as_str()),
            Root::Findings => {
                self.spend(4 * bindings.findings.len())?;
                Value::List(Rc::new(bindings.findings.iter().map(finding).collect()))
            }
            Root::Labels => map(labels.map(|(k, v)| (k.as_str(), text_value(v)))),
            Root::Parts => {
                let parts = self.texts(root)?.parts().into_iter();
                map(parts.map(|(k, v)| (k, text_value(v))))
            }
            Root::Text => {
                let texts = self.texts(root)?;
                map(Size::ALL.map(|size| (size.name(), Value::Int(texts.size(size).into()))))
            }
        })
    }

    fn texts(&self, root: Root) -> Result<&'a dyn Texts, Failure> {
        let texts = self.bindings.texts;
        texts.ok_or_else(|| missing_path(root.name()))
    }

    fn local(&self, name: &str) -> Result<Value<'a>, Failure> {
        let found = self.locals.iter().rev().find(|(known, _)| *known == name);
        found
            .map(|(_, value)| value.clone())
            .ok_or_else(|| missing_path(name))
    }

    fn index(&mut self, operand: &'a Node, index: &'a Node) -> Result<Value<'a>, Failure> {
        let value = self.value(operand)?;
        let found = match self.value(index)? {
            Value::String(key) if value.is_map() => value.field(&key),
            Value::Int(at) => usize::try_from(at).ok().and_then(|at| value.item(at)),
            Value::Uint(at) => usize::try_from(at).ok().and_then(|at| value.item(at)),
            _ => {
                return Err(type_mismatch(format!(
                    "`{}[…]` takes a name of a map or a place in a list",
                    operand.path()
                )));
            }
        };
        found.ok_or_else(|| {
            let path = operand.path();
            let guard = if value.is_map() {
                format!("`… in {path}`")
            } else {
                format!("`size({path})`")
            };
            Failure::new(
                RuleErrorReason::Missing,
                format!("`{path}[…]` is missing: give the record it, or guard with {guard}"),
            )
        })
    }

    fn map(&mut self, entries: &'a [(Node, Node)]) -> Result<Value<'a>, Failure> {
        let mut fields = BTreeMap::new();
        for (key, value) in entries {
            let Value::String(key) = self.value(key)? else {
                return Err(type_mismatch("keys of a map must be texts"));
            };
            let value = self.value(value)?;
            fields.insert(key, value);
        }
        Ok(Value::Map(Rc::new(fields)))
    }

    /// `&&` is decided by false, `||` by true.
    fn decide(&mut self, left: &'a Node, right: &'a Node, by: bool) -> Result<Value<'a>, Failure> {
        let left = self.value(left).and_then(|value| value.bool());
        match left {
            Ok(value) if value == by => return Ok(Value::Bool(by)),
            Err(failure) if failure.reason == RuleErrorReason::Cost => return Err(failure),
            _ => {}
        }
        let right = self.value(right).and_then(|value| value.bool());
        match (left, right) {
            (_, Ok(value)) if value == by => Ok(Value::Bool(by)),
            (_, Err(failure)) if failure.reason == RuleErrorReason::Cost => Err(failure),
            (Err(failure), _) | (_, Err(failure)) => Err(failure),
            (Ok(_), Ok(_)) => Ok(Value::Bool(!by)),
        }
    }

    fn comprehension(&mut self, loops: &'a Comprehension) -> Result<Value<'a>, Failure> {
        let range = self.value(&loops.range)?;
        self.spend(range.weight())?;
        let items = range.items().ok_or_else(|| {
            type_mismatch(format!("`{}` is neither list nor map", loops.range.path()))
        })?;
        let depth = self.locals.len();
        let result = self.each(loops, items);
        self.locals.truncate(depth);
        result
    }

    fn each(&mut self, l: &'a Comprehension, items: Vec<Value<'a>>) -> Result<Value<'a>, Failure> {
        let mut held = self.value(&l.initial);
        for item in items {
            let depth = self.locals.len();
            // An error so far is carried on: a later item may decide `exists` or `all`.
            if let Ok(value) = &held {
                self.locals.push((&l.accumulator, value.clone()));
                if !self.value(&l.condition)?.bool()? {
                    self.locals.truncate(depth);
                    break;
                }
            }
            self.locals.push((&l.variable, item));
            let next = self.value(&l.step);
            self.locals.truncate(depth);
            held = match (held, next) {
                (_, Err(failure)) if failure.reason == RuleErrorReason::Cost => {
                    return Err(failure);
                }
                (Err(_), Ok(next)) if l.decides(&next) => Ok(next),
                (Err(failure), _) => Err(failure),
                (Ok(_), next) => next,
            };
            if let Ok(value) = &held {
                self.spend(value.weight())?;
            }
        }
        self.locals.push((&l.accumulator, held?));
        self.value(&l.result)
    }
}

impl Comprehension {
    /// True for `exists` with true and `all` with false: no other item matters then.
    fn decides(&self, value: &Value<'_>) -> bool {
        match (&self.step, value) {
            (Node::Or(..), Value::Bool(value)) => *value,
            (Node::And(..), Value::Bool(value)) => !value,
            _ => false,
        }
    }
}

impl Literal {
    fn value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(number) => Value::Int(*number),
            Self::Uint(number) => Value::Uint(*number),
            Self::Double(number) => Value::Double(*number),
            Self::String(text) => Value::String(Cow::Borrowed(text)),
        }
    }
}

fn map<'a>(fields: impl IntoIterator<Item = (&'a str, Value<'a>)>) -> Value<'a> {
    let fields = fields
        .into_iter()
        .map(|(name, value)| (Cow::Borrowed(name), value));
    Value::Map(Rc::new(fields.collect()))
}

fn text_value(text: &str) -> Value<'_> {
    Value::String(Cow::Borrowed(text))
}

/// What fails because something is missing has one place.
fn finding(found: &Finding) -> Value<'_> {
    let places = found.spans.len().max(found.inputs.len()).max(1);
    map([
        ("rule", text_value(&found.rule)),
        (
            "action",
            text_value(VerdictAction::from(found.action).as_str()),
        ),
        (
            "count",
            Value::Int(i64::try_from(places).unwrap_or(i64::MAX)),
        ),
    ])
}

fn missing(node: &Node) -> Failure {
    missing_path(&node.path())
}

fn missing_path(path: &str) -> Failure {
    Failure::new(
        RuleErrorReason::Missing,
        format!("`{path}` is missing: give the record that field, or guard with has({path})"),
    )
}
