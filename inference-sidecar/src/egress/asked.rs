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

    /// Bytes of all bodies that are kept of it.
    pub fn kept(&self) -> usize {
        let chat = self.chat.get().and_then(|chat| chat.as_ref().ok());
        let chat = chat.map(|(request, _)| &request.body);
        // What a policy left as it was is kept once.
        let sent = self.sent.as_ref();
        let sent = sent.filter(|sent| sent.as_ptr() != self.own.body.as_ptr());
        let bodies = [Some(&self.own.body), sent, chat];
        bodies.into_iter().flatten().map(Bytes::len).sum()
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

#[cfg(test)]
mod tests {
    use aios_proto::config::Dialect;
    use bytes::Bytes;

    use super::Asked;
    use crate::face::Face;

    #[test]
    fn every_body_that_is_kept_counts_once() {
        let body = r#"{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
        let body = Bytes::from_static(body.as_bytes());
        let asked = Asked::read(Face::Messages, body.clone()).unwrap();
        let asked = asked.sent_as(body.clone());
        assert_eq!(asked.kept(), body.len(), "a policy left it as it was");
        let chat = asked.of(&Dialect::OpenAI).unwrap().body.len();
        assert_eq!(asked.kept(), body.len() + chat);
        let changed = asked.sent_as(Bytes::from_static(b"{}"));
        assert_eq!(changed.kept(), body.len() + chat + 2);
    }
}
