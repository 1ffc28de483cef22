//! Numbers that are written by another convention than the asked one, as far as the number itself tells.

use std::ops::Range;

use aios_crds::check::Numbers;

use super::super::facts::{number, scale};
use crate::{view::Layer, work::spend};

/// What stands between thousands, and in front of the fraction.
#[derive(Clone, Copy, Debug)]
struct Convention {
    group: char,
    decimal: char,
}

/// Bytes of the compatibility text.
pub(super) fn wrong(layer: &Layer<'_>, numbers: Numbers) -> Vec<Range<usize>> {
    let text = layer.compat();
    let convention = Convention::of(numbers);
    let read = number::read(text, layer.digits()).into_iter();
    let wrong = read.filter(|number| {
        let written = text.get(number.range.clone()).unwrap_or_default();
        let counts = || number.has_unit() || scale(text, number.range.end).is_some();
        !number.in_date && !convention.allows(written, counts)
    });
    wrong.map(|number| number.range).collect()
}

impl Convention {
    /// The compatibility text has typographic apostrophes and spaces of all widths as plain ones.
    fn of(numbers: Numbers) -> Self {
        let (group, decimal) = match numbers {
            Numbers::English => (',', '.'),
            Numbers::German => ('.', ','),
            Numbers::French => (' ', ','),
            Numbers::Swiss => ('\'', '.'),
        };
        Self { group, decimal }
    }

    /// Whether it may be written so. A number with one mark may be a section, a version or a time, and digits
    /// behind spaces may be a telephone's, unless they count money, percent or thousands.
    fn allows(self, written: &str, counts: impl Fn() -> bool) -> bool {
        spend(written.len());
        let mut marks = written.chars().filter(|c| !c.is_ascii_digit());
        let Some(first) = marks.next() else {
            return true;
        };
        let last = marks.next_back();
        let is_known = |mark: char| matches!(mark, '.' | ',' | ' ' | '\'');
        if !is_known(first) || last.is_some_and(|last| !is_known(last)) {
            return true;
        }
        match last {
            None if counts() => self.allows_one(written, first),
            None => true,
            Some(last) if last != first => (first, last) == (self.group, self.decimal),
            Some(_) if written.starts_with('0') => true,
            Some(_) => first == self.group || (first == ' ' && !counts()),
        }
    }

    /// `1.234` is right where the point groups and where it is a decimal mark.
    fn allows_one(self, written: &str, mark: char) -> bool {
        let (before, after) = written.split_once(mark).unwrap_or_default();
        let may_group = after.len() == 3 && before.len() <= 3 && !before.starts_with('0');
        mark == self.decimal || (mark == self.group && may_group)
    }
}

#[cfg(test)]
mod tests {
    use aios_crds::check::Numbers;
    use rstest::rstest;

    use super::wrong;
    use crate::view::Layer;

    fn marked(text: &str, numbers: Numbers) -> Vec<&str> {
        let layer = Layer::of(text);
        let wrong = wrong(&layer, numbers).into_iter();
        wrong
            .map(|range| &text[layer.compat_source(range)])
            .collect()
    }

    #[rstest]
    #[case(
        Numbers::English,
        "1,234.50 EUR, 1,234,567, 2.5 %, €3.50, 1,234 EUR, 12,34,567 INR"
    )]
    #[case(
        Numbers::German,
        "1.234,50 EUR, 1.234.567, 2,5 %, 3,50 €, 1.234 EUR, 1,5 Mio. Euro"
    )]
    #[case(
        Numbers::French,
        "1 234,50 EUR, 1\u{202f}234\u{202f}567 €, 2,5 %, 1\u{a0}234 EUR"
    )]
    #[case(Numbers::Swiss, "1'234.50 CHF, 1’234’567, 2.5 %, 1'234 Franken")]
    #[case::dates(Numbers::German, "05.11.2026, 2026-11-05, 18:30, 18.30 Uhr")]
    #[case::sections(Numbers::German, "Section 4.2, version 3.5, 1.2.3.4")]
    #[case::telephones(Numbers::English, "030 123 456, 30 123 456, +49 171 765 432")]
    #[case::plain(Numbers::French, "2026, 100000 EUR, 5 %")]
    #[case::other_digits(Numbers::English, "٢٫٥ ٪، ١٠٠٬٠٠٠")]
    fn numbers_of_the_convention_and_what_may_be_none_pass(
        #[case] numbers: Numbers,
        #[case] text: &str,
    ) {
        assert_eq!(marked(text, numbers), Vec::<&str>::new());
    }

    #[rstest]
    #[case(Numbers::English, "now 1.234,50 EUR", &["1.234,50"])]
    #[case(Numbers::English, "2,5 %, 3,50 €, 1,5 million", &["2,5", "3,50", "1,5"])]
    #[case(Numbers::English, "1.234.567 people, 100 000 EUR", &["1.234.567", "100 000"])]
    #[case(Numbers::German, "1,234.50 EUR or 2.5 %", &["1,234.50", "2.5"])]
    #[case(Numbers::German, "1'234.50 CHF, 1,234,567", &["1'234.50", "1,234,567"])]
    #[case(Numbers::French, "1.234 EUR, 1,234,567, 2.5 %", &["1.234", "1,234,567", "2.5"])]
    #[case(Numbers::Swiss, "1,234 CHF, 1.234,50, 0,5 %", &["1,234", "1.234,50", "0,5"])]
    fn numbers_of_another_convention_are_marked(
        #[case] numbers: Numbers,
        #[case] text: &str,
        #[case] expected: &[&str],
    ) {
        assert_eq!(marked(text, numbers), expected);
    }
}
