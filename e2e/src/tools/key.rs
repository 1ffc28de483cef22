//! A recipe's key: what changes if and only if the recipe does.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// The key of the files in a folder, for one platform.
pub fn of_recipe(folder: &Path, platform: &str) -> Result<String> {
    let mut files = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("no recipe in {}", folder.display()))?
    {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push((
                entry.file_name().to_string_lossy().into_owned(),
                fs::read(entry.path())?,
            ));
        }
    }
    Ok(of_files(files, platform))
}

/// 16 hex digits; the order of the files does not matter.
fn of_files(mut files: Vec<(String, Vec<u8>)>, platform: &str) -> String {
    files.sort();
    let mut digest = Sha256::new();
    let mut add = |bytes: &[u8]| {
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    add(platform.as_bytes());
    for (name, content) in &files {
        add(name.as_bytes());
        add(content);
    }
    hex::encode(digest.finalize()).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, content: &str) -> (String, Vec<u8>) {
        (name.to_owned(), content.as_bytes().to_vec())
    }

    #[test]
    fn the_key_does_not_depend_on_the_order_of_files() {
        let (a, b) = (file("go.mod", "m"), file("build.sh", "b"));
        assert_eq!(
            of_files(vec![a.clone(), b.clone()], "x"),
            of_files(vec![b, a], "x")
        );
    }

    #[test]
    fn the_key_changes_with_name_content_and_platform() {
        let keys = [
            of_files(vec![file("a", "bc")], "x"),
            of_files(vec![file("ab", "c")], "x"),
            of_files(vec![file("a", "bd")], "x"),
            of_files(vec![file("a", "bc")], "y"),
        ];
        for (index, key) in keys.iter().enumerate() {
            assert_eq!(key.len(), 16);
            assert!(!keys.iter().skip(index + 1).any(|other| other == key));
        }
    }
}
