//! Names as they stand in a text: words in title case in a row, where the beginning of a sentence is not what
//! put them in capitals.

use std::{collections::BTreeSet, iter::Peekable, ops::Range, str::CharIndices};

use serde_json::Value;

use crate::{Inputs, view::wording, work::spend};

/// Titles in front of a name, in small letters, sorted.
const TITLES: [&str; 28] = [
    "dr", "dra", "fr", "frau", "herr", "herrn", "hr", "madame", "mevrouw", "miss", "mme",
    "monsieur", "mr", "mrs", "ms", "pan", "pani", "prof", "señor", "señora", "sig", "signor",
    "signora", "sir", "sr", "sra", "г-жа", "г-н",
];
/// Small words within names, sorted.
const PARTICLES: [&str; 18] = [
    "bin", "da", "de", "del", "della", "den", "der", "di", "do", "dos", "du", "la", "le", "of",
    "ten", "ter", "van", "von",
];

/// Names that something vouches for, word by word without case and accents.
#[derive(Debug, Default)]
pub(crate) struct KnownNames {
    /// Words of values of the record: a first and a last name stand in fields of their own.
    words: BTreeSet<String>,
    /// Each two words that follow one another somewhere, with a space between them.
    pairs: BTreeSet<String>,
}

/// A word of letters, and where it stands.
#[derive(Clone, Debug)]
struct Word<'t> {
    text: &'t str,
    start: usize,
    /// Nothing but spaces, or an initial's full stop, between it and the word before.
    follows: bool,
    /// It is the first of a sentence or a line.
    begins: bool,
}

impl KnownNames {
    pub(crate) fn from_inputs(inputs: &Inputs<'_>) -> Self {
        let mut known = Self::default();
        known.json(inputs.variables);
        for text in inputs.passages.iter().chain(inputs.template) {
            known.prose(text);
        }
        known
    }

    /// What may stand in a text in a row.
    pub(crate) fn prose(&mut self, text: &str) {
        let words = wording(text);
        let mut before = "";
        for word in words.split(' ').filter(|word| !word.is_empty()) {
            if !before.is_empty() {
                self.pairs.insert(format!("{before} {word}"));
            }
            before = word;
        }
    }

    fn json(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                let words = wording(text);
                let words = words.split(' ').filter(|word| !word.is_empty());
                self.words.extend(words.map(str::to_owned));
                self.prose(text);
            }
            Value::Array(items) => items.iter().for_each(|item| self.json(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.json(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn holds(&self, one: &str, other: &str) -> bool {
        (self.words.contains(one) && self.words.contains(other))
            || self.pairs.contains(&format!("{one} {other}"))
    }

    /// True when each two of its words that follow one another are known to, the last one also without the
    /// `s` of a genitive.
    fn vouches(&self, name: &str) -> bool {
        let words = wording(name);
        let words: Vec<_> = words.split(' ').filter(|word| !word.is_empty()).collect();
        words.windows(2).enumerate().all(|(at, pair)| {
            let [one, other] = pair else { return false };
            let is_last = at + 2 == words.len();
            let bare = other.strip_suffix('s').filter(|_| is_last);
            self.holds(one, other) || bare.is_some_and(|bare| self.holds(one, bare))
        })
    }
}

/// Bytes of the text where names stand that nothing vouches for.
pub(super) fn unknown(text: &str, vouch: [&KnownNames; 2]) -> Vec<Range<usize>> {
    spend(text.len());
    let mut unknown = Vec::new();
    let words = Words::new(text).peekable();
    for range in (Names { words }) {
        let name = text.get(range.clone()).unwrap_or_default();
        spend(name.len());
        if !vouch.iter().any(|known| known.vouches(name)) {
            unknown.push(range);
        }
    }
    unknown
}

/// Rows of words in title case, one after the other.
struct Names<'t> {
    words: Peekable<Words<'t>>,
}

impl Iterator for Names<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        loop {
            let first = self.words.next()?;
            if !first.is_capital() || first.begins || first.is_title() {
                continue;
            }
            let (mut end, mut capitals) = (first.end(), 1);
            // Particles count once a word in title case follows them.
            while let Some(word) = self.words.next_if(|word| {
                word.follows && !word.is_title() && (word.is_capital() || word.is_particle())
            }) {
                if word.is_capital() {
                    end = word.end();
                    capitals += 1;
                }
            }
            if capitals > 1 {
                return Some(first.start..end);
            }
        }
    }
}

impl Word<'_> {
    fn end(&self) -> usize {
        self.start + self.text.len()
    }

    /// A capital and small letters, or a capital alone, as initials are.
    fn is_capital(&self) -> bool {
        let mut letters = self.text.chars();
        let is_capital = letters
            .next()
            .is_some_and(|c| c.is_uppercase() && has_case(c));
        let rest = letters.as_str();
        is_capital && (rest.is_empty() || rest.chars().any(char::is_lowercase))
    }

    fn is_title(&self) -> bool {
        self.is_capital()
            && TITLES
                .binary_search(&self.text.to_lowercase().as_str())
                .is_ok()
    }

    fn is_particle(&self) -> bool {
        PARTICLES.binary_search(&self.text).is_ok()
    }
}

/// Latin, Greek and Cyrillic.
fn has_case(c: char) -> bool {
    matches!(u32::from(c), 0x41..=0x24f | 0x370..=0x52f | 0x1e00..=0x1fff | 0x2c60..=0x2c7f | 0xa640..=0xa69f
        | 0xa720..=0xa7ff)
}

/// Apostrophes and hyphens.
fn is_joint(c: char) -> bool {
    matches!(c, '-' | '\u{2010}' | '\u{2011}' | '\'' | '’')
}

/// Every word of letters, with apostrophes and hyphens within; the `s` behind an apostrophe is none of it.
struct Words<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
    /// Nothing but spaces, or an initial's full stop, since the last word.
    spaced: bool,
    /// Something since the last word ends a sentence or a line.
    begins: bool,
    /// The last word may be an initial.
    initial: bool,
}

impl<'t> Words<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            chars: text.char_indices().peekable(),
            spaced: false,
            begins: true,
            initial: false,
        }
    }

    /// Takes note of what stands between words.
    fn pass(&mut self, c: char) {
        match c {
            ' ' | '\u{a0}' | '\u{202f}' | '\t' => {}
            '.' if self.initial => self.initial = false,
            '.' | '!' | '?' | '…' | ':' | '\n' | '\r' | '•' | '\u{37e}' => self.begins = true,
            // What opens a quotation or a remark begins nothing by itself.
            _ => self.spaced = false,
        }
    }

    fn end(&mut self, start: usize) -> usize {
        let (mut end, mut joined) = (start, false);
        while let Some(&(at, c)) = self.chars.peek() {
            if c.is_alphanumeric() || unicode_normalization::char::is_combining_mark(c) {
                end = at + c.len_utf8();
                joined = false;
            } else if is_joint(c) && !joined {
                joined = true;
            } else {
                break;
            }
            self.chars.next();
        }
        end
    }
}

impl<'t> Iterator for Words<'t> {
    type Item = Word<'t>;

    fn next(&mut self) -> Option<Word<'t>> {
        let start = loop {
            let &(at, c) = self.chars.peek()?;
            if c.is_alphabetic() {
                break at;
            }
            self.pass(c);
            self.chars.next();
        };
        let end = self.end(start);
        let written = self.text.get(start..end)?;
        let text = ["'s", "’s"].iter().find_map(|s| written.strip_suffix(s));
        let word = Word {
            text: text.unwrap_or(written),
            start,
            follows: self.spaced && !self.begins,
            begins: self.begins,
        };
        self.spaced = text.is_none() && !self.text.get(end..)?.starts_with(is_joint);
        self.begins = false;
        self.initial = word.text.chars().nth(1).is_none() || word.is_title();
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rstest::rstest;
    use serde_json::json;

    use super::{KnownNames, PARTICLES, TITLES};
    use crate::{Inputs, Step};

    fn unknown(text: &str) -> Vec<&str> {
        let variables = json!({"customer": {"first": "Zoë", "last": "Müller-Lüdenscheidt"},
            "branch": "Bank of America"});
        let inputs = Inputs {
            variables: &variables,
            labels: &BTreeMap::new(),
            language: "en",
            passages: &["Our adviser is Ludwig van Beethoven; Анна Каренина helps."],
            template: &["See you in New York."],
            step: Step::Final,
        };
        let known = KnownNames::from_inputs(&inputs);
        let mut allowed = KnownNames::default();
        allowed.prose("Black Friday");
        let ranges = super::unknown(text, [&known, &allowed]).into_iter();
        ranges.map(|range| &text[range]).collect()
    }

    #[rstest]
    #[case::in_two_variables("we thank Zoë Müller-Lüdenscheidt")]
    #[case::without_case_and_accents("we thank Zoe Muller‑Ludenscheidt")]
    #[case::genitive("it is Zoë Müller-Lüdenscheidt's, not Zoë Müller-Lüdenscheidts")]
    #[case::particles("at Bank of America with Ludwig van Beethoven")]
    #[case::part_of_a_name("with van Beethoven")]
    #[case::cyrillic("пишет Анна Каренина")]
    #[case::allowed_and_template("on Black Friday in New York")]
    #[case::titles("with Herrn Dr. Brahms and Mrs Clara")]
    #[case::one_word("Dear Zoë, ask Brahms. Ask Clara! – Sehr geehrte Frau Schumann")]
    #[case::first_of_a_sentence("The Bank is here. Viele Grüße\nIhre Sparkasse: Guten Morgen")]
    #[case::acronyms("the NATO UNICEF of EU GmbH")]
    #[case::marks_between("Clara, Johannes; Robert (Felix) “Fanny”")]
    #[case::other_scripts("我去 银行 مرحبا بكم")]
    #[case::empty("")]
    fn known_names_and_what_is_none_pass(#[case] text: &str) {
        assert_eq!(unknown(text), Vec::<&str>::new());
    }

    #[rstest]
    #[case("we thank Clara Schumann.", &["Clara Schumann"])]
    #[case("we thank Zoë Schumann", &["Zoë Schumann"])]
    #[case("it is Clara Schumann's house", &["Clara Schumann"])]
    #[case("ask Johannes F. Brahms or Jean-Luc O’Neill", &["Johannes F. Brahms", "Jean-Luc O’Neill"])]
    #[case("at Bank of England", &["Bank of England"])]
    #[case("with Mr. Ludwig Brahms", &["Ludwig Brahms"])]
    #[case("The New Jersey branch", &["New Jersey"])]
    #[case("με τον Νίκο Παπαδόπουλο", &["Νίκο Παπαδόπουλο"])]
    #[case("с Иваном Петровым", &["Иваном Петровым"])]
    #[case("on Friday Black", &["Friday Black"])]
    fn invented_names_are_marked(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(unknown(text), expected);
    }

    #[test]
    fn titles_and_particles_are_sorted_for_the_search() {
        assert!(TITLES.is_sorted() && PARTICLES.is_sorted());
    }
}
