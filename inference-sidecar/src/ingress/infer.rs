//! Calls of Open Inference Protocol's `ModelInfer`, over a channel that stays.

use std::sync::Mutex;

use aios_proto::inference::{
    ModelInferRequest, ModelInferResponse,
    grpc_inference_service_client::GrpcInferenceServiceClient,
};
use aios_runtime::{chain, channel, tls::ClientTls};
use http::HeaderMap;
use reqwest::Url;
use tonic::{Code, Request, Status, metadata::MetadataMap, transport::Channel};

use super::refusal;
use crate::{
    error::ApiError,
    limits::{MAX_ANSWER, too_long},
    lock::lock,
};

/// How tonic begins what it says of an answer beyond the limit, under a status that is else the server's.
const BEYOND: &str = "Error, decoded message length too large";

/// The channel to the model's server, by its address.
#[derive(Default)]
pub struct Infer {
    tls: Option<ClientTls>,
    channel: Mutex<Option<(String, Channel)>>,
}

impl Infer {
    /// `https` needs `tls`.
    pub fn new(tls: Option<ClientTls>) -> Self {
        Self {
            tls,
            channel: Mutex::default(),
        }
    }

    /// Asks the server whose REST API is at this address, and whose gRPC is at this port. The headers go with it.
    ///
    /// # Errors
    /// Why there is no answer.
    pub async fn call(
        &self,
        (base_url, port): (&str, u16),
        request: ModelInferRequest,
        headers: &HeaderMap,
    ) -> Result<ModelInferResponse, ApiError> {
        let client = GrpcInferenceServiceClient::new(self.channel(base_url, port)?);
        let mut client = client.max_decoding_message_size(MAX_ANSWER);
        let mut request = Request::new(request);
        *request.metadata_mut() = MetadataMap::from_headers(headers.clone());
        let answer = client.model_infer(request).await;
        answer
            .map(tonic::Response::into_inner)
            .map_err(|status| refused(&status))
    }

    fn channel(&self, base_url: &str, port: u16) -> Result<Channel, ApiError> {
        let address = address(base_url, port)?;
        let mut known = lock(&self.channel);
        if let Some((_, channel)) = known.as_ref().filter(|(known, _)| *known == address) {
            return Ok(channel.clone());
        }
        let channel = channel::connect(&address, self.tls.clone())
            .map_err(|error| ApiError::UpstreamUnreachable(error.to_string()))?;
        *known = Some((address, channel.clone()));
        Ok(channel)
    }
}

fn address(base_url: &str, port: u16) -> Result<String, ApiError> {
    let none = || ApiError::UpstreamUnreachable(format!("`{base_url}` is no address for gRPC"));
    let mut url = Url::parse(base_url).map_err(|_| none())?;
    url.set_port(Some(port)).map_err(|()| none())?;
    url.set_path("");
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// What a status means, as [`super::refusal`] says of HTTP's.
fn refused(status: &Status) -> ApiError {
    let message = || refusal::cut(status.message());
    let failed = |code| ApiError::UpstreamFailed {
        status: code,
        message: message(),
    };
    match status.code() {
        Code::OutOfRange if status.message().starts_with(BEYOND) => {
            ApiError::UpstreamMalformed(too_long(MAX_ANSWER))
        }
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => {
            ApiError::UpstreamRejected {
                status: 400,
                message: message(),
                param: None,
                code: None,
            }
        }
        Code::NotFound | Code::Unimplemented => ApiError::ModelRefused,
        Code::Unauthenticated | Code::PermissionDenied => ApiError::CredentialsRefused,
        Code::ResourceExhausted => ApiError::RateLimited { retry_after: None },
        Code::DeadlineExceeded => failed(504),
        Code::Unavailable => match std::error::Error::source(status) {
            Some(error) => ApiError::UpstreamUnreachable(chain(&error)),
            None => failed(503),
        },
        _ => failed(500),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tonic::{Code, Status};

    #[rstest]
    #[case(Code::InvalidArgument, "upstream_rejected")]
    #[case(Code::OutOfRange, "upstream_rejected")]
    #[case(Code::NotFound, "model_refused")]
    #[case(Code::Unimplemented, "model_refused")]
    #[case(Code::Unauthenticated, "credentials_refused")]
    #[case(Code::PermissionDenied, "credentials_refused")]
    #[case(Code::ResourceExhausted, "rate_limited")]
    #[case(Code::DeadlineExceeded, "upstream_failed")]
    #[case(Code::Unavailable, "upstream_failed")]
    #[case(Code::Internal, "upstream_failed")]
    #[case(Code::Unknown, "upstream_failed")]
    fn every_status_has_a_code(#[case] status: Code, #[case] code: &str) {
        assert_eq!(super::refused(&Status::new(status, "m")).code(), code);
    }

    #[test]
    fn grpc_is_at_the_host_of_rest() {
        let address = super::address("http://127.0.0.1:8080/v2", 8081);
        assert_eq!(address.unwrap(), "http://127.0.0.1:8081");
        assert!(super::address("nonsense", 1).is_err());
    }
}
