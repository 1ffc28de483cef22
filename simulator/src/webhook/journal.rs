//! Append-only NDJSON, so that counts and documents survive a restart of the pod.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use super::delivery::Post;

#[derive(Debug)]
pub struct Journal {
    file: File,
}

impl Journal {
    /// Opens or makes the file and gives the posts it holds. A last line that a crash cut off was
    /// never answered, and is dropped.
    pub fn open(path: &Path) -> io::Result<(Self, Vec<Post>)> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(path)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        file.set_len(whole as u64)?;
        text.truncate(whole);
        let lines = text
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let posts = lines
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()?;
        Ok((Self { file }, posts))
    }

    /// One write a line: a kill leaves whole lines and at most one torn one.
    pub fn append(&mut self, post: &Post) -> io::Result<()> {
        let mut line = serde_json::to_vec(post)?;
        line.push(b'\n');
        self.file.write_all(&line)
    }
}
