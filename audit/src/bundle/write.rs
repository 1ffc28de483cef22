use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::format::{EnvelopeLine, FORMAT, Header, LeafLine, Line, Note, Opening};
use crate::{Envelope, Hash, Leaf, Salt, VerifierKey};

/// Writes a bundle line by line. Leaves come in log order; an opening or envelope belongs to the leaf
/// written last. Nothing is checked here: verify what you exported.
#[derive(Debug)]
pub struct BundleWriter<W: Write> {
    out: W,
    leaves: u64,
}

impl<W: Write> BundleWriter<W> {
    /// `checkpoint` is the signed text over exactly the leaves that will follow.
    pub fn new(out: W, key: &VerifierKey, checkpoint: &str) -> io::Result<Self> {
        let mut writer = Self { out, leaves: 0 };
        writer.line(&Line::Header(Header {
            format: FORMAT.into(),
            key: key.to_string(),
        }))?;
        writer.line(&Line::Checkpoint(Note {
            note: checkpoint.into(),
        }))?;
        Ok(writer)
    }

    pub fn leaf(&mut self, leaf: &Leaf) -> io::Result<()> {
        let line = LeafLine {
            index: self.leaves,
            hash: leaf.hash(),
            content: leaf.clone(),
        };
        self.leaves += 1;
        self.line(&Line::Leaf(line))
    }

    /// Shows what the last leaf commits to.
    pub fn opening(&mut self, salt: &Salt, payload: &[u8]) -> io::Result<()> {
        let payload = STANDARD.encode(payload);
        self.line(&Line::Opening(Opening {
            index: self.last(),
            salt: Hash(*salt),
            payload,
        }))
    }

    /// Shows the signed provenance the last leaf (of kind `Provenance`) commits to.
    pub fn envelope(&mut self, salt: &Salt, envelope: &Envelope) -> io::Result<()> {
        let dsse = envelope.clone();
        self.line(&Line::Envelope(EnvelopeLine {
            index: self.last(),
            salt: Hash(*salt),
            dsse,
        }))
    }

    /// Flushes and gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn last(&self) -> u64 {
        self.leaves.saturating_sub(1)
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }
}
