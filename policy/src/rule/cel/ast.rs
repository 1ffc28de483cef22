//! Conditions as they are evaluated: every name resolved, every function and regex known.

use cel::common::ast::operators as op;

use super::super::search::Search;

use super::functions::Function;

/// One step of a condition.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Literal),
    /// A name of the scope.
    Root(Root),
    /// A name that a comprehension binds.
    Local(String),
    Select {
        operand: Box<Node>,
        field: String,
    },
    /// `has(operand.field)`.
    Has {
        operand: Box<Node>,
        field: String,
    },
    Index {
        operand: Box<Node>,
        index: Box<Node>,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Conditional {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Box<Node>,
    },
    Binary {
        operator: Operator,
        left: Box<Node>,
        right: Box<Node>,
    },
    Call {
        function: Function,
        arguments: Vec<Node>,
    },
    Matches {
        operand: Box<Node>,
        regex: Search,
    },
    /// True unless the operand is false; errors count as true.
    NotFalse(Box<Node>),
    Comprehension(Box<Comprehension>),
}

/// What `all`, `exists`, `map` and `filter` stand for.
#[derive(Debug)]
pub(super) struct Comprehension {
    pub(super) range: Node,
    pub(super) variable: String,
    pub(super) accumulator: String,
    pub(super) initial: Node,
    pub(super) condition: Node,
    pub(super) step: Node,
    pub(super) result: Node,
}

#[derive(Clone, Debug)]
pub(super) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
}

/// Names of the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Vars,
    Labels,
    Language,
    Step,
    Findings,
    Parts,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Equals,
    NotEquals,
    Less,
    LessEquals,
    Greater,
    GreaterEquals,
    In,
}

impl Root {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vars => "vars",
            Self::Labels => "labels",
            Self::Language => "language",
            Self::Step => "step",
            Self::Findings => "findings",
            Self::Parts => "parts",
            Self::Text => "text",
        }
    }
}

impl Operator {
    /// The one of two operands that the parser calls so.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            op::ADD => Self::Add,
            op::SUBSTRACT => Self::Subtract,
            op::MULTIPLY => Self::Multiply,
            op::DIVIDE => Self::Divide,
            op::MODULO => Self::Modulo,
            op::EQUALS => Self::Equals,
            op::NOT_EQUALS => Self::NotEquals,
            op::LESS => Self::Less,
            op::LESS_EQUALS => Self::LessEquals,
            op::GREATER => Self::Greater,
            op::GREATER_EQUALS => Self::GreaterEquals,
            op::IN => Self::In,
            _ => return None,
        })
    }

    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Equals => "==",
            Self::NotEquals => "!=",
            Self::Less => "<",
            Self::LessEquals => "<=",
            Self::Greater => ">",
            Self::GreaterEquals => ">=",
            Self::In => "in",
        }
    }
}

impl Node {
    /// The path that the step reads, as in `vars.customer.name`, for messages.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Root(root) => root.name().to_owned(),
            Self::Local(name) => name.clone(),
            Self::Select { operand, field } => format!("{}.{field}", operand.path()),
            Self::Index { operand, .. } => format!("{}[…]", operand.path()),
            _ => "(…)".to_owned(),
        }
    }

    /// True when no value of the inputs could make the step true or false.
    pub(super) fn is_never_bool(&self) -> bool {
        match self {
            Self::Literal(literal) => !matches!(literal, Literal::Bool(_)),
            Self::Root(_) | Self::List(_) | Self::Map(_) | Self::Negate(_) => true,
            Self::Select { operand, .. } => {
                matches!(
                    **operand,
                    Self::Root(Root::Text | Root::Labels | Root::Parts)
                )
            }
            Self::Binary { operator, .. } => matches!(
                operator,
                Operator::Add
                    | Operator::Subtract
                    | Operator::Multiply
                    | Operator::Divide
                    | Operator::Modulo
            ),
            Self::Call { function, .. } => !function.gives_bool(),
            Self::Conditional {
                then, otherwise, ..
            } => then.is_never_bool() || otherwise.is_never_bool(),
            _ => false,
        }
    }
}
