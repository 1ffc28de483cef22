//! Words into HTML.

/// For text and for quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// A row of a table.
pub fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
    format!("<tr><td>{}</td></tr>\n", cells.join("</td><td>"))
}

/// Preformatted markup, read in the direction that its words have.
pub fn block(markup: &str) -> String {
    format!("<pre dir=\"auto\">{markup}</pre>\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sign_with_a_meaning_is_escaped() {
        assert_eq!(
            escape("<a b=\"c\" d='e'>&"),
            "&lt;a b=&quot;c&quot; d=&#39;e&#39;&gt;&amp;"
        );
        assert_eq!(row(&["<", "ß"]), "<tr><td>&lt;</td><td>ß</td></tr>\n");
    }
}
