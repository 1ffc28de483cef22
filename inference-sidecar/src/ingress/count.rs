//! Counts the tokens of a prompt as the model's own server does: by Anthropic's address for it, or by an engine's
//! tokenizer. Other servers have none; their prompts are estimated by whoever asks.

use std::time::Duration;

use aios_proto::config::Dialect;
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{face::Ingress, key::KeyFile, refusal};
use crate::{
    client::{self, read_at_most},
    dialect::{
        anthropic::{self, inbound},
        openai::{Operation, Request, Rewrite},
    },
    error::ApiError,
    snapshot::Model,
};

/// Whoever waits longer is better served with an estimate.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest answer: an engine names every token of a prompt.
const MAX_ANSWER: usize = 16 << 20;

impl Ingress {
    /// Answers a request of the Messages API's `count_tokens`.
    ///
    /// # Errors
    /// `PathUnknown` where the model's server cannot count; else what is wrong with the request or the server.
    pub async fn count(&self, caller: &HeaderMap, body: Bytes) -> Result<Response, ApiError> {
        let config = self.live.load();
        let model = config.models.get(&self.model);
        let model = model.ok_or(ApiError::NotConfigured)?;
        let request = Request::parse(Operation::Messages, body)?;
        let counting = async {
            match (&model.dialect, &model.engine) {
                (Dialect::Anthropic, _) => self.of_provider(caller, model, &request).await,
                (Dialect::OpenAI, Some(engine)) => self.of_engine(engine, model, &request).await,
                _ => Err(ApiError::PathUnknown),
            }
        };
        let counted = timeout(PATIENCE, counting).await;
        let tokens = counted.unwrap_or(Err(ApiError::UpstreamTimeout(PATIENCE)))?;
        Ok(Json(json!({ "input_tokens": tokens })).into_response())
    }

    async fn of_provider(
        &self,
        caller: &HeaderMap,
        model: &Model,
        request: &Request,
    ) -> Result<u64, ApiError> {
        let body = request.rewritten(&Rewrite {
            model: &model.upstream_model,
            ..Rewrite::default()
        })?;
        let body = anthropic::signed_only(&body).map_or(body, Bytes::from);
        let version = caller.get("anthropic-version").cloned();
        let version = version.unwrap_or(HeaderValue::from_static(anthropic::VERSION));
        let url = format!("{}/messages/count_tokens", model.base_url);
        let mut asking = self.client.get().post(url).body(body);
        asking = asking
            .header(header::CONTENT_TYPE, "application/json")
            .header("anthropic-version", version);
        if let Some(beta) = caller.get("anthropic-beta") {
            asking = asking.header("anthropic-beta", beta.clone());
        }
        if let Some(key) = &self.key {
            asking = asking.header("x-api-key", key.header("")?);
        }
        let answer = asking.send().await.map_err(client::failed)?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = read_at_most(answer, MAX_ANSWER).await;
        if !status.is_success() {
            let body = KeyFile::hidden_in(self.key.as_ref(), body);
            return Err(refusal::classify(&model.dialect, status, &headers, &body));
        }
        number(&parsed(&body)?, "input_tokens")
    }

    /// vLLM counts a conversation; llama.cpp writes it out as its template says, and then counts the text.
    async fn of_engine(
        &self,
        engine: &str,
        model: &Model,
        request: &Request,
    ) -> Result<u64, ApiError> {
        let chat = inbound::to_chat(&request.body)?.body;
        let mut asked = json!({"messages": chat["messages"]});
        if !chat["tools"].is_null() {
            asked["tools"] = chat["tools"].clone();
        }
        let mut conversation = asked.clone();
        conversation["model"] = json!(model.upstream_model);
        conversation["add_generation_prompt"] = json!(true);
        let counted = self.engine(engine, "/tokenize", &conversation).await?;
        if counted["count"].is_u64() {
            return number(&counted, "count");
        }
        let written = self.engine(engine, "/apply-template", &asked).await?;
        let Some(prompt) = written["prompt"].as_str() else {
            return Err(ApiError::PathUnknown);
        };
        let text = json!({"content": prompt, "add_special": true, "parse_special": true});
        let counted = self.engine(engine, "/tokenize", &text).await?;
        let tokens = counted["tokens"].as_array();
        let tokens = tokens.ok_or_else(|| malformed("no `tokens`"))?;
        Ok(tokens.len() as u64)
    }

    async fn engine(&self, engine: &str, path: &str, body: &Value) -> Result<Value, ApiError> {
        let url = format!("{engine}{path}");
        let answer = self
            .client
            .get()
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.to_string())
            .send()
            .await
            .map_err(client::failed)?;
        if !answer.status().is_success() {
            return Err(ApiError::PathUnknown);
        }
        parsed(&read_at_most(answer, MAX_ANSWER).await)
    }
}

fn parsed(body: &[u8]) -> Result<Value, ApiError> {
    serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))
}

fn number(answer: &Value, field: &str) -> Result<u64, ApiError> {
    let number = answer[field].as_u64();
    number.ok_or_else(|| malformed(&format!("no `{field}`")))
}

fn malformed(problem: &str) -> ApiError {
    ApiError::UpstreamMalformed(problem.to_owned())
}
