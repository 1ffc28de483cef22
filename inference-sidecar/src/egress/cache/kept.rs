//! An answer that is kept: as its model gave it, so that callers of every dialect can be told it again.

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::HeaderMap;
use tokio::time::Instant;

use super::tape::LONGEST;
use crate::{
    dialect::openai::Operation,
    egress::{
        attempt::{Started, Whole},
        exchange::Reply,
        reply::PASSED,
    },
    relay::Source,
};

/// What an entry costs beside its body: key, headers and places in tables.
const ENTRY: usize = 1 << 10;

/// One answer.
#[derive(Clone)]
pub struct Kept {
    since: Instant,
    body: Body,
}

#[derive(Clone)]
enum Body {
    Whole(Whole),
    Stream(Bytes, HeaderMap),
}

impl Kept {
    pub fn whole(whole: &Whole) -> Self {
        Self {
            since: Instant::now(),
            body: Body::Whole(Whole {
                body: whole.body.clone(),
                answer: whole.answer,
                headers: passed(&whole.headers),
                counted: whole.counted,
            }),
        }
    }

    pub fn stream(bytes: Bytes, headers: &HeaderMap) -> Self {
        Self {
            since: Instant::now(),
            body: Body::Stream(bytes, passed(headers)),
        }
    }

    pub fn is_younger(&self, ttl: Duration) -> bool {
        self.since.elapsed() < ttl
    }

    /// Headers that came with it.
    pub fn headers(&self) -> &HeaderMap {
        match &self.body {
            Body::Whole(whole) => &whole.headers,
            Body::Stream(_, headers) => headers,
        }
    }

    /// Bytes that it holds; none when it is too long to be kept.
    pub fn weight(&self) -> Option<u32> {
        let bytes = match &self.body {
            Body::Whole(whole) => whole.body.len(),
            Body::Stream(bytes, _) => bytes.len(),
        };
        let fits = bytes <= LONGEST;
        u32::try_from(bytes + ENTRY).ok().filter(|_| fits)
    }

    /// The answer to a call that asks for the usage chunk or not, and may take so long.
    pub fn reply(self, operation: Operation, usage_asked: bool, timeout: Duration) -> Reply {
        match self.body {
            Body::Whole(whole) => Reply::Whole(whole),
            Body::Stream(bytes, headers) => {
                let upstream = stream::iter([Ok(bytes)]).boxed();
                Reply::Started(Box::new(Started {
                    source: Source::new(upstream, operation),
                    deadline: (Instant::now() + timeout, timeout),
                    headers,
                    usage_asked,
                }))
            }
        }
    }
}

fn passed(headers: &HeaderMap) -> HeaderMap {
    let named = PASSED.into_iter().filter_map(|name| {
        let value = headers.get(&name)?.clone();
        Some((name, value))
    });
    named.collect()
}
