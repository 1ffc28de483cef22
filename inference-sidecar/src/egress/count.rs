//! Counts the tokens of a prompt: as the server of the first model that may answer does, else by estimate.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{asked::Asked, call::Call, face::Egress, reply::set, route};
use crate::{
    cost::Basis,
    dialect::openai::Rewrite,
    error::ApiError,
    face::Face,
    limits::{self, MAX_WORD},
    snapshot::{Config, Model},
};

/// Counting is no call: nothing is held, tried again or paid for it.
const PATIENCE: Duration = Duration::from_secs(6);

impl Egress {
    /// Answers `count_tokens`. What is not known exactly is estimated: only a body that cannot be read, or
    /// that a policy refuses, is refused. Counted is what a model would be asked.
    ///
    /// # Errors
    /// What is wrong with the body.
    pub async fn count(&self, caller: &HeaderMap, body: Bytes) -> Result<Response, ApiError> {
        let config = self.live.load();
        // A call of nobody is sent nowhere.
        let call = Call::from_headers(caller).ok();
        let shield = call.as_ref().and_then(|call| self.shield(&config, call));
        let (body, shield) = match shield {
            None => (body, None),
            Some(mut shield) => (shield.prompt(body)?, Some(shield)),
        };
        let asked = Asked::read(Face::Messages, body)?;
        let exact = match call.and_then(|call| first(&config, &call, caller, &asked)) {
            Some(model) => {
                let counting = self.counted_by(&model, caller, &asked);
                timeout(PATIENCE, counting).await.ok().flatten()
            }
            None => None,
        };
        let basis = match exact {
            Some(_) => Basis::Exact,
            None => Basis::Estimated,
        };
        let tokens = exact.unwrap_or(asked.own().prompt_tokens);
        let mut response = Json(json!({ "input_tokens": tokens })).into_response();
        let headers = response.headers_mut();
        set(headers, "aios-usage", basis.as_str());
        if let Some(shield) = shield {
            shield.write(headers);
        }
        Ok(response)
    }

    /// None where its server cannot count.
    async fn counted_by(&self, model: &Model, caller: &HeaderMap, asked: &Asked) -> Option<u64> {
        let rewrite = Rewrite {
            model: &model.name,
            ..Rewrite::default()
        };
        let body = asked.own().rewritten(&rewrite).ok()?;
        let names = ["anthropic-version", "anthropic-beta"];
        let headers = names.into_iter().filter_map(|name| {
            let value = caller.get(name)?.clone();
            Some((http::HeaderName::from_static(name), value))
        });
        let service = model.endpoints.first()?;
        let connections = self.client.at(service, service).ok()?;
        let path = "/v1/messages/count_tokens";
        let posted = connections.post(path, headers.collect(), body).await.ok()?;
        if posted.status() != StatusCode::OK {
            // Read to its end, so that the connection is used again.
            drop(limits::at_most(posted.into_body(), MAX_WORD).await);
            return None;
        }
        let body = limits::at_most(posted.into_body(), MAX_WORD).await.ok()?;
        let counted: Value = serde_json::from_slice(&body).ok()?;
        counted["input_tokens"].as_u64()
    }
}

/// Who would be asked first.
fn first(config: &Config, call: &Call, caller: &HeaderMap, asked: &Asked) -> Option<Arc<Model>> {
    let mut plan = route::plan(config, call, asked.own()).ok()?;
    plan.weigh(config, call, caller.get("aios-document"), rand::random);
    Some(plan.candidates.into_iter().next()?.model)
}
