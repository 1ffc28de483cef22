//! One file over HTTP, resumed where it was cut (RFC 9110, range requests).

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::PathBuf,
};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::{Response, Url};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use super::{
    PrefetchError,
    digest::{self, Digest},
    file::Patience,
    progress::{Doing, Meter, Teller},
};
use aios_runtime::chain;

/// What is fetched, and how patiently.
pub struct Download {
    pub http: reqwest::Client,
    /// What people call the file.
    pub file: String,
    pub uri: Url,
    /// Sent to the host of `uri` alone.
    pub authorization: Option<HeaderValue>,
    /// Where bytes are kept until the file is whole.
    pub partial: PathBuf,
    pub patience: Patience,
}

/// A whole file, not yet known to be the right one.
#[derive(Debug)]
pub struct Fetched {
    pub digest: Digest,
    /// Whether it is put together from parts, which may be of different files.
    pub resumed: bool,
}

/// Bytes so far.
struct Progress {
    file: File,
    hasher: Sha256,
    have: u64,
    total: Option<u64>,
    /// Strong entity tag of what is here: the rest must be of the same file.
    tag: Option<HeaderValue>,
    resumed: bool,
    meter: Meter,
}

/// Why a try ended.
enum Ended {
    Whole,
    /// Worth another try.
    Broken(String),
    Hopeless(String),
    Disk(io::Error),
}

impl Download {
    /// Fetches until the file is whole or tries are spent.
    ///
    /// # Errors
    /// `Unavailable` or `Volume`.
    pub async fn run(&self, teller: &Teller) -> Result<Fetched, PrefetchError> {
        let write = |error| PrefetchError::Volume {
            path: self.partial.clone(),
            error,
        };
        let unavailable = |reason| PrefetchError::Unavailable {
            file: self.file.clone(),
            reason,
        };
        let mut progress = self.open(teller).await.map_err(write)?;
        let mut failed = 0;
        loop {
            let before = progress.have;
            match self.attempt(&mut progress).await {
                Ended::Whole => break,
                Ended::Disk(error) => return Err(write(error)),
                Ended::Hopeless(reason) => return Err(unavailable(reason)),
                Ended::Broken(reason) => {
                    failed = if progress.have > before {
                        1
                    } else {
                        failed + 1
                    };
                    if failed >= self.patience.tries {
                        return Err(unavailable(reason));
                    }
                    tracing::warn!(reason, have = progress.have, "trying again");
                    tokio::time::sleep(self.patience.pause(failed)).await;
                }
            }
        }
        progress.file.sync_all().map_err(write)?;
        Ok(Fetched {
            digest: Digest::of(progress.hasher),
            resumed: progress.resumed,
        })
    }

    async fn open(&self, teller: &Teller) -> io::Result<Progress> {
        let meter = teller.meter(&self.file, Doing::Checking);
        let (hasher, have) = digest::hash(&self.partial, meter)
            .await?
            .unwrap_or_default();
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.partial)?;
        Ok(Progress {
            file,
            hasher,
            have,
            total: None,
            tag: None,
            resumed: false,
            meter: teller.meter(&self.file, Doing::Fetching),
        })
    }

    async fn attempt(&self, progress: &mut Progress) -> Ended {
        let mut request = self.http.get(self.uri.clone());
        if let Some(value) = &self.authorization {
            request = request.header(header::AUTHORIZATION, value.clone());
        }
        if progress.have > 0 {
            request = request.header(header::RANGE, format!("bytes={}-", progress.have));
            if let Some(tag) = &progress.tag {
                request = request.header(header::IF_RANGE, tag.clone());
            }
        }
        let response = match timeout(self.patience.stall, request.send()).await {
            Err(_) => return Ended::Broken("the server does not answer".to_owned()),
            Ok(Err(error)) => return Ended::Broken(chain(&error.without_url())),
            Ok(Ok(response)) => response,
        };
        match response.status() {
            StatusCode::OK => {
                if let Err(error) = progress.restart() {
                    return Ended::Disk(error);
                }
                progress.total = response.content_length();
            }
            StatusCode::PARTIAL_CONTENT => match content_range(response.headers()) {
                Some((start, total)) if start == progress.have => {
                    progress.total = total;
                    progress.resumed = true;
                }
                _ => return Ended::Broken("the server sent another part of the file".to_owned()),
            },
            // Nothing lies beyond what is here: whole, or another file. The digest will tell.
            StatusCode::RANGE_NOT_SATISFIABLE if progress.have > 0 => {
                progress.resumed = true;
                return Ended::Whole;
            }
            status if is_passing(status) => return Ended::Broken(format!("status {status}")),
            status => return Ended::Hopeless(format!("status {status}{}", remedy(status))),
        }
        progress.tag = strong_tag(response.headers());
        self.receive(response, progress).await
    }

    async fn receive(&self, mut response: Response, progress: &mut Progress) -> Ended {
        loop {
            match timeout(self.patience.stall, response.chunk()).await {
                Err(_) => return Ended::Broken("no byte came for too long".to_owned()),
                Ok(Err(error)) => return Ended::Broken(chain(&error.without_url())),
                Ok(Ok(Some(bytes))) => {
                    if let Err(error) = progress.write(&bytes) {
                        return Ended::Disk(error);
                    }
                }
                Ok(Ok(None)) if progress.total.is_some_and(|total| progress.have < total) => {
                    return Ended::Broken("the file was cut".to_owned());
                }
                Ok(Ok(None)) => return Ended::Whole,
            }
        }
    }
}

impl Progress {
    /// Forgets what came: the server starts from the beginning.
    fn restart(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.hasher = Sha256::new();
        self.have = 0;
        self.resumed = false;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.have += bytes.len() as u64;
        self.meter.at(self.have, self.total);
        Ok(())
    }
}

/// Statuses that may be gone at the next try.
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}

pub(super) fn remedy(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ": set credentials to a token that may read it"
        }
        StatusCode::NOT_FOUND => ": correct uri or revision",
        _ => "",
    }
}

/// Only a strong tag may stand in `If-Range` (RFC 9110, 13.1.5).
fn strong_tag(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers.get(header::ETAG)?;
    tag.as_bytes().starts_with(b"\"").then(|| tag.clone())
}

/// Start and whole length of `bytes START-END/TOTAL`.
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let value = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()))
}
