//! Answers in the caller's dialect, with the headers that tell what happened.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    asked::Asked,
    attempt::{Started, Whole},
    exchange::{Answered, Given, Reply, UnderWay},
    payer::Payer,
    records::{Note, Noted, Recording},
    route::Candidate,
};
use crate::{
    cost::Usage,
    dialect::{
        anthropic::inbound,
        openai::{Operation, Tokens},
        responses,
    },
    error::ApiError,
    face::{self, DIGEST, DROPPED, Face},
    meter::{Account, Receipt},
    outcome::Outcome,
    relay::Relay,
    shield::Shield,
    trace::Span,
    voice::Voice,
};

/// Headers, or trailers of a stream, that say what a call came to.
const RECEIPT: &str = "aios-usage, aios-input-tokens, aios-output-tokens, aios-cost";
/// Headers of an upstream's answer that callers may need.
pub const PASSED: [HeaderName; 4] = [
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("request-id"),
    HeaderName::from_static(DROPPED),
    HeaderName::from_static(DIGEST),
];
const MODEL: HeaderName = HeaderName::from_static("aios-model");
const ROUTE: HeaderName = HeaderName::from_static("aios-route");
const USAGE: HeaderName = HeaderName::from_static("aios-usage");
const INPUT_TOKENS: HeaderName = HeaderName::from_static("aios-input-tokens");
const OUTPUT_TOKENS: HeaderName = HeaderName::from_static("aios-output-tokens");
const COST: HeaderName = HeaderName::from_static("aios-cost");
const CACHE: HeaderName = HeaderName::from_static("aios-cache");
const POLICIES: HeaderName = HeaderName::from_static("aios-policy-digest");
pub const CALL: HeaderName = HeaderName::from_static("aios-call");
const VARIANT: HeaderName = HeaderName::from_static("aios-variant");

/// The answer, or the beginning of its stream. A call of a pipeline is recorded, and may be judged.
pub fn reply(
    answered: Answered,
    asked: &Asked,
    (recording, shield): (Option<Recording>, Option<Shield>),
    span: Option<Span>,
) -> Response {
    let Answered {
        given,
        candidate,
        operation,
    } = answered;
    let Given {
        reply,
        payer,
        under_way,
        origin,
    } = given;
    let headers = match &reply {
        Reply::Whole(whole) => &whole.headers,
        Reply::Started(started) => &started.headers,
    };
    let digest = digest(headers, &candidate);
    let note = recording.map(|recording| {
        let judged = shield.as_ref().map(Shield::judged);
        recording.begin(&candidate, digest.clone(), origin, judged)
    });
    let said = note.as_ref().map(|note| {
        let policies = HeaderValue::from_str(note.policies());
        (note.token(), policies, note.variant().cloned())
    });
    let (mut response, upstream) = match reply {
        Reply::Whole(mut whole) => {
            let headers = std::mem::take(&mut whole.headers);
            let response = self::whole(whole, operation, (asked, shield), (payer, note, span));
            (response, headers)
        }
        Reply::Started(started) => {
            let mut started = *started;
            let headers = std::mem::take(&mut started.headers);
            let voice = (voice(operation, asked), shield);
            let account = Noted::new(payer, note, span);
            let response = stream(started, operation, voice, &candidate, (account, under_way));
            (response, headers)
        }
    };
    let headers = response.headers_mut();
    for name in PASSED {
        if let Some(value) = upstream.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    dropped(headers, asked.dropped(operation));
    set(headers, MODEL, &candidate.model.name);
    if let Some(digest) = digest {
        headers.insert(HeaderName::from_static(DIGEST), digest);
    }
    if let Some((token, policies, variant)) = said {
        set(headers, CALL, &token.to_string());
        if let Ok(policies) = policies {
            headers.insert(POLICIES, policies);
        }
        if let Some(variant) = variant {
            headers.insert(VARIANT, variant);
        }
    }
    if let Some(route) = candidate.route {
        headers.insert(ROUTE, HeaderValue::from(route));
    }
    if let Some(origin) = origin {
        set(headers, CACHE, origin.as_str());
    }
    response
}

/// Digest of the weights that answered. Who answered knows better, for it may be of another revision than
/// what is configured.
fn digest(answer: &HeaderMap, candidate: &Candidate) -> Option<HeaderValue> {
    let configured = candidate.model.digest.as_deref();
    let configured = || HeaderValue::from_str(configured?).ok();
    answer.get(DIGEST).cloned().or_else(configured)
}

fn whole(
    whole: Whole,
    operation: Operation,
    (asked, mut shield): (&Asked, Option<Shield>),
    (payer, note, span): (Payer, Option<Note>, Option<Span>),
) -> Response {
    let receipt = payer.settle(Outcome::Ok);
    let counted = whole.counted.unwrap_or(receipt.usage);
    let body = match &mut shield {
        None => Ok(whole.body),
        Some(shield) => shield.answer(operation, whole.body),
    };
    let body = body.and_then(|body| {
        let translated = translated(&body, operation, asked, counted);
        translated.unwrap_or(Ok(body))
    });
    if let Some(span) = span {
        let outcome = body.as_ref().err().map(ApiError::outcome);
        span.end_with(outcome.unwrap_or(Outcome::Ok), &receipt);
    }
    if let Some(mut note) = note {
        // The commitment is to what the caller was told.
        let outcome = match &body {
            Ok(body) => {
                note.told(body);
                Outcome::Ok
            }
            Err(error) => error.outcome(),
        };
        note.write(outcome, &receipt);
    }
    let mut response = match body {
        Ok(body) => told(body),
        Err(error) => asked.face.refusal(error),
    };
    let headers = response.headers_mut();
    write_receipt(headers, &receipt);
    if let Some(shield) = shield {
        shield.write(headers);
    }
    response
}

fn told(body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// The answer in another dialect; none where it is in the caller's.
fn translated(
    body: &[u8],
    operation: Operation,
    asked: &Asked,
    usage: Usage,
) -> Option<Result<Bytes, ApiError>> {
    let counted = Tokens::estimated(usage.input, usage.output);
    let translated = match (asked.face, operation, &asked.envelope) {
        (Face::Messages, Operation::Chat, _) => inbound::to_message(body, counted),
        (Face::Responses, _, Some(envelope)) => envelope.to_response(body, counted),
        _ => return None,
    };
    let told = translated.map(|value| value.to_string().into());
    Some(told.map_err(ApiError::UpstreamMalformed))
}

fn voice(operation: Operation, asked: &Asked) -> Voice {
    let prompt = asked.own().prompt_tokens;
    match (asked.face, operation, &asked.envelope) {
        (Face::Messages, Operation::Chat, _) => {
            Voice::Messages(Box::new(inbound::Writer::new(prompt)))
        }
        (Face::Responses, _, Some(envelope)) => {
            let writer = responses::Writer::new(envelope.clone(), prompt, now());
            Voice::Responses(Box::new(writer))
        }
        (face, ..) => Voice::Same(face),
    }
}

fn stream(
    started: Started,
    operation: Operation,
    (voice, shield): (Voice, Option<Shield>),
    candidate: &Candidate,
    (account, under_way): (Noted, UnderWay),
) -> Response {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::TRAILER, RECEIPT),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let shield = shield.and_then(|shield| shield.stream(operation, &mut headers));
    let relay = Relay {
        source: started.source,
        account,
        deadline: started.deadline,
        gap: candidate.model.token_gap_timeout,
        strip_usage: matches!(voice, Voice::Same(_)) && !started.usage_asked,
        voice,
        shield,
        trailers: Some(receipt_headers),
        secret: None,
        guard: Some(Box::new(under_way)),
    };
    let mut response = Response::new(relay.into_body());
    *response.headers_mut() = headers;
    response
}

/// Adds to what the ingress dropped.
fn dropped(headers: &mut HeaderMap, here: &[String]) {
    let there = headers.remove(DROPPED);
    let there = there.as_ref().and_then(|value| value.to_str().ok());
    let here = here.iter().map(String::as_str);
    if let Some(names) = face::dropped(there.unwrap_or_default(), here) {
        headers.insert(DROPPED, names);
    }
}

fn receipt_headers(receipt: &Receipt) -> HeaderMap {
    let mut headers = HeaderMap::new();
    write_receipt(&mut headers, receipt);
    headers
}

fn write_receipt(headers: &mut HeaderMap, receipt: &Receipt) {
    let Usage { input, output, .. } = receipt.usage;
    headers.insert(USAGE, HeaderValue::from_static(receipt.basis().as_str()));
    headers.insert(INPUT_TOKENS, HeaderValue::from(input));
    headers.insert(OUTPUT_TOKENS, HeaderValue::from(output));
    if let Some(cost) = &receipt.cost {
        set(headers, COST, &cost.to_string());
    }
}

/// Sets a header whose value is known to be visible ASCII; anything else is left out.
pub fn set<N>(headers: &mut HeaderMap, name: N, value: &str)
where
    N: TryInto<HeaderName>,
{
    if let (Ok(name), Ok(value)) = (name.try_into(), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
