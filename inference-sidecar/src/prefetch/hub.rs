//! What a repository of Hugging Face holds at a commit, by the Hub's API: each file's size and, of large
//! ones, the SHA-256. <https://huggingface.co/docs/hub/api>

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderValue, header};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    PrefetchError,
    digest::Digest,
    download::{is_passing, remedy},
    file::{Patience, address},
    folder::MAX_DEPTH,
};
use aios_runtime::chain;

/// Most bytes of one page of a listing; the Hub's have some hundred kilobytes.
const PAGE: usize = 16 << 20;
/// Most files of a repository: more are a data set.
const FILES: usize = 10_000;

/// A repository at a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    hub: Url,
    /// `ORG/REPO`.
    repository: String,
    commit: String,
}

/// The same as it is written in `--file`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Written {
    hub: String,
    repository: String,
    commit: String,
}

/// Files by their paths.
pub type Files = BTreeMap<String, Listed>;

/// What the Hub says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    pub size: u64,
    /// Of files that are kept outside Git.
    pub sha256: Option<Digest>,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    oid: String,
    size: u64,
}

/// Why a page did not come.
enum Failed {
    /// Worth another try.
    Broken(String),
    Hopeless(String),
}

impl Snapshot {
    /// # Errors
    /// What is wrong with it.
    pub fn new(written: Written) -> Result<Self, String> {
        let hub = address(&written.hub)?;
        let parts: Vec<&str> = written.repository.split('/').collect();
        let is_named = parts.len() == 2 && parts.iter().all(|part| is_name(part));
        if !is_named || !is_name(&written.commit) {
            return Err("snapshot must name ORG/REPO and a commit".to_owned());
        }
        Ok(Self {
            hub,
            repository: written.repository,
            commit: written.commit,
        })
    }

    /// Where one of its files is fetched.
    pub fn url(&self, path: &str) -> Url {
        let parts = self.repository.split('/');
        self.at(parts
            .chain(["resolve", &self.commit])
            .chain(path.split('/')))
    }

    /// Every file.
    ///
    /// # Errors
    /// `Unavailable`: when the Hub does not answer, or lists what no folder can hold.
    pub async fn list(
        &self,
        (name, http): (&str, &reqwest::Client),
        authorization: Option<&HeaderValue>,
        patience: &Patience,
    ) -> Result<Files, PrefetchError> {
        let unavailable = |reason| PrefetchError::Unavailable {
            file: name.to_owned(),
            reason: format!("the hub's list of {}: {reason}", self.repository),
        };
        let mut files = Files::new();
        let mut next = Some(self.tree());
        while let Some(page) = next {
            let (entries, following) = self
                .page(http, &page, authorization, patience)
                .await
                .map_err(unavailable)?;
            take(&mut files, entries).map_err(unavailable)?;
            next = following;
        }
        if files.is_empty() {
            return Err(unavailable("it names no file".to_owned()));
        }
        Ok(files)
    }

    /// One page, and where the next one is.
    async fn page(
        &self,
        http: &reqwest::Client,
        page: &Url,
        authorization: Option<&HeaderValue>,
        patience: &Patience,
    ) -> Result<(Vec<Entry>, Option<Url>), String> {
        let mut failed = 0;
        loop {
            let mut request = http.get(page.clone());
            if let Some(value) = authorization {
                request = request.header(header::AUTHORIZATION, value.clone());
            }
            match read(request, patience).await {
                Ok((headers, body)) => {
                    let entries = serde_json::from_slice(&body)
                        .map_err(|error| format!("it cannot be read: {error}"))?;
                    return Ok((entries, self.following(&headers, page)?));
                }
                Err(Failed::Hopeless(reason)) => return Err(reason),
                Err(Failed::Broken(reason)) => {
                    failed += 1;
                    if failed >= patience.tries {
                        return Err(reason);
                    }
                    tracing::warn!(reason, "the list is asked for again");
                    tokio::time::sleep(patience.pause(failed)).await;
                }
            }
        }
    }

    fn tree(&self) -> Url {
        let parts = ["api", "models"]
            .into_iter()
            .chain(self.repository.split('/'));
        let mut tree = self.at(parts.chain(["tree", &self.commit]));
        tree.set_query(Some("recursive=true"));
        tree
    }

    fn at<'a>(&self, parts: impl Iterator<Item = &'a str>) -> Url {
        let mut url = self.hub.clone();
        // Addresses of http and https have segments.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(parts);
        }
        url
    }

    /// The next page (RFC 8288), which must be the hub's own: it gets the token.
    fn following(&self, headers: &HeaderMap, page: &Url) -> Result<Option<Url>, String> {
        let links = headers.get_all(header::LINK).iter();
        let links = links.filter_map(|value| value.to_str().ok());
        let Some(link) = links.flat_map(|links| links.split(',')).find_map(next_of) else {
            return Ok(None);
        };
        let url = page
            .join(link)
            .map_err(|error| format!("its next page: {error}"))?;
        if url.origin() != self.hub.origin() {
            return Err("its next page is at another host".to_owned());
        }
        Ok(Some(url))
    }
}

/// The address in `<ADDRESS>; rel="next"`.
fn next_of(link: &str) -> Option<&str> {
    let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let is_next = |parameter: &str| matches!(parameter.trim(), "rel=\"next\"" | "rel=next");
    parameters.split(';').any(is_next).then_some(address)
}

async fn read(
    request: reqwest::RequestBuilder,
    patience: &Patience,
) -> Result<(HeaderMap, Vec<u8>), Failed> {
    let broken = |error: reqwest::Error| Failed::Broken(chain(&error.without_url()));
    let silent = |_| Failed::Broken("the server does not answer".to_owned());
    let answered = timeout(patience.stall, request.send()).await;
    let mut response: Response = answered.map_err(silent)?.map_err(broken)?;
    match response.status() {
        StatusCode::OK => {}
        status if is_passing(status) => return Err(Failed::Broken(format!("status {status}"))),
        status => {
            let reason = format!("status {status}{}", remedy(status));
            return Err(Failed::Hopeless(reason));
        }
    }
    let mut body = Vec::new();
    loop {
        let chunk = timeout(patience.stall, response.chunk()).await;
        match chunk.map_err(silent)?.map_err(broken)? {
            Some(chunk) if body.len() + chunk.len() <= PAGE => body.extend_from_slice(&chunk),
            Some(_) => return Err(Failed::Hopeless("a page is too long".to_owned())),
            None => return Ok((std::mem::take(response.headers_mut()), body)),
        }
    }
}

fn take(files: &mut Files, entries: Vec<Entry>) -> Result<(), String> {
    for entry in entries.into_iter().filter(|entry| entry.kind == "file") {
        if !is_path(&entry.path) {
            return Err(format!("no file can be called {:?}", entry.path));
        }
        let listed = match entry.lfs {
            None => Listed {
                size: entry.size,
                sha256: None,
            },
            Some(lfs) => Listed {
                size: lfs.size,
                sha256: Some(
                    Digest::parse(&format!("sha256:{}", lfs.oid))
                        .ok_or_else(|| format!("{}: its digest cannot be read", entry.path))?,
                ),
            },
        };
        files.insert(entry.path, listed);
    }
    if files.len() > FILES {
        return Err(format!("it names more than {FILES} files"));
    }
    Ok(())
}

/// A relative path that stays below where it starts, and that `sha256sum` writes as it is.
fn is_path(path: &str) -> bool {
    path.split('/').count() < MAX_DEPTH
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && !path.contains(['\\', '\n', '\r', '\0'])
}

fn is_name(part: &str) -> bool {
    !matches!(part, "" | "." | "..")
        && part
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "._-+=@".contains(letter))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::{Entry, Files, HeaderMap, Snapshot, Url, Written, header, take};

    fn snapshot() -> Snapshot {
        Snapshot::new(Written {
            hub: "https://hub.example/mirror/".into(),
            repository: "org/repo".into(),
            commit: "c0ffee".into(),
        })
        .unwrap()
    }

    #[test]
    fn addresses_are_the_hubs_and_each_segment_is_escaped() {
        let snapshot = snapshot();
        assert_eq!(
            snapshot.url("sub/a b#1.json").as_str(),
            "https://hub.example/mirror/org/repo/resolve/c0ffee/sub/a%20b%231.json"
        );
        assert_eq!(
            snapshot.tree().as_str(),
            "https://hub.example/mirror/api/models/org/repo/tree/c0ffee?recursive=true"
        );
    }

    #[test]
    fn the_next_page_is_followed_on_the_hub_alone() {
        let (snapshot, page) = (snapshot(), Url::parse("https://hub.example/api/x").unwrap());
        let following = |link: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::LINK, HeaderValue::from_str(link).unwrap());
            snapshot.following(&headers, &page)
        };
        let next =
            following("</a>; rel=\"prev\", <https://hub.example/api/y?cursor=2>; rel=\"next\"");
        assert_eq!(
            next.unwrap().unwrap().as_str(),
            "https://hub.example/api/y?cursor=2"
        );
        assert_eq!(following("</a>; rel=\"last\"").unwrap(), None);
        assert!(following("<https://other.example/y>; rel=\"next\"").is_err());
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused() {
        for path in ["../a", "/etc/passwd", "a//b", "a/./b", "a\\b", "a\nb", ""] {
            let entry = Entry {
                kind: "file".into(),
                path: path.into(),
                size: 1,
                lfs: None,
            };
            assert!(take(&mut Files::new(), vec![entry]).is_err(), "{path:?}");
        }
    }
}
