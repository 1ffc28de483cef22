//! Runs of digit groups, as telephone and card numbers are written.

use std::ops::{Range, RangeInclusive};

use super::super::{char_after, char_before};
use crate::work::spend;

/// Most groups looked at from one start: longer runs are tables, not numbers.
const MOST_GROUPS: usize = 20;

/// One group of digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) range: Range<usize>,
    /// What stands between it and the group before; empty for the first of a run.
    pub(super) gap: Range<usize>,
    /// Whether it goes on with the run of the group before.
    joins: bool,
}

/// Groups of digits, run by run.
#[derive(Debug)]
pub(super) struct Runs(Vec<Group>);

impl Runs {
    pub(super) fn iter(&self) -> impl Iterator<Item = &[Group]> {
        self.0.chunk_by(|_, next| next.joins)
    }
}

/// Characters inside a written number.
pub(super) fn in_number(c: char) -> bool {
    c.is_ascii_digit() || in_gap(c) || c == '+'
}

fn in_gap(c: char) -> bool {
    matches!(c, ' ' | '(' | ')' | '.' | '/' | '-')
}

/// Splits a text into runs of digit groups with at most three separators between them. Digits that
/// belong to a word are left out. `digits` are all runs of digits in the text.
pub(super) fn runs(text: &str, digits: &[Range<usize>]) -> Runs {
    let mut groups = Vec::with_capacity(digits.len());
    let mut end_of_last = None;
    for &Range { start, end } in digits {
        let touches_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        if touches_word(char_before(text, start)) || touches_word(char_after(text, end)) {
            end_of_last = None;
            continue;
        }
        let gap = end_of_last.unwrap_or(start)..start;
        let gap_text = text.get(gap.clone()).unwrap_or_default();
        let joins = end_of_last.is_some() && gap.len() <= 3 && gap_text.chars().all(in_gap);
        groups.push(Group {
            range: start..end,
            gap: if joins { gap } else { start..start },
            joins,
        });
        end_of_last = Some(end);
    }
    Runs(groups)
}

/// Looks for the longest accepted stretch of groups with so many digits at every start, left to
/// right, without overlap.
pub(super) fn longest(
    run: &[Group],
    digits: &RangeInclusive<usize>,
    accepts: impl Fn(&[Group]) -> Option<Range<usize>>,
) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut rest = run;
    // Most runs are too short for any number.
    let mut left: usize = run.iter().map(|group| group.range.len()).sum();
    while left >= *digits.start() && !rest.is_empty() {
        let sizes = rest.iter().take(MOST_GROUPS).scan(0, |sum, group| {
            *sum += group.range.len();
            (*sum <= *digits.end()).then_some(*sum)
        });
        let sizes: Vec<_> = sizes.collect();
        spend(sizes.len());
        let lens = sizes
            .iter()
            .enumerate()
            .map(|(last, size)| (last + 1, size))
            .rev();
        let taken = lens
            .filter(|(_, size)| digits.contains(size))
            .find_map(|(len, _)| {
                let stretch = rest.get(..len)?;
                accepts(stretch).map(|range| (len, range))
            });
        let skip = taken.map_or(1, |(len, range)| {
            found.push(range);
            len
        });
        let (skipped, behind) = rest.split_at_checked(skip).unwrap_or((rest, &[]));
        left -= skipped.iter().map(|group| group.range.len()).sum::<usize>();
        rest = behind;
    }
    found
}

/// The first digit of a stretch.
pub(super) fn first_digit(text: &str, groups: &[Group]) -> Option<char> {
    char_after(text, groups.first()?.range.start)
}

/// The digits of a stretch, without gaps.
pub(super) fn digits(text: &str, groups: &[Group]) -> String {
    groups
        .iter()
        .filter_map(|group| text.get(group.range.clone()))
        .collect()
}
