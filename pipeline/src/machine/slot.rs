//! Slots: what the model is asked for, what came back, and who wrote it.

use serde::{Deserialize, Serialize};

use super::reason::SafeReason;

/// One slot of the document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Slot {
    /// To be written, or written again.
    Open(OpenSlot),
    /// Written.
    Filled(SlotText),
}

/// What the next call for a slot is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenSlot {
    /// The version that policy refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    /// Messages of the rules that refused it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub feedback: Vec<String>,
    /// Answers without a usable sentence so far.
    #[serde(default)]
    pub unusable: u32,
    /// Set once no model may be asked any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe: Option<SafeReason>,
}

/// The words of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotText {
    pub text: String,
    pub origin: SlotOrigin,
    /// The final step has seen it, or there is none for it.
    pub finished: bool,
}

/// Who wrote a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SlotOrigin {
    /// A ModelDeployment; `digest` is that of its weights, or of provider and name.
    #[serde(rename_all = "camelCase")]
    Model { deployment: String, digest: String },
    /// The reviewed safe wording.
    #[serde(rename_all = "camelCase")]
    Safe { reason: SafeReason },
}

/// The answer holds no sentence that could stand in a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer holds no usable sentence")]
pub struct UnusableAnswer;

impl Slot {
    /// The words, once there are some.
    pub fn filled(&self) -> Option<&SlotText> {
        match self {
            Self::Filled(text) => Some(text),
            Self::Open(_) => None,
        }
    }

    /// True when a model's words stand in it.
    pub fn by_model(&self) -> bool {
        self.filled()
            .is_some_and(|text| matches!(text.origin, SlotOrigin::Model { .. }))
    }
}

/// Makes a model's answer fit for running text: one line, without quotes and markdown around it, at
/// most `max_sentences` whole sentences; a sentence that the token limit cut off is dropped if a
/// whole one stands before it.
pub fn clean(answer: &str, max_sentences: Option<u32>) -> Result<String, UnusableAnswer> {
    let line = answer
        .lines()
        .map(unmarked)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    let text = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = unquoted(&text);
    let ends = sentence_ends(text);
    let wanted = max_sentences.map_or(usize::MAX, |most| most as usize);
    let kept = match ends.get(wanted.saturating_sub(1)).or(ends.last()) {
        Some(end) => text.get(..*end).unwrap_or(text),
        None => text,
    };
    let kept = unquoted(kept.trim());
    if kept.chars().any(char::is_alphanumeric) {
        Ok(kept.to_owned())
    } else {
        Err(UnusableAnswer)
    }
}

/// A line without list marks, headings, emphasis, code marks and control characters.
fn unmarked(line: &str) -> String {
    let line: String = line
        .chars()
        .filter(|c| !c.is_control() && *c != '`')
        .collect();
    let line = line.replace("**", "").replace("__", "");
    let line = line
        .trim()
        .trim_start_matches(['#', '>', '*', '-', '•'])
        .trim();
    line.trim_matches('*').to_owned()
}

fn unquoted(text: &str) -> &str {
    const PAIRS: [(char, char); 6] = [
        ('"', '"'),
        ('\'', '\''),
        ('“', '”'),
        ('„', '“'),
        ('«', '»'),
        ('‘', '’'),
    ];
    let mut text = text.trim();
    loop {
        let inner = PAIRS.iter().find_map(|(open, close)| {
            text.strip_prefix(*open)
                .and_then(|rest| rest.strip_suffix(*close))
        });
        match inner {
            Some(inner) if !inner.is_empty() => text = inner.trim(),
            _ => break,
        }
    }
    // A quote that was opened and cut off before its end.
    match text.chars().next() {
        Some(open @ ('"' | '“' | '„' | '«'))
            if text.chars().filter(|c| *c == open).count() == 1 =>
        {
            text.strip_prefix(open).unwrap_or(text).trim()
        }
        _ => text,
    }
}

/// Byte offsets behind each sentence. A full stop ends one only before white space or the end, and
/// not after a single letter or a number that goes on, so that initials and `3. May` hold together.
fn sentence_ends(text: &str) -> Vec<usize> {
    let mut ends = Vec::new();
    let mut chars = text.char_indices().peekable();
    let mut word = String::new();
    while let Some((at, c)) = chars.next() {
        match c {
            '。' | '！' | '？' => ends.push(at + c.len_utf8()),
            '.' | '!' | '?' | '…' | '؟' | '۔' => {
                let mut end = at + c.len_utf8();
                while let Some((at, next)) = chars.peek().copied() {
                    if !matches!(
                        next,
                        '.' | '!' | '?' | '"' | '”' | '“' | '\'' | '’' | '»' | ')'
                    ) {
                        break;
                    }
                    end = at + next.len_utf8();
                    chars.next();
                }
                let short = c == '.'
                    && (word.chars().count() == 1 || word.bytes().all(|b| b.is_ascii_digit()))
                    && !word.is_empty()
                    && end < text.len();
                let at_border = chars.peek().is_none_or(|(_, next)| next.is_whitespace());
                if at_border && !short {
                    ends.push(end);
                }
                word.clear();
            }
            c if c.is_whitespace() => word.clear(),
            c => word.push(c),
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::{UnusableAnswer, clean};

    #[test]
    fn quotes_markdown_and_newlines_are_stripped() {
        let cases = [
            ("\"Save with us.\"", "Save with us."),
            ("**Save** with us.\n\nIt pays.", "Save with us. It pays."),
            ("# Save\n- now.", "Save now."),
            ("„Sparen Sie mit.“", "Sparen Sie mit."),
            ("\"Save with us. And th", "Save with us."),
        ];
        for (answer, expected) in cases {
            assert_eq!(clean(answer, None).unwrap(), expected);
        }
    }

    #[test]
    fn only_whole_sentences_up_to_the_limit_are_kept() {
        assert_eq!(
            clean("One. Two! Three? Four", Some(2)).unwrap(),
            "One. Two!"
        );
        assert_eq!(clean("One. Two is cut o", Some(2)).unwrap(), "One.");
        assert_eq!(clean("No end at all", Some(1)).unwrap(), "No end at all");
        assert_eq!(
            clean("Am 3. Mai geht es los. Ja.", Some(1)).unwrap(),
            "Am 3. Mai geht es los."
        );
        assert_eq!(
            clean("It is 2.5 percent. Ok.", Some(1)).unwrap(),
            "It is 2.5 percent."
        );
    }

    #[test]
    fn an_answer_without_a_word_is_refused() {
        for answer in ["", "  \n ", "\"\"", "...", "**"] {
            assert_eq!(clean(answer, Some(2)), Err(UnusableAnswer), "{answer:?}");
        }
    }
}
