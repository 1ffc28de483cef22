//! What operators make of values: checked, and never rounded or wrapped in silence.

use std::rc::Rc;

use super::{
    super::Failure,
    ast::Operator,
    value::{Value, type_mismatch},
};
use crate::verdict::RuleErrorReason;

pub(super) fn negate<'a>(value: &Value<'a>) -> Result<Value<'a>, Failure> {
    match value {
        Value::Int(number) => number.checked_neg().map(Value::Int).ok_or_else(overflow),
        Value::Double(number) => Ok(Value::Double(-number)),
        _ => Err(type_mismatch("`-` takes numbers")),
    }
}

pub(super) fn binary<'a>(
    operator: Operator,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Result<Value<'a>, Failure> {
    let ordered = |accept: fn(std::cmp::Ordering) -> bool| {
        left.compare(right)
            .map(|order| Value::Bool(accept(order)))
            .ok_or_else(|| {
                type_mismatch(format!(
                    "`{}` can't compare values of different types: convert one, as in int(…)",
                    operator.symbol()
                ))
            })
    };
    match operator {
        Operator::Equals => Ok(Value::Bool(left.equals(right))),
        Operator::NotEquals => Ok(Value::Bool(!left.equals(right))),
        Operator::Less => ordered(std::cmp::Ordering::is_lt),
        Operator::LessEquals => ordered(std::cmp::Ordering::is_le),
        Operator::Greater => ordered(std::cmp::Ordering::is_gt),
        Operator::GreaterEquals => ordered(std::cmp::Ordering::is_ge),
        Operator::In => contains(left, right),
        _ => arithmetic(operator, left, right),
    }
}

fn contains<'a>(item: &Value<'a>, collection: &Value<'a>) -> Result<Value<'a>, Failure> {
    let items = collection
        .items()
        .ok_or_else(|| type_mismatch("`in` takes a list or a map on its right side"))?;
    Ok(Value::Bool(items.iter().any(|known| known.equals(item))))
}

fn arithmetic<'a>(
    operator: Operator,
    left: &Value<'a>,
    right: &Value<'a>,
) -> Result<Value<'a>, Failure> {
    if matches!(operator, Operator::Divide | Operator::Modulo)
        && matches!(right, Value::Int(0) | Value::Uint(0))
    {
        return Err(Failure::new(
            RuleErrorReason::Arithmetic,
            "division by zero: guard it with a condition",
        ));
    }
    match (left, right) {
        (Value::Int(l), Value::Int(r)) => match operator {
            Operator::Add => l.checked_add(*r),
            Operator::Subtract => l.checked_sub(*r),
            Operator::Multiply => l.checked_mul(*r),
            Operator::Divide => l.checked_div(*r),
            _ => l.checked_rem(*r),
        }
        .map(Value::Int)
        .ok_or_else(overflow),
        (Value::Uint(l), Value::Uint(r)) => match operator {
            Operator::Add => l.checked_add(*r),
            Operator::Subtract => l.checked_sub(*r),
            Operator::Multiply => l.checked_mul(*r),
            Operator::Divide => l.checked_div(*r),
            _ => l.checked_rem(*r),
        }
        .map(Value::Uint)
        .ok_or_else(overflow),
        (Value::Double(l), Value::Double(r)) if operator != Operator::Modulo => {
            Ok(Value::Double(match operator {
                Operator::Add => l + r,
                Operator::Subtract => l - r,
                Operator::Multiply => l * r,
                _ => l / r,
            }))
        }
        (Value::String(l), Value::String(r)) if operator == Operator::Add => {
            Ok(Value::owned(format!("{l}{r}")))
        }
        _ => match (operator, left.items(), right.items()) {
            (Operator::Add, Some(mut items), Some(more)) if !left.is_map() && !right.is_map() => {
                items.extend(more);
                Ok(Value::List(Rc::new(items)))
            }
            _ => Err(type_mismatch(format!(
                "`{}` takes two numbers of one type: convert with int(…) or double(…)",
                operator.symbol()
            ))),
        },
    }
}

fn overflow() -> Failure {
    Failure::new(
        RuleErrorReason::Arithmetic,
        "a number leaves 64 bits: use smaller ones",
    )
}
