//! Ranges widened to whole grapheme clusters. Where many are, the text between them is walked once: a row of
//! flags, or a letter under a thousand accents, is not read again for every range in it.

use std::ops::Range;

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use crate::work::spend;

/// The ranges widened to grapheme clusters, each in its place.
pub(crate) fn widened(text: &str, mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let mut places: Vec<_> = ranges
        .iter()
        .flat_map(|range| [range.start, range.end])
        .collect();
    places.sort_unstable();
    places.dedup();
    let mut walk = Walk { text, last: 0..0 };
    let around: Vec<_> = places.iter().map(|place| walk.around(*place)).collect();
    let at = |place: usize| {
        let index = places.binary_search(&place).ok()?;
        around.get(index).cloned()
    };
    for range in &mut ranges {
        if let (Some(first), Some(last)) = (at(range.start), at(range.end)) {
            *range = first.start..last.end;
        }
    }
    ranges
}

/// Goes from cluster to cluster.
struct Walk<'t> {
    text: &'t str,
    /// The last cluster that was looked at.
    last: Range<usize>,
}

impl Walk<'_> {
    /// The cluster that a place is inside of, or the empty range where one ends. Places are asked for from
    /// left to right.
    fn around(&mut self, place: usize) -> Range<usize> {
        let text = self.text;
        if self.last.start == place || self.last.end <= place {
            let from = self.boundary_before(place);
            let rest = text.get(from..).unwrap_or_default();
            let clusters = rest.grapheme_indices(true);
            let mut clusters = clusters.map(|(at, cluster)| from + at..from + at + cluster.len());
            let found = clusters.find(|cluster| place < cluster.end);
            self.last = found.unwrap_or(text.len()..text.len());
            spend(self.last.end - from);
        }
        if self.last.start < place && place < self.last.end {
            self.last.clone()
        } else {
            place..place
        }
    }

    /// A boundary at or before a place: the end of the last cluster, or between two of ASCII.
    fn boundary_before(&self, place: usize) -> usize {
        let bytes = self.text.as_bytes();
        let parts = |at: &usize| {
            let pair = (
                at.checked_sub(1).and_then(|at| bytes.get(at)),
                bytes.get(*at),
            );
            matches!(pair, (Some(one), Some(next))
                if one.is_ascii() && next.is_ascii() && (*one, *next) != (b'\r', b'\n'))
        };
        let from = self.last.end.min(place);
        let nearest = (from + 1..=place).rev().find(parts);
        spend(place - nearest.unwrap_or(from));
        nearest.unwrap_or(from)
    }
}

/// Where the grapheme cluster begins that holds a byte.
pub(crate) fn cluster_start(text: &str, at: usize) -> usize {
    let at = text.floor_char_boundary(at);
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    // The whole text is given as the only chunk: no answer needs more.
    let start = match cursor.is_boundary(text, 0) {
        Ok(false) => cursor.prev_boundary(text, 0).ok().flatten(),
        _ => None,
    };
    start.unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use unicode_segmentation::UnicodeSegmentation;

    use super::widened;

    #[rstest]
    #[case("ae\u{301}b", "e", "e\u{301}")]
    #[case("ae\u{301}b", "\u{301}", "e\u{301}")]
    #[case("x👨\u{200d}👩y", "👩", "👨\u{200d}👩")]
    #[case("x🇩🇪🇫🇷y", "🇪", "🇩🇪")]
    #[case("plain", "lai", "lai")]
    fn spans_hold_whole_clusters(#[case] text: &str, #[case] inner: &str, #[case] whole: &str) {
        let at = text.find(inner).unwrap();
        let range = widened(text, std::iter::once(at..at + inner.len()).collect()).remove(0);
        assert_eq!(&text[range], whole);
    }

    proptest! {
        #[test]
        fn many_ranges_are_widened_as_each_alone(
            text in "([ab \r\n]|[é\u{301}\u{200d}👩🇩🇪क\u{93f}가]){0,24}",
            cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..8),
        ) {
            let place = |index: prop::sample::Index| text.floor_char_boundary(index.index(text.len() + 1));
            let ranges: Vec<_> = cuts.into_iter()
                .map(|(one, two)| (place(one), place(two)))
                .map(|(one, two)| one.min(two)..one.max(two))
                .collect();
            let bounds: Vec<_> = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]).collect();
            for (range, wide) in ranges.iter().zip(widened(&text, ranges.clone())) {
                prop_assert_eq!(Some(&wide.start), bounds.iter().rev().find(|at| **at <= range.start));
                prop_assert_eq!(Some(&wide.end), bounds.iter().find(|at| **at >= range.end));
            }
        }
    }
}
