//! Tells whether a text is in other languages than the allowed ones.

use super::words::{COMMON, LATIN, Word};
use crate::work::spend;

/// Letters of scripts that one language here is written in, or that narrow it down.
const LEAST_LETTERS: usize = 12;
/// Common words by which another language must be told.
const LEAST_WORDS: usize = 4;

/// A language that can be told from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tongue {
    tag: &'static str,
    script: Script,
}

/// Scripts, as far as they tell languages apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    Cyrillic,
    Greek,
    Arabic,
    Hebrew,
    Devanagari,
    Thai,
    Hangul,
    /// Kana, alone or among Han.
    Japanese,
    /// Han without kana.
    Han,
}

const OTHERS: [(&str, Script); 14] = [
    ("ar", Script::Arabic),
    ("bg", Script::Cyrillic),
    ("el", Script::Greek),
    ("fa", Script::Arabic),
    ("he", Script::Hebrew),
    ("hi", Script::Devanagari),
    ("ja", Script::Japanese),
    ("ko", Script::Hangul),
    ("ru", Script::Cyrillic),
    ("sr", Script::Cyrillic),
    ("th", Script::Thai),
    ("uk", Script::Cyrillic),
    ("ur", Script::Arabic),
    ("zh", Script::Han),
];

impl Tongue {
    /// By its BCP 47 tag; only the language counts.
    pub(super) fn of_tag(tag: &str) -> Option<Self> {
        let language = tag.split(['-', '_']).next()?.to_ascii_lowercase();
        let latin = LATIN.iter().map(|tag| (*tag, Script::Latin));
        let (tag, script) = latin.chain(OTHERS).find(|(known, _)| *known == language)?;
        Some(Self { tag, script })
    }

    pub(super) fn tag(&self) -> &'static str {
        self.tag
    }

    /// Every tag, for messages.
    pub(super) fn all() -> String {
        let mut tags: Vec<_> = LATIN
            .into_iter()
            .chain(OTHERS.map(|(tag, _)| tag))
            .collect();
        tags.sort_unstable();
        tags.join(", ")
    }
}

/// True when the text is clearly in none of the languages: most letters are of another script, or,
/// where the script is Latin, it has far more common words that only another language has.
pub(super) fn is_other(text: &str, allowed: &[Tongue]) -> bool {
    let Some(script) = script(text) else {
        return false;
    };
    let written_so = allowed.iter().filter(|tongue| tongue.script == script);
    let mut written_so = written_so.peekable();
    if written_so.peek().is_none() {
        return true;
    }
    if script != Script::Latin {
        return false;
    }
    let own = written_so.fold(0, |bits, tongue| bits | bit(tongue.tag));
    let tags = common(text);
    (0..LATIN.len()).map(|index| 1_u32 << index).any(|other| {
        // Words that both have tell nothing.
        let only = |has: u32, lacks: u32| {
            let telling = tags
                .iter()
                .filter(|tags| *tags & has != 0 && *tags & lacks == 0);
            telling.count()
        };
        let (of_other, of_own) = (only(other, own), only(own, other));
        other & own == 0 && of_other >= LEAST_WORDS && of_other >= of_own * 2 + 2
    })
}

fn bit(tag: &str) -> u32 {
    let index = LATIN.iter().position(|known| *known == tag);
    index.map_or(0, |index| 1_u32 << index)
}

/// The script of most letters, when there are enough.
fn script(text: &str) -> Option<Script> {
    spend(text.len());
    let mut counts = [0_usize; 10];
    let (mut letters, mut kana) = (0, false);
    for c in text.chars() {
        let Some((script, weight)) = script_of(c) else {
            continue;
        };
        kana |= script == Script::Japanese;
        letters += weight;
        if let Some(count) = counts.get_mut(script as usize) {
            *count += weight;
        }
    }
    if letters < LEAST_LETTERS {
        return None;
    }
    if kana {
        // Han among kana is Japanese.
        let han = counts.get(Script::Han as usize).copied().unwrap_or(0);
        if let Some(count) = counts.get_mut(Script::Japanese as usize) {
            *count += han;
        }
        if let Some(count) = counts.get_mut(Script::Han as usize) {
            *count = 0;
        }
    }
    let all = [
        Script::Latin,
        Script::Cyrillic,
        Script::Greek,
        Script::Arabic,
        Script::Hebrew,
        Script::Devanagari,
        Script::Thai,
        Script::Hangul,
        Script::Japanese,
        Script::Han,
    ];
    let most = all
        .into_iter()
        .zip(counts)
        .max_by_key(|(_, count)| *count)?;
    // Half and half is neither: a brand name in Latin letters within a short line.
    (most.1 * 3 > letters * 2).then_some(most.0)
}

/// Script of a letter, and how many letters of an alphabet it is worth.
fn script_of(c: char) -> Option<(Script, usize)> {
    let letter = |script| c.is_alphabetic().then_some((script, 1));
    match u32::from(c) {
        0x41..=0x24f | 0x1e00..=0x1eff => letter(Script::Latin),
        0x370..=0x3ff | 0x1f00..=0x1fff => letter(Script::Greek),
        0x400..=0x52f => letter(Script::Cyrillic),
        0x590..=0x5ff => letter(Script::Hebrew),
        0x600..=0x6ff | 0x750..=0x77f | 0xfb50..=0xfdff | 0xfe70..=0xfeff => letter(Script::Arabic),
        0x900..=0x97f => letter(Script::Devanagari),
        0xe00..=0xe7f => letter(Script::Thai),
        0xac00..=0xd7a3 => Some((Script::Hangul, 2)),
        0x3041..=0x30ff => Some((Script::Japanese, 2)),
        0x3400..=0x4dbf | 0x4e00..=0x9fff => Some((Script::Han, 2)),
        _ => None,
    }
}

/// The languages of every common word in a text.
fn common(text: &str) -> Vec<u32> {
    spend(text.len());
    let words = text.split(|c: char| !c.is_alphabetic() && c != '\'' && c != '\u{2019}');
    let words = words.filter(|word| (1..=12).contains(&word.len()));
    let tags = words.filter_map(|word| {
        let word = word.to_lowercase().replace('\u{2019}', "'");
        let found = COMMON.binary_search_by(|Word(known, _)| (*known).cmp(word.as_str()));
        COMMON.get(found.ok()?).map(|Word(_, tags)| *tags)
    });
    tags.collect()
}

#[cfg(test)]
mod tests {
    use super::{COMMON, Tongue, Word};

    #[test]
    fn words_are_sorted_for_the_search() {
        assert!(COMMON.is_sorted_by(|Word(a, _), Word(b, _)| a < b));
    }

    #[test]
    fn tags_are_read_by_their_language() {
        assert_eq!(
            Tongue::of_tag("DE-at").map(|tongue| tongue.tag()),
            Some("de")
        );
        assert_eq!(Tongue::of_tag("tlh"), None);
        assert!(Tongue::all().starts_with("ar, bg, cs, da, de"));
    }
}
