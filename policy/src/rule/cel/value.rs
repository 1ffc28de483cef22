//! Values of an expression: borrowed from the inputs where possible, compared as CEL does.

use std::{borrow::Cow, cmp::Ordering, collections::BTreeMap, rc::Rc};

use serde_json::Value as Json;

use super::super::Failure;
use crate::verdict::RuleErrorReason;

#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Cow<'a, str>),
    List(Rc<Vec<Value<'a>>>),
    /// Keys are texts.
    Map(Rc<BTreeMap<Cow<'a, str>, Value<'a>>>),
    /// A list or an object of the variables.
    Json(&'a Json),
}

/// The operands don't fit together.
pub(super) fn type_mismatch(message: impl Into<String>) -> Failure {
    Failure::new(RuleErrorReason::Type, message)
}

impl<'a> Value<'a> {
    pub(super) fn json(json: &'a Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(number), ..) => Self::Int(number),
                (_, Some(number), _) => Self::Uint(number),
                (.., number) => Self::Double(number.unwrap_or(f64::NAN)),
            },
            Json::String(text) => Self::String(Cow::Borrowed(text)),
            Json::Array(_) | Json::Object(_) => Self::Json(json),
        }
    }

    pub(super) fn owned(text: String) -> Self {
        Self::String(Cow::Owned(text))
    }

    pub(super) fn bool(&self) -> Result<bool, Failure> {
        match self {
            Self::Bool(value) => Ok(*value),
            _ => Err(type_mismatch(
                "a condition must be true or false: compare the value, as in `== true`",
            )),
        }
    }

    pub(super) fn text(&self, function: &str) -> Result<&str, Failure> {
        match self {
            Self::String(text) => Ok(text),
            _ => Err(type_mismatch(format!(
                "{function}() takes texts: convert with string()"
            ))),
        }
    }

    /// The field of that name; `None` when it is missing or there are no fields at all.
    pub(super) fn field(&self, name: &str) -> Option<Self> {
        match self {
            Self::Json(Json::Object(fields)) => fields.get(name).map(Self::json),
            Self::Map(fields) => fields.get(name).cloned(),
            _ => None,
        }
    }

    pub(super) fn item(&self, index: usize) -> Option<Self> {
        match self {
            Self::Json(Json::Array(items)) => items.get(index).map(Self::json),
            Self::List(items) => items.get(index).cloned(),
            _ => None,
        }
    }

    /// Items of a list; keys of a map, sorted; `None` for anything else.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        match self {
            Self::Json(Json::Array(items)) => Some(items.iter().map(Self::json).collect()),
            Self::Json(Json::Object(fields)) => {
                // The map may keep the order of its source.
                let mut keys: Vec<_> = fields.keys().map(String::as_str).collect();
                keys.sort_unstable();
                Some(
                    keys.into_iter()
                        .map(|key| Self::String(Cow::Borrowed(key)))
                        .collect(),
                )
            }
            Self::List(items) => Some(items.to_vec()),
            Self::Map(fields) => Some(fields.keys().map(|key| Self::String(key.clone())).collect()),
            _ => None,
        }
    }

    /// Characters of a text, items of a list, fields of a map.
    pub(super) fn size(&self) -> Result<Self, Failure> {
        let size = match self {
            Self::String(text) => text.chars().count(),
            Self::Json(Json::Array(items)) => items.len(),
            Self::Json(Json::Object(fields)) => fields.len(),
            Self::List(items) => items.len(),
            Self::Map(fields) => fields.len(),
            _ => return Err(type_mismatch("size() takes texts, lists and maps")),
        };
        Ok(Self::Int(i64::try_from(size).unwrap_or(i64::MAX)))
    }

    /// Rough number of steps that copying or comparing the value takes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::String(text) => text.len() / 64,
            Self::List(items) => items.len(),
            Self::Map(fields) => fields.len(),
            Self::Json(Json::Array(items)) => items.len(),
            Self::Json(Json::Object(fields)) => fields.len(),
            _ => 0,
        }
    }

    /// Equality over all types: different ones are unequal, numbers compare by value.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::String(one), Self::String(other)) => one == other,
            _ if self.is_number() && other.is_number() => {
                self.compare(other) == Some(Ordering::Equal)
            }
            _ if self.is_map() && other.is_map() => {
                let (one, two) = (
                    self.items().unwrap_or_default(),
                    other.items().unwrap_or_default(),
                );
                let same = |key: &Self| match key {
                    Self::String(key) => match (self.field(key), other.field(key)) {
                        (Some(one), Some(two)) => one.equals(&two),
                        _ => false,
                    },
                    _ => false,
                };
                one.len() == two.len() && one.iter().all(same)
            }
            _ => match (self.items(), other.items()) {
                (Some(one), Some(two)) if !self.is_map() && !other.is_map() => {
                    one.len() == two.len() && one.iter().zip(&two).all(|(a, b)| a.equals(b))
                }
                _ => false,
            },
        }
    }

    /// Order of two numbers, texts or booleans; `None` when there is none.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(one), Self::Bool(two)) => Some(one.cmp(two)),
            (Self::String(one), Self::String(two)) => Some(one.cmp(two)),
            (Self::Double(one), two) => one.partial_cmp(&two.as_double()?),
            (one, Self::Double(two)) => one.as_double()?.partial_cmp(two),
            (one, two) => Some(one.as_wide()?.cmp(&two.as_wide()?)),
        }
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self, Self::Map(_) | Self::Json(Json::Object(_)))
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Uint(_) | Self::Double(_))
    }

    fn as_double(&self) -> Option<f64> {
        match self {
            Self::Int(number) => Some(*number as f64),
            Self::Uint(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    fn as_wide(&self) -> Option<i128> {
        match self {
            Self::Int(number) => Some(i128::from(*number)),
            Self::Uint(number) => Some(i128::from(*number)),
            _ => None,
        }
    }
}
