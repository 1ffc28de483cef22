//! A text made from another one, with the way back: monotone, chunk by chunk.

use std::{borrow::Cow, ops::Range};

/// A derived text and the bytes of the source that each of its bytes stands for.
#[derive(Clone, Debug)]
pub(crate) struct Mapped<'a> {
    text: Cow<'a, str>,
    /// None when text and source are the same.
    chunks: Option<Vec<Chunk>>,
}

/// A stretch of the derived text, up to where the next one begins.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    /// First byte in the derived text.
    at: usize,
    /// Bytes of the source.
    source: (usize, usize),
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Byte by byte.
    Linear,
    /// As a whole: every byte stands for all bytes of the source.
    Atom,
    /// As a whole, for markup that a reader doesn't see.
    Markup,
}

impl<'a> Mapped<'a> {
    /// A text that stands for itself.
    pub(crate) fn identity(text: &'a str) -> Self {
        Self {
            text: Cow::Borrowed(text),
            chunks: None,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The source's bytes behind a non-empty range of this text, widened to whole chunks.
    pub(crate) fn source(&self, range: Range<usize>) -> Range<usize> {
        let Some(chunks) = &self.chunks else {
            return range;
        };
        let last = range.end.saturating_sub(1).max(range.start);
        let (Some(first), Some(last)) = (holding(chunks, range.start), holding(chunks, last))
        else {
            return 0..0;
        };
        let start = match first.form {
            Form::Linear => first.source.0 + (range.start - first.at),
            Form::Atom | Form::Markup => first.source.0,
        };
        let end = match last.form {
            Form::Linear => (last.source.0 + (range.end - last.at)).min(last.source.1),
            Form::Atom | Form::Markup => last.source.1,
        };
        start..end.max(start)
    }

    /// The source's byte behind a position of this text; the source's end for the end.
    pub(crate) fn source_start(&self, at: usize, source_len: usize) -> usize {
        if at >= self.text.len() {
            source_len
        } else {
            self.source(at..at + 1).start
        }
    }

    /// Ranges of readable source bytes inside a range of the source, in order; markup is left out.
    pub(crate) fn readable_source(&self, hull: &Range<usize>) -> Vec<Range<usize>> {
        let Some(chunks) = &self.chunks else {
            return vec![hull.clone()];
        };
        let first = chunks.partition_point(|chunk| chunk.source.1 <= hull.start);
        chunks
            .iter()
            .skip(first)
            .take_while(|chunk| chunk.source.0 < hull.end)
            .filter(|chunk| chunk.form != Form::Markup)
            .map(|chunk| chunk.source.0.max(hull.start)..chunk.source.1.min(hull.end))
            .filter(|range| !range.is_empty())
            .collect()
    }
}

fn holding(chunks: &[Chunk], at: usize) -> Option<&Chunk> {
    chunks.get(
        chunks
            .partition_point(|chunk| chunk.at <= at)
            .checked_sub(1)?,
    )
}

/// Builds a derived text from left to right.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    text: String,
    chunks: Vec<Chunk>,
}

impl Builder {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            chunks: Vec::new(),
        }
    }

    /// Text of exactly as many bytes as the source has from `at` on.
    pub(crate) fn linear(&mut self, at: usize, text: &str) {
        if !text.is_empty() {
            self.stretch(at, text.len());
            self.text.push_str(text);
        }
    }

    /// ASCII of the source, changed in place into as many bytes.
    pub(crate) fn mapped(&mut self, at: usize, text: &str, change: impl FnOnce(&mut str)) {
        let from = self.text.len();
        self.linear(at, text);
        if let Some(added) = self.text.get_mut(from..) {
            change(added);
        }
    }

    /// Letters of the source, each changed into one of as many bytes.
    pub(crate) fn letters(&mut self, at: usize, text: &str, change: impl Fn(char) -> char) {
        if !text.is_empty() {
            self.stretch(at, text.len());
            self.text.extend(text.chars().map(change));
        }
    }

    /// Text that stands for a range of the source as a whole.
    pub(crate) fn atom(&mut self, source: Range<usize>, text: &str) {
        if !text.is_empty() {
            self.chunk((source.start, source.end), Form::Atom);
            self.text.push_str(text);
        }
    }

    /// Text that stands for markup.
    pub(crate) fn markup(&mut self, source: Range<usize>, text: &str) {
        self.chunk((source.start, source.end), Form::Markup);
        self.text.push_str(text);
    }

    /// Lets the last byte, a space, stand for everything up to `end`.
    pub(crate) fn widen_space(&mut self, end: usize) {
        let last_byte = self.text.len().saturating_sub(1);
        let Some(last) = self.chunks.last_mut() else {
            return;
        };
        if last.form == Form::Linear && last.at < last_byte {
            let at = last.source.0 + (last_byte - last.at);
            last.source.1 = at;
            self.chunks.push(Chunk {
                at: last_byte,
                source: (at, end),
                form: Form::Atom,
            });
        } else {
            last.form = Form::Atom;
            last.source.1 = end;
        }
    }

    pub(crate) fn ends_with(&self, end: char) -> bool {
        self.text.ends_with(end)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn finish(self) -> Mapped<'static> {
        Mapped {
            text: Cow::Owned(self.text),
            chunks: Some(self.chunks),
        }
    }

    fn stretch(&mut self, at: usize, len: usize) {
        let end = at + len;
        match self.chunks.last_mut() {
            Some(last) if last.form == Form::Linear && last.source.1 == at => last.source.1 = end,
            _ => self.chunk((at, end), Form::Linear),
        }
    }

    fn chunk(&mut self, source: (usize, usize), form: Form) {
        self.chunks.push(Chunk {
            at: self.text.len(),
            source,
            form,
        });
    }
}
