//! A call as its caller put it, and as each model is asked: in the caller's own dialect where the model's
//! server knows it, else as a chat completion.

use std::sync::OnceLock;

use aios_proto::config::Dialect;
use bytes::Bytes;

use crate::{
    dialect::{
        anthropic::inbound,
        openai::{Operation, Request},
        responses::{self, Envelope},
    },
    error::ApiError,
    face::Face,
};

/// A call.
pub struct Asked {
    pub face: Face,
    own: Request,
    /// The bytes that came, where `own` was made of them or a policy changed them.
    sent: Option<Bytes>,
    /// What was dropped to make it.
    dropped: Vec<String>,
    /// What the answer repeats of a request of the Responses API.
    pub envelope: Option<Envelope>,
    /// The call as a chat completion, once a model needs it.
    chat: OnceLock<Result<(Request, Vec<String>), ApiError>>,
}

impl Asked {
    /// Reads a body.
    ///
    /// # Errors
    /// `InvalidJson`, `InvalidField` or `Unsupported`, with the field's name.
    pub fn read(face: Face, body: Bytes) -> Result<Self, ApiError> {
        let sent = (face == Face::Responses).then(|| body.clone());
        let (own, dropped, envelope) = match face {
            Face::Chat => (Request::parse(Operation::Chat, body)?, Vec::new(), None),
            Face::Embeddings => (
                Request::parse(Operation::Embeddings, body)?,
                Vec::new(),
                None,
            ),
            Face::Moderations => (
                Request::parse(Operation::Moderations, body)?,
                Vec::new(),
                None,
            ),
            Face::Messages => (Request::parse(Operation::Messages, body)?, Vec::new(), None),
            Face::Responses => {
                let (chat, envelope) = responses::to_chat(&body)?;
                (Request::of_chat(&chat)?, chat.dropped, Some(envelope))
            }
        };
        Ok(Self {
            face,
            own,
            sent,
            dropped,
            envelope,
            chat: OnceLock::new(),
        })
    }

    /// The same of other bytes, as the caller sent them.
    pub fn sent_as(self, sent: Bytes) -> Self {
        Self {
            sent: Some(sent),
            ..self
        }
    }

    /// The bytes that came.
    pub fn sent(&self) -> &Bytes {
        self.sent.as_ref().unwrap_or(&self.own.body)
    }

    /// What routes are chosen by.
    pub fn own(&self) -> &Request {
        &self.own
    }

    /// How a model of the dialect is asked.
    ///
    /// # Errors
    /// What the model cannot be asked.
    pub fn of(&self, dialect: &Dialect) -> Result<&Request, ApiError> {
        if self.face != Face::Messages || *dialect == Dialect::Anthropic {
            return Ok(&self.own);
        }
        let chat = self.chat.get_or_init(|| {
            let chat = inbound::to_chat(&self.own.body)?;
            Ok((Request::of_chat(&chat)?, chat.dropped))
        });
        let chat = chat.as_ref().map(|(request, _)| request);
        chat.map_err(ApiError::clone)
    }

    /// Fields that a model asked so was not told.
    pub fn dropped(&self, operation: Operation) -> &[String] {
        match self.chat.get() {
            Some(Ok((_, dropped))) if operation == Operation::Chat => dropped,
            _ => &self.dropped,
        }
    }
}
