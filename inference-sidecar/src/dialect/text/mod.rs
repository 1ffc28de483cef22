//! Servers that take one text and give one, behind the OpenAI face: Open Inference Protocol V2 and routes
//! of BentoML services. They tell neither tokens nor why an answer ended, and do not stream.

mod answer;
mod bentoml;
mod messages;
mod open_inference;
mod open_inference_grpc;
mod problem;
mod request;

use aios_proto::{
    config::{Dialect, TextShape},
    inference::{ModelInferRequest, ModelInferResponse},
};
use serde_json::Value;

pub use answer::Answer;
pub use problem::problem;
pub use request::Asked;

use crate::error::ApiError;

/// Which protocol carries the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    OpenInference,
    BentoML,
}

/// How to speak to a server in one call.
#[derive(Clone, Copy, Debug)]
pub struct Speech<'a> {
    pub protocol: Protocol,
    pub shape: &'a TextShape,
    /// Name of the call, for the server and the caller.
    pub id: &'a str,
}

impl<'a> Speech<'a> {
    /// None for dialects that know messages.
    pub fn of(dialect: &'a Dialect, id: &'a str) -> Option<Self> {
        let (protocol, shape) = match dialect {
            Dialect::OpenAI | Dialect::Anthropic => return None,
            Dialect::OpenInference(shape) | Dialect::OpenInferenceGrpc { shape, .. } => {
                (Protocol::OpenInference, shape)
            }
            Dialect::BentoML(shape) => (Protocol::BentoML, shape),
        };
        Some(Self {
            protocol,
            shape,
            id,
        })
    }

    /// Where the server is asked, below its base address.
    pub fn path(&self, model: &str) -> String {
        match self.protocol {
            Protocol::OpenInference => format!("/models/{model}/infer"),
            Protocol::BentoML => String::new(),
        }
    }

    /// Reads a chat completion request. `max_tokens` is used when it names no cap.
    ///
    /// # Errors
    /// `InvalidJson`, `InvalidField` or `Unsupported`, with the field's name.
    pub fn ask(&self, body: &[u8], max_tokens: u64) -> Result<Asked, ApiError> {
        Asked::read(body, &self.shape.settings, max_tokens)
    }

    /// The body for the server.
    pub fn body(&self, asked: &Asked) -> Value {
        match self.protocol {
            Protocol::OpenInference => open_inference::request(asked, self.shape, self.id),
            Protocol::BentoML => bentoml::request(asked, self.shape),
        }
    }

    /// The same for the gRPC API of Open Inference Protocol V2.
    pub fn infer_request(&self, asked: &Asked, model: &str) -> ModelInferRequest {
        open_inference_grpc::request(asked, self.shape, model, self.id)
    }

    /// Reads its answer.
    ///
    /// # Errors
    /// What is wrong with its shape, and what to set.
    pub fn infer_answer(&self, response: &ModelInferResponse) -> Result<Answer, String> {
        let text = open_inference_grpc::text(response, self.shape)?;
        Ok(self.told(text))
    }

    /// Reads the server's answer. `content_type` is its header, empty where it has none.
    ///
    /// # Errors
    /// What is wrong with its shape, and what to set.
    pub fn answer(&self, content_type: &str, body: &[u8]) -> Result<Answer, String> {
        let text = match self.protocol {
            Protocol::OpenInference => open_inference::text(body, self.shape),
            Protocol::BentoML => bentoml::text(content_type, body, self.shape),
        }?;
        Ok(self.told(text))
    }

    fn told(&self, text: String) -> Answer {
        Answer {
            id: self.id.to_owned(),
            text,
        }
    }
}
