//! Quotation marks and apostrophes: what stands where, and what should.

use std::ops::Range;

use aios_crds::check::Quotes;

use super::super::char_before;

/// Double quotation marks in all their forms.
const DOUBLE: [char; 7] = [
    '"', '\u{201c}', '\u{201d}', '\u{201e}', '\u{201f}', '«', '»',
];
/// Apostrophes between letters.
const APOSTROPHES: [char; 3] = ['\'', '\u{2019}', '\u{2018}'];

/// Marks that are not the wanted ones, and those that belong there. A mark that closes nothing, as
/// the sign of an inch, is left alone.
pub(super) fn wrong(text: &str, quotes: Quotes) -> Vec<(Range<usize>, &'static str)> {
    let (opening, closing, apostrophe) = match quotes {
        Quotes::Straight => ("\"", "\"", "'"),
        Quotes::English => ("\u{201c}", "\u{201d}", "\u{2019}"),
        Quotes::German => ("\u{201e}", "\u{201c}", "\u{2019}"),
        Quotes::Guillemets => ("«", "»", "\u{2019}"),
    };
    let mut wrong = Vec::new();
    let mut open = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let after = chars.peek().map(|(_, next)| *next);
        let range = at..at + c.len_utf8();
        let wanted = if DOUBLE.contains(&c) {
            if !open && opens(char_before(text, at), after) {
                open = true;
                Some(opening)
            } else if open {
                open = false;
                Some(closing)
            } else {
                None
            }
        } else if APOSTROPHES.contains(&c) {
            let letters = [char_before(text, at), after];
            letters
                .iter()
                .all(|c| c.is_some_and(char::is_alphabetic))
                .then_some(apostrophe)
        } else {
            // A quotation does not go on into the next paragraph.
            open &= c != '\n' || after != Some('\n');
            None
        };
        if let Some(wanted) = wanted
            && text.get(range.clone()) != Some(wanted)
        {
            wrong.push((range, wanted));
        }
    }
    wrong
}

fn opens(before: Option<char>, after: Option<char>) -> bool {
    let free = before.is_none_or(|c| {
        c.is_whitespace() || matches!(c, '(' | '[' | '{' | '/' | '-' | '–' | '—' | ':')
    });
    free && after.is_some_and(|c| !c.is_whitespace() || c == '\u{a0}' || c == '\u{202f}')
}

#[cfg(test)]
mod tests {
    use aios_crds::check::Quotes;
    use rstest::rstest;

    use super::wrong;

    #[rstest]
    #[case(Quotes::English, "He said \"yes\".", "He said “yes”.")]
    #[case(Quotes::English, "„ja“ and «oui»", "“ja” and “oui”")]
    #[case(
        Quotes::German,
        "Sie sagte \"ja\" (\"nein\").",
        "Sie sagte „ja“ („nein“)."
    )]
    #[case(Quotes::Guillemets, "Il dit \"oui\", l'ami", "Il dit «oui», l’ami")]
    #[case(Quotes::Straight, "“yes”, don’t", "\"yes\", don't")]
    #[case(Quotes::English, "a 5\" screen", "a 5\" screen")]
    #[case(Quotes::English, "don't, the '90s, 'so'", "don’t, the '90s, 'so'")]
    #[case(Quotes::English, "\"open\n\nnext \"one\"", "“open\n\nnext “one”")]
    fn marks_become_the_wanted_ones(
        #[case] quotes: Quotes,
        #[case] text: &str,
        #[case] expected: &str,
    ) {
        let mut mended = text.to_owned();
        for (range, right) in wrong(text, quotes).into_iter().rev() {
            mended.replace_range(range, right);
        }
        assert_eq!(mended, expected);
        assert_eq!(wrong(&mended, quotes), []);
    }
}
