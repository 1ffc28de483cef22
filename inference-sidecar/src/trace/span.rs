//! What was done for a call, and when. It is told when it is dropped.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use super::{Context, Tracer};
use crate::{meter::Receipt, outcome::Outcome};

/// Who did it for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A call that was taken.
    Server,
    /// A call that was made.
    Client,
}

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Fixed(&'static str),
    Text(Arc<str>),
    Number(u64),
}

/// A span that ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    pub context: Context,
    pub parent: Option<[u8; 8]>,
    pub name: String,
    pub kind: Kind,
    pub began: SystemTime,
    pub took: Duration,
    pub attributes: Vec<(&'static str, Value)>,
    /// What went wrong.
    pub error: Option<&'static str>,
}

/// Where spans begin that are within another, while that goes on or after.
#[derive(Clone)]
pub struct Place {
    tracer: Arc<Tracer>,
    context: Context,
}

/// A span under way. Dropped before its outcome is known, it was cancelled.
pub struct Span {
    place: Place,
    ended: Option<Box<Ended>>,
    since: Instant,
}

impl Span {
    /// In the trace of `parent`, if that is known.
    pub(super) fn begin(
        tracer: Arc<Tracer>,
        (parent, kind): (Option<Context>, Kind),
        name: String,
    ) -> Self {
        let context = parent.map_or_else(Context::root, Context::within);
        let ended = Ended {
            context,
            parent: parent.map(|parent| parent.span),
            name,
            kind,
            began: SystemTime::now(),
            took: Duration::ZERO,
            attributes: Vec::new(),
            error: Some(Outcome::Cancelled.as_str()),
        };
        Self {
            place: Place { tracer, context },
            ended: Some(Box::new(ended)),
            since: Instant::now(),
        }
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// More is known of what it is.
    pub fn name(&mut self, name: String) {
        if let Some(ended) = &mut self.ended {
            ended.name = name;
        }
    }

    pub fn note(&mut self, key: &'static str, value: Value) {
        if let Some(ended) = &mut self.ended {
            ended.attributes.push((key, value));
        }
    }

    /// A text of which there are few.
    pub fn text(&mut self, key: &'static str, text: &str) {
        self.note(key, Value::Text(text.into()));
    }

    /// It ended so.
    pub fn end(mut self, outcome: Outcome) {
        let error = (outcome != Outcome::Ok).then(|| outcome.as_str());
        self.failed(error);
    }

    /// It ended so, and came to this.
    pub fn end_with(mut self, outcome: Outcome, receipt: &Receipt) {
        let usage = receipt.usage;
        self.note("gen_ai.usage.input_tokens", Value::Number(usage.input));
        self.note("gen_ai.usage.output_tokens", Value::Number(usage.output));
        self.note("aios.usage", Value::Fixed(receipt.basis().as_str()));
        self.end(outcome);
    }

    /// What is known of its end so far.
    pub fn failed(&mut self, error: Option<&'static str>) {
        if let Some(ended) = &mut self.ended {
            ended.error = error;
        }
    }
}

// === impl Place ===

impl Place {
    pub fn context(&self) -> Context {
        self.context
    }

    /// A span within it.
    pub fn begin(&self, kind: Kind, name: String) -> Span {
        Span::begin(self.tracer.clone(), (Some(self.context), kind), name)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut ended) = self.ended.take() {
            ended.took = self.since.elapsed();
            self.place.tracer.ended(ended);
        }
    }
}
