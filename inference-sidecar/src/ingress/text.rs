//! One call to a server of texts, over HTTP or gRPC. It has no streams: what it says comes in one event.

use std::time::Duration;

use aios_proto::config::Dialect;
use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::Instant;

use super::upstream::{Admitted, Outgoing, forward_ids, now, refused, within};
use crate::{
    dialect::{
        openai::{self, Operation},
        text::{Answer, Asked, Speech},
    },
    error::ApiError,
    face::{self, DROPPED},
    limits,
    meter::Account,
    outcome::Outcome,
};

impl Admitted<'_> {
    /// As [`Self::call`].
    pub(super) async fn text(self, speech: Speech<'_>) -> Result<(Response, Duration), ApiError> {
        if self.request.operation != Operation::Chat {
            let remedy = "it answers texts with texts: use a model of the OpenAI dialect";
            return Err(ApiError::unsupported("model", remedy));
        }
        let asked = speech.ask(&self.request.body, self.model.max_output_tokens)?;
        let sent = Instant::now();
        let deadline = (sent + self.model.timeout, self.model.timeout);
        let said = within(deadline, self.say(speech, &asked, deadline)).await;
        let (answer, said_with) = match said {
            Ok(said) => said,
            Err(error) => {
                self.meter.settle(error.outcome());
                return Err(error);
            }
        };
        let mut response = if self.request.stream {
            let events = answer.to_events(&self.model.upstream_model, now());
            self.relayed(stream::iter([Ok(events)]).boxed(), deadline)
        } else {
            self.told_whole(&answer)?
        };
        let headers = response.headers_mut();
        forward_ids(&said_with, headers);
        if let Some(dropped) = face::dropped("", asked.dropped.iter().map(String::as_str)) {
            headers.insert(DROPPED, dropped);
        }
        Ok((response, sent.elapsed()))
    }

    /// What the server says, and the headers of its answer.
    async fn say(
        &self,
        speech: Speech<'_>,
        asked: &Asked,
        deadline: (Instant, Duration),
    ) -> Result<(Answer, HeaderMap), ApiError> {
        let model = &self.model;
        if let Dialect::OpenInferenceGrpc { port, .. } = &model.dialect {
            let request = speech.infer_request(asked, &model.upstream_model);
            let at = (model.base_url.as_str(), *port);
            let response = self.infer.call(at, request, &self.trace).await?;
            let answer = speech.infer_answer(&response);
            let answer = answer.map_err(ApiError::UpstreamMalformed)?;
            return Ok((answer, HeaderMap::new()));
        }
        let outgoing = Outgoing {
            url: format!("{}{}", model.base_url, speech.path(&model.upstream_model)),
            body: speech.body(asked).to_string().into(),
            auth: None,
            headers: Vec::new(),
            dropped: Vec::new(),
        };
        let response = self.send(&outgoing).await?;
        if response.status() != StatusCode::OK {
            return Err(refused(&model.dialect, self.key, response, deadline).await);
        }
        let headers = response.headers().clone();
        let body = reqwest::Body::from(response);
        let body = limits::whole(body, Operation::Chat).await?;
        let kind = headers.get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let answer = speech.answer(kind, &body);
        Ok((answer.map_err(ApiError::UpstreamMalformed)?, headers))
    }

    fn told_whole(mut self, answer: &Answer) -> Result<Response, ApiError> {
        let body = answer.to_completion(&self.model.upstream_model, now());
        let body = Bytes::from(body.to_string());
        let read = openai::read(&body).map_err(ApiError::UpstreamMalformed)?;
        self.meter.note(read.usage, read.text_bytes);
        self.meter.settle(Outcome::Ok);
        let mut response = Response::new(Body::from(body));
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        Ok(response)
    }
}
