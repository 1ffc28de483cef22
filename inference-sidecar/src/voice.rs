//! How a stream is told to its caller: as it comes, or event by event in another dialect.

use bytes::Bytes;

use crate::{
    dialect::{anthropic::inbound, responses},
    error::ApiError,
    face::Face,
    sse::Event,
};

/// One stream's voice.
pub enum Voice {
    /// The events as they come.
    Same(Face),
    Messages(Box<inbound::Writer>),
    Responses(Box<responses::Writer>),
}

impl Voice {
    /// What the caller hears of an event: often nothing.
    ///
    /// # Errors
    /// `UpstreamMalformed` when it cannot be translated.
    pub fn say(&mut self, event: Event) -> Result<Bytes, ApiError> {
        match self {
            Self::Same(_) => Ok(event.raw),
            Self::Messages(writer) => told(event, |data| writer.push(data)),
            Self::Responses(writer) => told(event, |data| writer.push(data)),
        }
    }

    /// The end of a whole answer; `event` is how the upstream said so.
    pub fn end(&mut self, event: Option<Event>) -> Bytes {
        match self {
            Self::Same(face) => event.map_or_else(|| face.last_event(), |event| event.raw),
            Self::Messages(writer) => writer.end(),
            Self::Responses(writer) => writer.end(),
        }
    }

    /// The end of an answer that broke off here.
    pub fn fail(&mut self, error: &ApiError) -> Bytes {
        match self {
            Self::Same(face) => face.event(error),
            Self::Messages(_) => Face::Messages.event(error),
            Self::Responses(writer) => writer.fail(error.code(), &error.to_string()),
        }
    }

    /// The end of an answer that the upstream says broke off.
    pub fn repeat(&mut self, event: Event, error: &ApiError) -> Bytes {
        match self {
            Self::Same(_) => event.raw,
            _ => self.fail(error),
        }
    }
}

/// A comment is one in every dialect.
fn told(event: Event, push: impl FnOnce(&str) -> Result<Bytes, String>) -> Result<Bytes, ApiError> {
    match event.data {
        None => Ok(event.raw),
        Some(data) => push(&data).map_err(ApiError::UpstreamMalformed),
    }
}
