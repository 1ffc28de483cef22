//! One text of a stream while it comes.

use std::time::{Duration, Instant};

use aios_policy::{Pushed, StreamScanner};

use super::{Blocked, Judge, Stop, channel::Channel};

pub struct Lane {
    pub channel: Channel,
    pub field: &'static str,
    pub of: u64,
    pub text: Text,
    /// Released, and not told yet.
    pub pending: String,
    /// What its pieces took to judge so far.
    pub took: Duration,
}

pub enum Text {
    Scanned(Box<StreamScanner<'static>>),
    /// JSON in pieces, which says nothing before its end.
    Kept(String),
    /// It was told, so many bytes of it, before another began: what comes of it now is held to its end.
    Resumed {
        text: String,
        told: usize,
    },
}

/// The order in which texts of a choice are told. Servers differ in what they call thoughts, and some send
/// both names.
pub fn phase(field: &str) -> u8 {
    match field {
        "reasoning_content" | "reasoning" | "thinking" => 0,
        "content" | "text" => 1,
        "refusal" => 2,
        _ => 3,
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::Kept(String::new())
    }
}

impl Lane {
    pub fn phase(&self) -> u8 {
        phase(self.field)
    }

    /// What is released by a piece.
    pub fn push(&mut self, piece: &str) -> Result<String, Blocked> {
        match &mut self.text {
            Text::Kept(text) | Text::Resumed { text, .. } => {
                text.push_str(piece);
                Ok(String::new())
            }
            Text::Scanned(scanner) => {
                let started = Instant::now();
                let pushed = scanner.push(piece);
                self.took += started.elapsed();
                match pushed {
                    Pushed::Released(text) => Ok(text),
                    Pushed::Held => Ok(String::new()),
                    Pushed::Blocked(finding) => Err(Blocked::by(&finding)),
                }
            }
        }
    }

    /// What was told of it so far.
    pub fn told(&self) -> &str {
        match &self.text {
            Text::Kept(_) => "",
            Text::Scanned(scanner) => {
                let shown = scanner.shown();
                shown.strip_suffix(self.pending.as_str()).unwrap_or(shown)
            }
            Text::Resumed { text, told } => text.get(..*told).unwrap_or_default(),
        }
    }

    pub fn received(&self) -> usize {
        match &self.text {
            Text::Kept(text) => text.len(),
            Text::Scanned(scanner) => scanner.received(),
            Text::Resumed { text, told } => text.len() - told,
        }
    }

    pub fn held(&self) -> usize {
        let held = match &self.text {
            Text::Kept(_) | Text::Resumed { .. } => self.received(),
            Text::Scanned(scanner) => scanner.held(),
        };
        held + self.pending.len()
    }
}

impl Judge<'_> {
    /// What may follow at the end of a text.
    pub fn finished(
        &mut self,
        channel: Channel,
        scanner: StreamScanner<'static>,
        took: Duration,
    ) -> Result<String, Stop> {
        self.report.scanned(channel, scanner.received());
        let started = Instant::now();
        let finished = scanner.finish();
        let took = took + started.elapsed();
        let finished =
            finished.map_err(|error| Stop::Blocked(Blocked::unjudged(&error.to_string())))?;
        let judged = self.judged(channel, &finished.evaluation, took);
        judged.map_err(Stop::Blocked)?;
        finished.rest.ok_or_else(late)
    }

    /// The same of a text that was told to its end once: it is judged with that.
    pub fn resumed(&mut self, channel: Channel, text: &str, told: usize) -> Result<String, Stop> {
        let (before, more) = text.split_at_checked(told).unwrap_or_default();
        if more.is_empty() {
            return Ok(String::new());
        }
        let judged = self.text(channel, text).map_err(Stop::Blocked)?;
        let judged = judged.as_deref().unwrap_or(text);
        judged
            .strip_prefix(before)
            .map(str::to_owned)
            .ok_or_else(late)
    }
}

fn late() -> Stop {
    Stop::Blocked(Blocked::unjudged("it reaches back into what was told"))
}
