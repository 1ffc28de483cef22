//! Cuts a text into passages.

/// Bytes `start..end` of each passage: what stands between blank lines, without white space around
/// it.
pub fn split(text: &str) -> Vec<(usize, usize)> {
    let mut passages = Vec::new();
    let mut current: Option<(usize, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at + (line.len() - line.trim_start().len());
        let end = at + line.trim_end().len();
        at += line.len();
        if start >= end {
            passages.extend(current.take());
        } else {
            current = Some((current.map_or(start, |(start, _)| start), end));
        }
    }
    passages.extend(current);
    passages
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn blank_lines_cut_and_spans_are_exact() {
        let text = "\n  Erste Zeile\nzweite äö\n \n\nNext one.  \n";
        let found: Vec<_> = split(text).into_iter().map(|(a, b)| &text[a..b]).collect();
        assert_eq!(found, ["Erste Zeile\nzweite äö", "Next one."]);
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(split(" \n\n").is_empty());
    }
}
