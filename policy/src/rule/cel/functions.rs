//! The functions an expression may call, as CEL defines them; sizes of texts are in characters.

use memchr::memmem;

use super::{
    super::Failure,
    value::{Value, type_mismatch},
};
use crate::verdict::RuleErrorReason;

/// A function, however it is called: the receiver is its first argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    LowerAscii,
    UpperAscii,
    Int,
    Double,
    String,
}

/// Names, the number of arguments with the receiver, and whether they are called on a receiver.
const FUNCTIONS: [(&str, Function, usize); 9] = [
    ("size", Function::Size, 1),
    ("contains", Function::Contains, 2),
    ("startsWith", Function::StartsWith, 2),
    ("endsWith", Function::EndsWith, 2),
    ("lowerAscii", Function::LowerAscii, 1),
    ("upperAscii", Function::UpperAscii, 1),
    ("int", Function::Int, 1),
    ("double", Function::Double, 1),
    ("string", Function::String, 1),
];

impl Function {
    /// The function of that name, and how many arguments it takes with its receiver.
    pub(super) fn find(name: &str) -> Option<(Self, usize)> {
        let found = FUNCTIONS.iter().find(|(known, ..)| *known == name);
        found.map(|(_, function, arity)| (*function, *arity))
    }

    /// All names, for messages.
    pub(super) fn names() -> String {
        let names: Vec<_> = FUNCTIONS.iter().map(|(name, ..)| *name).collect();
        names.join(", ")
    }

    pub(super) fn gives_bool(self) -> bool {
        matches!(self, Self::Contains | Self::StartsWith | Self::EndsWith)
    }

    pub(super) fn call<'a>(self, arguments: &[Value<'a>]) -> Result<Value<'a>, Failure> {
        match (self, arguments) {
            (Self::Size, [value]) => value.size(),
            (Self::Contains, [text, part]) => {
                let (text, part) = (text.text("contains")?, part.text("contains")?);
                let found = memmem::find(text.as_bytes(), part.as_bytes());
                Ok(Value::Bool(found.is_some()))
            }
            (Self::StartsWith, [text, part]) => Ok(Value::Bool(
                text.text("startsWith")?
                    .starts_with(part.text("startsWith")?),
            )),
            (Self::EndsWith, [text, part]) => Ok(Value::Bool(
                text.text("endsWith")?.ends_with(part.text("endsWith")?),
            )),
            (Self::LowerAscii, [text]) => {
                Ok(Value::owned(text.text("lowerAscii")?.to_ascii_lowercase()))
            }
            (Self::UpperAscii, [text]) => {
                Ok(Value::owned(text.text("upperAscii")?.to_ascii_uppercase()))
            }
            (Self::Int, [value]) => int(value),
            (Self::Double, [value]) => double(value),
            (Self::String, [value]) => string(value),
            _ => Err(type_mismatch(
                "a function got the wrong number of arguments",
            )),
        }
    }
}

fn int<'a>(value: &Value<'a>) -> Result<Value<'a>, Failure> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Uint(number) => i64::try_from(*number).ok(),
        Value::String(text) => text.parse().ok(),
        // The check before the cast makes it exact.
        #[expect(clippy::cast_possible_truncation)]
        Value::Double(number) if number.abs() < 9.0e15 => Some(number.trunc() as i64),
        _ => None,
    }
    .map(Value::Int)
    .ok_or_else(|| not_a_number("int"))
}

fn double<'a>(value: &Value<'a>) -> Result<Value<'a>, Failure> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::Uint(number) => Some(*number as f64),
        Value::Double(number) => Some(*number),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
    .map(Value::Double)
    .ok_or_else(|| not_a_number("double"))
}

fn string<'a>(value: &Value<'a>) -> Result<Value<'a>, Failure> {
    match value {
        Value::String(text) => Ok(Value::String(text.clone())),
        Value::Int(number) => Ok(Value::owned(number.to_string())),
        Value::Uint(number) => Ok(Value::owned(number.to_string())),
        Value::Double(number) => Ok(Value::owned(number.to_string())),
        Value::Bool(value) => Ok(Value::owned(value.to_string())),
        _ => Err(type_mismatch(
            "string() takes texts, numbers, true and false",
        )),
    }
}

fn not_a_number(function: &str) -> Failure {
    Failure::new(
        RuleErrorReason::Arithmetic,
        format!("{function}() got something that is no number in its range: check it first"),
    )
}
