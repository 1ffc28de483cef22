//! What both roles' faces share: how callers are spoken to, bodies within bounds, lists of models, refusals of addresses.

use std::{borrow::Cow, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Value, json};

use crate::{
    dialect::{anthropic::inbound, openai::Operation},
    error::ApiError,
};

/// Header of an answer: digest of the weights that gave it.
pub const DIGEST: &str = "aios-model-digest";

/// Header of an answer: names of the fields that the model was not told.
pub const DROPPED: &str = "aios-dropped";
/// Longest value of it: names are the caller's.
const MAX_DROPPED: usize = 1 << 10;
/// Follows the number of those that it does not name. No name has a space there.
const MORE: &str = " more";

/// Longest request body.
pub const MAX_BODY: usize = 10 << 20;

/// How a caller speaks, and is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    Chat,
    Embeddings,
    Moderations,
    /// Anthropic's Messages API.
    Messages,
    /// OpenAI's Responses API.
    Responses,
}

impl Face {
    /// What it is asked for.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Chat | Self::Messages | Self::Responses => Operation::Chat.as_str(),
            Self::Embeddings => Operation::Embeddings.as_str(),
            Self::Moderations => Operation::Moderations.as_str(),
        }
    }

    /// A refusal in the caller's dialect.
    pub fn refusal(self, error: ApiError) -> Response {
        let body = error.body();
        let response = error.into_response();
        self.shaped(response, &body)
    }

    /// A refusal whose body is in OpenAI's shape, in the caller's.
    pub fn shaped(self, response: Response, openai: &Value) -> Response {
        if self != Self::Messages {
            return response;
        }
        let body = inbound::error_body(response.status(), openai).to_string();
        response.map(|_| Body::from(body))
    }

    /// The last event of a stream that failed.
    pub fn event(self, error: &ApiError) -> Bytes {
        match self {
            Self::Messages => inbound::error_event(error.status(), &error.body()),
            Self::Chat | Self::Embeddings | Self::Moderations | Self::Responses => error.event(),
        }
    }

    /// The last event of a stream whose server left it out.
    pub fn last_event(self) -> Bytes {
        Bytes::from_static(match self {
            Self::Messages => b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
            Self::Chat | Self::Embeddings | Self::Moderations | Self::Responses => {
                b"data: [DONE]\n\n"
            }
        })
    }
}

/// Value of [`DROPPED`]: what the hop `before` named in its own, and these; none where nothing was. Bytes that are
/// not a name's in a header are written as in addresses; of what is too much it says how many there are.
pub fn dropped<'a>(before: &'a str, names: impl Iterator<Item = &'a str>) -> Option<HeaderValue> {
    let (mut value, mut more) = (String::new(), 0_usize);
    let before = before.split(", ").filter(|name| !name.is_empty());
    for name in before.map(Cow::Borrowed).chain(names.map(escaped)) {
        if let Some(count) = name.strip_suffix(MORE) {
            more = more.saturating_add(count.parse().unwrap_or_default());
        } else if value.len() + name.len() > MAX_DROPPED {
            more = more.saturating_add(1);
        } else {
            push(&mut value, &name);
        }
    }
    if more > 0 {
        push(&mut value, &format!("{more}{MORE}"));
    }
    HeaderValue::try_from(value)
        .ok()
        .filter(|value| !value.is_empty())
}

fn push(list: &mut String, item: &str) {
    if !list.is_empty() {
        list.push_str(", ");
    }
    list.push_str(item);
}

fn escaped(name: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'%');
    if name.bytes().all(is_plain) {
        return Cow::Borrowed(name);
    }
    let escape = |byte: u8| {
        if is_plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    Cow::Owned(name.bytes().map(escape).collect())
}

/// Reads a whole body.
///
/// # Errors
/// `BodyTooLarge`, or `BodyCut` when the caller went away.
pub async fn read(body: Body) -> Result<Bytes, ApiError> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(ApiError::BodyTooLarge { limit: MAX_BODY })
        }
        Err(error) => Err(ApiError::BodyCut(error.to_string())),
    }
}

/// `GET /v1/models`, to callers of Anthropic's SDKs in their shape.
pub fn models<'a>(caller: &HeaderMap, names: impl Iterator<Item = &'a String>) -> Response {
    let data: Vec<_> = names.map(|name| described(caller, name)).collect();
    if !is_anthropics(caller) {
        return Json(json!({"object": "list", "data": data})).into_response();
    }
    let id = |model: Option<&Value>| model.map(|model| model["id"].clone());
    let (first, last) = (id(data.first()), id(data.last()));
    let list = json!({"data": data, "has_more": false, "first_id": first, "last_id": last});
    Json(list).into_response()
}

/// `GET /v1/models/{name}`, in the same way.
pub fn model(caller: &HeaderMap, name: String, is_known: bool) -> Response {
    if is_known {
        return Json(described(caller, &name)).into_response();
    }
    let face = if is_anthropics(caller) {
        Face::Messages
    } else {
        Face::Chat
    };
    face.refusal(ApiError::ModelUnknown(name))
}

fn described(caller: &HeaderMap, name: &str) -> Value {
    if is_anthropics(caller) {
        return json!({"type": "model", "id": name, "display_name": name,
            "created_at": "1970-01-01T00:00:00Z"});
    }
    json!({"id": name, "object": "model", "created": 0, "owned_by": "aios"})
}

fn is_anthropics(caller: &HeaderMap) -> bool {
    caller.contains_key("anthropic-version")
}

/// Answers whatever else in OpenAI's shape.
pub fn with_fallbacks<S: Clone + Send + Sync + 'static>(router: Router<S>) -> Router<S> {
    router
        .fallback(|| async { ApiError::PathUnknown })
        .method_not_allowed_fallback(|| async { ApiError::MethodUnknown })
}

/// How long a server asks to wait: `retry-after-ms`, or `retry-after` in seconds. Dates are not read:
/// the default back-off stands in.
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let seconds = number("retry-after-ms")
        .map(|ms| ms / 1000.0)
        .or(number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;

    #[test]
    fn whatever_was_dropped_is_named_or_counted() {
        let dropped = |before, names: &[&str]| {
            let value = super::dropped(before, names.iter().copied());
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(dropped("", &[]), None);
        let told = dropped("", &["seed", "a\nb", "é, %"]).unwrap();
        assert_eq!(told, "seed, a%0Ab, %C3%A9%2C%20%25");
        let further = dropped(&told, &["top_k"]).unwrap();
        assert_eq!(further, format!("{told}, top_k"));
        let long = "x".repeat(2000);
        let told = dropped("", &[&long, "seed", &long]).unwrap();
        assert_eq!(told, "seed, 2 more");
        assert_eq!(dropped(&told, &["a", &long]).unwrap(), "seed, a, 3 more");
    }

    #[test]
    fn waits_are_read_in_both_forms_and_nonsense_is_none() {
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            super::retry_after(&headers)
        };
        assert_eq!(read("retry-after", "2"), Some(Duration::from_secs(2)));
        assert_eq!(
            read("retry-after-ms", "150"),
            Some(Duration::from_millis(150))
        );
        for nonsense in ["-1", "soon", "NaN", "1e300"] {
            assert_eq!(read("retry-after", nonsense), None, "{nonsense}");
        }
    }
}
