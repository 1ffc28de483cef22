//! How much of an answer is kept. A server that never stops must not take the other calls of the pod along.

use std::error::Error;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::{dialect::openai::Operation, error::ApiError};

/// Longest whole answer.
pub const MAX_ANSWER: usize = 32 << 20;
/// Longest answer of vectors: of the largest batch that OpenAI takes they come to half of it.
const MAX_VECTORS: usize = 64 << 20;
/// Longest answer about a model rather than of one.
pub const MAX_WORD: usize = 64 << 10;
/// Most of a stream that is kept: until its first token, for a policy, or to be told again at its end.
pub const MAX_KEPT: usize = 8 << 20;

/// A whole answer.
///
/// # Errors
/// `UpstreamMalformed` of one that is too long, whose connection is closed; else `StreamCut`.
pub async fn whole<B>(body: B, operation: Operation) -> Result<Bytes, ApiError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let limit = match operation {
        Operation::Embeddings => MAX_VECTORS,
        Operation::Chat | Operation::Messages | Operation::Moderations => MAX_ANSWER,
    };
    at_most(body, limit).await
}

/// The same of an answer that is never that long.
///
/// # Errors
/// As of [`whole`].
pub async fn at_most<B>(body: B, limit: usize) -> Result<Bytes, ApiError>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ApiError::UpstreamMalformed(too_long(limit)))
        }
        Err(_) => Err(ApiError::StreamCut),
    }
}

/// Whether so many bytes of a stream may be kept.
///
/// # Errors
/// What is wrong with a longer one.
pub fn may_keep(bytes: usize) -> Result<(), String> {
    if bytes > MAX_KEPT {
        return Err(too_long(MAX_KEPT));
    }
    Ok(())
}

/// What is wrong with an answer beyond the limit.
pub fn too_long(limit: usize) -> String {
    format!("it is longer than {} KiB", limit >> 10)
}
