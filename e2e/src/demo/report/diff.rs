//! What a person changed, word by word.

use aios_policy::Part;
use similar::{ChangeTag, TextDiff};

use super::html::{block, escape};

/// The parts that differ.
pub fn diff(before: &[Part], after: &[Part]) -> String {
    let changed = after.iter().filter_map(|new| {
        let old = before.iter().find(|old| old.name == new.name)?;
        (old.text != new.text).then(|| {
            format!(
                "<h4>{}, edited</h4>\n{}",
                escape(new.name.as_str()),
                words(&old.text, &new.text)
            )
        })
    });
    changed.collect()
}

fn words(old: &str, new: &str) -> String {
    let changes = TextDiff::from_words(old, new);
    let each = changes.iter_all_changes().map(|change| {
        let text = escape(change.value());
        match change.tag() {
            ChangeTag::Equal => text,
            ChangeTag::Delete => format!("<del>{text}</del>"),
            ChangeTag::Insert => format!("<ins>{text}</ins>"),
        }
    });
    block(&each.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Vec<Part> {
        let part = serde_json::json!({"name": "text", "kind": "Plain", "text": text});
        vec![serde_json::from_value(part).unwrap()]
    }

    #[test]
    fn words_that_went_and_came_are_told_apart_and_escaped() {
        let markup = diff(&part("see <Goldpeak> now"), &part("see us now"));
        assert!(markup.contains("<del>&lt;Goldpeak&gt;</del>"), "{markup}");
        assert!(markup.contains("<ins>us</ins>"), "{markup}");
        assert_eq!(diff(&part("a"), &part("a")), "");
    }
}
