//! What a model reads and a person does not see: characters without a shape, and markup that hides.

use std::ops::Range;

use super::super::Ranges;
use crate::work::spend;

/// Characters without a shape in a row that no script and no emoji needs.
const RUN: usize = 3;
/// Invisible characters between Latin letters that are no accident any more.
const PLACES: usize = 3;
/// Declarations that hide an element, without white space.
const STYLES: [&str; 5] = [
    "display:none",
    "visibility:hidden",
    "color:transparent",
    "font-size:0",
    "opacity:0",
];

/// Bytes where characters hide text.
pub(super) fn characters(text: &str) -> Ranges {
    if text.is_ascii() {
        return Ranges::new();
    }
    spend(text.len());
    let mut found = Ranges::new();
    let mut between_letters = Ranges::new();
    let mut run: Option<(Range<usize>, usize)> = None;
    let mut before = None;
    let mut tagged_flag = false;
    for (at, c) in text.char_indices() {
        let here = at..at + c.len_utf8();
        if is_override(c) {
            found.push(here.clone());
        }
        tagged_flag = c == '\u{1f3f4}' || (tagged_flag && is_tag(c));
        if is_tag(c) && !tagged_flag {
            found.push(here.clone());
        }
        if shapeless(c) {
            let (range, count) = run.get_or_insert((here.clone(), 0));
            range.end = here.end;
            *count += 1;
            continue;
        }
        if let Some((range, count)) = run.take() {
            let latin = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
            if count >= RUN {
                found.push(range);
            } else if latin(before) && latin(Some(c)) {
                between_letters.push(range);
            }
        }
        before = Some(c);
    }
    if let Some((range, _)) = run.filter(|(_, count)| *count >= RUN) {
        found.push(range);
    }
    if between_letters.len() >= PLACES {
        found.extend(between_letters);
    }
    found
}

/// Bytes of tags whose style hides what they hold.
pub(super) fn markup(text: &str) -> Ranges {
    spend(text.len());
    let mut found = Ranges::new();
    let mut open = None;
    for (at, byte) in text.bytes().enumerate() {
        match (byte, open) {
            (b'<', _) => open = Some(at),
            (b'>', Some(start)) => {
                let tag = text.get(start..=at).unwrap_or_default();
                if hides(tag) {
                    found.push(start..at + 1);
                }
                open = None;
            }
            _ => {}
        }
    }
    found
}

fn hides(tag: &str) -> bool {
    if !tag.as_bytes().get(1).is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    let squeezed: String = tag
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_ascii_lowercase())
        .collect();
    spend(tag.len());
    STYLES.iter().any(|style| {
        squeezed.match_indices(style).any(|(at, _)| {
            // `opacity:0.8` and `font-size:0.9em` can be seen.
            let rest = squeezed.get(at + style.len()..).unwrap_or_default();
            let zero = rest.trim_start_matches(['.', '0']);
            spend(rest.len() - zero.len());
            !style.ends_with('0') || !zero.starts_with(|c: char| c.is_ascii_digit())
        })
    })
}

fn is_tag(c: char) -> bool {
    ('\u{e0000}'..='\u{e007f}').contains(&c)
}

/// Writes the text in another order than it is read.
fn is_override(c: char) -> bool {
    matches!(c, '\u{202d}' | '\u{202e}')
}

fn shapeless(c: char) -> bool {
    matches!(c,
        '\u{180e}' | '\u{200b}'..='\u{200d}' | '\u{2060}'..='\u{2064}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{e0100}'..='\u{e01ef}')
}
