//! The rows of `docs/translation.md`.

use serde_json::Value;

const PAGE: &str = include_str!("../../../../docs/translation.md");

/// What a row says of a field.
#[derive(Debug)]
pub enum Becomes {
    Carried,
    Mapped(Value),
    Nothing,
    Dropped(String),
    Refused(String),
    LeftOut,
}

#[derive(Debug)]
pub struct Row {
    pub table: &'static str,
    pub field: &'static str,
    pub given: Value,
    pub becomes: Becomes,
}

pub fn rows() -> Vec<Row> {
    let mut table = "";
    let mut rows = Vec::new();
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            table = title;
        }
        let Some(cells) = line.strip_prefix("| `").filter(|_| !table.is_empty()) else {
            continue;
        };
        let cells: Vec<_> = cells.trim_end_matches(" |").split(" | ").collect();
        let [field, given, becomes] = cells[..] else {
            panic!("{line}");
        };
        rows.push(Row {
            table,
            field: field.trim_end_matches('`'),
            given: serde_json::from_str(quoted(given)).expect(line),
            becomes: becomes_of(field, becomes),
        });
    }
    rows
}

fn becomes_of(field: &str, cell: &str) -> Becomes {
    let (word, named) = cell.split_once(": ").unwrap_or((cell, ""));
    let named = quoted(named);
    let leaf = field.trim_end_matches('`').rsplit('.').next().unwrap();
    let name = if named.is_empty() { leaf } else { named };
    match word {
        "carried" => Becomes::Carried,
        "mapped" => Becomes::Mapped(serde_json::from_str(named).expect(cell)),
        "mapped to nothing" => Becomes::Nothing,
        "dropped" => Becomes::Dropped(name.to_owned()),
        "refused" => Becomes::Refused(name.to_owned()),
        "left out" => Becomes::LeftOut,
        _ => panic!("{cell}"),
    }
}

fn quoted(text: &str) -> &str {
    text.trim_matches('`')
}

/// Prefix of a field, and its own name.
pub fn parts(field: &str) -> (&str, &str) {
    field.split_once('.').unwrap_or(("", field))
}
