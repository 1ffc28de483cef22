//! Diagnostics as the message of a condition.

use aios_compile::Diagnostic;

/// Diagnostics in one message.
const SHOWN: usize = 3;

/// The first few, each with its path, place and remedy.
pub fn text(diagnostics: &[Diagnostic]) -> String {
    let shown: Vec<String> = diagnostics
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    let more = match diagnostics.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" (and {more} more: `kubectl aios validate` lists all)"),
    };
    format!("{}{more}", shown.join(" | "))
}
