//! Simulated tokens: words with the space before them, cut at twelve characters.

const LONGEST: usize = 12;

/// The pieces of `text`; together they are `text`.
pub fn pieces(text: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut length = 0;
    for c in text.chars() {
        let word_ends = c.is_whitespace() && !piece.trim().is_empty();
        if word_ends || length == LONGEST {
            pieces.push(std::mem::take(&mut piece));
            length = 0;
        }
        piece.push(c);
        length += 1;
    }
    if !piece.is_empty() {
        pieces.push(piece);
    }
    pieces
}

pub fn count(text: &str) -> u64 {
    pieces(text).len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_text_whatever_the_script() {
        for text in [
            "",
            " ",
            "Dear Zoë, welcome!",
            "שלום עולם",
            "長い文章です、とても長い文章です。",
            "a\n\nb  c",
        ] {
            assert_eq!(pieces(text).concat(), text);
        }
        assert_eq!(pieces("Dear Zoë, hi"), ["Dear", " Zoë,", " hi"]);
    }
}
