//! Parses CEL and lowers it: names, functions, literal regexes and nesting are checked here, so
//! that nothing but values can go wrong later.

use cel::{
    common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators as op},
    parser::Parser,
};
use regex::RegexBuilder;

use super::{
    super::search::Search,
    Scope,
    ast::{Comprehension, Literal, Node, Operator, Root},
    functions::Function,
};
use crate::diagnostic::Diagnostic;

/// Nesting that the parser follows; it needs much stack a level.
const MAX_PARSE_DEPTH: u16 = 24;
/// Nesting of the lowered expression; chains of `||` are balanced by the parser.
const MAX_DEPTH: usize = 64;
/// Loops within loops.
const MAX_LOOPS: usize = 2;
/// Bytes of a compiled regex.
const REGEX_LIMIT: usize = 1 << 18;

pub(super) fn parse(source: &str, scope: Scope, path: &str) -> Result<Node, Vec<Diagnostic>> {
    if source.trim().is_empty() {
        return Err(vec![Diagnostic::new(
            path,
            "the expression is empty: write a condition, as in \
            `vars.segment == \"savings\"`",
        )]);
    }
    let deep = || {
        vec![Diagnostic::new(
            path,
            "the expression nests too deep: split the rule",
        )]
    };
    if brackets(source) > usize::from(MAX_PARSE_DEPTH) {
        return Err(deep());
    }
    let parsed = Parser::new()
        .max_recursion_depth(MAX_PARSE_DEPTH)
        .parse(source)
        .map_err(|errors| {
            errors
                .errors
                .iter()
                .map(|error| syntax(path, error))
                .collect::<Vec<_>>()
        })?;
    let mut lowering = Lowering {
        scope,
        source,
        path,
        locals: Vec::new(),
        loops: 0,
        mistakes: Vec::new(),
    };
    let node = lowering.node(&parsed, 0);
    if lowering.mistakes.is_empty() && node.is_never_bool() {
        lowering.mistakes.push(Diagnostic::new(
            path,
            "the expression is never true or false: compare it, as in `text.words <= 180`",
        ));
    }
    if lowering.mistakes.is_empty() {
        Ok(node)
    } else {
        Err(lowering.mistakes)
    }
}

/// Deepest nesting of brackets, of signs in a row and of choices, an upper bound known before parsing: the
/// parser loses count of what nests deeper.
fn brackets(source: &str) -> usize {
    let (mut depth, mut signs, mut choices, mut deepest) = (0_usize, 0_usize, 0_usize, 0_usize);
    let (mut quote, mut escaped) = (None, false);
    for byte in source.bytes() {
        if let Some(end) = quote {
            quote = (escaped || byte != end).then_some(end);
            escaped = byte == b'\\' && !escaped;
        } else if matches!(byte, b'"' | b'\'') {
            quote = Some(byte);
        } else {
            choices += usize::from(byte == b'?');
        }
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        signs = if matches!(byte, b'!' | b'-' | b'?') {
            signs + 1
        } else {
            0
        };
        deepest = deepest.max(depth + signs + choices);
    }
    deepest
}

fn syntax(path: &str, error: &cel::ParseError) -> Diagnostic {
    let message = error
        .msg
        .strip_prefix("Syntax error: ")
        .unwrap_or(&error.msg);
    let diagnostic = Diagnostic::new(path, format!("{message}: write CEL, see https://cel.dev"));
    match (u32::try_from(error.pos.0), u32::try_from(error.pos.1)) {
        (Ok(line), Ok(column)) if line > 0 => diagnostic.at(line, column.max(1)),
        _ => diagnostic,
    }
}

fn search(pattern: &str) -> Result<Search, regex::Error> {
    let regex = RegexBuilder::new(pattern)
        .size_limit(REGEX_LIMIT)
        .nest_limit(32)
        .build()?;
    let hir = regex_syntax::parse(pattern);
    let hir = hir.map_err(|error| regex::Error::Syntax(error.to_string()))?;
    Ok(Search::new(regex, &hir, REGEX_LIMIT))
}

struct Lowering<'s> {
    scope: Scope,
    source: &'s str,
    path: &'s str,
    /// Names that the loops around bind.
    locals: Vec<String>,
    loops: usize,
    mistakes: Vec<Diagnostic>,
}

impl Lowering<'_> {
    fn node(&mut self, parsed: &IdedExpr, depth: usize) -> Node {
        if depth > MAX_DEPTH {
            return self.refuse("", "the expression nests too deep: split the rule");
        }
        match &parsed.expr {
            Expr::Literal(literal) => self.literal(literal),
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => {
                let operand = Box::new(self.node(&select.operand, depth + 1));
                let field = select.field.clone();
                if matches!(*operand, Node::Root(Root::Text))
                    && !["words", "characters", "sentences"].contains(&field.as_str())
                {
                    let message = format!(
                        "`text.{field}` does not exist: use one of words, characters, sentences"
                    );
                    return self.refuse(&field, message);
                }
                if matches!(*operand, Node::Root(Root::Findings)) {
                    let message = format!(
                        "`findings` is a list, and has no `{field}`: write \
                         `findings.exists(f, f.{field} == …)`"
                    );
                    return self.refuse(&field, message);
                }
                if select.test {
                    Node::Has { operand, field }
                } else {
                    Node::Select { operand, field }
                }
            }
            Expr::List(list) => Node::List(
                list.elements
                    .iter()
                    .map(|item| self.node(item, depth + 1))
                    .collect(),
            ),
            Expr::Map(map) => {
                let entries = map.entries.iter().filter_map(|entry| match &entry.expr {
                    EntryExpr::MapEntry(entry) => Some(entry),
                    EntryExpr::StructField(_) => None,
                });
                Node::Map(
                    entries
                        .map(|entry| {
                            (
                                self.node(&entry.key, depth + 1),
                                self.node(&entry.value, depth + 1),
                            )
                        })
                        .collect(),
                )
            }
            Expr::Call(call) => self.call(call, depth),
            Expr::Comprehension(loops) => {
                self.loops += 1;
                if self.loops > MAX_LOOPS {
                    self.refuse(
                        "",
                        format!("loops nest deeper than {MAX_LOOPS}: split the rule"),
                    );
                }
                let range = self.node(&loops.iter_range, depth + 1);
                let initial = self.node(&loops.accu_init, depth + 1);
                self.locals
                    .extend([loops.accu_var.clone(), loops.iter_var.clone()]);
                let lowered = Comprehension {
                    range,
                    variable: loops.iter_var.clone(),
                    accumulator: loops.accu_var.clone(),
                    initial,
                    condition: self.node(&loops.loop_cond, depth + 1),
                    step: self.node(&loops.loop_step, depth + 1),
                    result: self.node(&loops.result, depth + 1),
                };
                self.locals.truncate(self.locals.len().saturating_sub(2));
                self.loops -= 1;
                Node::Comprehension(Box::new(lowered))
            }
            Expr::Struct(_) => self.refuse(
                "{",
                "messages can't be built here: use a map, as in \
                `{\"name\": value}`",
            ),
            Expr::Unspecified => self.refuse(
                "",
                "the expression has a part that is not understood: \
                write CEL, see https://cel.dev",
            ),
        }
    }

    fn literal(&mut self, literal: &LiteralValue) -> Node {
        Node::Literal(match literal {
            LiteralValue::Boolean(value) => Literal::Bool(*value.inner()),
            LiteralValue::Int(number) => Literal::Int(*number.inner()),
            LiteralValue::UInt(number) => Literal::Uint(*number.inner()),
            LiteralValue::Double(number) => Literal::Double(*number.inner()),
            LiteralValue::String(text) => Literal::String(text.inner().to_owned()),
            LiteralValue::Null => Literal::Null,
            LiteralValue::Bytes(_) => {
                return self.refuse("b", "bytes are not supported: write a text without the `b`");
            }
        })
    }

    fn name(&mut self, name: &str) -> Node {
        if self.locals.iter().any(|local| local == name) {
            return Node::Local(name.to_owned());
        }
        let root = match name {
            "vars" => Root::Vars,
            "labels" => Root::Labels,
            "language" => Root::Language,
            "step" => Root::Step,
            "parts" if self.scope == Scope::Check => Root::Parts,
            "text" if self.scope == Scope::Check => Root::Text,
            "findings" if self.scope == Scope::Check => Root::Findings,
            "parts" | "text" | "findings" => {
                let message = format!(
                    "`{name}` is not known in `when`, which decides before the text is read: move \
                     the condition into `cel`"
                );
                return self.refuse(name, message);
            }
            _ => {
                let known = match self.scope {
                    Scope::When => "vars, labels, language, step",
                    Scope::Check => "vars, labels, language, step, parts, text, findings",
                };
                let message = format!(
                    "`{name}` is not known: use one of {known}; for a variable write `vars.{name}`"
                );
                return self.refuse(name, message);
            }
        };
        Node::Root(root)
    }

    fn call(&mut self, call: &CallExpr, depth: usize) -> Node {
        let name = call.func_name.as_str();
        let parsed: Vec<_> = call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect();
        if name == "matches" {
            return self.matches(&parsed, depth);
        }
        let mut arguments: Vec<_> = parsed
            .into_iter()
            .map(|argument| self.node(argument, depth + 1))
            .collect();
        let binary = Operator::named(name);
        let expected = match name {
            op::CONDITIONAL => 3,
            op::LOGICAL_AND | op::LOGICAL_OR | op::INDEX => 2,
            op::LOGICAL_NOT | op::NEGATE | op::NOT_STRICTLY_FALSE => 1,
            _ if binary.is_some() => 2,
            _ => match Function::find(name) {
                Some((_, arity)) => arity,
                None => return self.unknown_function(name),
            },
        };
        if arguments.len() != expected {
            let message = format!(
                "`{name}` takes {expected} arguments, its receiver among them: mend the call"
            );
            return self.refuse(name, message);
        }
        if let Some((function, _)) = Function::find(name) {
            return Node::Call {
                function,
                arguments,
            };
        }
        let mut next = || Box::new(arguments.remove(0));
        match name {
            op::CONDITIONAL => Node::Conditional {
                condition: next(),
                then: next(),
                otherwise: next(),
            },
            op::LOGICAL_AND => Node::And(next(), next()),
            op::LOGICAL_OR => Node::Or(next(), next()),
            op::INDEX => Node::Index {
                operand: next(),
                index: next(),
            },
            op::LOGICAL_NOT => Node::Not(next()),
            op::NEGATE => Node::Negate(next()),
            op::NOT_STRICTLY_FALSE => Node::NotFalse(next()),
            _ => match binary {
                Some(operator) => Node::Binary {
                    operator,
                    left: next(),
                    right: next(),
                },
                None => self.unknown_function(name),
            },
        }
    }

    /// The expression must be literal: it is compiled once, and its size is known.
    fn matches(&mut self, arguments: &[&IdedExpr], depth: usize) -> Node {
        let [operand, pattern] = arguments else {
            return self.refuse("matches", "`matches` takes 2 arguments: a text and a regex");
        };
        let Expr::Literal(LiteralValue::String(pattern)) = &pattern.expr else {
            let message = "the regex of `matches` must be a literal text: write it out";
            return self.refuse("matches", message);
        };
        let operand = Box::new(self.node(operand, depth + 1));
        match search(pattern.inner()) {
            Ok(regex) => Node::Matches { operand, regex },
            Err(error) => {
                let said = error.to_string();
                let last = said
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ");
                let message = format!(
                    "the regex of `matches` is not valid: {last}: see the syntax \
                                       of the Rust `regex` crate"
                );
                self.refuse("matches", message)
            }
        }
    }

    fn unknown_function(&mut self, name: &str) -> Node {
        let known = Function::names();
        let message = format!(
            "`{name}` is no function here: use one of {known}, matches, has, all, exists, \
                     exists_one, map, filter"
        );
        self.refuse(name, message)
    }

    /// Notes a mistake at the first place where a word occurs; the node that stands in is not used.
    fn refuse(&mut self, word: &str, message: impl Into<String>) -> Node {
        let mut diagnostic = Diagnostic::new(self.path, message);
        let before = self.source.find(word).filter(|_| !word.is_empty());
        if let Some(before) = before.and_then(|at| self.source.get(..at)) {
            let line = before.matches('\n').count() + 1;
            let column = before
                .rsplit('\n')
                .next()
                .unwrap_or_default()
                .chars()
                .count()
                + 1;
            if let (Ok(line), Ok(column)) = (u32::try_from(line), u32::try_from(column)) {
                diagnostic = diagnostic.at(line, column);
            }
        }
        if !self.mistakes.contains(&diagnostic) {
            self.mistakes.push(diagnostic);
        }
        Node::Literal(Literal::Null)
    }
}
