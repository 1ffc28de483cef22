//! What changed between two versions of a document.

use aios_policy::{Part, PartName};
use similar::{ChangeTag, TextDiff};

/// Unified lines of every part that differs; parts of one side only count as wholly changed.
pub fn parts(old: &[Part], new: &[Part]) -> String {
    let mut names: Vec<_> = new.iter().map(|part| &part.name).collect();
    names.extend(
        old.iter()
            .map(|part| &part.name)
            .filter(|name| !new.iter().any(|p| p.name == **name)),
    );
    let text = |parts: &[Part], name: &PartName| {
        parts
            .iter()
            .find(|part| part.name == *name)
            .map_or("", |part| part.text.as_str())
            .to_owned()
    };
    let mut shown = String::new();
    for name in names {
        let (old, new) = (text(old, name), text(new, name));
        if old == new {
            continue;
        }
        shown.extend(["--- ", name.as_str(), "\n"]);
        for change in TextDiff::from_lines(&old, &new).iter_all_changes() {
            let sign = match change.tag() {
                ChangeTag::Delete => '-',
                ChangeTag::Insert => '+',
                ChangeTag::Equal => ' ',
            };
            shown.push(sign);
            shown.push_str(change.value().trim_end_matches('\n'));
            shown.push('\n');
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use aios_policy::{Part, PartKind};

    #[test]
    fn changed_parts_are_shown_and_equal_ones_left_out() {
        let part = |name: &str, text: &str| Part {
            name: name.parse().unwrap(),
            kind: PartKind::Plain,
            text: text.into(),
        };
        let old = [part("subject", "Hi"), part("text", "one\ntwo\n")];
        let new = [part("subject", "Hi"), part("text", "one\nthree\n")];
        assert_eq!(super::parts(&old, &new), "--- text\n one\n-two\n+three\n");
        assert_eq!(super::parts(&new, &new), "");
    }
}
